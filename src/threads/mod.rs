//! Work on other threads than the caller's: independent pieces in parallel here, a producer or a consumer in `prefetch`
//! and `worker`. Results come in the order of their inputs, so nothing depends on the number of threads.

pub(crate) mod prefetch;
pub(crate) mod worker;

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

/// How many threads work on pieces, the caller's included.
pub(crate) const THREADS: usize = 2;

/// Processes all pieces in parallel; the results are in the order of the pieces.
pub(crate) fn map_parallel<T: Send, R: Send>(threads: usize, pieces: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let waiting = Mutex::new(pieces.into_iter().enumerate());
    let take = || waiting.lock().expect("taking a piece does not panic").next();
    let work_on = || std::iter::from_fn(|| take().map(|(place, piece)| (place, work(piece)))).collect::<Vec<_>>();
    let mut done = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work_on)).collect();
        let mut done = work_on();
        others.into_iter().for_each(|other| done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))));
        done
    });
    done.sort_unstable_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, result)| result).collect()
}

/// Runs two closures in parallel, the first on a thread of its own. For computation: neither may wait for a server.
pub(crate) fn join<T: Send, U>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> U) -> (T, U) {
    thread::scope(|scope| {
        let thread = scope.spawn(one);
        let done = other();
        (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), done)
    })
}

/// As large as the main thread's: query plans are walked recursively.
const STACK_BYTES: usize = 8 << 20;

/// Runs a closure on a thread of its own and waits for it: Polars refuses to block on its executor on the thread that
/// drives a single-threaded asynchronous runtime.
pub(crate) fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work);
        thread.expect("the system gives a thread").join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_lie_in_the_order_of_the_pieces_whatever_the_number_of_threads() {
        let pieces: Vec<u64> = (0..200).collect();
        let wanted: Vec<u64> = pieces.iter().map(|piece| piece * piece).collect();
        for threads in [1, 2, 7] {
            let slow_at_first = |piece: u64| {
                thread::sleep(std::time::Duration::from_micros(200 - piece));
                piece * piece
            };
            assert_eq!(map_parallel(threads, pieces.clone(), slow_at_first), wanted, "{threads} threads");
        }
    }
}
