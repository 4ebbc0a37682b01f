//! Rows of keys that do not stand in another table: what a rule joins to find it missing.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::error::ArrowError;

use super::keyed::{Gathering, KeyedRows, gather};
use super::keys::Keys;
use super::plan::{Planned, Sources, State};
use super::shape::Absence;
use super::sift::Condition;
use super::term::Mention;

/// The keys of a table that rows must be absent from.
pub(super) struct Search {
    /// The rules, and the mentions in them, it is for.
    of: Vec<(usize, Mention)>,
    found: Gathering,
}

impl Search {
    fn new(rule: usize, absence: &Absence, keyed: KeyedRows) -> Search {
        let condition = Condition { terms: absence.conditions.clone(), members: Vec::new() };
        let found = Gathering {
            mention: absence.by,
            condition,
            names: absence.keys.clone(),
            present: absence.present.clone(),
            keyed,
            keyless: None,
            has_null: false,
        };
        Search { of: vec![(rule, absence.of)], found }
    }

    /// Whether it finds the keys of another absence in the same table too.
    fn serves(&self, absence: &Absence, parts: usize) -> bool {
        let is_unconditional = self.found.condition.terms.is_empty() && absence.conditions.is_empty();
        let is_alike = self.found.names == absence.keys && self.found.present == absence.present;
        is_unconditional && is_alike && self.found.keyed.parts() == parts
    }

    /// Whether it is for a mention, and rows can be concluded from it.
    pub(super) fn is_for(&self, rule: usize, mention: Mention) -> bool {
        self.of.contains(&(rule, mention)) && !self.found.has_null
    }

    /// In how many parts its keys lie.
    pub(super) fn parts(&self) -> usize {
        self.found.keyed.parts()
    }

    /// The gathered rows whose keys were not found.
    pub(super) fn absent(&self, mut gathered: Gathering) -> Result<Vec<u64>, ArrowError> {
        let mut rows = gathered.keyless.take().unwrap_or_default();
        for part in 0..gathered.keyed.parts() {
            let mut found = Keys::default();
            self.found.keyed.each(part, |key, _| {
                found.insert(key);
            })?;
            gathered.keyed.each(part, |key, row| rows.extend((!found.contains(&key)).then_some(row)))?;
        }
        Ok(rows)
    }
}

/// Gathers the keys of the tables that rows must be absent from, for mentions nothing else has reduced. A table that
/// cannot be walked through gives none.
pub(super) fn search(rules: &[Planned], sources: &Sources, scratch: &Path) -> Result<Vec<Search>, ArrowError> {
    let mut searches: BTreeMap<&str, Vec<Search>> = BTreeMap::new();
    for (rule, planned) in rules.iter().enumerate() {
        let waiting = (0..planned.states.len()).filter(|mention| planned.states[*mention] == State::Waiting);
        // One absence is enough to leave few rows; the others are judged by the rule itself.
        for absence in waiting.filter_map(|mention| planned.absences[mention].first()) {
            let tables = &planned.shape.tables;
            let Some((table, by)) = sources.get_key_value(&tables[absence.by]) else { continue };
            let Some(of) = sources.get(&tables[absence.of]) else { continue };
            let parts = KeyedRows::parts_for(by.rows.max(of.rows));
            let others = searches.entry(table).or_default();
            match others.iter_mut().find(|search| search.serves(absence, parts)) {
                Some(search) => search.of.push((rule, absence.of)),
                None => others.push(Search::new(rule, absence, KeyedRows::new(scratch, parts)?)),
            }
        }
    }
    let walked = searches.into_iter().map(|(table, mut searches)| {
        let is_walked = gather(&sources[table], searches.iter_mut().map(|search| &mut search.found)).is_ok();
        searches.retain(|_| is_walked);
        searches
    });
    Ok(walked.flatten().collect())
}
