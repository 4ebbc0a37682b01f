//! Gives a remainder the sign of the dividend, as SQL does; Polars gives it that of the divisor, so `-1 % 7` would be 6.

use sqlparser::ast::{BinaryOperator, Expr};

use super::respelled::parsed;
use crate::reconcile::rules::{is_number, varies};

/// Rewrites a `%`, which repeats its operands. Polars cannot share an expression of constants that stands in several places
/// (a column of one row among longer ones): a rule with such a `%` is refused when it is loaded.
pub(super) fn rewrite(expr: &mut Expr) {
    let Expr::BinaryOp { left, op: BinaryOperator::Modulo, right } = expr else { return };
    let can_be_repeated = |operand: &Expr| varies(operand) || is_number(operand);
    if !can_be_repeated(left) || !can_be_repeated(right) {
        return;
    }
    let text = format!(
        "(CASE WHEN {left} % {right} <> 0 AND ({left} < 0) <> ({right} < 0) THEN {left} % {right} - {right} \
         ELSE {left} % {right} END)"
    );
    *expr = parsed(&text);
}
