//! Query parameters with the checks that endpoints require.

use super::refusal::{Location, refuse_parameter};
use crate::simulator::answer::Answer;
use crate::simulator::exchange::Exchange;

/// A whole number within bounds; `default` when it is not given.
pub(super) fn number(exchange: &Exchange<'_>, name: &str, default: usize, least: usize) -> Result<usize, Answer> {
    let Some(text) = exchange.call.query(name) else { return Ok(default) };
    let parsed = text.parse().ok().filter(|number| *number >= least);
    parsed.ok_or_else(|| refuse_parameter(name, &text, Location::Query))
}

/// A parameter that must be there.
pub(super) fn required(exchange: &Exchange<'_>, name: &str) -> Result<String, Answer> {
    let given = exchange.call.query(name).filter(|value| !value.is_empty());
    given.ok_or_else(|| refuse_parameter(name, "", Location::Query))
}
