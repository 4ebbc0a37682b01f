//! One scan of a table for all conditions on it, chunk by chunk. What a condition matches is kept as row numbers and as the
//! keys that others ask for; a condition that matches too much is dropped.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::and;
use arrow::error::ArrowError;

use super::evaluate::Evaluator;
use super::keys::{KeyColumns, Keys, NO_KEY};
use super::limits::Limits;
use super::source::{Source, Stretch};
use super::term::{Mention, Term};

/// The columns of a key.
pub(super) type KeyNames = Vec<String>;

/// The conditions for keeping a row.
#[derive(Debug, Clone, Default)]
pub(super) struct Condition {
    /// All of them must be true.
    pub(super) terms: Vec<Term>,
    /// Keys that must be in a set.
    pub(super) members: Vec<Membership>,
    /// Keys that must not be in a set; a row without a key is kept.
    pub(super) strangers: Vec<Membership>,
}

#[derive(Debug, Clone)]
pub(super) struct Membership {
    pub(super) columns: KeyNames,
    pub(super) keys: Arc<Keys>,
}

impl Condition {
    /// The columns it reads.
    pub(super) fn columns(&self, mention: Mention, columns: &mut BTreeSet<String>) {
        self.terms.iter().for_each(|term| term.columns_of(mention, columns));
        let sets = self.members.iter().chain(&self.strangers);
        columns.extend(sets.flat_map(|set| set.columns.iter().cloned()));
    }

    /// How many conditions must hold, without those that only a whole table decides.
    pub(super) fn count(&self) -> usize {
        self.terms.len() + self.members.len()
    }

    /// Whether a key would have to be in an empty set.
    pub(super) fn matches_nothing(&self) -> bool {
        self.members.iter().any(|member| member.keys.is_empty())
    }
}

/// A condition on trial, and what it has matched.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) rule: usize,
    pub(super) mention: Mention,
    pub(super) condition: Condition,
    /// Row numbers, ascending.
    pub(super) rows: Vec<u64>,
    pub(super) matched: u64,
    /// The keys of the matched rows.
    pub(super) keys: HashMap<KeyNames, Keys>,
    /// The limits; `None` if it may match everything because only its keys are needed.
    pub(super) limit: Option<Limits>,
    pub(super) is_given_up: bool,
}

impl Trial {
    /// The columns it reads.
    pub(super) fn columns(&self, columns: &mut BTreeSet<String>) {
        self.condition.columns(self.mention, columns);
        columns.extend(self.keys.keys().flatten().cloned());
    }

    pub(super) fn see(&mut self, seen: u64) {
        let is_too_much =
            |limits: Limits| self.matched > limits.matched_rows && self.matched > seen / limits.matched_share;
        if self.limit.is_some_and(is_too_much) {
            self.give_up();
        }
    }

    /// Concludes with known matching rows; reads the requested keys from `source`.
    pub(super) fn conclude(&mut self, source: &Source, mut rows: Vec<u64>) -> Result<(), ArrowError> {
        rows.sort_unstable();
        (self.matched, self.rows) = (rows.len() as u64, rows);
        self.see(source.rows);
        if self.is_given_up || self.keys.is_empty() {
            return Ok(());
        }
        let columns = self.keys.keys().flatten().cloned().collect();
        source.fetch(&columns, &self.rows, |batch| {
            for (names, found) in &mut self.keys {
                let columns = KeyColumns::of(batch, names)?;
                found.extend((0..batch.num_rows()).map(|row| columns.key(row)).filter(|key| *key != NO_KEY));
            }
            Ok(())
        })
    }

    /// Appends what was matched in a later stretch.
    fn add(&mut self, later: Trial) {
        self.matched += later.matched;
        self.rows.extend(later.rows);
        for (names, keys) in later.keys {
            self.keys.entry(names).or_default().extend(keys);
        }
        if later.is_given_up {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.is_given_up = true;
        self.rows = Vec::new();
        self.keys.values_mut().for_each(|keys| *keys = Keys::default());
    }
}

/// A scan of a table for all waiting trials. Its stretches may be scanned in any order.
pub(super) struct Walk<'s> {
    source: &'s Source,
    columns: BTreeSet<String>,
    trials: Vec<Trial>,
    /// Per trial, whether it was given up in some stretch, so that the others can skip it.
    given_up: Vec<AtomicBool>,
}

impl<'s> Walk<'s> {
    pub(super) fn new(source: &'s Source, trials: Vec<Trial>) -> Walk<'s> {
        let mut columns = BTreeSet::new();
        trials.iter().for_each(|trial| trial.columns(&mut columns));
        let given_up = trials.iter().map(|_| AtomicBool::new(false)).collect();
        Walk { source, columns, trials, given_up }
    }

    pub(super) fn stretches(&self) -> Vec<Stretch> {
        self.source.stretches()
    }

    /// The matches of the trials in a stretch.
    pub(super) fn scan(&self, stretch: Stretch) -> Result<Vec<Trial>, ArrowError> {
        let mut found = self.trials.clone();
        let mut seen = 0;
        for (trial, given_up) in found.iter_mut().zip(&self.given_up) {
            trial.is_given_up = given_up.load(Ordering::Relaxed);
        }
        self.source.scan_stretch(stretch, &self.columns, |first, batch| {
            seen += batch.num_rows() as u64;
            self.sift_batch(first, batch, &mut found)?;
            found.iter_mut().for_each(|trial| trial.see(seen));
            let is_over = found.iter().all(|trial| trial.is_given_up);
            Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        for (trial, given_up) in found.iter().zip(&self.given_up) {
            given_up.fetch_or(trial.is_given_up, Ordering::Relaxed);
        }
        Ok(found)
    }

    fn sift_batch(&self, first: u64, batch: &RecordBatch, found: &mut [Trial]) -> Result<(), ArrowError> {
        let (mut evaluator, mut keys) = (Evaluator::new(batch), BatchKeys::new(batch));
        let pairs = self.trials.iter().zip(found);
        for (Trial { condition, .. }, found) in pairs.filter(|(_, found)| !found.is_given_up) {
            let rows = matching(condition, &mut evaluator, &mut keys)?;
            found.matched += rows.len() as u64;
            for (columns, found) in &mut found.keys {
                let columns = keys.of(columns, rows.len())?;
                found.extend(rows.iter().map(|row| columns.key(*row)).filter(|key| *key != NO_KEY));
            }
            if found.limit.is_some() {
                found.rows.extend(rows.iter().map(|row| first + *row as u64));
            }
        }
        Ok(())
    }

    /// The trials with the matches of all stretches, given in order, without those that matched too much.
    ///
    /// # Errors
    /// A stretch could not be scanned: nothing is known about any trial.
    pub(super) fn conclude(self, stretches: Vec<Result<Vec<Trial>, ArrowError>>) -> Result<Vec<Trial>, ArrowError> {
        let mut trials = self.trials;
        for found in stretches {
            trials.iter_mut().zip(found?).for_each(|(trial, found)| trial.add(found));
        }
        trials.iter_mut().for_each(|trial| trial.see(self.source.rows));
        trials.retain(|trial| !trial.is_given_up);
        Ok(trials)
    }
}

pub(super) fn matching<'a>(
    condition: &'a Condition,
    evaluator: &mut Evaluator<'a>,
    keys: &mut BatchKeys<'_>,
) -> Result<Vec<usize>, ArrowError> {
    let mut mask: Option<BooleanArray> = None;
    for term in &condition.terms {
        let truths = evaluator.rows_where(term)?;
        mask = Some(mask.map_or(Ok(truths.clone()), |mask| and(&mask, &truths))?);
    }
    let mut rows: Option<Vec<usize>> = mask.map(|mask| mask.values().set_indices().collect());
    let all = keys.batch.num_rows();
    let members = condition.members.iter().map(|set| (set, true));
    for (set, is_in) in members.chain(condition.strangers.iter().map(|set| (set, false))) {
        let columns = keys.of(&set.columns, rows.as_ref().map_or(all, Vec::len))?;
        let is_kept = |row: &usize| set.keys.contains(&columns.key(*row)) == is_in;
        match &mut rows {
            Some(rows) => rows.retain(is_kept),
            None => rows = Some((0..all).filter(is_kept).collect()),
        }
    }
    Ok(rows.unwrap_or_else(|| (0..all).collect()))
}

/// The keys of a batch; keys that many conditions need are computed once.
pub(super) struct BatchKeys<'a> {
    batch: &'a RecordBatch,
    known: HashMap<KeyNames, KeyColumns>,
}

impl<'a> BatchKeys<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> BatchKeys<'a> {
        BatchKeys { batch, known: HashMap::new() }
    }

    /// The keys of these columns, of which `wanted` will be requested.
    pub(super) fn of(&mut self, columns: &KeyNames, wanted: usize) -> Result<&KeyColumns, ArrowError> {
        if !self.known.contains_key(columns) {
            self.known.insert(columns.clone(), KeyColumns::of(self.batch, columns)?);
        }
        let keys = self.known.get_mut(columns).expect("just made");
        if wanted > self.batch.num_rows() / 4 {
            keys.hash_all(self.batch.num_rows());
        }
        Ok(keys)
    }
}
