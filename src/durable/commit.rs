//! Commit points: the moments between two disk operations at which a crash leaves something to recover. A
//! build with debug assertions can be told to die at one of them, as if by `kill -9`: `COUPON_RECON_DIE_AT=17`
//! (the seventeenth), `…=renamed:datasets/breaks` (the first whose path contains this),
//! `…=staged:manifest.json$` (the first whose path ends with this), `…=staged:journal/*/00001-` (the first
//! that contains both, in this order) or `…=renamed:events.ndjson$#3` (the third such). A release build has
//! none of this.

use std::path::Path;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// The operation that has just completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A file is complete beside its destination.
    Staged,
    /// A file is at its destination; its folder is not synced yet.
    Renamed,
    /// A file is removed; its folder is not synced yet.
    Removed,
    /// A folder was created.
    Folder,
}

impl Step {
    #[cfg(debug_assertions)]
    fn as_str(self) -> &'static str {
        match self {
            Step::Staged => "staged",
            Step::Renamed => "renamed",
            Step::Removed => "removed",
            Step::Folder => "folder",
        }
    }
}

/// Does nothing in a release build.
#[cfg(not(debug_assertions))]
pub(super) fn reached(_: Step, _: &Path) {}

/// Counts and logs the commit point, and dies here if requested.
#[cfg(debug_assertions)]
pub(super) fn reached(step: Step, path: &Path) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let number = COUNT.fetch_add(1, Ordering::SeqCst) + 1;
    tracing::trace!(number, step = step.as_str(), path = %path.display(), "commit point");
    if DEATH.as_ref().is_some_and(|death| death.is_at(number, step, path)) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

/// Where a test wants the process to die.
#[cfg(debug_assertions)]
enum Death {
    Number(u64),
    Place { step: String, path: String, still_to_pass: AtomicU64 },
}

#[cfg(debug_assertions)]
#[expect(clippy::disallowed_methods, reason = "a test kills the process from outside, and no release build listens")]
static DEATH: std::sync::LazyLock<Option<Death>> =
    std::sync::LazyLock::new(|| std::env::var("COUPON_RECON_DIE_AT").ok().map(|text| Death::read(&text)));

#[cfg(debug_assertions)]
impl Death {
    fn read(text: &str) -> Death {
        if let Ok(number) = text.parse() {
            return Death::Number(number);
        }
        let (place, which) = text.split_once('#').unwrap_or((text, "1"));
        match (place.split_once(':'), which.parse::<u64>()) {
            (Some((step, path)), Ok(which @ 1..)) => {
                Death::Place { step: step.to_owned(), path: path.to_owned(), still_to_pass: AtomicU64::new(which - 1) }
            }
            _ => panic!("COUPON_RECON_DIE_AT is neither a number nor step:path nor step:path#number"),
        }
    }

    /// Whether the process dies here; otherwise counts down if the place matches.
    fn is_at(&self, number: u64, step: Step, path: &Path) -> bool {
        match self {
            Death::Number(wanted) => *wanted == number,
            Death::Place { step: wanted, path: part, still_to_pass } => {
                let is_there = wanted == step.as_str() && holds(&path.to_string_lossy(), part);
                let pass = |left: u64| left.checked_sub(1);
                is_there && still_to_pass.fetch_update(Ordering::SeqCst, Ordering::SeqCst, pass).is_err()
            }
        }
    }
}

/// Whether the parts of `pattern` occur in `path` in this order, the last one at its end if there is a `$`.
#[cfg(debug_assertions)]
fn holds(path: &str, pattern: &str) -> bool {
    let (parts, at_end) = pattern.strip_suffix('$').map_or((pattern, false), |parts| (parts, true));
    let (firsts, last) = parts.rsplit_once('*').map_or((None, parts), |(firsts, last)| (Some(firsts), last));
    let after = |rest, part: &str| -> Option<&str> { Some(str::split_once(rest, part)?.1) };
    let rest = firsts.map_or(Some(path), |firsts| firsts.split('*').try_fold(path, after));
    rest.is_some_and(|rest| if at_end { rest.ends_with(last) } else { rest.contains(last) })
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_named_by_its_number_or_by_step_and_path() {
        let path = Path::new("/lake/datasets/breaks/dt=2026-11-18/part-0.parquet");
        assert!(Death::read("3").is_at(3, Step::Staged, path) && !Death::read("3").is_at(4, Step::Staged, path));
        assert!(Death::read("renamed:datasets/breaks").is_at(9, Step::Renamed, path));
        assert!(!Death::read("staged:datasets/breaks").is_at(9, Step::Renamed, path));
        assert!(Death::read("renamed:part-0.parquet$").is_at(9, Step::Renamed, path));
        assert!(!Death::read("renamed:datasets/breaks$").is_at(9, Step::Renamed, path));
        assert!(!Death::read("renamed:datasets/orders").is_at(9, Step::Renamed, path));
    }

    #[test]
    fn what_differs_from_run_to_run_is_left_open_and_a_later_one_of_the_same_place_can_be_meant() {
        let path = Path::new("/lake/journal/dt=2026-11-18/gen-001/bills/00001-3892-671857fc3cd5396c.parquet");
        let is_there = |place: &str| Death::read(place).is_at(1, Step::Staged, path);
        assert!(is_there("staged:journal/*/bills/00001-") && is_there("staged:bills/00001-*.parquet$"));
        assert!(!is_there("staged:bills/*/00001-") && !is_there("staged:parquet*bills"));
        let third = Death::read("staged:.parquet$#3");
        let dies = [Step::Staged, Step::Renamed, Step::Staged, Step::Staged].map(|step| third.is_at(1, step, path));
        assert_eq!(dies, [false, false, false, true]);
    }
}
