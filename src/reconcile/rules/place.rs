//! Locates the error of an engine in a rule file. Engines give a line for what they cannot parse, but
//! only the word for an unknown name, and neither for a condition that compares what cannot be compared.

use std::sync::LazyLock;

use regex::Regex;
use sqlparser::ast::{BinaryOperator, Expr, Query, SetExpr, Spanned, Statement};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

/// A query by each condition of its WHERE on its own.
pub(in crate::reconcile) struct Conditions {
    /// The query without any.
    pub(in crate::reconcile) without: String,
    /// Line and query of each.
    pub(in crate::reconcile) alone: Vec<(usize, String)>,
}

/// The conditions of a query that is one SELECT; `None` without a WHERE.
pub(in crate::reconcile) fn conditions_of(sql: &str) -> Option<Conditions> {
    let statements = Parser::parse_sql(&GenericDialect {}, sql).ok()?;
    let [Statement::Query(query)] = statements.as_slice() else { return None };
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let mut conditions = Vec::new();
    split(select.selection.as_ref()?, &mut conditions);
    let alone = conditions.into_iter().map(|it| (it.span().start.line as usize, with_where(query, Some(it))));
    Some(Conditions { without: with_where(query, None), alone: alone.filter(|(line, _)| *line > 0).collect() })
}

fn split<'e>(condition: &'e Expr, conditions: &mut Vec<&'e Expr>) {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            split(left, conditions);
            split(right, conditions);
        }
        condition => conditions.push(condition),
    }
}

fn with_where(query: &Query, condition: Option<&Expr>) -> String {
    let mut query = query.clone();
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = condition.cloned();
    }
    query.to_string()
}

/// The line of `sql`, 1-based, that an engine's message refers to.
pub(in crate::reconcile) fn line_of(sql: &str, message: &str) -> Option<usize> {
    static LINE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"Line: (\d+)").expect("well-formed"));
    static WORD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"["'`]([A-Za-z_]\w*)["'`]"#).expect("well-formed"));
    if let Some(line) = LINE.captures(message) {
        return line[1].parse().ok();
    }
    let mut words = WORD.captures_iter(message).map(|word| word.get(1).expect("the group is not optional").as_str());
    words.find_map(|word| line_with(sql, word))
}

fn line_with(sql: &str, word: &str) -> Option<usize> {
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let has_word = |line: &str| !line.starts_with("--") && line.split(|c| !is_of_name(c)).any(|it| it == word);
    sql.lines().position(has_word).map(|index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = "-- row: colour\nSELECT stock_id AS stock_id,\n       s.colour AS why\nFROM stocks s\n";

    #[test]
    fn a_line_the_engine_names_is_believed_and_a_word_is_looked_for_outside_comments() {
        assert_eq!(line_of(SQL, "sql parser error: Expected: FROM, found: x at Line: 4, Column: 2"), Some(4));
        assert_eq!(line_of(SQL, "unable to find column \"colour\"; valid columns: [\"stock_id\"]"), Some(3));
        assert_eq!(line_of(SQL, "something else"), None);
    }

    #[test]
    fn conditions_are_told_apart_with_their_lines() {
        let sql = "-- row: x\nSELECT s.a AS a\nFROM stocks s\nWHERE s.a > 1\n  AND (s.b = 2 OR s.c = 3)\n  AND s.d\n    IN (4)\n";
        let Conditions { without, alone } = conditions_of(sql).unwrap();
        assert_eq!(without, "SELECT s.a AS a FROM stocks s");
        let told: Vec<_> = alone.iter().map(|(line, query)| (*line, query.strip_prefix(&without).unwrap())).collect();
        assert_eq!(told, [(4, " WHERE s.a > 1"), (5, " WHERE (s.b = 2 OR s.c = 3)"), (6, " WHERE s.d IN (4)")]);
        assert!(conditions_of(SQL).is_none());
    }
}
