//! Progress on a terminal: one bar per stage that asks, with rate and remaining time.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Mutex;

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use crate::extract::Watcher;

/// Bars on stderr.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
    by_stage: Mutex<BTreeMap<&'static str, ProgressBar>>,
}

/// Nobody watches.
#[derive(Debug)]
pub struct Quiet;

impl Watcher for Quiet {
    fn expect(&self, _stage: &'static str, _total: u64) {}

    fn advance(&self, _stage: &'static str) {}
}

impl Watcher for Bars {
    fn expect(&self, stage: &'static str, total: u64) {
        let mut bars = self.by_stage.lock().expect("no holder of this lock panics");
        let bar = bars.entry(stage).or_insert_with(|| self.all.add(new_bar(stage)));
        bar.inc_length(total);
    }

    fn advance(&self, stage: &'static str) {
        if let Some(bar) = self.by_stage.lock().expect("no holder of this lock panics").get(stage) {
            bar.inc(1);
        }
    }
}

impl Drop for Bars {
    /// A finished night leaves no bars behind.
    fn drop(&mut self) {
        let _ = self.all.clear();
    }
}

fn new_bar(stage: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:<16} {bar:32} {pos}/{len} {rate} {eta}")
        .expect("the template is well-formed")
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        });
    ProgressBar::new(0).with_style(style).with_message(stage)
}
