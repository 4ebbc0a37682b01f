//! Work on other threads than the caller's: independent pieces side by side, or all of it. What comes out of pieces lies
//! in the order of what went in, so that nothing depends on the number of threads.

use std::panic::resume_unwind;
use std::sync::Mutex;
use std::thread;

/// Threads that work on pieces, the caller's among them.
pub(crate) const THREADS: usize = 2;

/// Does the work of every piece; gives the results in the order of the pieces.
pub(crate) fn side_by_side<T: Send, R: Send>(threads: usize, pieces: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let waiting = Mutex::new(pieces.into_iter().enumerate());
    let take = || waiting.lock().expect("nobody panics while he takes").next();
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

/// Does two things at once, the first on a thread of its own: for long walks of which none waits for a server.
pub(crate) fn at_once<T: Send, U>(one: impl FnOnce() -> T + Send, other: impl FnOnce() -> U) -> (T, U) {
    thread::scope(|scope| {
        let thread = scope.spawn(one);
        let done = other();
        (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), done)
    })
}

/// What the main thread has; plans of queries are walked through by recursion.
const STACK_BYTES: usize = 8 << 20;

/// Does some work on a thread of its own and waits for it: Polars refuses to wait for its executor on a thread that
/// drives an asynchronous runtime alone.
pub(crate) fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
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
            assert_eq!(side_by_side(threads, pieces.clone(), slow_at_first), wanted, "{threads} threads");
        }
    }
}
