//! Rows whose keys do not appear in another table: what an anti-join of a rule looks for.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::error::ArrowError;

use super::keyed::{FoundKeys, Gathering, Numbered, Presence, gather};
use super::keys::Keys;
use super::limits::Limits;
use super::planned::{Planned, Sources};
use super::scattered;
use super::shape::Absence;
use super::table_scan::Condition;
use super::term::Mention;

/// The keys of a table that rows must be absent from.
pub(super) struct Search {
    of: Vec<Consumer>,
    found: Gathering<FoundKeys>,
}

/// A mention for which the search is made, provided a column was never null.
struct Consumer {
    rule: usize,
    mention: Mention,
    /// Index of the presence.
    presence: usize,
}

impl Search {
    fn new(absence: &Absence, found: FoundKeys) -> Search {
        let condition = Condition { terms: absence.conditions.clone(), ..Condition::default() };
        let found = Gathering { mention: absence.by, condition, names: absence.keys.clone(), kept: found };
        Search { of: Vec::new(), found }
    }

    /// Whether it also serves another absence in the same table.
    fn serves(&self, absence: &Absence, parts: usize) -> bool {
        let is_unconditional = self.found.condition.terms.is_empty() && absence.conditions.is_empty();
        is_unconditional && self.found.names == absence.keys && self.found.kept.parts() == parts
    }

    fn add(&mut self, rule: usize, absence: &Absence) {
        let presences = &mut self.found.kept.presences;
        let known = presences.iter().position(|presence| presence.column == absence.present);
        let presence = known.unwrap_or_else(|| {
            presences.push(Presence { column: absence.present.clone(), has_null: false });
            presences.len() - 1
        });
        self.of.push(Consumer { rule, mention: absence.of, presence });
    }

    /// Whether it is for a mention, and absence can be concluded from it.
    pub(super) fn is_for(&self, rule: usize, mention: Mention) -> bool {
        let mut of = self.of.iter().filter(|it| (it.rule, it.mention) == (rule, mention));
        of.any(|consumer| !self.found.kept.presences[consumer.presence].has_null)
    }

    /// All of its keys, if they are few.
    pub(super) fn few(&self) -> Option<&Arc<Keys>> {
        self.found.kept.few()
    }

    /// The number of parts of its keys.
    pub(super) fn parts(&self) -> usize {
        self.found.kept.parts()
    }

    /// The collected rows whose keys were not found, if there were many keys.
    pub(super) fn absent(&self, gathered: Numbered) -> Result<Vec<u64>, ArrowError> {
        gathered.part_by_part(|part, scattered| {
            let (found, mut rows) = (self.found.kept.part(part)?, Vec::new());
            scattered.each(part, |(key, row)| rows.extend((!found.contains(&key)).then_some(row)))?;
            Ok(rows)
        })
    }
}

/// Collects the keys of the tables that rows must be absent from, for mentions that nothing else has reduced. A
/// table that cannot be scanned gives none.
pub(super) fn search(rules: &[Planned], sources: &Sources, limits: Limits, scratch: &Path) -> Vec<Search> {
    let scratch: Arc<Path> = scratch.into();
    let mut searches: BTreeMap<&str, Vec<Search>> = BTreeMap::new();
    for (rule, planned) in rules.iter().enumerate() {
        // One absence suffices to leave few rows; others are evaluated by the rule itself.
        for absence in planned.waiting().into_iter().filter_map(|mention| planned.absences[mention].first()) {
            let tables = &planned.shape.tables;
            let Some((table, by)) = sources.get_key_value(&tables[absence.by]) else { continue };
            let Some(of) = sources.get(&tables[absence.of]) else { continue };
            let parts = scattered::parts_for(by.rows.max(of.rows));
            let others = searches.entry(table).or_default();
            let place = others.iter().position(|search| search.serves(absence, parts)).unwrap_or_else(|| {
                others.push(Search::new(absence, FoundKeys::new(limits.held_keys, parts, scratch.clone())));
                others.len() - 1
            });
            others[place].add(rule, absence);
        }
    }
    let walked = searches.into_iter().map(|(table, mut searches)| {
        let is_walked = gather(&sources[table], searches.iter_mut().map(|search| &mut search.found)).is_ok();
        searches.retain(|_| is_walked);
        searches
    });
    walked.flatten().collect()
}
