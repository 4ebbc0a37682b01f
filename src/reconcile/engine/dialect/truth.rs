//! Asks whether a condition IS TRUE or IS FALSE so that the answer is never NULL; Polars' own is, so that `NOT (x IS TRUE)`
//! would hide every row whose `x` is not known.

use sqlparser::ast::Expr;

use super::respelled::parsed;

/// Rewrites IS TRUE, IS FALSE and their opposites.
pub(super) fn rewrite(expr: &mut Expr) {
    let (condition, is_true, is_asserted) = match expr {
        Expr::IsTrue(condition) => (condition, true, true),
        Expr::IsNotTrue(condition) => (condition, true, false),
        Expr::IsFalse(condition) => (condition, false, true),
        Expr::IsNotFalse(condition) => (condition, false, false),
        _ => return,
    };
    // What is not known counts as the other.
    let known = format!("COALESCE({condition}, {})", if is_true { "FALSE" } else { "TRUE" });
    let text = if is_true == is_asserted { format!("({known})") } else { format!("(NOT {known})") };
    *expr = parsed(&text);
}
