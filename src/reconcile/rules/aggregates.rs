//! Aggregates and windows of which Polars makes other ones, without a word (its SQL crate 0.55). Walks a parsed
//! function; runs nothing.
//!
//! - A sum of a constant is the constant, not so much for every row.
//! - An ordered window counts and sums row by row, where SQL takes rows of equal place together, and takes any other
//!   aggregate of the whole partition.
//! - In a window by several keys NULL is the least value, whatever the query says.
//! - An aggregate inside a window is that of a group and then of nothing else.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArguments, OrderByExpr, Visit, Visitor, WindowFrameUnits, WindowSpec, WindowType,
};

use super::misread::Misread;

pub(super) const CONSTANT_SUM: &str = "SUM of a constant";
pub(super) const RUNNING_TOTAL: &str = "an aggregate in an ordered window without ROWS";
pub(super) const RUNNING_OTHER: &str = "an aggregate other than COUNT, SUM, MIN, MAX in an ordered window";
pub(super) const NAMED_WINDOW: &str = "an aggregate OVER a named window";
pub(super) const GREATEST_NULLS: &str = "NULL as the greatest of several keys of a window";
pub(super) const AGGREGATE_IN_WINDOW: &str = "an aggregate inside a window";

/// Aggregates that Polars also gives row by row.
const RUNNING: [&str; 4] = ["count", "max", "min", "sum"];
const AGGREGATES: [&str; 7] = ["avg", "count", "max", "median", "min", "stddev", "sum"];

/// Why Polars would read a function as another one.
pub(super) fn misread(function: &Function) -> Vec<Misread> {
    let name = function.name.to_string().to_lowercase();
    let mut found = Vec::new();
    if name == "sum" && !names_a_column(&function.args) {
        found.push(Misread { construct: CONSTANT_SUM, advice: "Polars does not count its rows: write COUNT(*)" });
    }
    let is_aggregate = AGGREGATES.contains(&name.as_str());
    match &function.over {
        Some(WindowType::WindowSpec(window)) => {
            found.extend(is_aggregate.then(|| running(&name, window)).flatten());
            found.extend(misplaced_nulls(&window.order_by));
        }
        Some(WindowType::NamedWindow(_)) if is_aggregate => {
            found.push(Misread { construct: NAMED_WINDOW, advice: "write the window after OVER" })
        }
        _ => {}
    }
    if function.over.is_some() && aggregates_in(&function.args) {
        found.push(Misread {
            construct: AGGREGATE_IN_WINDOW,
            advice: "aggregate in a query and put the window in one around it",
        });
    }
    found
}

/// Where the keys of a window want NULL somewhere else than Polars puts it.
pub(super) fn misplaced_nulls(keys: &[OrderByExpr]) -> Option<Misread> {
    let is_greatest =
        |key: &OrderByExpr| key.options.nulls_first.is_some_and(|is_first| is_first != key.options.asc.unwrap_or(true));
    let advice = "Polars takes NULL for the least: ASC NULLS FIRST, DESC NULLS LAST, or a COALESCE of the key";
    (keys.len() > 1 && keys.iter().any(is_greatest)).then_some(Misread { construct: GREATEST_NULLS, advice })
}

fn running(name: &str, window: &WindowSpec) -> Option<Misread> {
    let counts_rows = window.window_frame.as_ref().is_some_and(|frame| frame.units == WindowFrameUnits::Rows);
    match (window.order_by.is_empty(), RUNNING.contains(&name), counts_rows) {
        (true, ..) | (false, true, true) => None,
        (_, true, _) => {
            Some(Misread { construct: RUNNING_TOTAL, advice: "add ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW" })
        }
        _ => Some(Misread {
            construct: RUNNING_OTHER,
            advice: "Polars takes the whole partition: leave ORDER BY out, or take SUM and COUNT",
        }),
    }
}

/// Whether a value depends on the row.
pub(in crate::reconcile) fn names_a_column(value: &impl Visit) -> bool {
    any_in(value, |expr| matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_)))
}

fn aggregates_in(arguments: &FunctionArguments) -> bool {
    any_in(arguments, |expr| match expr {
        Expr::Function(inner) => AGGREGATES.contains(&inner.name.to_string().to_lowercase().as_str()),
        _ => false,
    })
}

fn any_in(value: &impl Visit, is: fn(&Expr) -> bool) -> bool {
    value.visit(&mut Search(is)).is_break()
}

struct Search(fn(&Expr) -> bool);

impl Visitor for Search {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if (self.0)(expr) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
