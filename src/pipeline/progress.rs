//! Progress on a terminal: one bar per stage that sends requests, with rate, remaining time and
//! retries.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::extract::Watcher;
use crate::quantity::counted;
use crate::stage::Stage;

/// Bars on stderr.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
    by_stage: Mutex<BTreeMap<Stage, ProgressBar>>,
}

/// Shows no progress.
#[derive(Debug)]
pub struct Quiet;

impl Watcher for Quiet {
    fn expect(&self, _stage: Stage, _total: u64, _retries: &Arc<AtomicU64>) {}

    fn advance(&self, _stage: Stage) {}
}

impl Watcher for Bars {
    fn expect(&self, stage: Stage, total: u64, retries: &Arc<AtomicU64>) {
        let mut bars = self.by_stage.lock().expect("no holder of this lock panics");
        let bar = bars.entry(stage).or_insert_with(|| self.all.add(new_bar(stage, retries)));
        bar.inc_length(total);
    }

    fn advance(&self, stage: Stage) {
        if let Some(bar) = self.by_stage.lock().expect("no holder of this lock panics").get(&stage) {
            bar.inc(1);
        }
    }
}

impl Drop for Bars {
    /// Removes the bars when the night is finished.
    fn drop(&mut self) {
        let _ = self.all.clear();
    }
}

fn new_bar(stage: Stage, retries: &Arc<AtomicU64>) -> ProgressBar {
    let retries = Arc::clone(retries);
    let style = ProgressStyle::with_template("{msg:<16} {bar:28} {pos}/{len} {rate} {left}{retries}")
        .expect("the template is well-formed")
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&time_left(state.len().map(|all| all.saturating_sub(state.pos())), state.eta()));
        })
        .with_key("retries", move |_: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&retries_told(retries.load(Ordering::Relaxed)));
        });
    ProgressBar::new(0).with_style(style).with_message(stage.as_str())
}

/// The remaining time of a stage; empty once it is done.
fn time_left(open: Option<u64>, eta: Duration) -> String {
    match (open, eta.as_secs()) {
        (Some(0), _) => String::new(),
        (_, seconds) if seconds < 60 => format!("{seconds}s left"),
        (_, seconds) if seconds < 3600 => format!("{}m{:02}s left", seconds / 60, seconds % 60),
        (_, seconds) => format!("{}h{:02}m left", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The number of retries; empty if there were none.
fn retries_told(retries: u64) -> String {
    if retries == 0 { String::new() } else { format!("  {}", counted(retries, "retry", "retries")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_tells_time_left_and_retries_in_words() {
        let left = |open, seconds| time_left(Some(open), Duration::from_secs(seconds));
        assert_eq!([left(0, 9), left(5, 9), left(5, 75), left(5, 7500)], ["", "9s left", "1m15s left", "2h05m left"]);
        assert_eq!([retries_told(0), retries_told(1), retries_told(7)], ["", "  1 retry", "  7 retries"]);
    }
}
