//! An expression of a rule's SQL over rows of base tables, as far as it is supported, and what it requires of
//! the rows of one table. Anything else is `Unknown`, from which nothing is concluded.

use std::collections::BTreeSet;

/// The index of a mention of a base table in a query; a table that is mentioned twice has two.
pub(in crate::reconcile) type Mention = usize;

/// A value in a row of the join of all mentions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::reconcile) enum Term {
    /// A column of a mention.
    Column(Mention, String),
    Text(String),
    Integer(i64),
    Flag(bool),
    /// Days since 1970.
    Day(i32),
    /// Microseconds since 1970, UTC.
    Instant(i64),
    Compare(Comparison, Box<Term>, Box<Term>),
    All(Vec<Term>),
    Any(Vec<Term>),
    Not(Box<Term>),
    IsNull(Box<Term>),
    Arithmetic(Operation, Box<Term>, Box<Term>),
    Absolute(Box<Term>),
    /// `COALESCE`.
    First(Vec<Term>),
    /// `CASE WHEN … THEN … ELSE … END`.
    Case(Vec<(Term, Term)>, Option<Box<Term>>),
    /// `CAST(instant + INTERVAL '8' HOUR AS DATE)`.
    BusinessDay(Box<Term>),
    /// A constant where the row of the mention exists, null where an outer join found none.
    There(Mention),
    /// The number of rows in a group: the index of its `GroupCount` in the shape.
    Count(usize),
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::reconcile) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::reconcile) enum Operation {
    Add,
    Subtract,
    Multiply,
}

impl Term {
    /// The conjuncts of a condition.
    pub(super) fn conjuncts(self) -> Vec<Term> {
        match self {
            Term::All(terms) => terms.into_iter().flat_map(Term::conjuncts).collect(),
            other => vec![other],
        }
    }

    /// The two columns of different mentions that an equality equates.
    pub(super) fn as_link(&self) -> Option<[(Mention, &str); 2]> {
        match self {
            Term::Compare(Comparison::Equal, one, other) => match (one.as_ref(), other.as_ref()) {
                (Term::Column(one, column), Term::Column(other, key)) if one != other => {
                    Some([(*one, column), (*other, key)])
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The group count that must exceed a value for this to be true, and that value.
    pub(super) fn as_more_than(&self) -> Option<(usize, &Term)> {
        match self {
            Term::Compare(Comparison::Greater, count, value) => {
                count.as_count().map(|group_count| (group_count, value.as_ref()))
            }
            Term::Compare(Comparison::Less, value, count) => {
                count.as_count().map(|group_count| (group_count, value.as_ref()))
            }
            _ => None,
        }
    }

    fn as_count(&self) -> Option<usize> {
        match self {
            Term::Count(group_count) => Some(*group_count),
            _ => None,
        }
    }

    /// What this condition requires of a row of `mention`, whatever the rows of other mentions are: if it is
    /// not true, neither is the condition. `None` if it requires nothing.
    pub(super) fn demand_on(&self, mention: Mention) -> Option<Term> {
        match self {
            Term::All(terms) => {
                let demands: Vec<_> = terms.iter().filter_map(|term| term.demand_on(mention)).collect();
                (!demands.is_empty()).then_some(Term::All(demands))
            }
            Term::Any(terms) => terms.iter().map(|term| term.demand_on(mention)).collect::<Option<_>>().map(Term::Any),
            other => other.speaks_only_of(mention).then(|| other.clone()),
        }
    }

    /// Whether it is supported and depends on a row of `mention` only.
    pub(super) fn speaks_only_of(&self, mention: Mention) -> bool {
        let mut mentions = BTreeSet::new();
        self.is_known(&mut mentions) && mentions == BTreeSet::from([mention])
    }

    /// Whether all of it is supported; collects its mentions.
    pub(super) fn is_known(&self, mentions: &mut BTreeSet<Mention>) -> bool {
        if let Term::Column(mention, _) = self {
            mentions.insert(*mention);
        }
        !matches!(self, Term::Unknown | Term::There(_) | Term::Count(_))
            && self.parts().into_iter().all(|part| part.is_known(mentions))
    }

    /// The columns of `mention` that it reads.
    pub(super) fn columns_of(&self, mention: Mention, columns: &mut BTreeSet<String>) {
        match self {
            Term::Column(of, name) if *of == mention => drop(columns.insert(name.clone())),
            other => other.parts().into_iter().for_each(|part| part.columns_of(mention, columns)),
        }
    }

    fn parts(&self) -> Vec<&Term> {
        match self {
            Term::Compare(_, one, other) | Term::Arithmetic(_, one, other) => vec![one, other],
            Term::All(terms) | Term::Any(terms) | Term::First(terms) => terms.iter().collect(),
            Term::Not(term) | Term::IsNull(term) | Term::Absolute(term) | Term::BusinessDay(term) => vec![term],
            Term::Case(cases, otherwise) => {
                let cases = cases.iter().flat_map(|(condition, value)| [condition, value]);
                cases.chain(otherwise.as_deref()).collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(mention: Mention, column: &str, value: i64) -> Term {
        let column = Term::Column(mention, column.to_owned());
        Term::Compare(Comparison::Equal, Box::new(column), Box::new(Term::Integer(value)))
    }

    #[test]
    fn a_conjunction_demands_what_its_parts_demand_and_an_alternative_only_what_all_of_them_do() {
        let (mine, other) = (is(0, "a", 1), is(1, "b", 2));
        let both = Term::All(vec![mine.clone(), other.clone()]);
        assert_eq!(both.demand_on(0), Some(Term::All(vec![mine.clone()])));
        assert_eq!(Term::Any(vec![mine.clone(), other]).demand_on(0), None);
        let either = Term::Any(vec![both.clone(), is(0, "c", 3)]);
        assert_eq!(either.demand_on(0), Some(Term::Any(vec![Term::All(vec![mine]), is(0, "c", 3)])));
    }

    #[test]
    fn nothing_follows_from_a_negation_or_a_case_that_is_not_understood() {
        let both = Term::All(vec![is(0, "a", 1), is(1, "b", 2)]);
        assert_eq!(Term::Not(Box::new(both)).demand_on(0), None);
        assert_eq!(Term::IsNull(Box::new(Term::Unknown)).demand_on(0), None);
        assert_eq!(Term::Flag(true).demand_on(0), None);
    }
}
