//! What follows from the syntax of a query alone: names, aliases, the kind of a join, the columns and groups of a
//! SELECT. Functions return `None` for syntax that `shape` does not support. Concludes nothing about rows.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, visit_expressions, visit_relations,
};

use super::expression::{is_of_one_row, term};
use super::scope::Scope;
use super::term::Term;

pub(super) fn plain_name(name: &ObjectName) -> Option<String> {
    match name.0.as_slice() {
        [part] => part.as_ident().map(|name| name.value.clone()),
        _ => None,
    }
}

/// The name given by an alias; `None` if it also names columns.
pub(super) fn alias_of(alias: Option<&TableAlias>) -> Option<Option<String>> {
    match alias {
        None => Some(None),
        Some(alias) if alias.columns.is_empty() => Some(Some(alias.name.value.clone())),
        Some(_) => None,
    }
}

/// Whether a join is a left join, and its condition.
pub(super) fn joined_on(join: &Join) -> Option<(bool, Option<&Expr>)> {
    match &join.join_operator {
        JoinOperator::Join(JoinConstraint::On(on)) | JoinOperator::Inner(JoinConstraint::On(on)) => {
            Some((false, Some(on)))
        }
        JoinOperator::Left(JoinConstraint::On(on)) | JoinOperator::LeftOuter(JoinConstraint::On(on)) => {
            Some((true, Some(on)))
        }
        JoinOperator::CrossJoin(JoinConstraint::None) => Some((false, None)),
        _ => None,
    }
}

pub(super) fn is_understood(select: &Select) -> bool {
    let is_plain = select.top.is_none() && select.exclude.is_none() && select.into.is_none();
    let is_filtered_once = select.prewhere.is_none() && select.qualify.is_none() && select.connect_by.is_empty();
    let is_unordered = select.cluster_by.is_empty() && select.distribute_by.is_empty() && select.sort_by.is_empty();
    is_plain
        && is_filtered_once
        && is_unordered
        && select.lateral_views.is_empty()
        && !matches!(select.distinct, Some(Distinct::On(_)))
}

/// The grouping of a block: names and terms.
pub(super) fn groups(select: &Select, scope: &Scope) -> Option<Vec<(String, Term)>> {
    match &select.group_by {
        GroupByExpr::Expressions(groups, modifiers) if modifiers.is_empty() => {
            Some(groups.iter().map(|group| (own_name(group), term(group, scope))).collect())
        }
        _ => None,
    }
}

/// Name and term of each column of a block. Aggregates are unknown, and so is everything in a block with a window
/// function; the number of rows of a group is that of `group_count`.
pub(super) fn columns(
    select: &Select,
    scope: &Scope,
    groups: &[(String, Term)],
    group_count: usize,
) -> Option<Vec<(String, Term)>> {
    let mut given = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(expression) => given.push((own_name(expression), term(expression, scope))),
            SelectItem::ExprWithAlias { expr, alias } if expr.to_string().eq_ignore_ascii_case("COUNT(*)") => {
                given.push((alias.value.clone(), Term::Count(group_count)));
            }
            SelectItem::ExprWithAlias { expr, alias } => given.push((alias.value.clone(), term(expr, scope))),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let name = plain_name(name).filter(|_| options.to_string().is_empty())?;
                let (_, relation) = scope.relations.iter().find(|(relation, _)| *relation == name)?;
                given.extend(relation.columns.iter().cloned());
            }
            SelectItem::Wildcard(options) if options.to_string().is_empty() => {
                given.extend(scope.relations.iter().flat_map(|(_, relation)| relation.columns.iter().cloned()));
            }
            _ => return None,
        }
    }
    // A grouping name may be shadowed by another column of the block.
    let is_renamed = |(name, term): &(String, Term)| groups.iter().any(|(group, own)| group == name && own != term);
    let hides_all = has_window(select) || given.iter().any(is_renamed);
    let is_summed = !groups.is_empty() || sums_up(select);
    let is_own_count = |term: &Term| *term == Term::Count(group_count) && !groups.is_empty();
    let is_group = |term: &Term| groups.iter().any(|(_, group)| group == term);
    let is_known = |term: &Term| !hides_all && (!is_summed || is_group(term) || is_own_count(term));
    let told = |(name, term)| if is_known(&term) { (name, term) } else { (name, Term::Unknown) };
    Some(given.into_iter().map(told).collect())
}

fn own_name(expression: &Expr) -> String {
    match expression {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(path) => path.last().map(|name| name.value.clone()).unwrap_or_default(),
        _ => String::new(),
    }
}

fn has_window(select: &Select) -> bool {
    any_function(select, |function| function.over.is_some())
}

fn sums_up(select: &Select) -> bool {
    any_function(select, |function| !is_of_one_row(function))
}

fn any_function(select: &Select, is_it: impl Fn(&sqlparser::ast::Function) -> bool) -> bool {
    let visit = |expression: &Expr| match expression {
        Expr::Function(function) if is_it(function) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    visit_expressions(&select.projection, visit).is_break()
}

/// The number of tables named anywhere.
pub(super) fn count_relations(query: &Query) -> usize {
    let mut count = 0;
    let _ = visit_relations(query, |_| {
        count += 1;
        ControlFlow::<()>::Continue(())
    });
    count
}

/// The number of tables named in a FROM, without those elsewhere, as in `x IN (SELECT …)`.
pub(super) fn count_factors(body: &SetExpr) -> Option<usize> {
    let of_factor = |factor: &TableFactor| match factor {
        TableFactor::Table { .. } => Some(1),
        TableFactor::Derived { subquery, .. } => count_factors(&subquery.body),
        _ => None,
    };
    match body {
        SetExpr::Query(query) => count_factors(&query.body),
        SetExpr::SetOperation { left, right, .. } => Some(count_factors(left)? + count_factors(right)?),
        SetExpr::Select(select) => {
            let tables = select
                .from
                .iter()
                .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
            tables.map(of_factor).sum()
        }
        _ => None,
    }
}
