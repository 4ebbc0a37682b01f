//! What an expression is and which tables it names, as far as its text and the naming of our datasets tell: no types are known here.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, DataType, DateTimeField, Expr, SelectItem, SetExpr, Spanned, TableFactor, UnaryOperator, Value,
    ValueWithSpan, Visit, Visitor,
};

pub(super) fn is_portable_field(field: &DateTimeField) -> bool {
    use DateTimeField::{Day, Hour, Minute, Month, Week, Year};
    matches!(field, Year | Month | Day | Hour | Minute | Week(_))
}

/// The `EXTRACT(SECOND FROM …)` in `CAST(… AS DOUBLE)`.
pub(super) fn seconds_in(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Cast { expr: inner, .. } if is_double(expr) => {
            Some(&**inner).filter(|inner| matches!(inner, Expr::Extract { field: DateTimeField::Second, .. }))
        }
        _ => None,
    }
}

pub(super) fn place_of(expr: &Expr) -> (u64, u64) {
    let start = expr.span().start;
    (start.line, start.column)
}

/// The name of a column in the result.
pub(super) fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(name.value.clone()),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => names.last().map(|name| name.value.clone()),
        _ => None,
    }
}

/// Whether a SELECT gives the name of a column, by which or by an expression of which it is ordered, to something else. A bare name
/// alone is that of the result everywhere.
pub(super) fn is_renamed(order: &Expr, body: &SetExpr) -> bool {
    let (false, SetExpr::Select(select)) = (matches!(order, Expr::Identifier(_)), body) else { return false };
    let is_taken = |column: &Expr| select.projection.iter().any(|item| takes_name(item, column));
    order.visit(&mut EachColumn(is_taken)).is_break()
}

fn takes_name(item: &SelectItem, column: &Expr) -> bool {
    let SelectItem::ExprWithAlias { expr, alias } = item else { return false };
    let is_same = match column {
        Expr::Identifier(_) => column_name(expr) == column_name(column),
        _ => expr == column,
    };
    column_name(column) == Some(&alias.value) && !is_same
}

/// Stops at the first column for which the function is true.
struct EachColumn<F>(F);

impl<F: Fn(&Expr) -> bool> Visitor for EachColumn<F> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if is_column && (self.0)(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// A number as it is written, with a fraction.
pub(super) fn is_fraction(expr: &Expr) -> bool {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => digits.contains('.'),
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => is_fraction(expr),
        _ => false,
    }
}

/// A number as it is written, perhaps with a sign or in brackets.
pub(in crate::reconcile) fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } | Expr::Nested(expr) => is_number(expr),
        _ => false,
    }
}

/// The type of a column by the naming convention of our datasets: `paid_date`, `dt`; `paid_at`,
/// `create_time`.
pub(super) fn column_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(names) => names.last().map(|name| name.value.as_str()),
        Expr::Nested(inner) => column_name(inner),
        _ => None,
    }
}

pub(super) fn is_instant(expr: &Expr) -> bool {
    let by_name = column_name(expr).is_some_and(|name| name.ends_with("_at") || name.ends_with("_time"));
    by_name || matches!(expr, Expr::Cast { data_type: DataType::Timestamp(..), .. })
}

pub(super) fn is_date(expr: &Expr) -> bool {
    let by_name =
        column_name(expr).is_some_and(|name| name == "dt" || name.ends_with("_date") || name.ends_with("_dt"));
    by_name || is_instant(expr) || matches!(expr, Expr::Cast { data_type: DataType::Date, .. })
}

/// Whether a cast converts to DOUBLE; FLOOR and CEIL make the value an integer again.
pub(super) fn is_double(expr: &Expr) -> bool {
    match expr {
        Expr::Cast { data_type: DataType::Double(_) | DataType::Float(_) | DataType::Real, .. } => true,
        Expr::BinaryOp { left, right, .. } => is_double(left) || is_double(right),
        Expr::Nested(inner) | Expr::UnaryOp { expr: inner, .. } => is_double(inner),
        _ => false,
    }
}

pub(super) fn joins_conditions(expr: &Expr) -> bool {
    matches!(expr, Expr::BinaryOp { op: BinaryOperator::And | BinaryOperator::Or, .. })
}

pub(super) fn moves_a_date(expr: &Expr) -> bool {
    use BinaryOperator::{Minus, Plus};
    let is_interval = |expr: &Expr| matches!(expr, Expr::Interval(_));
    match expr {
        Expr::BinaryOp { left, op: Plus | Minus, right } => is_interval(left) || is_interval(right),
        Expr::Nested(inner) => moves_a_date(inner),
        _ => false,
    }
}

/// What the columns of a table are called by.
pub(in crate::reconcile) fn table_name(table: &TableFactor) -> Option<String> {
    match table {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Some(alias.name.value.clone())
        }
        TableFactor::Table { name, .. } => Some(name.to_string()),
        _ => None,
    }
}

/// The tables that columns name, and those of queries inside.
#[derive(Default)]
pub(super) struct Columns {
    pub(super) tables: BTreeSet<String>,
    pub(super) defined: BTreeSet<String>,
    pub(super) has_bare: bool,
}

impl Visitor for Columns {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(_) => self.has_bare = true,
            Expr::CompoundIdentifier(parts) => self.tables.extend(parts.first().map(|table| table.value.clone())),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        self.defined.extend(table_name(table));
        ControlFlow::Continue(())
    }
}
