//! Asks an EXISTS by a join with the distinct values that it equates. Polars' own EXISTS looks a column of the query around
//! it up by its bare name, so that `x.openid = b.openid` may ask the `openid` of another table; it stands in no OR; and no
//! condition on its own rows may name a column that the query around has too.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, Join, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, VisitMut,
    VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::reconcile::rules::{Equated, can_be_joined, equated, table_name};

/// Replaces every EXISTS in the WHERE of a SELECT. `count` numbers them within a statement.
pub(super) fn rewrite(select: &mut Select, count: &mut usize) {
    if !can_be_joined(select) {
        return;
    }
    let mut asking = Asking { depth: 0, count, joins: Vec::new() };
    let _ = select.selection.visit(&mut asking);
    if !asking.joins.is_empty() {
        show_only_own(select);
        select.from.iter_mut().for_each(|from| from.joins.append(&mut asking.joins));
    }
}

/// `*` would show the columns of the joins too.
fn show_only_own(select: &mut Select) {
    let Some(table) = select.from.first().and_then(|from| table_name(&from.relation)) else { return };
    for item in &mut select.projection {
        if let SelectItem::Wildcard(options) = item {
            let own = SelectItemQualifiedWildcardKind::ObjectName(vec![Ident::new(&table)].into());
            *item = SelectItem::QualifiedWildcard(own, options.clone());
        }
    }
}

struct Asking<'c> {
    /// How many queries lie between the WHERE and the place.
    depth: usize,
    count: &'c mut usize,
    joins: Vec<Join>,
}

impl VisitorMut for Asking<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Exists { subquery, negated } = expr else { return ControlFlow::Continue(()) };
        if let Some(asked) = equated(subquery).filter(|_| self.depth == 0) {
            let name = format!("__exists_{}", self.count);
            if let Some(join) = join(&asked, &name) {
                *self.count += 1;
                let found =
                    Box::new(Expr::CompoundIdentifier([name.clone(), key_name(&name, 0)].map(Ident::new).into()));
                *expr = Expr::Nested(Box::new(if *negated { Expr::IsNull(found) } else { Expr::IsNotNull(found) }));
                self.joins.push(join);
            }
        }
        ControlFlow::Continue(())
    }
}

/// The join with the values of the rows that are asked for, each once.
fn join(asked: &Equated<'_>, name: &str) -> Option<Join> {
    let Equated { from, keys, filters } = asked;
    let key = |place| key_name(name, place);
    let columns = keys.iter().enumerate().map(|(place, (own, _))| format!("{own} AS {}", key(place)));
    let pairs = keys.iter().enumerate().map(|(place, (_, around))| format!("{name}.{} = {around}", key(place)));
    let filters = filters.iter().map(|filter| format!(" AND ({filter})"));
    let sql = format!(
        "SELECT 1 FROM __around LEFT JOIN (SELECT DISTINCT {columns} FROM {from} WHERE TRUE{filters}) AS {name} ON {pairs}",
        columns = columns.collect::<Vec<_>>().join(", "),
        filters = filters.collect::<String>(),
        pairs = pairs.collect::<Vec<_>>().join(" AND "),
    );
    let Statement::Query(query) = Parser::parse_sql(&GenericDialect {}, &sql).ok()?.pop()? else { return None };
    let SetExpr::Select(mut select) = *query.body else { return None };
    select.from.pop()?.joins.pop()
}

/// Names of their own: Polars renames columns that both sides of a join have.
fn key_name(name: &str, place: usize) -> String {
    format!("{name}_key_{place}")
}
