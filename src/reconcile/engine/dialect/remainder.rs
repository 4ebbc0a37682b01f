//! Gives a remainder the sign of the dividend, as SQL does; Polars gives it that of the divisor, so `-1 % 7` would be 6.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::reconcile::rules::names_a_column;

/// Rewrites a `%`, which repeats its operands. Polars cannot share an expression of constants that stands in several places
/// (a column of one row among longer ones), so such a `%` stays as it is: right between numbers without a minus.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::BinaryOp { left, op: BinaryOperator::Modulo, right } = expr else { return };
    if !(names_a_column(left) && (names_a_column(right) || is_number(right))) {
        return;
    }
    let text = format!(
        "(CASE WHEN {left} % {right} <> 0 AND ({left} < 0) <> ({right} < 0) THEN {left} % {right} - {right} \
         ELSE {left} % {right} END)"
    );
    let parsed = Parser::new(&GenericDialect {}).try_with_sql(&text).and_then(|mut parser| parser.parse_expr());
    if let Ok(rewritten) = parsed {
        *expr = rewritten;
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => is_number(expr),
        _ => false,
    }
}
