//! Parses and checks the comment header of a rule file.

use super::error::RuleError;
use super::tables;
use super::wording::Wording;
use crate::contract;
use crate::record::{Break, LedgerRow, Record, Severity};

/// A rule, as described in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `AO01`.
    pub id: String,
    /// `used_coupon_without_order`: the file name after the id.
    pub name: String,
    /// File it came from.
    pub file: String,
    /// English title.
    pub title: String,
    /// 中文标题.
    pub title_zh: String,
    /// Severity.
    pub severity: Severity,
    /// Who should act.
    pub side: String,
    /// The key, in header order.
    pub keys: Vec<Key>,
    /// The datasets it depends on.
    pub inputs: Vec<Input>,
    /// What to do about a break.
    pub action: String,
    /// The same in Chinese; empty if the file has none.
    pub action_zh: String,
    /// The meaning of a row.
    pub row: String,
    /// Its sentences in both languages; empty if the file has none.
    pub wordings: Vec<Wording>,
    /// The whole file.
    pub sql: String,
}

/// A part of a rule's key (design §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `c`: stock_id, coupon_code.
    Coupon,
    /// `o`: out_trade_no.
    Order,
    /// `t`: transaction_id.
    Transaction,
    /// `s`: out_subsidy_no.
    Subsidy,
    /// `k`: stock_id.
    Stock,
    /// `u`: openid.
    User,
    /// `d`: card_id, ref_date, subject.
    DatacubeFigure,
}

/// A dataset that a rule depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Name of the dataset.
    pub dataset: String,
    /// Written with `?`: the rule is judged even if the job has no such source.
    pub optional: bool,
}

impl Key {
    fn of(letter: &str) -> Option<Key> {
        Some(match letter {
            "c" => Key::Coupon,
            "o" => Key::Order,
            "t" => Key::Transaction,
            "s" => Key::Subsidy,
            "k" => Key::Stock,
            "u" => Key::User,
            "d" => Key::DatacubeFigure,
            _ => return None,
        })
    }

    /// The columns of the break for this part of the key.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Key::Coupon => &["stock_id", "coupon_code"],
            Key::Order => &["out_trade_no"],
            Key::Transaction => &["transaction_id"],
            Key::Subsidy => &["out_subsidy_no"],
            Key::Stock => &["stock_id"],
            Key::User => &["openid"],
            Key::DatacubeFigure => &["card_id", "ref_date", "subject"],
        }
    }
}

impl Rule {
    /// Whether a column belongs to the rule's key.
    pub fn has_key(&self, column: &str) -> bool {
        self.keys.iter().any(|key| key.columns().contains(&column))
    }

    /// Whether it is about stocks: about their state on a night, not about an event on a day.
    pub fn is_of_stocks(&self) -> bool {
        self.keys.contains(&Key::Stock)
    }

    /// Its sentence in Chinese, if the header has it.
    pub fn why_in_chinese(&self, why: &str) -> Option<String> {
        self.wordings.iter().find_map(|wording| wording.in_chinese(why))
    }

    /// The names of the datasets it depends on.
    pub fn datasets(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|input| input.dataset.as_str())
    }
}

/// Parses `<ID>_<name>.sql`.
pub(super) fn parse(file: &str, sql: &str) -> Result<Rule, RuleError> {
    let header = Header { file, sql, lines: header_lines(sql) };
    let id = header.text("id")?;
    let name = file.strip_suffix(".sql").and_then(|stem| stem.strip_prefix(&format!("{id}_")));
    let name =
        name.ok_or_else(|| header.wrong(format!("id `{id}` does not begin the file's name `<ID>_<name>.sql`")))?;
    Ok(Rule {
        name: name.to_owned(),
        file: file.to_owned(),
        title: header.text("title")?,
        title_zh: header.text("标题")?,
        severity: header.severity()?,
        side: header.text("side")?,
        keys: header.keys()?,
        inputs: header.inputs(sql)?,
        action: header.text("action")?,
        action_zh: header.text("处理").unwrap_or_default(),
        row: header.text("row")?,
        wordings: header.wordings()?,
        sql: sql.to_owned(),
        id,
    })
}

/// The dataset that a table of a query shows, unless every judged night has it.
fn dataset_of(table: &str) -> Option<&str> {
    let dataset = table.strip_suffix("_history").unwrap_or(table);
    let is_always_there = [LedgerRow::DATASET, Break::DATASET].contains(&dataset);
    contract::find(dataset).filter(|_| !is_always_there).map(|_| dataset)
}

struct Header<'a> {
    file: &'a str,
    sql: &'a str,
    lines: Vec<(&'a str, &'a str)>,
}

/// The `-- key: value` lines before the first line that is not a comment.
fn header_lines(sql: &str) -> Vec<(&str, &str)> {
    sql.lines().take_while(|line| line.starts_with("--")).filter_map(header_line).collect()
}

fn header_line(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix("--")?.split_once(':')?;
    Some((key.trim(), value.trim()))
}

impl Header<'_> {
    fn wrong(&self, why: String) -> RuleError {
        RuleError::Header { file: self.file.to_owned(), why }
    }

    fn text(&self, key: &str) -> Result<String, RuleError> {
        let values: Vec<_> = self.lines.iter().filter(|(name, _)| *name == key).map(|(_, value)| *value).collect();
        match values[..] {
            [value] if !value.is_empty() => Ok(value.to_owned()),
            [_, _, ..] => Err(self.wrong(format!("the header has more than one `-- {key}: …` line"))),
            _ if self.sql.lines().filter_map(header_line).any(|(name, value)| name == key && !value.is_empty()) => {
                Err(self.wrong(format!(
                    "the header ends above its `-- {key}: …` line: nothing may stand between its lines"
                )))
            }
            _ => Err(self.wrong(format!("the header has no `-- {key}: …` line"))),
        }
    }

    fn severity(&self) -> Result<Severity, RuleError> {
        let name = self.text("severity")?;
        Severity::find(&name).ok_or_else(|| self.wrong(format!("severity `{name}` is none of high, medium, low")))
    }

    fn keys(&self) -> Result<Vec<Key>, RuleError> {
        let letter =
            |letter| Key::of(letter).ok_or_else(|| self.wrong(format!("key `{letter}` is none of c o t s k u d")));
        self.text("key")?.split_whitespace().map(letter).collect()
    }

    /// The datasets the header names, and those that the query reads without being named: on a night without one of them
    /// the rule would be judged by an empty table.
    fn inputs(&self, sql: &str) -> Result<Vec<Input>, RuleError> {
        let text = self.text("inputs")?;
        let words = text.split([' ', ',']).filter(|word| !word.is_empty());
        let mut inputs = words.map(|word| self.input(word)).collect::<Result<Vec<_>, _>>()?;
        for dataset in tables::read_by(sql).iter().filter_map(|table| dataset_of(table)) {
            if !inputs.iter().any(|input| input.dataset == dataset) {
                inputs.push(Input { dataset: dataset.to_owned(), optional: false });
            }
        }
        Ok(inputs)
    }

    /// Each `why` line with the `原因` line after it.
    fn wordings(&self) -> Result<Vec<Wording>, RuleError> {
        let lines: Vec<_> = self.lines.iter().filter(|(key, _)| ["why", "原因"].contains(key)).collect();
        let pair = |pair: &[&(&str, &str)]| match pair {
            [("why", en), ("原因", zh)] => Wording::parse(en, zh).map_err(|why| self.wrong(why)),
            _ => Err(self.wrong("`-- why: …` and `-- 原因: …` lines come in pairs, in this order".to_owned())),
        };
        lines.chunks(2).map(pair).collect()
    }

    fn input(&self, word: &str) -> Result<Input, RuleError> {
        let dataset = word.trim_end_matches('?');
        if contract::find(dataset).is_none() {
            return Err(self.wrong(format!("input `{dataset}` is not a dataset")));
        }
        Ok(Input { dataset: dataset.to_owned(), optional: word.ends_with('?') })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "-- id: ZZ01\n-- title: A title: with a colon\n-- 标题: 标题\n-- severity: high\n-- side: finance\n\
        -- key: c o\n-- inputs: orders, refunds?\n-- action: pay\n-- row: a row\n\nSELECT 1\n-- side: ignored\n";

    #[test]
    fn the_header_is_the_comment_block_at_the_top() {
        let rule = parse("ZZ01_my_rule.sql", GOOD).unwrap();
        assert_eq!((rule.name.as_str(), rule.title.as_str()), ("my_rule", "A title: with a colon"));
        assert_eq!((rule.severity, rule.side.as_str()), (Severity::High, "finance"));
        assert_eq!(rule.keys, [Key::Coupon, Key::Order]);
        assert!(!rule.inputs[0].optional && rule.inputs[1].optional);
        assert!(rule.has_key("coupon_code") && rule.has_key("out_trade_no") && !rule.has_key("openid"));
    }

    #[test]
    fn a_wrong_header_says_which_file_and_line() {
        let cases = [
            (GOOD.replace("-- 标题: 标题\n", ""), "the header has no `-- 标题: …` line"),
            (GOOD.replace("-- 标题: 标题", "-- 标题:"), "the header has no `-- 标题: …` line"),
            (
                GOOD.replace("-- 标题", "\n-- 标题"),
                "the header ends above its `-- 标题: …` line: nothing may stand between its lines",
            ),
            (GOOD.replace("-- key", "-- side: wechat\n-- key"), "the header has more than one `-- side: …` line"),
            (GOOD.replace("high", "fatal"), "severity `fatal` is none of high, medium, low"),
            (GOOD.replace("c o", "c x"), "key `x` is none of c o t s k u d"),
            (GOOD.replace("orders,", "order,"), "input `order` is not a dataset"),
            (GOOD.replace("ZZ01", "ZZ02"), "id `ZZ02` does not begin the file's name `<ID>_<name>.sql`"),
        ];
        for (sql, why) in cases {
            let error = parse("ZZ01_my_rule.sql", &sql).unwrap_err();
            assert_eq!(error.to_string(), format!("rule file `ZZ01_my_rule.sql`: {why}"));
        }
    }

    #[test]
    fn a_dataset_that_the_query_reads_is_an_input_whether_the_header_names_it_or_not() {
        let inputs = |query: &str| {
            let rule = parse("ZZ01_my_rule.sql", &GOOD.replace("SELECT 1", query)).unwrap();
            rule.inputs
                .iter()
                .map(|it| format!("{}{}", it.dataset, if it.optional { "?" } else { "" }))
                .collect::<Vec<_>>()
        };
        assert_eq!(inputs("SELECT 1 FROM orders o, payments_history p"), ["orders", "refunds?", "payments"]);
        assert_eq!(
            inputs("SELECT 1 FROM orders WHERE EXISTS (SELECT 1 FROM stocks)"),
            ["orders", "refunds?", "stocks"]
        );
        for query in [
            "SELECT 1 FROM orders o JOIN refunds r ON r.out_trade_no = o.out_trade_no",
            "SELECT 1 FROM coupon_ledger, coupons, params, breaks_yesterday, breaks_history",
            "WITH payments AS (SELECT 1 AS one FROM orders) SELECT one FROM payments",
        ] {
            assert_eq!(inputs(query), ["orders", "refunds?"], "{query}");
        }
    }

    #[test]
    fn sentences_come_in_pairs() {
        let with = |lines: &str| parse("ZZ01_my_rule.sql", &GOOD.replace("-- row: a row\n", lines));
        let rule = with("-- row: a row\n-- why: paid {fen} fen\n-- 原因: 已付 {fen} 分\n").unwrap();
        assert_eq!(rule.why_in_chinese("paid 5 fen").as_deref(), Some("已付 5 分"));
        assert_eq!(rule.why_in_chinese("owes 5 fen"), None);
        for lines in ["-- row: a row\n-- why: paid\n", "-- row: a row\n-- 原因: 已付\n-- why: paid\n"] {
            assert!(with(lines).unwrap_err().to_string().contains("come in pairs"), "{lines}");
        }
    }
}
