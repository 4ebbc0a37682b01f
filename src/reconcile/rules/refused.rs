//! What a rule is refused for before a night: constructs of which Polars (its SQL crate 0.55) makes something else without a
//! word, or of which it says nothing that helps. What is merely not portable is for `rules test` to tell.

use super::portable::{COMPUTED_REMAINDER, Finding, OPEN_DISTINCT, RENAMED_ORDER, findings};
use super::{aggregates, joins, subqueries};

const REFUSED: [&str; 21] = [
    joins::COMPARING_OUTER_JOIN,
    joins::ONE_SIDED_EQUALITY,
    aggregates::CONSTANT_SUM,
    aggregates::RUNNING_TOTAL,
    aggregates::RUNNING_OTHER,
    aggregates::NAMED_WINDOW,
    aggregates::GREATEST_NULLS,
    aggregates::AGGREGATE_IN_WINDOW,
    aggregates::CONSTANT_AGGREGATE,
    aggregates::OTHER_FRAME,
    aggregates::EXTENDED_WINDOW,
    aggregates::RUNNING_DISTINCT,
    aggregates::GROUPED_WINDOW,
    OPEN_DISTINCT,
    COMPUTED_REMAINDER,
    RENAMED_ORDER,
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
