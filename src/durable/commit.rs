//! Commit points: the moments between two steps on the disk at which a crash leaves something to pick
//! up. A build with debug assertions can be told to die at one of them, exactly as by `kill -9`:
//! `COUPON_RECON_DIE_AT=17` (the seventeenth), `…=renamed:datasets/breaks` (the first whose path holds
//! that) or `…=staged:manifest.json$` (the first whose path ends so).
//! A release build has none of this.

use std::path::Path;

/// What has just become true on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A file is whole beside its place, not yet in it.
    Staged,
    /// A file stands in its place; the folder is not synced yet.
    Renamed,
    /// A file is gone; the folder is not synced yet.
    Removed,
    /// A folder is there.
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

/// Nothing, in a release build.
#[cfg(not(debug_assertions))]
pub(super) fn reached(_: Step, _: &Path) {}

/// Counts and logs the commit point, and dies here if that was asked for.
#[cfg(debug_assertions)]
pub(super) fn reached(step: Step, path: &Path) {
    use std::sync::atomic::{AtomicU64, Ordering};
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
    Place { step: String, path: String },
}

#[cfg(debug_assertions)]
static DEATH: std::sync::LazyLock<Option<Death>> =
    std::sync::LazyLock::new(|| std::env::var("COUPON_RECON_DIE_AT").ok().map(|text| Death::read(&text)));

#[cfg(debug_assertions)]
impl Death {
    fn read(text: &str) -> Death {
        match (text.parse(), text.split_once(':')) {
            (Ok(number), _) => Death::Number(number),
            (_, Some((step, path))) => Death::Place { step: step.to_owned(), path: path.to_owned() },
            _ => panic!("COUPON_RECON_DIE_AT is neither a number nor step:path"),
        }
    }

    fn is_at(&self, number: u64, step: Step, path: &Path) -> bool {
        match self {
            Death::Number(wanted) => *wanted == number,
            Death::Place { step: wanted, path: part } => {
                let path = path.to_string_lossy();
                let is_there = part.strip_suffix('$').map_or(path.contains(part.as_str()), |end| path.ends_with(end));
                wanted == step.as_str() && is_there
            }
        }
    }
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
}
