//! Puts the NULLs of a window's ORDER BY where the rule wants them. By one key alone Polars gives NULL no rank; by several
//! it takes NULL for the least value whatever is written, so a key is preceded by whether it is NULL. Only one can be, as
//! Polars wants different names: several keys that want something else are refused when the rule is loaded.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{CaseWhen, Expr, Function, NamedWindowExpr, OrderByExpr, Select, Value, WindowType};

/// Rewrites the windows of a WINDOW clause.
pub(super) fn rewrite_named(select: &mut Select) {
    for window in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(window) = &mut window.1 {
            place_nulls(&mut window.order_by);
        }
    }
}

/// Rewrites the window of a function.
pub(super) fn rewrite(expr: &mut Expr) {
    if let Expr::Function(Function { over: Some(WindowType::WindowSpec(window)), .. }) = expr {
        place_nulls(&mut window.order_by);
    }
}

fn place_nulls(order: &mut Vec<OrderByExpr>) {
    if let [key] = order.as_slice() {
        let nulls = whether_null(key);
        order.splice(0..0, nulls);
    }
}

/// A key of the same direction that separates the NULLs of this one; none where the rule does not say where it wants them.
fn whether_null(key: &OrderByExpr) -> Option<OrderByExpr> {
    let is_ascending = key.options.asc.unwrap_or(true);
    let are_nulls_least = key.options.nulls_first? == is_ascending;
    let number = |number: bool| Expr::value(Value::Number(u8::from(number).to_string(), false));
    let expr = Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions: vec![CaseWhen {
            condition: Expr::IsNull(Box::new(key.expr.clone())),
            result: number(!are_nulls_least),
        }],
        else_result: Some(Box::new(number(are_nulls_least))),
    };
    Some(OrderByExpr { expr, ..key.clone() })
}
