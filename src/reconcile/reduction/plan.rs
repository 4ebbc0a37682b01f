//! Which mention of which rule is reduced by what, round by round: first the small tables, then whatever has
//! conditions of its own, then what hangs on the keys of those. Each round walks once through a table
//! for all rules.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::by_keys;
use super::evaluate::Evaluator;
use super::keys::{Keys, is_key_type};
use super::shape::{Absence, Shape};
use super::sift::{Condition, KeyNames, Membership, Trial, Walk};
use super::source::Source;
use super::term::{Mention, Term};
use crate::threads::{THREADS, side_by_side};

/// What counts as small, and as too much.
#[derive(Debug, Clone, Copy)]
pub(in crate::reconcile) struct Limits {
    /// A table of no more rows stays whole.
    pub(in crate::reconcile) small_rows: u64,
    /// A condition may match so many rows whatever their share of the table.
    pub(in crate::reconcile) matched_rows: u64,
    /// Above that, one row in so many.
    pub(in crate::reconcile) matched_share: u64,
    /// So many keys that others must not have are held in memory.
    pub(in crate::reconcile) held_keys: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { small_rows: 8_192, matched_rows: 16_384, matched_share: 16, held_keys: 16_384 }
    }
}

/// What has become of a mention.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Waiting,
    /// It stays whole, and all its keys may be asked for.
    Small,
    /// The rows it was reduced to, ascending.
    Reduced(Vec<u64>),
}

/// The tables of the night.
pub(in crate::reconcile) type Sources = BTreeMap<String, Source>;

/// Columns of a mention held together with columns of another.
#[derive(Debug, Clone)]
struct Link {
    columns: KeyNames,
    to: Mention,
    keys: KeyNames,
}

/// A rule on its way to small tables.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) shape: Shape,
    pub(super) states: Vec<State>,
    pub(super) terms: Vec<Vec<Term>>,
    links: Vec<Vec<Link>>,
    pub(super) absences: Vec<Vec<Absence>>,
    /// Keys of what is small or reduced.
    keys: HashMap<(Mention, KeyNames), Arc<Keys>>,
    /// How many conditions the last trial of a mention had.
    tried: Vec<usize>,
}

impl Planned {
    pub(super) fn new(shape: Shape, sources: &Sources) -> Planned {
        let mentions = 0..shape.tables.len();
        let source = |mention: Mention| sources.get(&shape.tables[mention]);
        let terms =
            mentions.clone().map(|mention| source(mention).map_or(Vec::new(), |it| demands(&shape, mention, it)));
        let links = mentions.clone().map(|mention| links(&shape, mention, sources));
        let absences = mentions.clone().map(|mention| {
            let mine = shape.absences.iter().filter(|absence| absence.of == mention);
            mine.filter(|absence| is_certain(absence, &shape, sources)).cloned().collect()
        });
        let (terms, links, absences) = (terms.collect(), links.collect(), absences.collect());
        let states = mentions.clone().map(|_| State::Waiting).collect();
        let tried = mentions.map(|_| 0).collect();
        Planned { shape, states, terms, links, absences, keys: HashMap::new(), tried }
    }

    /// The mentions nothing has reduced yet.
    pub(super) fn waiting(&self) -> Vec<Mention> {
        (0..self.states.len()).filter(|mention| self.states[*mention] == State::Waiting).collect()
    }

    /// What is known to be necessary for the rows of a mention by now.
    fn condition(&self, mention: Mention) -> Condition {
        let of_link = |link: &Link| {
            let keys = self.keys.get(&(link.to, link.keys.clone()))?;
            Some(Membership { columns: link.columns.clone(), keys: keys.clone() })
        };
        let members = self.links[mention].iter().filter_map(of_link).collect();
        Condition { terms: self.terms[mention].clone(), members, strangers: Vec::new() }
    }

    /// The keys that others will ask of a mention.
    fn asked_of(&self, mention: Mention) -> HashMap<KeyNames, Keys> {
        let links = self.links.iter().flatten().filter(|link| link.to == mention);
        links.map(|link| (link.keys.clone(), Keys::default())).collect()
    }

    pub(super) fn trial(&self, rule: usize, mention: Mention, limit: Option<Limits>) -> Trial {
        Trial {
            rule,
            mention,
            condition: self.condition(mention),
            rows: Vec::new(),
            matched: 0,
            keys: self.asked_of(mention),
            limit,
            is_given_up: false,
        }
    }

    /// Settles a trial that cannot match anything; gives back any other.
    pub(super) fn settle_empty(&mut self, trial: Trial) -> Option<Trial> {
        if trial.limit.is_none() || !trial.condition.matches_nothing() {
            return Some(trial);
        }
        self.settle(trial, State::Reduced(Vec::new()));
        None
    }

    pub(super) fn settle(&mut self, trial: Trial, state: State) {
        self.states[trial.mention] = state;
        let keys = trial.keys.into_iter().map(|(names, keys)| ((trial.mention, names), Arc::new(keys)));
        self.keys.extend(keys);
    }
}

/// Reduces the mentions of all rules as far as that is worth it. A table that cannot be walked through stays whole.
pub(super) fn reduce(rules: &mut [Planned], sources: &Sources, limits: Limits, scratch: &Path) {
    let is_small = |source: &Source| source.is_in_memory() || source.rows <= limits.small_rows;
    walk(rules, sources, |planned, rule, mention, source| is_small(source).then(|| planned.trial(rule, mention, None)));
    let mut is_last = false;
    loop {
        let found = walk(rules, sources, |planned, rule, mention, source| {
            let count = |condition: &Condition| condition.terms.len() + condition.members.len();
            let is_new = count(&planned.condition(mention)) > planned.tried[mention];
            (is_new && !is_small(source)).then(|| planned.trial(rule, mention, Some(limits)))
        });
        // Where keys cannot be scattered, the tables that are left stay whole.
        if !found
            && (std::mem::replace(&mut is_last, true) || by_keys::reduce(rules, sources, limits, scratch).is_err())
        {
            return;
        }
    }
}

/// Tries what `trial_of` makes of each waiting mention; whether anything was tried.
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
            planned.tried[mention] = trial.condition.terms.len() + trial.condition.members.len();
            if let Some(trial) = planned.settle_empty(trial) {
                trials.entry(table).or_default().push(trial);
            }
        }
    }
    try_all(rules, sources, trials);
    found
}

/// Tries them table by table and settles those that do not match too much.
pub(super) fn try_all(rules: &mut [Planned], sources: &Sources, trials: BTreeMap<&str, Vec<Trial>>) {
    let walks = trials.into_iter().map(|(table, trials)| Walk::of(&sources[table], trials)).collect();
    for mut trial in walked(walks) {
        let state = trial.limit.map_or(State::Small, |_| State::Reduced(std::mem::take(&mut trial.rows)));
        rules[trial.rule].settle(trial, state);
    }
}

/// The trials of all walks that have not matched too much; none of a table that could not be walked through. One large
/// table is the work of all threads.
fn walked(walks: Vec<Walk<'_>>) -> Vec<Trial> {
    let stretches: Vec<_> = walks.iter().map(Walk::stretches).collect();
    let pieces = walks.iter().zip(&stretches).flat_map(|(walk, mine)| mine.iter().map(move |stretch| (walk, *stretch)));
    let mut sifted = side_by_side(THREADS, pieces.collect(), |(walk, stretch)| walk.sift(stretch)).into_iter();
    // Each walk takes all its own results, also when the first of them says that it failed.
    let of_each: Vec<Vec<_>> = stretches.iter().map(|mine| sifted.by_ref().take(mine.len()).collect()).collect();
    let concluded = walks.into_iter().zip(of_each).filter_map(|(walk, found)| walk.conclude(found).ok());
    concluded.flatten().collect()
}

/// What the facts demand of the rows of a mention by themselves, as far as it can be evaluated.
fn demands(shape: &Shape, mention: Mention, source: &Source) -> Vec<Term> {
    let facts = shape.facts.iter().filter(|fact| fact.binds.contains(&mention));
    let demands = facts.filter_map(|fact| fact.condition.demand_on(mention)).flat_map(Term::conjuncts);
    demands.filter(|term| can_evaluate(term, source)).collect::<BTreeSet<_>>().into_iter().collect()
}

fn can_evaluate(term: &Term, source: &Source) -> bool {
    let nothing = RecordBatch::new_empty(source.schema.clone());
    Evaluator::new(&nothing).rows_where(term).is_ok()
}

/// The columns that facts of one block hold together with columns of another mention.
fn links(shape: &Shape, mention: Mention, sources: &Sources) -> Vec<Link> {
    let mut pairs: BTreeMap<(usize, Mention), BTreeSet<(String, String)>> = BTreeMap::new();
    for fact in shape.facts.iter().filter(|fact| fact.binds.contains(&mention)) {
        let Some([one, other]) = fact.condition.as_link() else { continue };
        let (own, (to, key)) = if one.0 == mention { (one, other) } else { (other, one) };
        if own.0 == mention && have_one_type(shape, sources, own, (to, key)) {
            pairs.entry((fact.block, to)).or_default().insert((own.1.to_owned(), key.to_owned()));
        }
    }
    let link = |((_, to), pairs): ((usize, Mention), BTreeSet<(String, String)>)| {
        let (columns, keys) = pairs.into_iter().unzip();
        Link { columns, to, keys }
    };
    pairs.into_iter().map(link).collect()
}

pub(super) fn have_one_type(shape: &Shape, sources: &Sources, one: (Mention, &str), other: (Mention, &str)) -> bool {
    let kind = |(mention, column): (Mention, &str)| sources.get(&shape.tables[mention])?.kind(column);
    kind(one).zip(kind(other)).is_some_and(|(one, other)| one == other && is_key_type(one))
}

fn is_certain(absence: &Absence, shape: &Shape, sources: &Sources) -> bool {
    let Some(by) = sources.get(&shape.tables[absence.by]) else { return false };
    let mut pairs = absence.columns.iter().zip(&absence.keys);
    pairs.all(|(column, key)| have_one_type(shape, sources, (absence.of, column), (absence.by, key)))
        && absence.conditions.iter().all(|term| can_evaluate(term, by))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, StringArray};

    use super::super::term::Comparison;
    use super::*;

    /// A table of one column in stretches of one row.
    fn source(column: &str, values: &[&str]) -> Source {
        let batch = |value: &&str| {
            let array: ArrayRef = Arc::new(StringArray::from(vec![*value]));
            RecordBatch::try_from_iter([(column, array)]).unwrap()
        };
        let batches: Vec<_> = values.iter().map(batch).collect();
        Source::of_batches(batches[0].schema(), &batches).unwrap()
    }

    fn trial(rule: usize, column: &str, value: &str) -> Trial {
        let terms = [Term::Column(0, column.to_owned()), Term::Text(value.to_owned())].map(Box::new);
        let [column, value] = terms;
        let terms = vec![Term::Compare(Comparison::Equal, column, value)];
        let condition = Condition { terms, ..Condition::default() };
        let limit = Some(Limits { small_rows: 0, matched_rows: u64::MAX, matched_share: 1, held_keys: 0 });
        Trial {
            rule,
            mention: 0,
            condition,
            rows: Vec::new(),
            matched: 0,
            keys: HashMap::new(),
            limit,
            is_given_up: false,
        }
    }

    #[test]
    fn a_walk_that_fails_takes_nothing_from_the_walks_after_it() {
        let (broken, sound) = (source("stock", &["A", "A", "A"]), source("code", &["A", "B", "A", "B"]));
        let walks = vec![
            Walk::of(&broken, vec![trial(0, "missing", "A")]),
            Walk::of(&sound, vec![trial(1, "code", "B")]),
            Walk::of(&broken, vec![trial(2, "stock", "A"), trial(3, "missing", "A")]),
            Walk::of(&sound, vec![trial(4, "code", "A")]),
        ];
        let found: Vec<_> = walked(walks).into_iter().map(|trial| (trial.rule, trial.rows)).collect();
        assert_eq!(found, [(1, vec![1, 3]), (4, vec![0, 2])]);
    }

    #[test]
    fn who_asks_for_no_column_is_shown_all_rows() {
        let source = source("stock", &["A", "B", "C"]);
        let mut rows = Vec::new();
        let see = |first, batch: &RecordBatch| {
            rows.push((first, batch.num_rows(), batch.num_columns()));
            Ok(())
        };
        source.scan(&BTreeSet::new(), see).unwrap();
        assert_eq!(rows, [(0, 1, 0), (1, 1, 0), (2, 1, 0)]);
    }
}
