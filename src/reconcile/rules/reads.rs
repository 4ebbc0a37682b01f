//! Determines which columns of a table the rules may read, so that no others are written for them. Never too
//! few: a column named without its table may belong to any table, and a query that is not understood reads
//! everything.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Ident, JoinConstraint, JoinOperator, Select, SelectItem, TableFactor, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::Rules;

/// The columns of some tables that are read. A table that is not listed is read completely.
#[derive(Debug, Default)]
pub(in crate::reconcile) struct Reads(BTreeMap<&'static str, BTreeSet<String>>);

impl Reads {
    /// The columns of a table that are read; `None` when all may be.
    pub(in crate::reconcile) fn of(&self, table: &str) -> Option<&BTreeSet<String>> {
        self.0.get(table)
    }

    /// Whether a table is read at all.
    pub(in crate::reconcile) fn has(&self, table: &str) -> bool {
        self.of(table).is_none_or(|columns| !columns.is_empty())
    }
}

impl Rules {
    /// The columns of these tables that the rules, and the views they use, read; the tables themselves are not
    /// expanded as views.
    pub(in crate::reconcile) fn reads(&self, tables: &[&'static str]) -> Reads {
        let views = self.views().filter(|(name, _)| !tables.contains(name)).map(|(_, sql)| sql);
        let texts: Vec<_> = views.chain(self.iter().map(|rule| rule.sql.as_str())).collect();
        let all = |table| texts.iter().map(|sql| columns_of(table, sql)).collect::<Option<Vec<_>>>();
        let read = tables.iter().filter_map(|table| Some((*table, all(table)?.into_iter().flatten().collect())));
        Reads(read.collect())
    }
}

/// The columns of a table that a query may read; `None` if its text does not tell.
fn columns_of(table: &str, sql: &str) -> Option<BTreeSet<String>> {
    let statements = Parser::parse_sql(&GenericDialect {}, sql).ok()?;
    let mut names = Names { table, aliases: BTreeSet::new() };
    let _ = statements.visit(&mut names);
    if names.aliases.is_empty() {
        return Some(BTreeSet::new());
    }
    let mut columns = Columns { aliases: names.aliases, found: BTreeSet::new() };
    statements.visit(&mut columns).is_continue().then_some(columns.found)
}

/// The names of a table in a query.
struct Names<'a> {
    table: &'a str,
    aliases: BTreeSet<String>,
}

/// The columns that are qualified by these names, or not at all.
struct Columns {
    aliases: BTreeSet<String>,
    found: BTreeSet<String>,
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, alias, .. } = factor
            && name.to_string().eq_ignore_ascii_case(self.table)
        {
            self.aliases.insert(alias.as_ref().map_or_else(|| self.table.to_owned(), |alias| lower(&alias.name)));
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Columns {
    /// Whether columns are read without being named.
    type Break = ();

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_star = |item: &SelectItem| match item {
            SelectItem::Wildcard(_) => true,
            SelectItem::QualifiedWildcard(..) => {
                let source = item.to_string().trim_end_matches(".*").to_ascii_lowercase();
                self.aliases.contains(&source)
            }
            _ => false,
        };
        let mut joins = select.from.iter().flat_map(|table| &table.joins);
        match select.projection.iter().any(is_star) || joins.any(|join| is_by_names(&join.join_operator)) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(column) => self.found.extend([lower(column)]),
            Expr::CompoundIdentifier(path) if self.is_of_the_table(path) => self.found.extend(path.last().map(lower)),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

impl Columns {
    /// Whether a column may belong to the table: a longer path than `source.column` is not understood.
    fn is_of_the_table(&self, path: &[Ident]) -> bool {
        path.len() != 2 || self.aliases.contains(&lower(&path[0]))
    }
}

/// `USING` and `NATURAL` read columns outside any expression.
fn is_by_names(operator: &JoinOperator) -> bool {
    use JoinOperator::{CrossJoin, FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    match operator {
        Join(by) | Inner(by) | CrossJoin(by) | Left(by) | LeftOuter(by) | Right(by) | RightOuter(by)
        | FullOuter(by) => {
            matches!(by, JoinConstraint::Using(_) | JoinConstraint::Natural)
        }
        _ => true,
    }
}

fn lower(name: &Ident) -> String {
    name.value.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(sql: &str) -> Option<Vec<String>> {
        columns_of("t", sql).map(|columns| columns.into_iter().collect())
    }

    fn some(columns: &[&str]) -> Option<Vec<String>> {
        Some(columns.iter().map(|column| (*column).to_owned()).collect())
    }

    #[test]
    fn columns_are_read_by_the_names_a_table_has() {
        assert_eq!(
            read("SELECT x.a AS a, y.b AS b FROM t x JOIN u y ON y.c = x.d WHERE x.E > 1"),
            some(&["a", "d", "e"])
        );
        assert_eq!(read("SELECT t.a AS a FROM t GROUP BY t.b ORDER BY t.c NULLS FIRST"), some(&["a", "b", "c"]));
        assert_eq!(read("SELECT s.a AS a FROM (SELECT x.b AS a, COUNT(*) AS n FROM t x GROUP BY x.b) s"), some(&["b"]));
        assert_eq!(read("SELECT u.a AS a FROM u WHERE EXISTS (SELECT 1 AS x FROM t i WHERE i.k = u.k)"), some(&["k"]));
        assert_eq!(read("SELECT SUM(x.a) OVER (PARTITION BY x.b) AS a FROM t x"), some(&["a", "b"]));
    }

    #[test]
    fn a_column_without_its_table_may_be_of_any() {
        assert_eq!(read("SELECT a AS a, y.b AS b FROM t x, u y"), some(&["a"]));
        assert_eq!(read("WITH c AS (SELECT a AS a FROM t) SELECT c.b AS b FROM c"), some(&["a"]));
    }

    #[test]
    fn a_table_that_is_not_named_is_not_read() {
        assert_eq!(read("SELECT a AS a, * FROM u"), some(&[]));
    }

    #[test]
    fn what_names_no_columns_reads_all_of_them() {
        assert_eq!(read("SELECT * FROM t"), None);
        assert_eq!(read("SELECT x.*, y.a AS a FROM t x JOIN u y ON y.k = x.k"), None);
        assert_eq!(read("SELECT y.a AS a FROM t x JOIN u y USING (k)"), None);
        assert_eq!(read("SELECT y.a AS a FROM t x NATURAL JOIN u y"), None);
        assert_eq!(read("SELECT x.a AS a FROM t x WHERE ("), None);
        assert_eq!(read("SELECT y.*, x.a AS a FROM t x JOIN u y ON y.k = x.k"), some(&["a", "k"]));
    }

    #[test]
    fn the_built_in_rules_read_few_columns_of_order_lines_and_all_of_order_totals() {
        let reads = Rules::built_in().reads(&["order_lines", "order_totals"]);
        let lines: Vec<_> = reads.of("order_lines").unwrap().iter().map(String::as_str).collect();
        assert_eq!(lines, ["coupon_code", "discount_fen", "out_trade_no", "stock_id"]);
        assert!(reads.of("order_totals").is_none(), "wechat_orders reads `o.*`");
    }
}
