//! The digest of a night as a message for a chat robot: WeCom's markdown, within its size limit.
//! Figures, rules and causes only; no coupon, order or person. Whether a message is sent depends on the
//! last one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dataset::status::RunStatus;
use crate::job::Language;
use crate::quantity::counted;
use crate::reconcile::{BreakFigures, BreakTally};

/// Maximum size of a markdown message.
const LONGEST_BYTES: usize = 4096;
/// Maximum number of causes.
const TOLD_CAUSES: usize = 3;
/// Maximum length of a cause, in characters.
const LONGEST_CAUSE: usize = 200;

/// The content of a message.
#[derive(Debug)]
pub struct Digest<'a> {
    /// `job.name`.
    pub job: &'a str,
    /// Business date.
    pub date: NaiveDate,
    /// `complete`, `partial` or `failed`.
    pub status: RunStatus,
    /// Exit code.
    pub exit_code: i32,
    /// Breaks of the day; `None` when no rules were run.
    pub breaks: Option<&'a BreakFigures>,
    /// Why the night is incomplete.
    pub causes: &'a [String],
    /// Titles of the rules in the language of the message, by id.
    pub titles: &'a BTreeMap<String, String>,
    /// Language of the message.
    pub language: Language,
}

/// What the robot was last told; kept in the lake's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    date: NaiveDate,
    status: RunStatus,
    exit_code: i32,
    /// SHA-256 over the ids of the open breaks; kept over nights without judged rules.
    open_sha256: Option<String>,
}

impl Digest<'_> {
    /// The state to store when this message is sent; `None` if there is no news: neither open breaks
    /// nor status changed, or the night is older than the last one reported.
    pub fn news(&self, last: Option<&Told>) -> Option<Told> {
        let open_sha256 =
            self.breaks.map(BreakFigures::open_sha256).or_else(|| last.and_then(|last| last.open_sha256.clone()));
        let told = Told { date: self.date, status: self.status, exit_code: self.exit_code, open_sha256 };
        // A successful run of some stages without rules is no news.
        if self.breaks.is_none() && self.exit_code == 0 {
            return None;
        }
        match last {
            Some(last) if last.date > self.date => None,
            Some(last) if Told { date: told.date, ..last.clone() } == told => None,
            _ => Some(told),
        }
    }

    /// The body to post.
    pub fn body(&self) -> Value {
        json!({"msgtype": "markdown", "markdown": {"content": self.content()}})
    }

    fn content(&self) -> String {
        let mut lines = vec![self.headline()];
        lines.extend(self.breaks.map(|breaks| self.totals(breaks)));
        let causes = self.causes.iter().take(TOLD_CAUSES).map(|cause| format!("> {}", shortened(cause)));
        lines.extend(causes);
        let rules = self.breaks.map(|breaks| self.rules(breaks)).unwrap_or_default();
        let mut text = lines.join("\n");
        for (index, rule) in rules.iter().enumerate() {
            let rest = rules.len() - index;
            let others = counted(rest, "more rule", "more rules");
            let more = self.pick(&format!("\n…另有 {rest} 条规则"), &format!("\n… and {others}"));
            if text.len() + 1 + rule.len() + more.len() > LONGEST_BYTES {
                return text + &more;
            }
            text = format!("{text}\n{rule}");
        }
        text
    }

    fn headline(&self) -> String {
        let (colour, status) = match self.status {
            RunStatus::Complete => ("info", self.pick("完成", "complete")),
            RunStatus::Partial => ("warning", self.pick("部分完成", "partial")),
            RunStatus::Failed => ("warning", self.pick("失败", "failed")),
        };
        let code = if self.exit_code == 0 { String::new() } else { format!(" ({})", self.exit_code) };
        format!("**{}** {} <font color=\"{colour}\">{status}{code}</font>", self.job, self.date)
    }

    fn totals(&self, breaks: &BreakFigures) -> String {
        let BreakTally { rows: all, at_risk_fen: fen } = breaks.open();
        let new = breaks.tally(|kind| kind.status.is_news()).rows;
        let resolved = breaks.tally(|kind| kind.is_resolved_tonight).rows;
        let breaks = counted(all, "open break", "open breaks");
        self.pick(
            &format!("未解决差异 {all} 笔，风险金额 {fen} 元（新增 {new}，已解决 {resolved}）"),
            &format!("{breaks}, {fen} yuan at risk ({new} new, {resolved} resolved)"),
        )
    }

    /// One line per rule, most money first.
    fn rules(&self, breaks: &BreakFigures) -> Vec<String> {
        let mut rules: BTreeMap<&str, BreakTally> = BTreeMap::new();
        for (kind, tally) in breaks.open_kinds() {
            let rule = rules.entry(&kind.rule_id).or_default();
            *rule = rule.plus(tally);
        }
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|(rule, open)| (Reverse(open.at_risk_fen), *rule));
        let line = |(rule, BreakTally { rows: count, at_risk_fen: yuan }): (&str, BreakTally)| {
            let title = self.titles.get(rule).map_or("", String::as_str);
            self.pick(
                &format!("> {rule} {title}：{count} 笔，{yuan} 元"),
                &format!("> {rule} {title}: {count}, {yuan} yuan"),
            )
        };
        rules.into_iter().map(line).collect()
    }

    fn pick(&self, zh: &str, en: &str) -> String {
        self.language.pick(zh, en).to_owned()
    }
}

/// One line, truncated, without characters that markdown interprets.
fn shortened(cause: &str) -> String {
    let plain: String = cause.chars().map(|c| if c.is_control() || matches!(c, '<' | '>') { ' ' } else { c }).collect();
    match plain.char_indices().nth(LONGEST_CAUSE) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Fen;
    use crate::record::{Break, BreakStatus};

    fn open_break(rule_id: &str, age_days: i64, at_risk: i64, status: &str) -> Break {
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        Break {
            break_id: format!("{rule_id}-{age_days}"),
            status: BreakStatus::of(status),
            age_days,
            at_risk_fen: Fen(at_risk),
            ..Break::for_tests(rule_id, date)
        }
    }

    fn digest<'a>(breaks: Option<&'a BreakFigures>, titles: &'a BTreeMap<String, String>, code: i32) -> Digest<'a> {
        let status = if code == 0 { RunStatus::Complete } else { RunStatus::Failed };
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        Digest { job: "coffee", date, status, exit_code: code, breaks, causes: &[], titles, language: Language::Zh }
    }

    #[test]
    fn only_a_change_of_breaks_or_status_is_news() {
        let titles = BTreeMap::new();
        let one = [open_break("AO01", 2, 500, "open")];
        let breaks = BreakFigures::of(&one);
        let first = digest(Some(&breaks), &titles, 0).news(None).unwrap();
        let later = Digest { date: first.date.succ_opt().unwrap(), ..digest(Some(&breaks), &titles, 0) };
        assert_eq!(later.news(Some(&first)), None, "the same breaks on the next night");
        let [open] = one;
        let more = BreakFigures::of(&[open, open_break("SU01", 0, 100, "new")]);
        assert!(digest(Some(&more), &titles, 0).news(Some(&first)).is_some());
        assert!(digest(Some(&BreakFigures::default()), &titles, 0).news(Some(&first)).is_some());
        let older = Digest { date: first.date.pred_opt().unwrap(), ..digest(Some(&more), &titles, 0) };
        assert_eq!(older.news(Some(&first)), None, "a backfill of older days is quiet");
        assert_eq!(digest(None, &titles, 0).news(Some(&first)), None, "a group of stages is no news");
        let failed = digest(None, &titles, 69).news(Some(&first)).unwrap();
        assert_eq!(digest(None, &titles, 69).news(Some(&failed)), None, "still failing in the same way");
        assert!(digest(Some(&breaks), &titles, 0).news(Some(&failed)).is_some(), "well again");
    }

    #[test]
    fn a_message_stays_within_the_size_of_the_robot_whatever_there_is_to_tell() {
        let rules: Vec<String> = (0..300).map(|number| format!("X{number:03}")).collect();
        let titles: BTreeMap<_, _> = rules.iter().map(|rule| (rule.clone(), "很长的规则名称".repeat(4))).collect();
        let breaks: Vec<_> = rules.iter().map(|rule| open_break(rule, 1, 12_345, "new")).collect();
        let breaks = BreakFigures::of(&breaks);
        let causes = vec!["原因 <b>\n".repeat(500), "other".into()];
        let message = Digest { causes: &causes, ..digest(Some(&breaks), &titles, 4) };
        let content = message.content();
        assert!(content.len() <= LONGEST_BYTES, "{}", content.len());
        assert!(content.contains("…另有 ") && content.contains("未解决差异 300 笔，风险金额 37035.00 元"), "{content}");
        assert!(!content.contains("<b>"), "{content}");
    }

    #[test]
    fn the_rule_with_most_money_comes_first() {
        let titles = BTreeMap::from([("SU01".to_owned(), "补差缺失".to_owned())]);
        let breaks = BreakFigures::of(&[open_break("AO01", 2, 500, "open"), open_break("SU01", 0, 700, "new")]);
        let lines = digest(Some(&breaks), &titles, 0).content();
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!(lines[0], "**coffee** 2026-11-20 <font color=\"info\">完成</font>");
        assert_eq!(lines[2..], ["> SU01 补差缺失：1 笔，7.00 元", "> AO01 ：1 笔，5.00 元"]);
    }
}
