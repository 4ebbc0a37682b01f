//! Tests of the whole report pack in memory: every file byte by byte, and hostile text in every
//! field.

use std::collections::BTreeMap;
use std::io::{self, Cursor};

use arrow::array::RecordBatch;
use calamine::{Data, Reader, Xlsx};
use chrono::NaiveDate;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::*;
use crate::contract::contract;
use crate::dataset::manifest::{Coverage, FootingEntry, FootingTally};
use crate::exports::BadRow;
use crate::job::{ExcelIds, Language, ReportSettings};
use crate::money::Fen;
use crate::reconcile::rules::{Rule, Rules, Wording};
use crate::reconcile::{BreakFigures, BreakTally, Unjudged};
use crate::record::{Break, BreakStatus, LedgerRow, Record, Severity, SubsidyPayment};

/// Text that a spreadsheet or a browser would execute if it were not escaped.
const HOSTILE: &str = "=HYPERLINK(\"http://evil\",\"x\")</script><script>alert(1)</script><img src=x onerror=alert(1)>";

#[derive(Default)]
struct Memory(BTreeMap<String, Vec<u8>>);

impl Shelf for Memory {
    type File = Cursor<Vec<u8>>;

    fn open(&mut self, _name: &str) -> io::Result<Self::File> {
        Ok(Cursor::default())
    }

    fn keep(&mut self, name: &str, file: Self::File) -> io::Result<String> {
        let bytes = file.into_inner();
        let sum = hex::encode(Sha256::digest(&bytes));
        self.0.insert(name.to_owned(), bytes);
        Ok(sum)
    }
}

/// The night that the tests report.
pub(super) struct Case {
    pub(super) settings: ReportSettings,
    pub(super) breaks: Vec<Break>,
    pub(super) ledger: Vec<LedgerRow>,
    pub(super) receipts: Vec<SubsidyPayment>,
    pub(super) quarantined: Vec<BadRow>,
    pub(super) rules: Vec<Rule>,
    pub(super) trend: Vec<TrendDay>,
    /// Whether the rule that is not judged lacks a source of the job.
    pub(super) is_short: bool,
}

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 20).unwrap()
}

pub(super) fn open_break(rule_id: &str, age_days: i64, at_risk: i64, status: &str) -> Break {
    Break {
        break_id: format!("{rule_id}{age_days:012}"),
        status: BreakStatus::of(status),
        first_seen_date: date() - chrono::Days::new(age_days.unsigned_abs()),
        resolved_date: (status == "resolved").then(date),
        age_days,
        stock_id: Some("1288880000000001".into()),
        coupon_code: Some("C1".into()),
        at_risk_fen: Fen(at_risk),
        why: "two yuan are missing".into(),
        action: "look".into(),
        event_date: Some(date()),
        ..Break::for_tests(rule_id, date())
    }
}

pub(super) fn coupon(code: &str, columns: serde_json::Value) -> LedgerRow {
    let mut row = json!({
        "stock_id": "1288880000000001", "coupon_code": code, "claim_count": 0, "refund_count": 0,
        "subsidy_receipt_count": 0, "business_date": date(),
    });
    row.as_object_mut().unwrap().extend(columns.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

pub(super) fn batch(rows: &[LedgerRow]) -> RecordBatch {
    serde_arrow::to_record_batch(contract(LedgerRow::DATASET).arrow().fields(), &rows).unwrap()
}

pub(super) fn receipt(number: &str, code: &str, fen: i64, status: &str, created: &str) -> SubsidyPayment {
    let row = json!({
        "out_subsidy_no": number, "subsidy_receipt_id": format!("R-{number}"), "stock_id": "1288880000000001",
        "coupon_code": code, "transaction_id": "4200000001", "payer_merchant": "1900000001",
        "payee_merchant": "1900000002", "amount_fen": fen, "status": status, "create_time": created,
        "verified_date": date(), "business_date": date(),
    });
    serde_json::from_value(row).unwrap()
}

/// A rule with these texts.
fn rule(id: &str, title_zh: &str, title: &str, action_zh: &str) -> Rule {
    let of_any = Rules::built_in().find("AO01").unwrap().clone();
    let (id, title, title_zh) = (id.to_owned(), title.to_owned(), title_zh.to_owned());
    Rule { id, title, title_zh, action_zh: action_zh.to_owned(), wordings: vec![], ..of_any }
}

fn worded(rule: Rule, why: &str, why_zh: &str) -> Rule {
    Rule { wordings: vec![Wording::parse(why, why_zh).unwrap()], ..rule }
}

fn trend_day(day: u32, rows: i64, fen: i64, new_rows: i64, resolved_rows: i64) -> TrendDay {
    let date = NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
    TrendDay { date, open: BreakTally { rows, at_risk_fen: Fen(fen) }, new_rows, resolved_rows }
}

impl Case {
    /// Three coupons that were used and one that was not; one agrees.
    fn small() -> Case {
        let used = |code, more: serde_json::Value| {
            let mut columns = json!({
                "state_on_date": "USED", "used_at": "2026-11-20T02:00:00Z", "match_pass": "claim", "claim_count": 1,
                "out_trade_no": format!("T-{code}"), "transaction_id": format!("42000000000000000000000000{code}"),
                "order_merchant": "1900000001", "order_paid_at": "2026-11-20T01:59:30Z", "goods_fen": 3000,
                "discount_fen": 500, "expected_discount_fen": 500, "paid_fen": 2500, "bill_paid_fen": 2500,
            });
            columns.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            coupon(code, columns)
        };
        let paid = json!({
            "subsidy_expected_fen": 100, "subsidy_paid_fen": 100, "subsidy_returned_fen": 0, "subsidy_receipt_count": 1,
            "subsidy_status": "SUCCESS", "subsidy_due_date": "2026-11-21"
        });
        let twice = json!({
            "subsidy_expected_fen": 100, "subsidy_paid_fen": 200, "subsidy_returned_fen": 0, "subsidy_receipt_count": 2,
            "subsidy_status": "SUCCESS+SUCCESS", "subsidy_due_date": "2026-11-21"
        });
        let alone = json!({ "state_on_date": "USED", "used_at": "2026-11-20T03:00:00Z" });
        let twofold =
            Break { coupon_code: Some("C3".into()), severity: Severity::Medium, ..open_break("SU03", 2, 100, "open") };
        let order = Break {
            stock_id: None,
            coupon_code: None,
            out_trade_no: Some("T-C2".into()),
            expected_fen: Some(Fen(2500)),
            actual_fen: Some(Fen(2300)),
            difference_fen: Some(Fen(-200)),
            ..open_break("PM01", 0, 200, "new")
        };
        let old = Break { coupon_code: Some("C4".into()), ..open_break("AO01", 40, 500, "reopened") };
        Case {
            is_short: false,
            settings: ReportSettings::default(),
            breaks: vec![
                order,
                old,
                twofold,
                open_break("SU01", 3, 9999, "resolved"),
                open_break("SU02", 0, 9999, "expected"),
            ],
            ledger: vec![
                used("C1", paid),
                used("C2", json!({})),
                used("C3", twice),
                coupon("C4", alone),
                coupon("C5", json!({ "state_on_date": "SENDED" })),
            ],
            receipts: vec![
                receipt("S3", "C3", 100, "SUCCESS", "2026-11-20T05:00:00Z"),
                receipt("S2", "C3", 100, "SUCCESS", "2026-11-20T04:00:00Z"),
                receipt("S1", "C1", 100, "SUCCESS", "2026-11-20T04:00:00Z"),
                receipt("S9", "C1", 100, "SUCCESS", "2026-11-20T16:00:00Z"),
            ],
            quarantined: vec![BadRow {
                file: "orders/2026-11-20.csv".into(),
                line: 7,
                column: "实付金额".into(),
                value: "12,5".into(),
                why: "no amount".into(),
                raw: String::new(),
            }],
            rules: vec![
                rule("AO01", "已核销无订单", "A used coupon has no order", "查找订单。"),
                worded(
                    rule("PM01", "实付金额不符", "The amount paid differs", ""),
                    "{amount} yuan are missing",
                    "少了 {amount} 元",
                ),
                rule("SU03", "重复补差", "A subsidy was paid twice", ""),
            ],
            trend: vec![trend_day(17, 3, 900, 3, 0), trend_day(18, 2, 700, 1, 2), trend_day(19, 2, 600, 0, 0)],
        }
    }

    pub(super) fn english() -> Case {
        let settings = ReportSettings { language: Language::En, excel_ids: ExcelIds::None, trailer: true };
        Case { settings, ..Case::small() }
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let scratch = tempfile::tempdir().unwrap();
        let coverage =
            Coverage { audit_days: 30, wallets: 3, wallets_verified: 2, coupons_verified: 5, coupons_issued: 9 };
        let tally = |rows, fen| FootingTally { rows, fen: Fen(fen) };
        let footing = FootingEntry {
            side: "user_coupons".into(),
            total: tally(5, 2500),
            matched: tally(3, 1500),
            unmatched: tally(2, 1000),
            left_out: tally(0, 0),
        };
        let unjudged = Unjudged {
            rule_id: "PM02".into(),
            dataset: "payments".into(),
            why: "no bill".into(),
            is_shortfall: self.is_short,
        };
        let input = PackInput {
            settings: self.settings,
            job: "ruiyun-coffee",
            date: date(),
            is_partial: false,
            breaks: &BreakFigures::of(&self.breaks),
            quarantined: Some(&self.quarantined),
            rules: &self.rules.iter().cloned().collect(),
            unjudged: &[unjudged],
            coverage: Some(&coverage),
            footing: &[footing],
            trend: &self.trend,
            scratch: scratch.path(),
        };
        let books = Books {
            breaks: self.breaks.iter().cloned().map(Ok),
            ledger: self.ledger.chunks(2).map(batch).map(Ok),
            receipts: self.receipts.iter().cloned().map(Ok),
        };
        let mut shelf = Memory::default();
        write(&input, books, &mut shelf).unwrap();
        shelf.0
    }

    pub(super) fn text(&self, name: &str) -> String {
        let text = String::from_utf8(self.files()[name].clone()).unwrap();
        text.replace("\r\n", "\n").replace('\u{feff}', "")
    }
}

#[test]
fn the_summary_counts_open_breaks_only_and_ends_with_their_total() {
    insta::assert_snapshot!(Case::english().text("summary.csv"));
}

#[test]
fn discrepancies_come_by_money_at_risk_and_foot() {
    insta::assert_snapshot!(Case::small().text("discrepancies.csv"));
}

#[test]
fn every_used_or_claimed_coupon_stands_in_the_associated_orders_with_its_breaks() {
    insta::assert_snapshot!(Case::english().text("associated_orders.csv"));
}

#[test]
fn subsidies_have_a_row_per_receipt_of_the_day_and_sum_the_coupons_once() {
    insta::assert_snapshot!(Case::english().text("subsidies.csv"));
}

#[test]
fn a_break_of_an_order_has_its_money_once_among_the_subsidies_too() {
    let of_order = |order: &str, age_days, fen| Break {
        stock_id: None,
        coupon_code: None,
        out_trade_no: Some(order.into()),
        ..open_break("PM01", age_days, fen, "open")
    };
    let mut case = Case::english();
    case.ledger[2].out_trade_no = Some("T-C1".into());
    case.breaks.extend([of_order("T-C1", 4, 30), of_order("T-C2", 5, 7)]);
    let text = case.text("subsidies.csv");
    let at_risk: Vec<_> = text.lines().skip(1).map(|line| line.split(',').nth(23).unwrap()).collect();
    assert_eq!(at_risk, ["0.30", "1.00", "0.00", "1.30"], "{text}");
    assert_eq!(text.matches("PM01000000000004").count(), 2, "both coupons of the order name its break: {text}");
}

#[test]
fn the_quarantine_tells_the_place_and_the_reason() {
    insta::assert_snapshot!(Case::small().text("quarantine.csv"));
}

#[test]
fn the_figures_of_the_night_are_a_contract() {
    insta::assert_snapshot!(Case::small().text("summary.json"));
}

#[test]
fn the_page_of_a_small_night() {
    let page = Case::small().text("report.html");
    let without = |text: &str, tag: &str| {
        let (start, end) = (text.find(&format!("<{tag}>")).unwrap(), text.find(&format!("</{tag}>")).unwrap());
        format!("{}{}", &text[..start], &text[end..])
    };
    let bare = without(&without(&page, "style"), "script");
    let policy = bare.find("style-src").unwrap();
    let bare = bare.replace(&bare[policy..policy + bare[policy..].find("base-uri").unwrap()], "");
    insta::assert_snapshot!(bare.replace("><", ">\n<"));
}

#[test]
fn the_checksums_are_those_of_sha256sum_over_every_other_file() {
    let files = Case::small().files();
    let sums = String::from_utf8(files["SHA256SUMS"].clone()).unwrap();
    let listed: Vec<_> = sums.lines().map(|line| line.split_once("  ").unwrap()).collect();
    assert_eq!(listed.len(), files.len() - 1);
    for (sum, name) in listed {
        assert_eq!(sum, hex::encode(Sha256::digest(&files[name])), "{name}");
    }
}

#[test]
fn the_same_night_gives_the_same_bytes() {
    assert_eq!(Case::small().files(), Case::small().files());
}

#[test]
fn the_policy_of_the_page_names_exactly_its_style_and_script() {
    use base64::Engine;
    let page = Case::small().text("report.html");
    for tag in ["style", "script"] {
        let start = page.find(&format!("<{tag}>")).unwrap() + tag.len() + 2;
        let text = &page[start..start + page[start..].find(&format!("</{tag}>")).unwrap()];
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(text));
        assert!(page.contains(&format!("{tag}-src 'sha256-{hash}'")), "{tag}");
    }
    assert!(
        !page.contains(" style=")
            && !page.contains(" onclick")
            && !page.contains("http://")
            && !page.contains("https://")
    );
}

fn book(bytes: &[u8]) -> Xlsx<Cursor<Vec<u8>>> {
    Xlsx::new(Cursor::new(bytes.to_vec())).unwrap()
}

/// A cell of a sheet as the CSV shows it.
fn as_csv(cell: &Data, kind: Kind) -> String {
    let epoch = NaiveDate::from_ymd_opt(1899, 12, 30).unwrap().and_time(chrono::NaiveTime::MIN);
    let time = |serial: f64| epoch + chrono::TimeDelta::seconds((serial * 86_400.0).round() as i64);
    match (cell, kind) {
        (Data::Empty, _) => String::new(),
        (Data::String(text), _) => text.clone(),
        (Data::Float(number), Kind::Yuan) => format!("{number:.2}"),
        (Data::DateTime(serial), Kind::Date) => time(serial.as_f64()).date().to_string(),
        (Data::DateTime(serial), Kind::Time) => time(serial.as_f64()).to_string(),
        (other, _) => other.to_string(),
    }
}

#[test]
fn every_sheet_has_cell_by_cell_what_its_csv_has() {
    let case = Case::english();
    let files = case.files();
    let mut book = book(&files["reconciliation.xlsx"]);
    let titles: Vec<_> = tables().iter().map(|table| table.en.to_owned()).collect();
    assert_eq!(book.sheet_names(), titles);
    for table in tables() {
        let sheet = book.worksheet_range(table.en).unwrap();
        let header = sheet.rows().position(|row| row.iter().any(|it| *it == Data::String(table.columns[0].en.into())));
        let heads: Vec<_> = table.columns.iter().map(|it| Data::String(it.en.into())).collect();
        assert_eq!(sheet.rows().nth(header.unwrap()).unwrap()[..heads.len()], heads);
        let csv = case.text(&format!("{}.csv", table.name));
        let mut reader = csv::ReaderBuilder::new().from_reader(csv.as_bytes());
        let lines: Vec<_> = reader.records().map(Result::unwrap).collect();
        let rows: Vec<_> = sheet.rows().skip(header.unwrap() + 1).collect();
        assert_eq!(rows.len(), lines.len(), "{}", table.name);
        for (row, line) in rows.iter().zip(&lines) {
            let cells: Vec<_> = row.iter().zip(table.columns).map(|(cell, it)| as_csv(cell, it.kind)).collect();
            assert_eq!(cells, line.iter().collect::<Vec<_>>(), "{}", table.name);
        }
    }
}

/// A night in which every text is hostile.
fn hostile() -> Case {
    let evil = || Some(HOSTILE.to_owned());
    let mut case = Case::english();
    for it in &mut case.breaks {
        *it = Break {
            why: HOSTILE.into(),
            action: HOSTILE.into(),
            rule_id: HOSTILE.into(),
            side: HOSTILE.into(),
            openid: evil(),
            out_trade_no: evil(),
            transaction_id: evil(),
            out_subsidy_no: evil(),
            card_id: evil(),
            subject: evil(),
            ..it.clone()
        };
    }
    for it in &mut case.ledger {
        *it =
            LedgerRow { openid: evil(), out_trade_no: evil(), match_pass: evil(), state_on_date: evil(), ..it.clone() };
    }
    for it in &mut case.receipts {
        *it = SubsidyPayment { out_subsidy_no: HOSTILE.into(), fail_reason: evil(), status: evil(), ..it.clone() };
    }
    let [row] = case.quarantined.as_mut_slice() else { panic!("one row") };
    *row =
        BadRow { value: HOSTILE.into(), why: HOSTILE.into(), raw: HOSTILE.into(), file: HOSTILE.into(), ..row.clone() };
    case.rules.push(rule(HOSTILE, HOSTILE, HOSTILE, HOSTILE));
    case
}

#[test]
fn hostile_text_begins_no_formula_in_any_csv() {
    for excel_ids in [ExcelIds::Backtick, ExcelIds::Tab, ExcelIds::None] {
        let mut case = hostile();
        case.settings.excel_ids = excel_ids;
        let mut met = 0;
        for table in tables() {
            let text = case.text(&format!("{}.csv", table.name));
            for record in csv::Reader::from_reader(text.as_bytes()).records() {
                for (cell, column) in record.unwrap().iter().zip(table.columns) {
                    met += usize::from(cell.contains("HYPERLINK"));
                    let is_number = column.kind == Kind::Yuan;
                    let cell = if excel_ids == ExcelIds::Tab { cell.trim_start_matches('\t') } else { cell };
                    assert!(is_number || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell}");
                }
            }
        }
        assert!(met > 30, "{met}");
    }
}

#[test]
fn hostile_text_is_text_in_the_workbook() {
    let mut book = book(&hostile().files()["reconciliation.xlsx"]);
    for name in book.sheet_names() {
        assert!(book.worksheet_formula(&name).unwrap().is_empty(), "{name}");
        let cells = book.worksheet_range(&name).unwrap();
        let texts = cells.cells().filter(|(.., cell)| matches!(cell, Data::String(text) if text == HOSTILE)).count();
        assert!(texts > 0, "{name}");
    }
}

#[test]
fn hostile_text_makes_no_element_and_no_attribute_in_the_page() {
    let page = hostile().text("report.html");
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(!page.contains("<img") && !page.contains("<script>alert"));
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script").count(), 1);
}

#[test]
fn a_night_without_anything_still_has_every_file() {
    let case =
        Case { breaks: vec![], ledger: vec![], receipts: vec![], quarantined: vec![], trend: vec![], ..Case::small() };
    let files = case.files();
    assert_eq!(files.len(), 9);
    assert_eq!(
        case.text("subsidies.csv").lines().last().unwrap().split(',').take(2).collect::<Vec<_>>(),
        ["合计", "0"]
    );
    let page = case.text("report.html");
    assert!(page.contains("没有未结差异") && !page.contains("NaN") && !page.contains("inf\""), "{page}");
}

#[test]
fn a_page_holds_the_breaks_with_most_at_risk_and_says_how_many_there_are() {
    let breaks = (0..1234)
        .map(|number| Break { break_id: format!("{number:016}"), ..open_break("AO01", number % 50, number, "open") });
    let case = Case { breaks: breaks.collect(), ..Case::small() };
    let page = case.text("report.html");
    assert_eq!(page.matches("<tr data-risk=").count(), 1000);
    assert!(page.contains("data-risk=\"1233\"") && !page.contains("data-risk=\"233\""));
    assert!(page.contains("全部 1,234 笔见 discrepancies.csv"));
}

#[test]
fn the_names_of_tables_and_columns_are_fit_for_files_sheets_and_schemas() {
    for table in tables() {
        assert!(table.zh.chars().count() < 30 && table.en.chars().count() < 30, "{}", table.name);
        for names in [|it: &Column| it.name, |it: &Column| it.zh, |it: &Column| it.en] {
            let mut all: Vec<_> = table.columns.iter().map(names).collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), table.columns.len(), "{} names a column twice", table.name);
        }
        let is_snake = |name: &str| name.chars().all(|it| it.is_ascii_lowercase() || it == '_');
        assert!(table.columns.iter().all(|column| is_snake(column.name)), "{}", table.name);
    }
}
