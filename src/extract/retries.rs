//! Retries of each stage tonight.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::stage::Stage;

/// One counter per stage.
#[derive(Debug, Default)]
pub struct Retries(Mutex<BTreeMap<Stage, Arc<AtomicU64>>>);

impl Retries {
    /// The counter of a stage; the same one for every caller.
    pub(super) fn counter(&self, stage: Stage) -> Arc<AtomicU64> {
        let mut counters = self.0.lock().expect("no holder of this lock panics");
        Arc::clone(counters.entry(stage).or_default())
    }

    /// Retries of a stage so far.
    pub fn of(&self, stage: Stage) -> u64 {
        let counters = self.0.lock().expect("no holder of this lock panics");
        counters.get(&stage).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
