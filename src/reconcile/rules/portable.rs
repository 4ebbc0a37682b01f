//! Checks that a rule only uses SQL that Polars, DuckDB, DataFusion, Spark and Sail interpret alike
//! (reference portable-sql §7.3, §7.4). Walks the parsed query: a construct with silent differences is
//! reported with its line and a replacement. Runs nothing and knows no types, so where the type matters
//! it requires a cast.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, CastKind, DataType, DateTimeField, Distinct, Expr, Function, GroupByExpr, Ident, JoinConstraint,
    JoinOperator, NamedWindowExpr, ObjectName, OrderByExpr, OrderByKind, Query, Select, SelectItem, Spanned, Statement,
    TableFactor, Value, ValueWithSpan, Visit, Visitor, WindowType,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::expressions::{
    is_date, is_double, is_fraction, is_instant, is_number, is_portable_field, is_renamed, joins_conditions,
    moves_a_date, name_of, place_of, seconds_in,
};
use super::misread::Misread;
use super::{aggregates, joins, subqueries};

/// A construct that is not portable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Line of the file, from 1.
    pub line: u64,
    /// What was found.
    pub construct: String,
    /// The replacement.
    pub advice: &'static str,
    /// Whether the program's own engine would read it as something else, or says nothing that helps: such a rule is not run.
    pub is_misread: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} is not portable: {}", self.line, self.construct, self.advice)
    }
}

/// Functions that all engines have and interpret alike.
const FUNCTIONS: [&str; 27] = [
    "abs",
    "avg",
    "coalesce",
    "concat_ws",
    "count",
    "dense_rank",
    "first_value",
    "greatest",
    "ifnull",
    "lag",
    "last_value",
    "lead",
    "least",
    "left",
    "length",
    "lower",
    "max",
    "median",
    "min",
    "nullif",
    "rank",
    "replace",
    "row_number",
    "split_part",
    "stddev",
    "sum",
    "upper",
];

/// Everything in `sql` that is not portable, in order of lines. A text that does not parse has no
/// findings: running it reports the error.
pub fn findings(sql: &str) -> Vec<Finding> {
    let Ok(statements) = Parser::parse_sql(&GenericDialect {}, sql) else { return Vec::new() };
    let [Statement::Query(query)] = &statements[..] else {
        return vec![Finding {
            line: 1,
            construct: "a file of other than one query".into(),
            advice: "write one SELECT",
            is_misread: false,
        }];
    };
    let mut walk = Walk::default();
    let _ = query.visit(&mut walk);
    walk.found.sort_by(|a, b| (a.line, &a.construct).cmp(&(b.line, &b.construct)));
    walk.found.dedup();
    walk.found
}

/// Polars' parser takes all that follows for the second value: `a IS DISTINCT FROM (b AND c = d)`.
const OPEN_DISTINCT: &str = "IS DISTINCT FROM before AND or OR";
/// Polars gives it the sign of the divisor, and cannot share the constant that a rewriting would repeat.
const COMPUTED_REMAINDER: &str = "% with a constant that is computed";
/// Polars orders by the column of the result.
const RENAMED_ORDER: &str = "ORDER BY … LIMIT by a name that the SELECT gives to something else";

#[derive(Default)]
struct Walk {
    found: Vec<Finding>,
    /// EXISTS only asks whether there are rows: their columns need no names.
    unnamed: BTreeSet<String>,
    /// Positions where an EXISTS can be asked.
    asked: BTreeSet<(u64, u64)>,
    /// Positions where fractions of seconds are removed by a FLOOR around them.
    whole_seconds: BTreeSet<(u64, u64)>,
}

impl Walk {
    fn report(&mut self, at: &impl Spanned, construct: impl Into<String>, advice: &'static str) {
        self.report_on(at.span().start.line, construct, advice);
    }

    fn report_on(&mut self, line: u64, construct: impl Into<String>, advice: &'static str) {
        self.found.push(Finding { line: line.max(1), construct: construct.into(), advice, is_misread: false });
    }

    fn misread(&mut self, at: &impl Spanned, Misread { construct, advice }: Misread) {
        let line = at.span().start.line.max(1);
        self.found.push(Finding { line, construct: construct.to_owned(), advice, is_misread: true });
    }

    fn name(&mut self, name: &Ident) {
        let line = name.span.start.line;
        if name.quote_style == Some('"') {
            self.report_on(
                line,
                format!("`\"{}\"`", name.value),
                "Spark reads double quotes as text; write the name bare",
            );
        } else if name.quote_style.is_none() && name.value.chars().any(|letter| letter.is_ascii_uppercase()) {
            self.report_on(line, format!("`{}`", name.value), "write names in lower case");
        }
    }

    fn order(&mut self, order: &[OrderByExpr]) {
        for item in order.iter().filter(|item| item.options.nulls_first.is_none()) {
            self.report(item, "ORDER BY without NULLS", "add NULLS FIRST or NULLS LAST");
        }
    }

    fn item(&mut self, item: &SelectItem, is_unnamed: bool) {
        match item {
            SelectItem::ExprWithAlias { expr, alias } => {
                self.name(alias);
                if moves_a_date(expr) {
                    self.report(expr, "a date ± INTERVAL as a column", "wrap it: CAST(… AS DATE)");
                }
            }
            SelectItem::UnnamedExpr(Expr::Identifier(_) | Expr::CompoundIdentifier(_)) => {}
            SelectItem::UnnamedExpr(expr) if !is_unnamed => {
                self.report(expr, "a column without a name", "add AS …");
            }
            SelectItem::UnnamedExpr(_) => {}
            other if other.to_string().ends_with('*') => {}
            other => self.report(other, format!("`{other}`"), "name each column"),
        }
    }

    fn select(&mut self, select: &Select, is_unnamed: bool) {
        select.projection.iter().for_each(|item| self.item(item, is_unnamed));
        let names: Vec<_> = select.projection.iter().filter_map(name_of).collect();
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !seen.insert(name.as_str())) {
            self.report(select, format!("two columns called `{twice}`"), "give each its own name");
        }
        let odd = [
            (select.qualify.is_some(), "QUALIFY", "filter in a query around it"),
            (select.top.is_some(), "TOP", "write LIMIT with an ORDER BY"),
            (matches!(select.distinct, Some(Distinct::On(_))), "DISTINCT ON", "GROUP BY the columns"),
            (matches!(select.group_by, GroupByExpr::All(_)), "GROUP BY ALL", "name the columns"),
            (!select.lateral_views.is_empty(), "LATERAL VIEW", "join a query"),
        ];
        for (_, construct, advice) in odd.into_iter().filter(|(is_there, ..)| *is_there) {
            self.report(select, construct, advice);
        }
        for window in &select.named_window {
            if let NamedWindowExpr::WindowSpec(window) = &window.1 {
                self.order(&window.order_by);
            }
        }
        for it in aggregates::misread_windows(select) {
            self.misread(select, it);
        }
        self.asked.extend(subqueries::exists_of(select).iter().map(place_of));
        for join in select.from.iter().flat_map(|table| &table.joins) {
            self.join(&join.relation, &join.join_operator);
        }
    }

    fn join(&mut self, relation: &TableFactor, operator: &JoinOperator) {
        use JoinOperator::{CrossJoin, FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
        let (constraint, is_inner) = match operator {
            Join(constraint) | Inner(constraint) | CrossJoin(constraint) => (constraint, true),
            Left(constraint)
            | LeftOuter(constraint)
            | Right(constraint)
            | RightOuter(constraint)
            | FullOuter(constraint) => (constraint, false),
            _ => {
                return self.report(relation, "this kind of join", "LEFT JOIN … WHERE … IS NULL, EXISTS or NOT EXISTS");
            }
        };
        match constraint {
            JoinConstraint::Using(_) if !is_inner => {
                self.report(relation, "an outer join USING", "write ON, and COALESCE of both keys");
            }
            JoinConstraint::Natural => self.report(relation, "NATURAL JOIN", "write ON"),
            JoinConstraint::On(condition) => {
                for (condition, it) in joins::misread(condition, relation, is_inner) {
                    self.misread(condition, it);
                }
            }
            _ => {}
        }
    }

    fn function(&mut self, function: &Function) {
        let name = function.name.to_string().to_lowercase();
        let advice = match name.as_str() {
            "concat" => "engines differ on NULL; write || with COALESCE",
            "round" => "engines differ at .5; count in whole fen",
            "position" | "strpos" | "instr" => "engines differ on NULL; use LIKE",
            "mod" => "write a % b",
            "date_trunc" => "Polars' SQL has none; write CAST(… AS DATE) or EXTRACT",
            "if" | "iif" | "nvl" => "write CASE or COALESCE",
            "datediff" | "date_add" | "date_sub" => "compare with date ± INTERVAL",
            "first_value" | "last_value" if function.over.is_none() => "of which row? Write a window after OVER",
            _ if FUNCTIONS.contains(&name.as_str()) => {
                for it in aggregates::misread(function) {
                    self.misread(function, it);
                }
                return self.window(function);
            }
            _ => "it is not among the functions all engines have (jobs/rules/README.md)",
        };
        self.report(function, format!("{}()", name.to_uppercase()), advice);
    }

    fn substring(&mut self, expr: &Expr, start: Option<&Expr>) {
        let start = start.map(ToString::to_string).unwrap_or_default();
        if start == "0" || start.starts_with('-') {
            self.report(expr, format!("SUBSTR from {start}"), "count from 1");
        }
    }

    fn window(&mut self, function: &Function) {
        if let Some(WindowType::WindowSpec(window)) = &function.over {
            self.order(&window.order_by);
        }
    }

    fn operation(&mut self, expr: &Expr, left: &Expr, operator: &BinaryOperator, right: &Expr) {
        use BinaryOperator::{Divide, Minus, Modulo, Multiply, PGRegexMatch, Plus, Spaceship};
        match operator {
            Modulo if [left, right].into_iter().any(|it| !aggregates::varies(it) && !is_number(it)) => {
                self.misread(expr, Misread { construct: COMPUTED_REMAINDER, advice: "write the number itself" });
            }
            // Where the rule says DOUBLE, every engine counts in binary.
            Multiply | Plus | Minus
                if [left, right].into_iter().any(is_fraction) && !is_double(left) && !is_double(right) =>
            {
                self.report(expr, "arithmetic with a fraction", "some engines count it in binary: x * 11 > y * 10");
            }
            Divide if !is_double(left) && !is_double(right) => {
                self.report(expr, "a division", "multiply the other side instead, or CAST(… AS DOUBLE) inside FLOOR");
            }
            Minus if is_date(left) && is_date(right) => {
                self.report(expr, "date - date", "compare with date ± INTERVAL '…' DAY");
            }
            Spaceship => self.report(expr, "<=>", "write IS NOT DISTINCT FROM"),
            PGRegexMatch => self.report(expr, "~", "use LIKE"),
            BinaryOperator::MyIntegerDivide | BinaryOperator::DuckIntegerDivide => {
                self.report(expr, "an integer division", "write (a - a % n) / CAST(n AS DOUBLE) inside FLOOR");
            }
            _ => {}
        }
    }

    fn cast(&mut self, cast: &Expr, kind: &CastKind, expr: &Expr, to: &DataType) {
        match kind {
            CastKind::Cast => {}
            CastKind::DoubleColon => self.report(cast, "`::`", "write CAST(… AS …)"),
            CastKind::TryCast | CastKind::SafeCast => {
                self.report(cast, "TRY_CAST", "engines differ on what a number is; read it in the dataset");
            }
        }
        match to {
            DataType::String(_) if is_instant(expr) => {
                self.report(cast, "a time as text", "CAST(CAST(… AS DATE) AS STRING)");
            }
            DataType::String(_) if is_double(expr) => {
                self.report(cast, "a DOUBLE as text", "make it a BIGINT first");
            }
            DataType::Varchar(_) | DataType::Text | DataType::Char(_) | DataType::CharVarying(_) => {
                self.report(cast, format!("CAST … AS {to}"), "write AS STRING");
            }
            DataType::BigInt(_) | DataType::Int(_) | DataType::Integer(_) if is_double(expr) => {
                self.report(cast, "a DOUBLE as a whole number", "say how it is rounded: CAST(FLOOR(…) AS BIGINT)");
            }
            _ => {}
        }
    }

    fn value(&mut self, value: &ValueWithSpan) {
        match &value.value {
            Value::SingleQuotedString(text) if text.contains('\\') => {
                self.report(value, "a backslash in a text", "Spark reads an escape; leave it out");
            }
            Value::DoubleQuotedString(text) => {
                self.report(value, format!("`\"{text}\"`"), "write a text in single quotes");
            }
            Value::Placeholder(name) => self.report(value, format!("`{name}`"), "read the table `params`"),
            _ => {}
        }
    }
}

impl Visitor for Walk {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            self.report(query, "WITH RECURSIVE", "there is no portable way");
        }
        if query.fetch.is_some() {
            self.report(query, "FETCH", "write LIMIT");
        }
        match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(order)) => {
                self.order(order);
                if query.limit_clause.is_some() && order.iter().any(|it| is_renamed(&it.expr, &query.body)) {
                    self.misread(query, Misread { construct: RENAMED_ORDER, advice: "give one of them another name" });
                }
            }
            Some(OrderByKind::All(_)) => self.report(query, "ORDER BY ALL", "name the columns"),
            None if query.limit_clause.is_some() => self.report(query, "LIMIT without ORDER BY", "say which rows"),
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_unnamed = self.unnamed.contains(&select.to_string());
        self.select(select, is_unnamed);
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        relation.0.iter().filter_map(|part| part.as_ident()).for_each(|name| self.name(name));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<()> {
        let is_plain = match table {
            TableFactor::Table { args, .. } => args.is_none(),
            TableFactor::Derived { lateral, .. } => !lateral,
            TableFactor::NestedJoin { .. } => true,
            _ => false,
        };
        if !is_plain {
            self.report(table, "this kind of table", "join a query");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let is_asked = self.asked.contains(&place_of(expr));
        if let Some(it) = subqueries::misread(expr, is_asked) {
            self.misread(expr, it);
        }
        match expr {
            Expr::Identifier(name) => self.name(name),
            Expr::CompoundIdentifier(names) => names.iter().for_each(|name| self.name(name)),
            Expr::BinaryOp { left, op, right } => self.operation(expr, left, op, right),
            Expr::Cast { kind, expr: inner, data_type, .. } => self.cast(expr, kind, inner, data_type),
            Expr::Function(function) => self.function(function),
            Expr::Exists { subquery, .. } => {
                self.unnamed.insert(subquery.body.to_string());
            }
            Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => {
                self.report(expr, "IS NOT TRUE", "Polars drops the NULLs; write COALESCE(…, FALSE)");
            }
            Expr::IsDistinctFrom(_, second) | Expr::IsNotDistinctFrom(_, second) if joins_conditions(second) => {
                let advice = "write it in brackets: (a IS DISTINCT FROM b)";
                self.misread(expr, Misread { construct: OPEN_DISTINCT, advice });
            }
            Expr::InSubquery { negated: true, .. } => {
                self.report(expr, "NOT IN (SELECT …)", "a NULL among them hides every row; write NOT EXISTS");
            }
            Expr::Like { escape_char: Some(_), .. } | Expr::ILike { escape_char: Some(_), .. } => {
                self.report(expr, "LIKE … ESCAPE", "choose a pattern that needs none");
            }
            Expr::RLike { .. } | Expr::SimilarTo { .. } => self.report(expr, "a regular expression", "use LIKE"),
            Expr::Substring { substring_from, .. } => self.substring(expr, substring_from.as_deref()),
            Expr::Position { .. } => self.report(expr, "POSITION", "engines differ on NULL; use LIKE"),
            Expr::Tuple(_) => self.report(expr, "a tuple", "compare column by column"),
            Expr::Floor { expr: inner, .. } => self.whole_seconds.extend(seconds_in(inner).map(place_of)),
            Expr::Extract { field: DateTimeField::Second, .. } if self.whole_seconds.contains(&place_of(expr)) => {}
            Expr::Extract { field: DateTimeField::Second, .. } => {
                self.report(
                    expr,
                    "EXTRACT(SECOND)",
                    "some engines give the fraction: FLOOR(CAST(EXTRACT(…) AS DOUBLE))",
                );
            }
            Expr::Extract { field, .. } if !is_portable_field(field) => {
                self.report(
                    expr,
                    format!("EXTRACT({field})"),
                    "YEAR, MONTH, DAY, HOUR, MINUTE and WEEK are read alike",
                );
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        self.value(value);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rules;
    use super::*;

    fn told(sql: &str) -> Vec<String> {
        findings(sql).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_rules_and_views_of_this_project_are_portable() {
        let rules = Rules::built_in();
        let rules_sql = rules.iter().map(|rule| (rule.id.clone(), rule.sql.as_str()));
        let views_sql = rules.views().map(|(name, sql)| (name.to_owned(), sql));
        for (name, sql) in rules_sql.chain(views_sql) {
            assert_eq!(told(sql), Vec::<String>::new(), "{name}");
        }
    }

    /// Reference portable-sql §7.3, row by row, and the exclusions of §7.4.
    #[test]
    fn every_construct_that_engines_read_differently_is_named() {
        let constructs = [
            ("SELECT a.k AS k FROM a FULL JOIN b USING (k)", "an outer join USING"),
            ("SELECT a.paid_date - a.dt AS days FROM a", "date - date"),
            ("SELECT a.x / 2 AS half FROM a", "a division"),
            ("SELECT CAST(CAST(a.x AS DOUBLE) * 2 AS BIGINT) AS n FROM a", "a DOUBLE as a whole number"),
            ("SELECT ROUND(a.x) AS n FROM a", "ROUND()"),
            ("SELECT a.x AS x FROM a ORDER BY a.x", "ORDER BY without NULLS"),
            ("SELECT ROW_NUMBER() OVER (PARTITION BY a.k ORDER BY a.x) AS n FROM a", "ORDER BY without NULLS"),
            ("SELECT LEAD(a.x) OVER w AS n FROM a WINDOW w AS (ORDER BY a.x)", "ORDER BY without NULLS"),
            ("SELECT CONCAT(a.x, 'b') AS s FROM a", "CONCAT()"),
            ("SELECT STRPOS(a.x, 'b') AS s FROM a", "STRPOS()"),
            ("SELECT a.x AS x FROM a WHERE (a.x > 1) IS NOT TRUE", "IS NOT TRUE"),
            (r"SELECT 'a\nb' AS s FROM a", "a backslash in a text"),
            ("SELECT \"x\" AS x FROM a", "`\"x\"`"),
            ("SELECT SUBSTR(a.x, 0, 2) AS s FROM a", "SUBSTR from 0"),
            ("SELECT SUBSTR(a.x, -2, 2) AS s FROM a", "SUBSTR from -2"),
            ("SELECT EXTRACT(DOW FROM a.dt) AS d FROM a", "EXTRACT(DOW)"),
            ("SELECT EXTRACT(SECOND FROM a.paid_at) AS d FROM a", "EXTRACT(SECOND)"),
            (
                "SELECT FLOOR(CAST(EXTRACT(SECOND FROM a.t) AS DOUBLE)) + EXTRACT(SECOND FROM a.t) AS d FROM a",
                "EXTRACT(SECOND)",
            ),
            ("SELECT TRY_CAST(a.x AS BIGINT) AS n FROM a", "TRY_CAST"),
            ("SELECT CAST(a.paid_at AS STRING) AS s FROM a", "a time as text"),
            ("SELECT a.dt + INTERVAL '1' DAY AS d FROM a", "a date ± INTERVAL as a column"),
            ("SELECT COUNT(*) FROM a", "a column without a name"),
            ("SELECT a.id AS id, b.id AS id FROM a JOIN b ON a.k = b.k", "two columns called `id`"),
            ("SELECT a.x AS x FROM a LEFT ANTI JOIN b ON a.k = b.k", "this kind of join"),
            ("SELECT CAST(a.x AS VARCHAR) AS s FROM a", "CAST … AS VARCHAR"),
            ("SELECT a.x::BIGINT AS n FROM a", "`::`"),
            ("SELECT a.x AS x FROM a WHERE a.k NOT IN (SELECT b.k AS k FROM b)", "NOT IN (SELECT …)"),
            ("SELECT a.x AS x FROM a WHERE REGEXP_LIKE(a.x, '^b')", "REGEXP_LIKE()"),
            ("SELECT DATEDIFF(a.dt, a.paid_date) AS n FROM a", "DATEDIFF()"),
            ("SELECT a.x AS x FROM a LIMIT 3", "LIMIT without ORDER BY"),
            ("SELECT * EXCEPT (x) FROM a", "`* EXCEPT (x)`"),
            ("SELECT a.X AS x FROM a", "`X`"),
            ("SELECT a.x AS x FROM a WHERE a.k = ?", "`?`"),
            ("SELECT a.x AS x FROM a NATURAL JOIN b", "NATURAL JOIN"),
            ("SELECT a.x AS x FROM a LEFT JOIN b ON b.k = a.k AND b.dt > a.dt", joins::COMPARING_OUTER_JOIN),
            (
                "SELECT a.x AS x FROM a LEFT JOIN b ON b.k = a.k AND (b.n = a.n AND b.x <> 1)",
                joins::COMPARING_OUTER_JOIN,
            ),
            ("SELECT a.x AS x FROM a FULL JOIN b ON b.dt <= a.dt", joins::COMPARING_OUTER_JOIN),
            ("SELECT a.x AS x FROM a LEFT JOIN b ON b.k = a.k AND b.s = 'x'", joins::ONE_SIDED_EQUALITY),
            ("SELECT a.x AS x FROM a JOIN b ON (b.k = a.k AND 'x' = a.s)", joins::ONE_SIDED_EQUALITY),
            (
                "SELECT a.x AS x FROM a JOIN (SELECT c.k AS k FROM c) b ON b.k = a.k AND b.s = b.t",
                joins::ONE_SIDED_EQUALITY,
            ),
            ("SELECT a.x AS x FROM a LEFT JOIN b ON b.k = a.k AND a.s = a.t", joins::ONE_SIDED_EQUALITY),
            ("SELECT a.k AS k, COUNT(*) AS n FROM a GROUP BY ALL", "GROUP BY ALL"),
            ("SELECT a.x AS x FROM a WHERE a.x IS DISTINCT FROM a.y AND a.k = 1", OPEN_DISTINCT),
            ("SELECT a.x AS x FROM a WHERE a.x IS NOT DISTINCT FROM a.y OR a.k = 1", OPEN_DISTINCT),
            ("SELECT a.k AS k, SUM(CASE WHEN 1 = 1 THEN 2 END) AS n FROM a GROUP BY a.k", aggregates::CONSTANT_SUM),
            ("SELECT SUM(a.x) OVER (ORDER BY a.k NULLS LAST) AS n FROM a", aggregates::RUNNING_TOTAL),
            (
                "SELECT COUNT(*) OVER (ORDER BY a.k NULLS LAST RANGE UNBOUNDED PRECEDING) AS n FROM a",
                aggregates::RUNNING_TOTAL,
            ),
            (
                "SELECT AVG(a.x) OVER (ORDER BY a.k NULLS LAST ROWS UNBOUNDED PRECEDING) AS n FROM a",
                aggregates::RUNNING_OTHER,
            ),
            ("SELECT MIN(a.x) OVER w AS n FROM a WINDOW w AS (ORDER BY a.k NULLS LAST)", aggregates::NAMED_WINDOW),
            ("SELECT RANK() OVER (ORDER BY a.k NULLS LAST, a.x NULLS FIRST) AS n FROM a", aggregates::GREATEST_NULLS),
            (
                "SELECT LAG(a.x) OVER (ORDER BY a.k DESC NULLS LAST, a.x DESC NULLS FIRST) AS n FROM a",
                aggregates::GREATEST_NULLS,
            ),
            (
                "SELECT RANK() OVER w AS n FROM a WINDOW w AS (ORDER BY a.k NULLS LAST, a.x NULLS LAST)",
                aggregates::GREATEST_NULLS,
            ),
            ("SELECT a.k AS k, SUM(COUNT(*)) OVER () AS n FROM a GROUP BY a.k", aggregates::AGGREGATE_IN_WINDOW),
            ("SELECT COUNT(CASE WHEN 1 = 1 THEN 2 END) AS n FROM a", aggregates::CONSTANT_AGGREGATE),
            ("SELECT MAX(5) AS n FROM a", aggregates::CONSTANT_AGGREGATE),
            (
                "SELECT LAST_VALUE(a.x) OVER (ORDER BY a.k NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS x FROM a",
                aggregates::OTHER_FRAME,
            ),
            (
                "SELECT ROW_NUMBER() OVER (w ORDER BY a.k NULLS LAST) AS n FROM a WINDOW w AS (PARTITION BY a.x)",
                aggregates::EXTENDED_WINDOW,
            ),
            (
                "SELECT COUNT(DISTINCT a.x) OVER (ORDER BY a.k NULLS LAST ROWS UNBOUNDED PRECEDING) AS n FROM a",
                aggregates::RUNNING_DISTINCT,
            ),
            ("SELECT a.k AS k, COUNT(*) OVER () AS n FROM a GROUP BY a.k", aggregates::GROUPED_WINDOW),
            ("SELECT a.x % (3 + 4) AS n FROM a", COMPUTED_REMAINDER),
            ("SELECT a.k || 'x' AS k FROM a ORDER BY a.k NULLS LAST LIMIT 3", RENAMED_ORDER),
            ("SELECT 0 - a.x AS x FROM a ORDER BY a.x * 2 NULLS LAST LIMIT 3", RENAMED_ORDER),
            ("SELECT b.x AS x, a.x AS y FROM a JOIN b ON b.k = a.k ORDER BY a.x NULLS LAST LIMIT 3", RENAMED_ORDER),
            ("SELECT a.x AS x FROM a WHERE a.x * 1.1 > a.y", "arithmetic with a fraction"),
            (
                "SELECT a.x AS x FROM a WHERE EXISTS (SELECT MAX(b.x) AS x FROM b WHERE b.k = a.k)",
                subqueries::COMPARING_EXISTS,
            ),
            ("SELECT a.k AS k, FIRST_VALUE(a.x) AS x FROM a GROUP BY a.k", "FIRST_VALUE()"),
            ("SELECT DATE_TRUNC('day', a.paid_at) AS d FROM a", "DATE_TRUNC()"),
            ("SELECT EXISTS (SELECT 1 FROM b WHERE b.k = a.k) AS e FROM a", subqueries::EXISTS_ELSEWHERE),
            (
                "SELECT * FROM a JOIN c ON c.k = a.k WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k)",
                subqueries::EXISTS_ELSEWHERE,
            ),
            (
                "SELECT a.x AS x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.x > a.x)",
                subqueries::COMPARING_EXISTS,
            ),
            ("SELECT a.x AS x FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.x = 1)", subqueries::COMPARING_EXISTS),
            ("SELECT a.x AS x FROM a WHERE a.x > (SELECT MAX(b.x) AS x FROM b)", subqueries::SINGLE_VALUE),
            ("SELECT a.x AS x FROM a WHERE a.x IN (a.y, 5)", subqueries::LIST_OF_COLUMNS),
            ("SELECT a.x AS x FROM a WHERE a.x IN (SELECT b.x AS x FROM b WHERE b.k = a.k)", subqueries::CORRELATED_IN),
        ];
        for (sql, construct) in constructs {
            let found = findings(sql);
            assert!(found.iter().any(|it| it.construct == construct), "{sql}: {found:?}");
        }
    }

    #[test]
    fn what_the_engine_would_misread_is_told_from_what_only_others_read_otherwise() {
        let is_misread = |sql: &str| findings(sql).iter().any(|it| it.is_misread);
        assert!(is_misread("SELECT SUM(1) AS n FROM a"));
        assert!(is_misread("SELECT a.x AS x FROM a WHERE a.x IS DISTINCT FROM a.y AND a.k = 1"));
        assert!(is_misread("SELECT a.x % (3 + 4) AS n FROM a"));
        assert!(is_misread("SELECT a.k || 'x' AS k FROM a ORDER BY a.k NULLS LAST LIMIT 3"));
        assert!(!is_misread("SELECT a.x / 2 AS half FROM a"));
    }

    #[test]
    fn what_all_engines_read_alike_passes() {
        let sql = "SELECT a.k AS k, COUNT(*) AS n, SUM(CASE WHEN a.x > 0 THEN a.x ELSE 0 END) AS fen,\n\
                   CAST(FLOOR(CAST(SUM(a.x) * 85 + 50 AS DOUBLE) / 100) AS BIGINT) AS due_fen,\n\
                   CAST(MAX(a.paid_at) + INTERVAL '8' HOUR AS DATE) AS paid_date,\n\
                   MAX(a.so_far_fen) AS so_far_fen, MAX(a.place) AS place\n\
                   FROM (SELECT c.*, SUM(c.x) OVER (PARTITION BY c.k ORDER BY c.k NULLS LAST ROWS UNBOUNDED PRECEDING) AS so_far_fen,\n\
                   RANK() OVER (ORDER BY c.k DESC NULLS LAST, c.x DESC NULLS LAST) AS place FROM c) a\n\
                   JOIN d ON d.k = a.k AND d.dt > a.dt - INTERVAL '2' DAY\n\
                   LEFT JOIN b ON b.k = a.k AND (a.kind = 'x' AND 'y' = b.kind) AND b.x = CASE WHEN a.y > 0 THEN 1 END\n\
                   WHERE b.k IS NULL AND (a.x IS DISTINCT FROM a.y) AND (a.z = 1 OR EXISTS (SELECT 1 FROM c WHERE c.k = b.k AND c.x > 1)) AND a.s LIKE 'VIP-%'\n\
                   GROUP BY a.k HAVING COUNT(*) > 1 ORDER BY n DESC NULLS LAST";
        assert_eq!(told(sql), Vec::<String>::new());
    }

    #[test]
    fn an_order_by_what_is_shown_passes() {
        for order in ["a.x", "x", "a.y * 2", "a.k", "x * 2"] {
            let sql = format!("SELECT a.x AS x, a.k AS key FROM a ORDER BY {order} NULLS LAST LIMIT 3");
            assert_eq!(told(&sql), Vec::<String>::new(), "{order}");
        }
    }

    #[test]
    fn a_finding_has_its_line_and_an_advice() {
        let told = told("-- id: X\nSELECT a.x AS x,\n       a.x / 2 AS half\nFROM a");
        assert_eq!(
            told,
            ["line 3: a division is not portable: multiply the other side instead, or CAST(… AS DOUBLE) inside FLOOR"]
        );
    }
}
