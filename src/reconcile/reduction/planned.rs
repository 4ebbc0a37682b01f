//! The state of a rule while its tables are reduced: what is known about each of its mentions, and what the keys of others
//! add to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::evaluate::Evaluator;
use super::keys::{Keys, is_key_type};
use super::limits::Limits;
use super::shape::{Absence, Shape};
use super::source::Source;
use super::table_scan::{Condition, KeyNames, Membership, Trial};
use super::term::{Mention, Term};

/// The state of a mention.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum State {
    Waiting,
    /// It stays whole, and its keys may be requested.
    Small,
    /// Reduced to these ascending rows.
    Reduced(Vec<u64>),
}

/// The tables of the night.
pub(in crate::reconcile) type Sources = BTreeMap<String, Source>;

/// Columns of a mention that are equated with columns of another.
#[derive(Debug, Clone)]
struct Link {
    columns: KeyNames,
    to: Mention,
    keys: KeyNames,
}

/// A rule whose tables are being reduced.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) shape: Shape,
    pub(super) states: Vec<State>,
    pub(super) terms: Vec<Vec<Term>>,
    links: Vec<Vec<Link>>,
    pub(super) absences: Vec<Vec<Absence>>,
    /// The keys of small and reduced mentions.
    keys: HashMap<(Mention, KeyNames), Arc<Keys>>,
    /// The number of conditions in the last trial of each mention.
    pub(super) tried: Vec<usize>,
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

    /// The mentions that are not reduced yet.
    pub(super) fn waiting(&self) -> Vec<Mention> {
        (0..self.states.len()).filter(|mention| self.states[*mention] == State::Waiting).collect()
    }

    /// The conditions known to be necessary for the rows of a mention.
    pub(super) fn condition(&self, mention: Mention) -> Condition {
        let of_link = |link: &Link| {
            let keys = self.keys.get(&(link.to, link.keys.clone()))?;
            Some(Membership { columns: link.columns.clone(), keys: keys.clone() })
        };
        let members = self.links[mention].iter().filter_map(of_link).collect();
        Condition { terms: self.terms[mention].clone(), members, strangers: Vec::new() }
    }

    /// The keys that others will request of a mention, still empty.
    fn asked_of(&self, mention: Mention) -> HashMap<KeyNames, Keys> {
        let links = self.links.iter().flatten().filter(|link| link.to == mention);
        links.map(|link| (link.keys.clone(), Keys::default())).collect()
    }

    /// A trial of a mention of this rule, the one with this number.
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

    /// Settles a trial that cannot match anything; returns any other.
    pub(super) fn settle_empty(&mut self, trial: Trial) -> Option<Trial> {
        if trial.limit.is_none() || !trial.condition.matches_nothing() {
            return Some(trial);
        }
        self.settle(trial, State::Reduced(Vec::new()));
        None
    }

    /// Settles the mention of a trial, whose keys others may request from now on.
    pub(super) fn settle(&mut self, trial: Trial, state: State) {
        self.states[trial.mention] = state;
        let keys = trial.keys.into_iter().map(|(names, keys)| ((trial.mention, names), Arc::new(keys)));
        self.keys.extend(keys);
    }
}

/// What facts require of the rows of a mention alone, as far as it can be evaluated.
fn demands(shape: &Shape, mention: Mention, source: &Source) -> Vec<Term> {
    let facts = shape.facts.iter().filter(|fact| fact.binds.contains(&mention));
    let demands = facts.filter_map(|fact| fact.condition.demand_on(mention)).flat_map(Term::conjuncts);
    demands.filter(|term| can_evaluate(term, source)).collect::<BTreeSet<_>>().into_iter().collect()
}

fn can_evaluate(term: &Term, source: &Source) -> bool {
    let nothing = RecordBatch::new_empty(source.schema.clone());
    Evaluator::new(&nothing).rows_where(term).is_ok()
}

/// The columns that facts of one block equate with columns of another mention.
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
