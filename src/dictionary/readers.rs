//! Which rule reads which column, derived from the SQL itself so that it cannot be out of date. Matches names instead of
//! parsing: a query reads a column when it names both the relation and the column.

use std::collections::{BTreeMap, BTreeSet};

use crate::reconcile::rules::Rules;

/// The words of each query, by name: rules as `AO01`, shared views as `order_totals`.
pub(super) struct Readers {
    rules: BTreeMap<String, BTreeSet<String>>,
    views: BTreeMap<String, BTreeSet<String>>,
}

impl Readers {
    /// The queries of the built-in rules.
    pub(super) fn of(rules: &Rules) -> Readers {
        Readers {
            rules: rules.iter().map(|rule| (rule.id.clone(), words(&rule.sql))).collect(),
            views: rules.views().map(|(name, sql)| (name.to_owned(), words(sql))).collect(),
        }
    }

    /// The rules, then the views, that read a column of a dataset.
    pub(super) fn of_column(&self, dataset: &str, column: &str) -> (Vec<&str>, Vec<&str>) {
        let mut relations = vec![dataset.to_owned(), format!("{dataset}_history")];
        let passing: Vec<_> = self.views.iter().filter(|(_, words)| passes_on(words, &relations)).collect();
        relations.extend(passing.into_iter().map(|(name, _)| name.clone()));
        let reads = |words: &BTreeSet<String>| words.contains(column) && names_any(words, &relations);
        (named(&self.rules, reads), named(&self.views, reads))
    }

    /// The shared views, with the rules that read them, directly or through another view.
    pub(super) fn of_views(&self) -> impl Iterator<Item = (&str, Vec<&str>)> {
        self.views.keys().map(|view| (view.as_str(), named(&self.rules, |words| self.reaches(words, view))))
    }

    /// Whether a query reads `view`, directly or through others.
    fn reaches(&self, words: &BTreeSet<String>, view: &str) -> bool {
        let (mut seen, mut open) = (BTreeSet::new(), vec![words]);
        while let Some(words) = open.pop() {
            if words.contains(view) {
                return true;
            }
            open.extend(
                self.views.iter().filter(|(name, _)| words.contains(*name) && seen.insert(*name)).map(|it| it.1),
            );
        }
        false
    }
}

/// Whether a query returns all columns of one of the relations, as `l.*` does.
fn passes_on(words: &BTreeSet<String>, relations: &[String]) -> bool {
    words.contains("*") && names_any(words, relations)
}

fn names_any(words: &BTreeSet<String>, relations: &[String]) -> bool {
    relations.iter().any(|relation| words.contains(relation))
}

fn named(queries: &BTreeMap<String, BTreeSet<String>>, reads: impl Fn(&BTreeSet<String>) -> bool) -> Vec<&str> {
    queries.iter().filter(|(_, words)| reads(words)).map(|(name, _)| name.as_str()).collect()
}

/// The names in a query, and `*` where it selects all columns. Comments and string literals are ignored.
fn words(sql: &str) -> BTreeSet<String> {
    let code: String = sql.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
    let outside_quotes: String = code.split('\'').step_by(2).collect::<Vec<_>>().join(" ");
    let mut words: BTreeSet<_> = outside_quotes
        .split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    if outside_quotes.contains(".*") {
        words.insert("*".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers() -> Readers {
        Readers::of(&Rules::built_in())
    }

    #[test]
    fn names_in_comments_and_texts_are_not_read() {
        let sql = "-- inputs: orders\nSELECT l.a AS a, 'paid ' || b AS why FROM payments l";
        assert!(words(sql).contains("payments") && words(sql).contains("b"));
        assert!(!words(sql).contains("orders") && !words(sql).contains("paid"));
    }

    #[test]
    fn a_rule_reads_the_ledger_through_the_view_that_passes_it_on() {
        let readers = readers();
        assert!(readers.of_column("coupon_ledger", "subsidy_live_fen").0.contains(&"SU02"));
        assert!(!readers.of_column("coupon_ledger", "subsidy_live_fen").0.contains(&"ST02"));
        assert_eq!(readers.of_column("stocks", "max_coupons").0, ["ST02"]);
        assert!(readers.of_column("orders", "goods_fen").1.contains(&"order_lines"));
    }

    #[test]
    fn every_view_has_a_rule_and_every_rule_reads_something() {
        let readers = readers();
        for (view, rules) in readers.of_views() {
            assert!(!rules.is_empty(), "{view} is read by no rule");
        }
        for (rule, words) in &readers.rules {
            let history = |dataset: &str| words.contains(&format!("{dataset}_history"));
            let datasets = crate::contract::all().any(|it| words.contains(&it.name) || history(&it.name));
            assert!(datasets || readers.views.keys().any(|view| words.contains(view)), "{rule}");
        }
    }
}
