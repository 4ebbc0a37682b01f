//! A thread that consumes items which others produce, so that two steps of a long walk run at the same time. The channel is
//! short, so few items wait; items are not inspected, and their order never changes.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A thread with a queue of items. Dropping it waits for the thread to end, so none is ever leaked.
#[derive(Debug)]
pub(crate) struct Worker<T, R> {
    /// `None` once no more items will come.
    items: Option<SyncSender<T>>,
    thread: Option<JoinHandle<R>>,
}

impl<T: Send + 'static, R: Send + 'static> Worker<T, R> {
    /// Starts the thread; `send` blocks once `waiting` items have not been taken yet.
    pub(crate) fn start(waiting: usize, take_all: impl FnOnce(Receiver<T>) -> R + Send + 'static) -> Worker<T, R> {
        let (items, received) = sync_channel(waiting);
        Worker { items: Some(items), thread: Some(std::thread::spawn(move || take_all(received))) }
    }

    /// Queues an item, and blocks while the queue is full. `false` when the thread has stopped taking items: `finish` tells
    /// why.
    #[must_use]
    pub(crate) fn send(&self, item: T) -> bool {
        self.items.as_ref().is_some_and(|items| items.send(item).is_ok())
    }

    /// Closes the queue and waits for the result of the thread; passes its panic on.
    pub(crate) fn finish(mut self) -> R {
        self.items = None;
        let thread = self.thread.take().expect("a thread ends once");
        thread.join().unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<T, R> Drop for Worker<T, R> {
    fn drop(&mut self) {
        self.items = None;
        // Nobody wants the result any more, not even that it failed.
        self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_taken_once_and_in_order() {
        let worker = Worker::start(2, |numbers| numbers.into_iter().collect::<Vec<_>>());
        assert!((0..1_000).all(|number| worker.send(number)));
        assert!(worker.finish().into_iter().eq(0..1_000));
    }

    #[test]
    fn who_takes_no_more_says_so_and_why() {
        let worker = Worker::start(1, |numbers| numbers.into_iter().find(|number| *number == 7).map_or(Ok(()), Err));
        let taken = (0..1_000).take_while(|number| worker.send(*number)).count();
        assert!((8..=10).contains(&taken), "{taken}");
        assert_eq!(worker.finish(), Err(7));
    }

    #[test]
    fn who_drops_it_waits_for_its_end() {
        let (ended, is_over) = std::sync::mpsc::channel();
        drop(Worker::start(1, move |numbers: Receiver<()>| {
            numbers.into_iter().for_each(drop);
            ended.send(()).unwrap();
        }));
        assert_eq!(is_over.try_recv(), Ok(()));
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn a_thread_that_panics_is_no_result() {
        let worker = Worker::start(1, |numbers: Receiver<bool>| {
            numbers.into_iter().for_each(|item| assert!(item, "a broken item"))
        });
        while worker.send(false) {}
        worker.finish();
    }
}
