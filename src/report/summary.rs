//! `summary.csv`: rows and yuan of the open breaks per rule, side and age.

use std::collections::BTreeMap;

use super::table::{Cell, Table};
use super::{PackInput, ReportFile, is_open};
use crate::money::Fen;

/// How long a break has been open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AgeBucket {
    /// Seen for the first time.
    Today,
    /// 1–3 days.
    Days1To3,
    /// 4–7 days.
    Days4To7,
    /// 8–30 days.
    Days8To30,
    /// More than 30 days.
    Over30,
}

impl AgeBucket {
    /// The bucket of an age in days.
    pub fn of(age_days: i64) -> AgeBucket {
        match age_days {
            ..=0 => AgeBucket::Today,
            1..=3 => AgeBucket::Days1To3,
            4..=7 => AgeBucket::Days4To7,
            8..=30 => AgeBucket::Days8To30,
            _ => AgeBucket::Over30,
        }
    }

    /// As the reports print it.
    pub fn label(self) -> &'static str {
        match self {
            AgeBucket::Today => "0",
            AgeBucket::Days1To3 => "1–3",
            AgeBucket::Days4To7 => "4–7",
            AgeBucket::Days8To30 => "8–30",
            AgeBucket::Over30 => "30+",
        }
    }
}

pub(super) fn render(input: &PackInput<'_>) -> ReportFile {
    let mut groups: BTreeMap<(&str, &str, AgeBucket), (i64, Fen)> = BTreeMap::new();
    for it in input.breaks.iter().filter(|it| is_open(it)) {
        let group = groups.entry((&it.rule_id, &it.side, AgeBucket::of(it.age_days))).or_default();
        *group = (group.0 + 1, group.1 + it.at_risk_fen);
    }
    let header = [("规则", "rule_id"), ("规则名称", "title"), ("责任方", "side"), ("账龄(天)", "age_days")];
    let header = header.into_iter().chain([("笔数", "rows"), ("风险金额(元)", "at_risk_yuan")]);
    let table = Table {
        header: header.map(|(zh, en)| input.pick(zh, en).to_owned()).collect(),
        rows: groups.iter().map(|(key, sums)| row(input, *key, *sums)).collect(),
        trailer: input.settings.trailer.then(|| total(input, groups.values())),
    };
    ReportFile { name: "summary.csv".into(), bytes: table.to_csv(input.settings.excel_ids) }
}

fn row(input: &PackInput<'_>, (rule, side, age): (&str, &str, AgeBucket), (rows, at_risk): (i64, Fen)) -> Vec<Cell> {
    vec![
        Cell::Text(rule.to_owned()),
        Cell::Text(input.title(rule)),
        Cell::Text(side.to_owned()),
        Cell::Text(age.label().to_owned()),
        Cell::Count(Some(rows)),
        Cell::Yuan(Some(at_risk)),
    ]
}

fn total<'g>(input: &PackInput<'_>, groups: impl Iterator<Item = &'g (i64, Fen)>) -> Vec<Cell> {
    let (rows, at_risk) = groups.fold((0, Fen::ZERO), |sum, group| (sum.0 + group.0, sum.1 + group.1));
    let mut cells = vec![Cell::Text(String::new()); 6];
    cells[0] = Cell::Text(input.pick("合计", "Total").to_owned());
    cells[4] = Cell::Count(Some(rows));
    cells[5] = Cell::Yuan(Some(at_risk));
    cells
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::job::{ExcelIds, Language, ReportSettings};
    use crate::record::Break;
    use crate::report::{RuleTitle, render as render_pack};
    use chrono::NaiveDate;

    pub(in crate::report) fn open_break(rule_id: &str, age_days: i64, at_risk: i64, status: &str) -> Break {
        let date = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
        Break {
            break_id: format!("{rule_id}{age_days:013}"),
            rule_id: rule_id.into(),
            severity: "high".into(),
            side: "merchant".into(),
            status: status.into(),
            first_seen_date: date,
            last_seen_date: date,
            resolved_date: None,
            age_days,
            stock_id: Some("1288880000000001".into()),
            coupon_code: Some("C1".into()),
            openid: None,
            out_trade_no: None,
            transaction_id: None,
            out_subsidy_no: None,
            subsidy_receipt_id: None,
            card_id: None,
            ref_date: None,
            subject: None,
            expected_fen: None,
            actual_fen: None,
            difference_fen: None,
            expected_count: None,
            actual_count: None,
            at_risk_fen: Fen(at_risk),
            why: "=1+1".into(),
            action: "look".into(),
            event_date: Some(date),
            business_date: date,
        }
    }

    fn pack(language: Language) -> BTreeMap<String, String> {
        let breaks = [
            open_break("AO01", 0, 500, "new"),
            open_break("AO01", 2, 700, "open"),
            open_break("SU01", 40, 100, "reopened"),
            open_break("SU01", 3, 9999, "resolved"),
            open_break("SU02", 0, 9999, "expected"),
        ];
        let title = RuleTitle { zh: "已核销无订单".into(), en: "used coupon without order".into() };
        let input = PackInput {
            quarantined: None,
            settings: ReportSettings { language, excel_ids: ExcelIds::Backtick, trailer: true },
            date: NaiveDate::from_ymd_opt(2026, 11, 20).unwrap(),
            breaks: &breaks,
            titles: &BTreeMap::from([("AO01".to_owned(), title)]),
        };
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("\r\n", "\n").replace('\u{feff}', "");
        render_pack(&input).into_iter().map(|file| (file.name, text(file.bytes))).collect()
    }

    #[test]
    fn the_summary_counts_open_breaks_only_and_ends_with_their_total() {
        insta::assert_snapshot!(pack(Language::En)["summary.csv"], @r"
        rule_id,title,side,age_days,rows,at_risk_yuan
        AO01,used coupon without order,merchant,0,1,5.00
        AO01,used coupon without order,merchant,1–3,1,7.00
        SU01,,merchant,30+,1,1.00
        Total,,,,3,13.00
        ");
    }

    #[test]
    fn discrepancies_come_by_money_at_risk_and_foot() {
        let text = &pack(Language::Zh)["discrepancies.csv"];
        let risks: Vec<_> = text.lines().skip(1).map(|line| line.split(',').nth(20).unwrap()).collect();
        assert_eq!(risks, ["7.00", "5.00", "1.00", "13.00"]);
        assert!(text.lines().nth(1).unwrap().contains("'=1+1"), "{text}");
        assert!(text.lines().last().unwrap().starts_with("合计,3,"), "{text}");
    }

    #[test]
    fn the_checksums_are_those_of_sha256sum() {
        let sums = &pack(Language::Zh)["SHA256SUMS"];
        let names: Vec<_> = sums.lines().map(|line| line.split("  ").nth(1).unwrap()).collect();
        assert_eq!(names, ["discrepancies.csv", "summary.csv"]);
        assert!(sums.lines().all(|line| line.split("  ").next().unwrap().len() == 64));
    }
}
