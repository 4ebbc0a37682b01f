//! What an iterator gives, made on a thread of its own a little ahead of whoever takes it: two of the steps of a long walk
//! go on at once, and few items wait between them. Knows no item, changes no order.

use std::panic::resume_unwind;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// An iterator whose items are made ahead.
#[derive(Debug)]
pub struct Ahead<T> {
    received: Receiver<T>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Starts; up to `waiting` items wait to be taken.
    pub fn of(items: impl Iterator<Item = T> + Send + 'static, waiting: usize) -> Ahead<T> {
        let (sender, received) = sync_channel(waiting);
        // Who no longer receives wants no more: the thread ends.
        let thread = std::thread::spawn(move || drop(items.map(|item| sender.send(item)).find(Result::is_err)));
        Ahead { received, thread: Some(thread) }
    }
}

impl<T> Iterator for Ahead<T> {
    type Item = T;

    /// A thread that died is no end of the items.
    fn next(&mut self) -> Option<T> {
        if let Ok(item) = self.received.recv() {
            return Some(item);
        }
        self.thread.take()?.join().unwrap_or_else(|panic| resume_unwind(panic));
        None
    }
}

/// Hands every item to `take`, made by a thread that is up to `waiting` items ahead; for items that borrow.
///
/// # Errors
/// The first of `take`; nothing more is made then.
pub fn each<T: Send, E>(
    mut items: impl Iterator<Item = T> + Send,
    waiting: usize,
    mut take: impl FnMut(T) -> Result<(), E>,
) -> Result<(), E> {
    std::thread::scope(|threads| {
        let (sender, received) = sync_channel(waiting);
        // Who no longer receives wants no more: the thread ends.
        let making = threads.spawn(move || drop(items.try_for_each(|item| sender.send(item))));
        for item in received {
            take(item)?;
        }
        // A thread that died is no end of the items.
        making.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(())
    })
}

/// Hands over what `make` makes of each of `items`, in their order. So many threads take turns in making it, each an item
/// or two ahead.
///
/// # Errors
/// The first of `take`; little more is made then.
pub fn each_of<I: Sync, T: Send, E>(
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
            // Who no longer receives wants no more: the thread ends.
            (scope.spawn(move || drop(turns.try_for_each(|item| sender.send(item)))), received)
        };
        let makers: Vec<_> = (0..threads).map(begin).collect();
        // A maker that has no more has died, or this was its last turn: of those after it none has a further one.
        for made in makers.iter().cycle().map_while(|(_, received)| received.recv().ok()) {
            take(made)?;
        }
        makers.into_iter().for_each(|(thread, received)| {
            drop(received);
            // A thread that died is no end of the items.
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
        let mut numbers = Ahead::of(0..1_000, 2);
        assert!(numbers.by_ref().eq(0..1_000));
        assert_eq!((numbers.next(), numbers.next()), (None, None));
    }

    #[test]
    fn who_stops_early_leaves_no_thread_waiting() {
        let (told, heard) = std::sync::mpsc::channel::<()>();
        let endless = std::iter::repeat_with(move || told.send(()).is_ok());
        let mut taken = Ahead::of(endless, 1);
        assert_eq!(taken.next(), Some(true));
        drop(taken);
        // Ends when the thread has dropped its end of the channel.
        assert!(heard.iter().count() < 10);
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn a_thread_that_panics_is_no_end() {
        Ahead::of((0..3).inspect(|number| assert!(*number < 2, "a broken item")), 1).for_each(drop);
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn nor_is_it_where_items_borrow() {
        let numbers = [0, 1, 2];
        let items = numbers.iter().inspect(|number| assert!(**number < 2, "a broken item"));
        each(items, 1, |_| Ok::<(), ()>(())).unwrap();
    }

    #[test]
    fn threads_that_take_turns_leave_nothing_out_and_change_no_order() {
        for (threads, count) in [(1, 5), (2, 0), (2, 1), (2, 7), (3, 100), (4, 2)] {
            let (items, mut taken) = ((0..count).collect::<Vec<_>>(), Vec::new());
            let take = |made| {
                taken.push(made);
                Ok::<(), ()>(())
            };
            each_of(&items, threads, |number| number * 2, take).unwrap();
            assert!(taken.into_iter().eq(items.iter().map(|number| number * 2)), "{threads} threads, {count} items");
        }
    }

    #[test]
    fn an_error_ends_the_turns() {
        let (numbers, made) = ([0; 1_000], std::sync::atomic::AtomicUsize::new(0));
        let make = |_: &i32| made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let stopped = each_of(&numbers, 2, make, |_| Err("enough"));
        assert_eq!(stopped, Err("enough"));
        assert!(made.into_inner() < 10);
    }

    #[test]
    #[should_panic(expected = "a broken item")]
    fn a_turn_that_panics_is_no_end() {
        each_of(&[0, 1, 2, 3], 2, |number| assert!(*number < 2, "a broken item"), |()| Ok::<(), ()>(())).unwrap();
    }

    #[test]
    fn an_error_ends_what_is_made() {
        let (numbers, mut taken) = ([0; 1_000], 0);
        let stopped = each(numbers.iter(), 1, |_| {
            taken += 1;
            if taken < 3 { Ok(()) } else { Err("enough") }
        });
        assert_eq!((stopped, taken), (Err("enough"), 3));
    }
}
