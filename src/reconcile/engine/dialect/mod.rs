//! Says in Polars' SQL what a rule says in the portable one. Rewrites what Polars would read as something else without a
//! word; what cannot be rewritten is refused when rules are loaded (`rules::refused`). Knows neither tables nor rules.

mod existence;
mod remainder;
mod respelled;
mod truth;
mod whole_numbers;
mod window_order;

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use polars::prelude::{LazyFrame, PolarsResult, polars_bail};
use polars::sql::SQLContext;
use regex::Regex;
use sqlparser::ast::{Expr, Select, VisitMut, VisitorMut};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::reconcile::rules::named_by_with;

/// Plans a query. An error is that of the text as it was written, whose lines it names.
pub(super) fn planned(context: &mut SQLContext, sql: &str) -> PolarsResult<LazyFrame> {
    let sql = with_intervals(sql);
    let tables = context.get_tables();
    if let Some(name) = named_by_with(&sql).into_iter().find(|name| tables.contains(name)) {
        polars_bail!(SQLInterface: "WITH `{name}` has the name of a table, which Polars would read in its place: choose another");
    }
    match rewritten(&sql) {
        Some(rewritten) => context.execute(&rewritten).map_err(|error| context.execute(&sql).err().unwrap_or(error)),
        None => context.execute(&sql),
    }
}

/// Converts the portable `INTERVAL '8' HOUR` to the syntax of this Polars version: `INTERVAL '8 HOUR'`.
pub(super) fn with_intervals(sql: &str) -> Cow<'_, str> {
    static INTERVAL: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"INTERVAL '(\d+)' ([A-Z]+)").expect("the pattern is well-formed"));
    INTERVAL.replace_all(sql, "INTERVAL '$1 $2'")
}

/// The query on one line; `None` where it does not parse or is not one query, which Polars then tells with the line.
fn rewritten(sql: &str) -> Option<String> {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql).ok()?;
    let [query] = statements.as_mut_slice() else { return None };
    let _ = query.visit(&mut Rewriter::default());
    Some(query.to_string())
}

#[derive(Default)]
struct Rewriter {
    exists_count: usize,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        window_order::rewrite_named(select);
        whole_numbers::rewrite_columns(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        existence::rewrite(select, &mut self.exists_count);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        remainder::rewrite(expr);
        truth::rewrite(expr);
        window_order::rewrite(expr);
        whole_numbers::rewrite(expr);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::*;

    use super::*;

    /// The one column of a query over `a` (three rows of `k`, `g` and `x`) and `b` (of `k` and `x`).
    fn values(sql: &str) -> Vec<Option<i64>> {
        let mut context = SQLContext::new();
        let a = df!("k" => [Some("u"), None, Some("w")], "g" => ["p", "q", "p"], "x" => [7i64, -8, 9]).unwrap();
        let b = df!("k" => [Some("u"), Some("p"), None], "x" => [1i64, 9, 9]).unwrap();
        context.register("a", a.lazy());
        context.register("b", b.lazy());
        let found = planned(&mut context, sql).and_then(LazyFrame::collect).unwrap();
        found.columns()[0].i64().unwrap_or_else(|error| panic!("{sql}: {error}")).to_vec()
    }

    #[test]
    fn whole_numbers_do_not_wrap_around() {
        let a = |expr: &str| values(&format!("SELECT {expr} AS n FROM a"));
        assert_eq!(a("COUNT(*) - 1000"), [Some(-997)]);
        assert_eq!(a("COUNT(DISTINCT g) - COUNT(*)"), [Some(-1)]);
        assert_eq!(a("LENGTH(g) - 5"), [Some(-4); 3]);
        assert_eq!(a("SUM(CASE WHEN x > 0 THEN 2000000000 END)"), [Some(4_000_000_000)]);
        assert_eq!(a("ROW_NUMBER() OVER (ORDER BY x NULLS LAST) - 3"), [Some(-1), Some(-2), Some(0)]);
        assert_eq!(a("EXTRACT(MONTH FROM DATE '2026-11-20') * 1000"), [Some(11_000); 3]);
        assert_eq!(values("SELECT n * n AS m FROM (SELECT 100000 AS n FROM a) c LIMIT 1"), [Some(10_000_000_000)]);
        assert_eq!(values("SELECT CAST(x AS INT) * 1000000000 AS n FROM a LIMIT 1"), [Some(7_000_000_000)]);
        assert_eq!(a("SUM(CASE WHEN x > 0 THEN -2000000000 END)"), [Some(-4_000_000_000)]);
        assert_eq!(a("CAST(CASE WHEN x > 0 THEN 1.5 ELSE 2.5 END * 2 AS BIGINT)"), [Some(3), Some(5), Some(3)]);
        assert_eq!(values("SELECT COUNT(*) - 9 AS n FROM a GROUP BY g HAVING COUNT(*) - 9 < -7"), [Some(-8)]);
    }

    #[test]
    fn a_remainder_has_the_sign_of_the_dividend() {
        assert_eq!(values("SELECT x % 5 AS n FROM a"), [Some(2), Some(-3), Some(4)]);
        assert_eq!(values("SELECT x % -5 AS n FROM a"), [Some(2), Some(-3), Some(4)]);
        assert_eq!(values("SELECT (x - 1) % (0 - x) % 4 AS n FROM a"), [Some(2), Some(-1), Some(0)]);
        assert_eq!(values("SELECT (x - 10) % (5) AS n FROM a"), [Some(-3), Some(-3), Some(-1)]);
        assert_eq!(values("SELECT -17 % x AS n FROM a"), [Some(-3), Some(-1), Some(-8)]);
        assert_eq!(values("SELECT (COUNT(*) - 10) % 5 AS n FROM a"), [Some(-2)]);
    }

    #[test]
    fn null_has_a_rank_and_stands_where_the_rule_wants_it() {
        let rank = |order: &str| values(&format!("SELECT RANK() OVER (ORDER BY {order}) AS n FROM a"));
        assert_eq!(rank("k NULLS LAST"), [Some(1), Some(3), Some(2)]);
        assert_eq!(rank("k NULLS FIRST"), [Some(2), Some(1), Some(3)]);
        assert_eq!(rank("k DESC NULLS LAST"), [Some(2), Some(3), Some(1)]);
        assert_eq!(rank("k DESC NULLS FIRST"), [Some(3), Some(1), Some(2)]);
        let named = "SELECT ROW_NUMBER() OVER w AS n FROM a WINDOW w AS (ORDER BY k NULLS LAST)";
        assert_eq!(values(named), [Some(1), Some(3), Some(2)]);
    }

    #[test]
    fn what_is_not_known_is_neither_true_nor_false() {
        let a = |condition: &str| values(&format!("SELECT x FROM a WHERE {condition}"));
        assert_eq!(a("(k = 'u') IS TRUE"), [Some(7)]);
        assert_eq!(a("NOT ((k = 'u') IS TRUE)"), [Some(-8), Some(9)]);
        assert_eq!(a("(k = 'u') IS NOT TRUE"), [Some(-8), Some(9)]);
        assert_eq!(a("(k = 'u' OR k = 'v') IS FALSE"), [Some(9)]);
        assert_eq!(a("(k = 'u') IS NOT FALSE"), [Some(7), Some(-8)]);
    }

    #[test]
    fn a_with_that_is_named_like_a_table_is_refused() {
        let context = SQLContext::new();
        context.register("a", df!("x" => [1i64]).unwrap().lazy());
        let error = |sql: &str| planned(&mut context.clone(), sql).err().map(|error| error.to_string());
        let told = error("WITH a AS (SELECT x + 1 AS x FROM a) SELECT x FROM a").unwrap();
        assert!(told.contains("WITH `a` has the name of a table"), "{told}");
        assert_eq!(error("WITH b AS (SELECT x + 1 AS x FROM a) SELECT x FROM b"), None);
    }

    #[test]
    fn an_exists_asks_the_table_that_it_names() {
        let a = |condition: &str| values(&format!("SELECT a.x AS x FROM a WHERE {condition}"));
        assert_eq!(a("EXISTS (SELECT 1 FROM b WHERE b.k = a.k)"), [Some(7)]);
        assert_eq!(a("NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k)"), [Some(-8), Some(9)]);
        assert_eq!(a("EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.x > 1)"), []);
        assert_eq!(a("(a.x > 0) <> EXISTS (SELECT 1 FROM b WHERE b.k = a.k)"), [Some(9)]);
        assert_eq!(a("EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND k IS NULL)"), [Some(9)]);
        assert_eq!(a("a.x < 0 OR EXISTS (SELECT 1 FROM b WHERE b.x + 6 = a.x AND b.k = a.k)"), [Some(7), Some(-8)]);
        let nested = "EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND EXISTS (SELECT 1 FROM a c WHERE c.g = b.k))";
        assert_eq!(a(nested), [Some(9)]);
        // Both `a` and `c` have a `k`.
        let joined = "SELECT a.x AS x FROM a JOIN (SELECT g AS k, x FROM a) c ON c.x = a.x \
                      WHERE EXISTS (SELECT 1 FROM b WHERE b.k = c.k)";
        assert_eq!(values(joined), [Some(7), Some(9)]);
        let all = "SELECT d.x AS x FROM (SELECT * FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k)) d";
        assert_eq!(values(all), [Some(7)]);
    }

    #[test]
    fn an_error_names_the_line_as_it_was_written() {
        let error = |sql: &str| planned(&mut SQLContext::new(), sql).err().unwrap().to_string();
        let of_line = error("SELECT COUNT(*) AS n\nFROM a\nWHERE x > > 1");
        assert!(of_line.contains("Line: 3"), "{of_line}");
        assert!(error("SELECT COUNT(*) AS n\nFROM nothing").contains("nothing"));
        assert!(error("SELECT 1 AS n; SELECT 2 AS n").contains("one"), "two queries");
    }
}
