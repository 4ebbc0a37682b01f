//! Gives the whole numbers of a query 64 bits. Polars counts in 32 bits without a sign, takes dates apart into 8 and holds
//! constants in 32, and lets a result that does not fit wrap around: `COUNT(*) - 1000` would be four thousand million, and
//! `EXTRACT(HOUR FROM paid_at) * 60` negative. Columns of datasets have 64 bits already.

use std::mem::replace;

use sqlparser::ast::{CastKind, DataType, Expr, Select, SelectItem, UnaryOperator, Value, ValueWithSpan};

/// Functions whose result Polars gives in 32 bits.
const NARROW: [&str; 5] = ["count", "dense_rank", "length", "rank", "row_number"];

/// Casts the constants that are columns: the query around may count with them.
pub(super) fn rewrite_columns(select: &mut Select) {
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { expr, .. } = item {
            cast_constant(expr);
        }
    }
}

/// Casts what would be narrow.
pub(super) fn rewrite(expr: &mut Expr) {
    match expr {
        Expr::Case { conditions, else_result, .. } => {
            conditions.iter_mut().for_each(|case| cast_constant(&mut case.result));
            else_result.iter_mut().for_each(|result| cast_constant(result));
        }
        expr if is_narrow(expr) => cast(expr),
        _ => {}
    }
}

/// A constant takes the width of what it is combined with; on its own it stays narrow.
fn cast_constant(expr: &mut Expr) {
    if is_whole_number(expr) {
        cast(expr);
    }
}

fn is_whole_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
            digits.bytes().all(|digit| digit.is_ascii_digit())
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } | Expr::Nested(expr) => is_whole_number(expr),
        _ => false,
    }
}

fn cast(expr: &mut Expr) {
    let narrow = Box::new(replace(expr, Expr::value(Value::Null)));
    let (kind, data_type) = (CastKind::Cast, DataType::BigInt(None));
    *expr = Expr::Cast { kind, expr: narrow, data_type, array: false, format: None };
}

fn is_narrow(expr: &Expr) -> bool {
    use DataType::{Int, Integer, SmallInt, TinyInt};
    match expr {
        Expr::Extract { .. } => true,
        Expr::Function(function) => NARROW.contains(&function.name.to_string().to_lowercase().as_str()),
        Expr::Cast { data_type, .. } => matches!(data_type, Int(_) | Integer(_) | SmallInt(_) | TinyInt(_)),
        _ => false,
    }
}
