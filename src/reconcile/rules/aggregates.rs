//! Aggregates and windows of which Polars makes other ones, without a word (its SQL crate 0.55). Walks a parsed
//! function; runs nothing.
//!
//! - A sum of a constant is the constant, not so much for every row.
//! - An ordered window counts and sums row by row, where SQL takes rows of equal place together, and takes any other
//!   aggregate of the whole partition.
//! - In a window by several keys NULL is the least value, whatever the query says.
//! - An aggregate inside a window is that of a group and then of nothing else; a window beside a GROUP BY is over rows of groups
//!   that are not there any more.
//! - Frames other than the running one, the window that another extends, and DISTINCT in a running count are not looked at.

use std::ops::ControlFlow;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, NamedWindowExpr,
    OrderByExpr, Select, Visit, Visitor, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::misread::Misread;

pub(super) const CONSTANT_SUM: &str = "SUM of a constant";
pub(super) const CONSTANT_AGGREGATE: &str = "an aggregate of a constant";
pub(super) const OTHER_FRAME: &str = "a frame other than ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW";
pub(super) const EXTENDED_WINDOW: &str = "a window that extends another";
pub(super) const RUNNING_DISTINCT: &str = "DISTINCT in an ordered window";
pub(super) const GROUPED_WINDOW: &str = "a window beside GROUP BY";
pub(super) const RUNNING_TOTAL: &str = "an aggregate in an ordered window without ROWS";
pub(super) const RUNNING_OTHER: &str = "an aggregate other than COUNT, SUM, MIN, MAX in an ordered window";
pub(super) const NAMED_WINDOW: &str = "an aggregate OVER a named window";
pub(super) const GREATEST_NULLS: &str = "NULL as the greatest of several keys of a window";
pub(super) const AGGREGATE_IN_WINDOW: &str = "an aggregate inside a window";

/// Aggregates that Polars also gives row by row.
const RUNNING: [&str; 4] = ["count", "max", "min", "sum"];
const AGGREGATES: [&str; 7] = ["avg", "count", "max", "median", "min", "stddev", "sum"];

const EXTENDED: Misread = Misread { construct: EXTENDED_WINDOW, advice: "write the whole window" };

/// Why Polars would read a function as another one.
pub(super) fn misread(function: &Function) -> Vec<Misread> {
    let name = function.name.to_string().to_lowercase();
    let is_aggregate = AGGREGATES.contains(&name.as_str());
    let constant = is_aggregate.then(|| constant(&name, &function.args)).flatten();
    let windowed = function.over.as_ref().map(|over| windowed(&name, &function.args, over, is_aggregate));
    constant.into_iter().chain(windowed.unwrap_or_default()).collect()
}

fn constant(name: &str, arguments: &FunctionArguments) -> Option<Misread> {
    match name {
        _ if names_a_column(arguments) => None,
        "count" if counts_rows(arguments) => None,
        "sum" => Some(Misread { construct: CONSTANT_SUM, advice: "Polars does not count its rows: write COUNT(*)" }),
        _ => Some(Misread { construct: CONSTANT_AGGREGATE, advice: "name a column, or write COUNT(*)" }),
    }
}

fn windowed(name: &str, arguments: &FunctionArguments, over: &WindowType, is_aggregate: bool) -> Vec<Misread> {
    let mut found = match over {
        WindowType::WindowSpec(window) => {
            let running = is_aggregate.then(|| running(name, window)).flatten();
            let distinct = running_distinct(arguments, window);
            running.into_iter().chain(misread_window(window)).chain(distinct).collect()
        }
        WindowType::NamedWindow(_) if is_aggregate => {
            vec![Misread { construct: NAMED_WINDOW, advice: "write the window after OVER" }]
        }
        WindowType::NamedWindow(_) => Vec::new(),
    };
    let advice = "aggregate in a query and put the window in one around it";
    found.extend(aggregates_in(arguments).then_some(Misread { construct: AGGREGATE_IN_WINDOW, advice }));
    found
}

/// Why Polars would read the windows of a SELECT as others.
pub(super) fn misread_windows(select: &Select) -> Vec<Misread> {
    let is_grouped = !matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let is_window = |expr: &Expr| matches!(expr, Expr::Function(Function { over: Some(_), .. }));
    let beside = is_grouped && any_in(&select.projection, is_window);
    let grouped = Misread { construct: GROUPED_WINDOW, advice: "group in a query and put the window in one around it" };
    let named = select.named_window.iter().flat_map(|window| match &window.1 {
        NamedWindowExpr::WindowSpec(window) => misread_window(window),
        NamedWindowExpr::NamedWindow(_) => vec![EXTENDED],
    });
    named.chain(beside.then_some(grouped)).collect()
}

fn misread_window(window: &WindowSpec) -> Vec<Misread> {
    let is_running = |frame: &WindowFrame| {
        frame.start_bound == WindowFrameBound::Preceding(None)
            && matches!(frame.end_bound, None | Some(WindowFrameBound::CurrentRow))
    };
    let other = window.window_frame.as_ref().is_some_and(|frame| !is_running(frame));
    let advice = "leave the frame out, or order the other way round";
    let other = other.then_some(Misread { construct: OTHER_FRAME, advice });
    let extended = window.window_name.is_some().then_some(EXTENDED);
    misplaced_nulls(&window.order_by).into_iter().chain(other).chain(extended).collect()
}

fn running_distinct(arguments: &FunctionArguments, window: &WindowSpec) -> Option<Misread> {
    let FunctionArguments::List(list) = arguments else { return None };
    let is_distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct) && !window.order_by.is_empty();
    is_distinct.then_some(Misread { construct: RUNNING_DISTINCT, advice: "take the distinct rows in a query first" })
}

/// `(*)` and `(1)`.
fn counts_rows(arguments: &FunctionArguments) -> bool {
    let FunctionArguments::List(list) = arguments else { return false };
    let is_any = |it: &FunctionArg| {
        matches!(it, FunctionArg::Unnamed(FunctionArgExpr::Wildcard | FunctionArgExpr::Expr(Expr::Value(_))))
    };
    list.args.iter().all(is_any)
}

/// Where the keys of a window want NULL somewhere else than Polars puts it.
fn misplaced_nulls(keys: &[OrderByExpr]) -> Option<Misread> {
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

/// Whether a value depends on rows: a column, or a function of them like COUNT(*).
pub(in crate::reconcile) fn varies(value: &impl Visit) -> bool {
    names_a_column(value) || any_in(value, |expr| matches!(expr, Expr::Function(_)))
}

pub(super) fn aggregates_in(value: &impl Visit) -> bool {
    any_in(value, |expr| match expr {
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
