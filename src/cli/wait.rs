//! How long a run is retried: one that ends with "try later" is tried again while there is time.

use std::future::Future;
use std::time::Duration;

use super::interrupt::Interrupt;
use crate::clock::World;
use crate::error::{ExitCode, Failure};
use crate::journal::Mode;

/// The interval between attempts under `--wait`.
const WAIT_STEP: Duration = Duration::from_secs(60);

/// How an attempt ended.
pub(super) struct Attempt<T> {
    result: Result<T, Failure>,
    code: ExitCode,
    /// Whether it got as far as opening its journal: another run may hold the lock, or the disk may be full.
    has_journal: bool,
}

impl<T> Attempt<T> {
    /// Makes an attempt, whose journal `interrupt` keeps.
    pub(super) async fn make(
        interrupt: &Interrupt,
        night: impl Future<Output = Result<T, Failure>>,
        code: impl Fn(&T) -> ExitCode,
    ) -> Attempt<T> {
        interrupt.forget_journal();
        let result = night.await;
        let code = result.as_ref().map_or_else(|failure| failure.code, code);
        Attempt { result, code, has_journal: interrupt.has_journal() }
    }
}

/// Repeats an attempt that ends with "try later" for as long as `wait` says: every minute, and once more at the end.
/// The duration of an attempt counts. A refetch opens one generation of the journal: the attempts after it resume that one.
pub(super) async fn until_ready<T>(
    world: &World,
    wait: Option<Duration>,
    mut mode: Mode,
    attempt: impl AsyncFn(Mode) -> Attempt<T>,
) -> Result<T, Failure> {
    let mut left = wait.unwrap_or_default();
    loop {
        let begun = world.clock.now();
        let Attempt { result, code, has_journal } = attempt(mode).await;
        left = left.saturating_sub((world.clock.now() - begun).to_std().unwrap_or_default());
        if code != ExitCode::TryLater || left.is_zero() {
            return result;
        }
        if has_journal && mode == Mode::Refetch {
            mode = Mode::Resume;
        }
        let step = WAIT_STEP.min(left);
        left -= step;
        world.sleep.sleep(step).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;
    use crate::http::scripted::FakeWorld;

    /// An attempt that failed for now.
    fn later(why: &str, has_journal: bool) -> Attempt<()> {
        let code = ExitCode::TryLater;
        Attempt { result: Err(Failure::new(code, why)), code, has_journal }
    }

    /// The number of attempts of `takes` seconds each that are made within `wait`, and when the last one ends.
    async fn attempts(wait: u64, takes: u64) -> (u32, u64) {
        let (fake, made) = (FakeWorld::new(), Cell::new(0));
        let begun = fake.now();
        let attempt = async |_| {
            made.set(made.get() + 1);
            fake.advance(Duration::from_secs(takes));
            later("not ready", true)
        };
        let wait = Some(Duration::from_secs(wait));
        let ended = until_ready(&fake.world(), wait, Mode::Resume, attempt).await;
        assert_eq!(ended.unwrap_err().code, ExitCode::TryLater);
        (made.get(), (fake.now() - begun).num_seconds().unsigned_abs())
    }

    #[tokio::test]
    async fn a_wait_ends_when_its_time_is_over_with_one_last_look() {
        assert_eq!(attempts(0, 1).await, (1, 1));
        assert_eq!(attempts(5, 0).await, (2, 5));
        assert_eq!(attempts(130, 0).await, (4, 130));
        // The duration of an attempt counts as waiting.
        assert_eq!(attempts(130, 40).await, (2, 140));
        assert_eq!(attempts(5, 40).await, (1, 40));
    }

    #[tokio::test]
    async fn a_refetch_that_waits_asks_everything_again_once() {
        let (fake, modes) = (FakeWorld::new(), RefCell::new(Vec::new()));
        let attempt = async |mode| {
            modes.borrow_mut().push(mode);
            match modes.borrow().len() {
                1 => later("another run holds the lock", false),
                2 => later("the disk is full", true),
                _ => Attempt { result: Ok(()), code: ExitCode::TryLater, has_journal: true },
            }
        };
        let wait = Some(Duration::from_secs(180));
        until_ready(&fake.world(), wait, Mode::Refetch, attempt).await.unwrap();
        assert_eq!(modes.into_inner(), [Mode::Refetch, Mode::Refetch, Mode::Resume, Mode::Resume]);
    }
}
