//! What a rule is refused for before a night: constructs of which Polars (its SQL crate 0.55) makes something else without a
//! word, or of which it says nothing that helps. What is merely not portable is for `rules test` to tell.

use super::portable::{Finding, OPEN_DISTINCT, findings};
use super::{aggregates, joins, subqueries};

const REFUSED: [&str; 14] = [
    joins::COMPARING_OUTER_JOIN,
    joins::ONE_SIDED_EQUALITY,
    aggregates::CONSTANT_SUM,
    aggregates::RUNNING_TOTAL,
    aggregates::RUNNING_OTHER,
    aggregates::NAMED_WINDOW,
    aggregates::GREATEST_NULLS,
    aggregates::AGGREGATE_IN_WINDOW,
    OPEN_DISTINCT,
    subqueries::EXISTS_ELSEWHERE,
    subqueries::COMPARING_EXISTS,
    subqueries::SINGLE_VALUE,
    subqueries::LIST_OF_COLUMNS,
    subqueries::CORRELATED_IN,
];

/// The first construct in `sql` that is refused.
pub(super) fn refused(sql: &str) -> Option<Finding> {
    findings(sql).into_iter().find(|it| REFUSED.contains(&&*it.construct))
}
