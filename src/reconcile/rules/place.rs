//! Locates the error of an engine in a rule file. Engines give a line for what they cannot parse, but
//! only the word for an unknown name.

use std::sync::LazyLock;

use regex::Regex;

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
}
