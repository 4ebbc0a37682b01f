//! The tables that a query reads, by its text alone. Knows neither rules nor datasets.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{Query, TableFactor, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// The tables that a query reads by name, in order of names, without those that it defines itself.
pub(super) fn read_by(sql: &str) -> BTreeSet<String> {
    let tables = tables_of(sql);
    tables.read.difference(&tables.defined).cloned().collect()
}

/// The names that a query gives to queries by WITH.
pub(in crate::reconcile) fn named_by_with(sql: &str) -> BTreeSet<String> {
    tables_of(sql).defined
}

fn tables_of(sql: &str) -> Tables {
    let mut tables = Tables::default();
    // What does not parse has none: running it tells why.
    let _ = Parser::parse_sql(&GenericDialect {}, sql).map(|statements| statements.visit(&mut tables));
    tables
}

/// The tables of a query.
#[derive(Default)]
struct Tables {
    read: BTreeSet<String>,
    /// By WITH.
    defined: BTreeSet<String>,
}

impl Visitor for Tables {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.defined.extend(with.map(|cte| cte.alias.name.value.to_ascii_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, .. } = factor {
            self.read.insert(name.to_string().to_ascii_lowercase());
        }
        ControlFlow::Continue(())
    }
}
