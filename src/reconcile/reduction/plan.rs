//! Decides which mention of which rule is reduced by what, round by round: first small tables, then mentions with
//! conditions of their own, then those that depend on their keys. Each round scans a table once for all rules.

use std::collections::BTreeMap;
use std::path::Path;

use super::by_keys;
use super::limits::Limits;
use super::planned::{Planned, Sources, State};
use super::source::Source;
use super::table_scan::Trial;
use super::term::Mention;
use super::trials::try_all;

/// Reduces the mentions of all rules as far as it pays. A table that cannot be scanned stays whole.
pub(super) fn reduce(rules: &mut [Planned], sources: &Sources, limits: Limits, scratch: &Path) {
    walk(rules, sources, |planned, rule, mention, source| {
        limits.is_small(source).then(|| planned.trial(rule, mention, None))
    });
    by_conditions(rules, sources, limits);
    // If keys cannot be partitioned, the remaining tables stay whole.
    if by_keys::reduce(rules, sources, limits, scratch).is_ok() {
        by_conditions(rules, sources, limits);
    }
}

/// Reduces mentions by conditions, as long as the keys of one are a new condition for another.
fn by_conditions(rules: &mut [Planned], sources: &Sources, limits: Limits) {
    let trial_of = |planned: &Planned, rule: usize, mention: Mention, source: &Source| {
        let is_new = planned.condition(mention).count() > planned.tried[mention];
        (is_new && !limits.is_small(source)).then(|| planned.trial(rule, mention, Some(limits)))
    };
    while walk(rules, sources, trial_of) {}
}

/// Tries the trial that `trial_of` makes for each waiting mention; returns whether there was any.
fn walk(
    rules: &mut [Planned],
    sources: &Sources,
    trial_of: impl Fn(&Planned, usize, Mention, &Source) -> Option<Trial>,
) -> bool {
    let (mut trials, mut found) = (BTreeMap::<&str, Vec<Trial>>::new(), false);
    for (rule, planned) in rules.iter_mut().enumerate() {
        for mention in 0..planned.states.len() {
            let Some((table, source)) = sources.get_key_value(&planned.shape.tables[mention]) else { continue };
            let is_waiting = planned.states[mention] == State::Waiting;
            let Some(trial) = is_waiting.then(|| trial_of(planned, rule, mention, source)).flatten() else { continue };
            found = true;
            planned.tried[mention] = trial.condition.count();
            if let Some(trial) = planned.settle_empty(trial) {
                trials.entry(table).or_default().push(trial);
            }
        }
    }
    try_all(rules, sources, trials);
    found
}
