//! The relations of a FROM, and the terms of their columns.

use std::collections::BTreeSet;

use super::term::{Mention, Term};

/// The named relations of a FROM.
#[derive(Default)]
pub(super) struct Scope {
    pub(super) relations: Vec<(String, Relation)>,
}

/// A table or a subquery.
#[derive(Clone)]
pub(super) struct Relation {
    pub(super) columns: Vec<(String, Term)>,
    /// Mentions that a condition on this relation binds.
    pub(super) strict: BTreeSet<Mention>,
    /// All mentions inside.
    pub(super) mentions: BTreeSet<Mention>,
    /// Whether it has exactly the rows that satisfy its facts, up to duplicates.
    pub(super) is_plain: bool,
}

impl Scope {
    /// The term of a column.
    pub(super) fn column(&self, source: Option<&str>, column: &str) -> Term {
        let named = self.relations.iter().filter(|(name, _)| source.is_none_or(|source| source == name));
        let columns = named.flat_map(|(_, relation)| &relation.columns);
        let mut found = columns.filter(|(name, _)| name == column).map(|(_, term)| term);
        match (found.next(), found.next()) {
            (Some(term), None) => term.clone(),
            _ => Term::Unknown,
        }
    }
}

impl Relation {
    /// Its columns after an outer join, where a constant may be null.
    pub(super) fn filled_with_nulls(mut self) -> Relation {
        for (_, term) in &mut self.columns {
            let mut mentions = BTreeSet::new();
            if term.is_known(&mut mentions) && mentions.is_empty() {
                *term = match self.mentions.iter().collect::<Vec<_>>().as_slice() {
                    [only] => Term::There(**only),
                    _ => Term::Unknown,
                };
            }
        }
        self
    }
}
