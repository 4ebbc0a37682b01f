//! Queries inside of conditions. What an EXISTS asks: the values that it equates with the query around it, and the conditions
//! on its own rows. The engine asks that by a join; of whatever asks more Polars says nothing that helps, or asks another
//! table (its SQL crate 0.55). Walks a parsed query; runs nothing.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SelectItem, SetExpr, TableFactor, TableWithJoins, Visit, Visitor,
};

use super::aggregates::aggregates_in;
use super::expressions::{Columns, column_name, table_name};
use super::joins::conjuncts;
use super::misread::Misread;

pub(super) const EXISTS_ELSEWHERE: &str = "EXISTS other than in the WHERE of one FROM with named columns";
pub(super) const COMPARING_EXISTS: &str = "an EXISTS that asks more of the query around it than equal values";
pub(super) const SINGLE_VALUE: &str = "a SELECT as a value";
pub(super) const LIST_OF_COLUMNS: &str = "IN a list of columns";
pub(super) const CORRELATED_IN: &str = "IN (SELECT …) that names the query around it";

/// Why Polars could not run a condition; `is_asked` for an EXISTS that `exists_of` found.
pub(super) fn misread(expr: &Expr, is_asked: bool) -> Option<Misread> {
    match expr {
        Expr::Exists { .. } if !is_asked => Some(Misread {
            construct: EXISTS_ELSEWHERE,
            advice: "LEFT JOIN a query of its keys, and ask whether they are NULL",
        }),
        Expr::Exists { subquery, .. } if equated(subquery).is_none() => Some(Misread {
            construct: COMPARING_EXISTS,
            advice: "equate values of both with = and AND, or join and compare",
        }),
        Expr::Subquery(_) => Some(Misread { construct: SINGLE_VALUE, advice: "join a query that gives it" }),
        Expr::InList { list, .. } if list.iter().any(|it| column_name(it).is_some()) => {
            Some(Misread { construct: LIST_OF_COLUMNS, advice: "write a = b OR a = c" })
        }
        Expr::InSubquery { subquery, .. } if names_around(subquery) => {
            Some(Misread { construct: CORRELATED_IN, advice: "write EXISTS" })
        }
        _ => None,
    }
}

/// An EXISTS that is a matter of equal values.
#[derive(Debug)]
pub(in crate::reconcile) struct Equated<'q> {
    pub(in crate::reconcile) from: &'q TableWithJoins,
    /// Pairs of a value of its own and one of the query around it.
    pub(in crate::reconcile) keys: Vec<(&'q Expr, &'q Expr)>,
    /// Conditions on its own rows.
    pub(in crate::reconcile) filters: Vec<&'q Expr>,
}

/// What the query of an EXISTS asks; `None` if it asks something else than equalities.
pub(in crate::reconcile) fn equated(query: &Query) -> Option<Equated<'_>> {
    let select = plain(query)?;
    let [from] = select.from.as_slice() else { return None };
    let own: BTreeSet<String> = tables_of(from).map(table_name).collect::<Option<_>>()?;
    let (mut keys, mut filters) = (Vec::new(), Vec::new());
    for condition in conjuncts(select.selection.as_ref()?) {
        match (Names::of(condition, &own), condition) {
            (Names { around: false, .. }, _) => filters.push(condition),
            (_, Expr::BinaryOp { left, op: BinaryOperator::Eq, right }) => keys.push(key(left, right, &own)?),
            _ => return None,
        }
    }
    (!keys.is_empty()).then_some(Equated { from, keys, filters })
}

/// Every EXISTS in the WHERE of a SELECT that can be asked by a join: it reads one FROM, and names what it shows unless that
/// is all of one table.
pub(super) fn exists_of(select: &Select) -> Vec<Expr> {
    let mut search = Search::default();
    if let (Some(condition), true) = (&select.selection, can_be_joined(select)) {
        let _ = condition.visit(&mut search);
    }
    search.found
}

/// Whether another join would change neither what a SELECT shows nor what its tables are called by.
pub(in crate::reconcile) fn can_be_joined(select: &Select) -> bool {
    let shows_all = select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_)));
    matches!(select.from.as_slice(), [from] if !shows_all || from.joins.is_empty())
}

/// Whether a query names a table that it does not read.
fn names_around(query: &Query) -> bool {
    let mut columns = Columns::default();
    let _ = query.visit(&mut columns);
    columns.tables.difference(&columns.defined).next().is_some()
}

/// The SELECT of a query whose rows its WHERE alone decides.
fn plain(query: &Query) -> Option<&Select> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let is_grouped =
        !matches!(&select.group_by, GroupByExpr::Expressions(keys, more) if keys.is_empty() && more.is_empty());
    let is_cut = query.with.is_some() || query.limit_clause.is_some() || query.fetch.is_some() || select.top.is_some();
    let is_filtered = select.having.is_some() || select.qualify.is_some();
    // An aggregate of no row is a row.
    let is_aggregated = aggregates_in(&select.projection);
    let is_odd = is_grouped || is_cut || is_filtered || is_aggregated || !select.lateral_views.is_empty();
    (!is_odd).then_some(select)
}

fn tables_of(from: &TableWithJoins) -> impl Iterator<Item = &TableFactor> {
    std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation))
}

fn key<'q>(left: &'q Expr, right: &'q Expr, own: &BTreeSet<String>) -> Option<(&'q Expr, &'q Expr)> {
    match (Names::of(left, own), Names::of(right, own)) {
        (Names { own: true, around: false }, Names { own: false, around: true }) => Some((left, right)),
        (Names { own: false, around: true }, Names { own: true, around: false }) => Some((right, left)),
        _ => None,
    }
}

/// Whose columns an expression names. A column without a table is its own, as in SQL where it has such a column.
#[derive(Debug, Clone, Copy)]
struct Names {
    own: bool,
    around: bool,
}

impl Names {
    fn of(expr: &Expr, own: &BTreeSet<String>) -> Names {
        let mut columns = Columns::default();
        let _ = expr.visit(&mut columns);
        let foreign: Vec<_> = columns.tables.difference(&columns.defined).collect();
        Names {
            own: columns.has_bare || foreign.iter().any(|it| own.contains(*it)),
            around: foreign.iter().any(|it| !own.contains(*it)),
        }
    }
}

/// The EXISTS of a condition, without those of queries inside.
#[derive(Default)]
struct Search {
    depth: usize,
    found: Vec<Expr>,
}

impl Visitor for Search {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.found.extend(matches!(expr, Expr::Exists { .. } if self.depth == 0).then(|| expr.clone()));
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use sqlparser::ast::Statement;
    use sqlparser::dialect::GenericDialect;
    use sqlparser::parser::Parser;

    use super::*;

    fn asked(sql: &str) -> Option<String> {
        let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
        let Statement::Query(query) = &statements[0] else { unreachable!() };
        let Equated { from, keys, filters } = equated(query)?;
        let keys: Vec<_> = keys.iter().map(|(own, around)| format!("{own} = {around}")).collect();
        let filters: Vec<_> = filters.iter().map(ToString::to_string).collect();
        Some(format!("{from}; {}; {}", keys.join(", "), filters.join(", ")))
    }

    #[test]
    fn equal_values_and_conditions_on_its_own_rows_are_told_apart() {
        let sql = "SELECT 1 FROM receipts r JOIN stocks s ON s.stock_id = r.stock_id WHERE l.code = r.code \
                   AND (r.state = 'SUCCESS' AND amount_fen > 5) AND UPPER(s.kind) = o.a || o.b \
                   AND r.openid IN (SELECT x.openid AS openid FROM users x WHERE x.age > 3)";
        let expected = "receipts r JOIN stocks s ON s.stock_id = r.stock_id; r.code = l.code, UPPER(s.kind) = o.a || o.b; \
                        r.state = 'SUCCESS', amount_fen > 5, \
                        r.openid IN (SELECT x.openid AS openid FROM users x WHERE x.age > 3)";
        assert_eq!(asked(sql).unwrap(), expected);
    }

    #[test]
    fn whatever_asks_more_than_equal_values_is_left_alone() {
        let others = [
            "SELECT 1 FROM r",
            "SELECT 1 FROM r WHERE r.a = 1",
            "SELECT 1 FROM r WHERE r.a = l.a AND r.b > l.b",
            "SELECT 1 FROM r WHERE r.a = l.a OR r.b = 2",
            "SELECT 1 FROM r WHERE r.a + l.b = l.a",
            "SELECT 1 FROM r WHERE l.a = l.b",
            "SELECT 1 FROM r WHERE r.a = l.a GROUP BY r.a",
            "SELECT 1 FROM r WHERE r.a = l.a LIMIT 1",
            "SELECT MAX(r.b) AS b FROM r WHERE r.a = l.a",
            "SELECT 1 FROM r, s WHERE r.a = l.a",
            "SELECT 1 FROM r WHERE r.a = l.a UNION ALL SELECT 1 FROM r WHERE r.b = l.b",
        ];
        for sql in others {
            assert_eq!(asked(sql), None, "{sql}");
        }
    }
}
