//! A thread that takes what others make, a little behind them: two of the steps of a long walk go on at once, and few items
//! wait between them. Knows no item, changes no order.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A thread and what it is given. Nobody leaves it behind: who drops it waits for its end.
#[derive(Debug)]
pub struct Behind<T, R> {
    /// Until there will be no more.
    items: Option<SyncSender<T>>,
    thread: Option<JoinHandle<R>>,
}

impl<T: Send + 'static, R: Send + 'static> Behind<T, R> {
    /// Starts; up to `waiting` items wait to be taken.
    pub fn of(waiting: usize, take_all: impl FnOnce(Receiver<T>) -> R + Send + 'static) -> Behind<T, R> {
        let (items, received) = sync_channel(waiting);
        Behind { items: Some(items), thread: Some(std::thread::spawn(move || take_all(received))) }
    }

    /// Hands an item over; waits where too many do. `false` when the thread takes no more: `finish` tells why.
    #[must_use]
    pub fn give(&self, item: T) -> bool {
        self.items.as_ref().is_some_and(|items| items.send(item).is_ok())
    }

    /// What the thread has made of everything it was given. One that panicked makes the caller do so.
    pub fn finish(mut self) -> R {
        self.items = None;
        let thread = self.thread.take().expect("a thread ends once");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<T, R> Drop for Behind<T, R> {
    fn drop(&mut self) {
        self.items = None;
        // What it has made, or why it could not, is of no use to anybody any more.
        self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_taken_once_and_in_order() {
        let behind = Behind::of(2, |numbers| numbers.into_iter().collect::<Vec<_>>());
        assert!((0..1_000).all(|number| behind.give(number)));
        assert!(behind.finish().into_iter().eq(0..1_000));
    }

    #[test]
    fn who_takes_no_more_says_so_and_why() {
        let behind = Behind::of(1, |numbers| numbers.into_iter().find(|number| *number == 7).map_or(Ok(()), Err));
        let taken = (0..1_000).take_while(|number| behind.give(*number)).count();
        assert!((8..=10).contains(&taken), "{taken}");
        assert_eq!(behind.finish(), Err(7));
    }

    #[test]
    fn who_drops_it_waits_for_its_end() {
        let (ended, is_over) = std::sync::mpsc::channel();
        drop(Behind::of(1, move |numbers: Receiver<()>| {
            numbers.into_iter().for_each(drop);
            ended.send(()).unwrap();
        }));
        assert_eq!(is_over.try_recv(), Ok(()));
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn a_thread_that_panics_is_no_result() {
        let behind = Behind::of(1, |numbers: Receiver<bool>| {
            numbers.into_iter().for_each(|item| assert!(item, "a broken item"))
        });
        while behind.give(false) {}
        behind.finish();
    }
}
