//! The conditions of joins of which Polars makes other ones, without a word (its SQL crate 0.55, where the reference of
//! the portable subset, portable-sql §7.4, has them as safe). Walks a parsed condition; runs nothing.
//!
//! - An outer join that compares becomes an inner one: it is a cross join with a filter, whatever it was.
//! - Of an equality each side is looked up in one of the two tables, by the place where it stands if its own table does
//!   not decide: a constant behind a column of the joined table has that column looked up in the others.

use sqlparser::ast::{BinaryOperator, Expr, TableFactor, Visit};

use super::expressions::{Columns, table_name};
use super::misread::Misread;

pub(super) const COMPARING_OUTER_JOIN: &str = "an outer join ON other than equalities";
pub(super) const ONE_SIDED_EQUALITY: &str = "an ON that compares a table with itself or a constant";

/// The parts of a condition that are read as other ones.
pub(super) fn misread<'q>(condition: &'q Expr, joined: &TableFactor, is_inner: bool) -> Vec<(&'q Expr, Misread)> {
    let joined = table_name(joined);
    let read = |condition: &'q Expr| match condition {
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            one_sided(condition, [left, right], joined.as_deref())
        }
        Expr::IsNotDistinctFrom(..) => None,
        _ => (!is_inner).then_some((
            condition,
            Misread {
                construct: COMPARING_OUTER_JOIN,
                advice: "Polars leaves out rows without a partner; compare in the joined query, or in a CASE",
            },
        )),
    };
    conjuncts(condition).into_iter().filter_map(read).collect()
}

/// The parts of a condition that AND joins.
pub(super) fn conjuncts(condition: &Expr) -> Vec<&Expr> {
    match condition {
        Expr::Nested(inner) => conjuncts(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => [conjuncts(left), conjuncts(right)].concat(),
        other => vec![other],
    }
}

/// The tables that one side of an equality speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    OfJoined,
    OfOthers,
    OfNone,
    /// Of both, or nobody can tell: Polars says what is wrong, or looks at the columns.
    Otherwise,
}

fn one_sided<'q>(condition: &'q Expr, sides: [&Expr; 2], joined: Option<&str>) -> Option<(&'q Expr, Misread)> {
    use Speaks::{OfJoined, OfNone, OfOthers};
    let joined = joined?;
    match sides.map(|side| tables_of(side, joined)) {
        [OfJoined, OfNone | OfJoined] | [OfNone | OfOthers, OfOthers] => Some((
            condition,
            Misread {
                construct: ONE_SIDED_EQUALITY,
                advice: "Polars looks for a column in the wrong table; filter in the joined query, or in WHERE",
            },
        )),
        _ => None,
    }
}

fn tables_of(side: &Expr, joined: &str) -> Speaks {
    let mut columns = Columns::default();
    let _ = side.visit(&mut columns);
    match (columns.has_bare, columns.tables.contains(joined), columns.tables.len()) {
        (true, ..) => Speaks::Otherwise,
        (_, _, 0) => Speaks::OfNone,
        (_, true, 1) => Speaks::OfJoined,
        (_, false, _) => Speaks::OfOthers,
        _ => Speaks::Otherwise,
    }
}
