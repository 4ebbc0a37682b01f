//! Iterators whose items are produced on other threads before they are asked for, so that two steps of a long walk run at
//! the same time. The channels are short, so few items wait; items are not inspected, and their order never changes.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// An iterator whose items a thread produces in advance; the thread leaves an `L` when it ends. Dropping it waits for that, so
/// no thread is ever leaked.
#[derive(Debug)]
pub(crate) struct Prefetch<T, L = ()> {
    /// `None` once no more items are wanted.
    received: Option<Receiver<T>>,
    thread: Option<JoinHandle<L>>,
    /// What the thread left, once it has been waited for.
    left: Option<L>,
}

impl<T: Send + 'static> Prefetch<T> {
    /// Starts the thread; it blocks once `waiting` items have not been taken yet.
    pub(crate) fn start(items: impl Iterator<Item = T> + Send + 'static, waiting: usize) -> Prefetch<T> {
        Prefetch::producing(waiting, |taker| drop(items.map(|item| taker.send(item)).find(Result::is_err)))
    }
}

impl<T: Send + 'static, L: Send + 'static> Prefetch<T, L> {
    /// As `start`, with items that `produce_all` sends one by one; sending fails once nobody takes them any more.
    pub(crate) fn producing(
        waiting: usize,
        produce_all: impl FnOnce(SyncSender<T>) -> L + Send + 'static,
    ) -> Prefetch<T, L> {
        let (taker, received) = sync_channel(waiting);
        let thread = std::thread::spawn(move || produce_all(taker));
        Prefetch { received: Some(received), thread: Some(thread), left: None }
    }

    /// Takes no more items, and returns what the thread leaves; passes its panic on.
    pub(crate) fn finish(mut self) -> L {
        self.received = None;
        self.wait();
        self.left.take().expect("a thread that has ended left something")
    }
}

impl<T, L> Prefetch<T, L> {
    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.left = Some(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
    }
}

impl<T, L> Iterator for Prefetch<T, L> {
    type Item = T;

    /// A panic of the thread is passed on: it must not look like the end of the items.
    fn next(&mut self) -> Option<T> {
        let item = self.received.as_ref()?.recv().ok();
        if item.is_none() {
            self.wait();
        }
        item
    }
}

impl<T, L> Drop for Prefetch<T, L> {
    fn drop(&mut self) {
        self.received = None;
        // Nobody wants the items any more, not even that one could not be produced.
        self.thread.take().map(JoinHandle::join);
    }
}

/// Passes every item to `take`, while a thread produces up to `waiting` of the next ones; unlike `Prefetch`, for items
/// that borrow.
///
/// # Errors
/// The first error of `take`; no further items are produced after it.
pub(crate) fn for_each<T: Send, E>(
    mut items: impl Iterator<Item = T> + Send,
    waiting: usize,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    std::thread::scope(|threads| {
        let (sender, received) = sync_channel(waiting);
        // Sending fails once the receiver is gone; the thread then ends.
        let making = threads.spawn(move || drop(items.try_for_each(|item| sender.send(item))));
        for item in received {
            take(item)?;
        }
        // A panic of the thread is passed on: it must not look like the end of the items.
        making.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(())
    })
}

/// Passes `make(item)` to `take` for each of `items`, in their order. The items are dealt to `threads` threads in turn, each
/// of which runs an item or two ahead.
///
/// # Errors
/// The first error of `take`; at most a few more items are made after it.
pub(crate) fn map_in_turns<I: Sync, T: Send, E>(
    items: &[I],
    threads: usize,
    make: impl Fn(&I) -> T + Sync,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    std::thread::scope(|scope| {
        let make = &make;
        let begin = |thread: usize| {
            let (sender, received) = sync_channel(1);
            let mut turns = items.iter().skip(thread).step_by(threads).map(make);
            // Sending fails once the receiver is gone; the thread then ends.
            (scope.spawn(move || drop(turns.try_for_each(|item| sender.send(item)))), received)
        };
        let makers: Vec<_> = (0..threads).map(begin).collect();
        // A closed channel means that its thread panicked or has had its last turn; the threads after it have no more either.
        for made in makers.iter().cycle().map_while(|(_, received)| received.recv().ok()) {
            take(made)?;
        }
        makers.into_iter().for_each(|(thread, received)| {
            drop(received);
            // A panic of the thread is passed on: it must not look like the end of the items.
            thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_once_and_in_order() {
        let mut numbers = Prefetch::start(0..1_000, 2);
        assert!(numbers.by_ref().eq(0..1_000));
        assert_eq!((numbers.next(), numbers.next()), (None, None));
    }

    #[test]
    fn who_stops_early_leaves_no_thread_waiting() {
        let (told, heard) = std::sync::mpsc::channel::<()>();
        let endless = std::iter::repeat_with(move || told.send(()).is_ok());
        let mut taken = Prefetch::start(endless, 1);
        assert_eq!(taken.next(), Some(true));
        drop(taken);
        // The thread has ended and dropped its end of the channel: nothing has to be waited for.
        assert!(heard.try_iter().count() < 10);
        assert_eq!(heard.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
    }

    #[test]
    fn what_the_thread_leaves_comes_back_whether_or_not_its_items_were_taken() {
        for taken in [0, 2, 9] {
            let count = |taker: SyncSender<i32>| (0..5).filter(|number| taker.send(*number).is_ok()).count();
            let mut numbers = Prefetch::producing(5, count);
            let seen = numbers.by_ref().take(taken).count();
            assert_eq!(seen, taken.min(5));
            assert!((seen..=5).contains(&numbers.finish()), "{taken}");
        }
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn nor_is_a_panic_lost_where_no_item_is_taken() {
        Prefetch::<(), ()>::producing(1, |_| panic!("a broken item")).finish();
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn a_thread_that_panics_is_no_end() {
        Prefetch::start((0..3).inspect(|number| assert!(*number < 2, "a broken item")), 1).for_each(drop);
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn nor_is_it_where_items_borrow() {
        let numbers = [0, 1, 2];
        let items = numbers.iter().inspect(|number| assert!(**number < 2, "a broken item"));
        for_each(items, 1, |_| Ok::<(), ()>(())).unwrap();
    }

    #[test]
    fn threads_that_take_turns_leave_nothing_out_and_change_no_order() {
        for (threads, count) in [(1, 5), (2, 0), (2, 1), (2, 7), (3, 100), (4, 2)] {
            let (items, mut taken) = ((0..count).collect::<Vec<_>>(), Vec::new());
            let take = |made| {
                taken.push(made);
                Ok::<(), ()>(())
            };
            map_in_turns(&items, threads, |number| number * 2, take).unwrap();
            assert!(taken.into_iter().eq(items.iter().map(|number| number * 2)), "{threads} threads, {count} items");
        }
    }

    #[test]
    fn an_error_ends_the_turns() {
        let (numbers, made) = ([0; 1_000], std::sync::atomic::AtomicUsize::new(0));
        let make = |_: &i32| made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let stopped = map_in_turns(&numbers, 2, make, |_| Err("enough"));
        assert_eq!(stopped, Err("enough"));
        assert!(made.into_inner() < 10);
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn a_turn_that_panics_is_no_end() {
        map_in_turns(&[0, 1, 2, 3], 2, |number| assert!(*number < 2, "a broken item"), |()| Ok::<(), ()>(())).unwrap();
    }

    #[test]
    fn an_error_ends_what_is_made() {
        let (numbers, mut taken) = ([0; 1_000], 0);
        let stopped = for_each(numbers.iter(), 1, |_| {
            taken += 1;
            if taken < 3 { Ok(()) } else { Err("enough") }
        });
        assert_eq!((stopped, taken), (Err("enough"), 3));
    }
}
