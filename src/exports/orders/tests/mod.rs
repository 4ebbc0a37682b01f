//! Tests of whole order exports, with every mistake that a point-of-sale system makes. Spreadsheets and columnar files are in
//! `tables`.

mod tables;

use std::fs;
use std::path::Path;

use encoding_rs::GB18030;
use proptest::prelude::*;

use super::*;
use crate::clock::beijing;
use crate::exports::{Amounts, BadRow, ExportFile, Settled};
use crate::job::{AmountUnit, OnBadRow, PathPattern};

const HEADER: &str = "商户订单号,微信订单号,商户号,用户标识,支付时间,商品金额,券优惠,实付,退款,批次号,券码,渠道,备注";

fn date() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
}

fn source(folder: &Path) -> OrderSource {
    let some = |text: &str| Some(text.to_owned());
    OrderSource {
        path: PathPattern::new(folder, "o/{date}*.csv"),
        format: FileFormat::Csv,
        encoding: encoding_rs::UTF_8,
        delimiter: b',',
        amount_unit: AmountUnit::Yuan,
        thousands_separators: false,
        time_format: "%Y-%m-%d %H:%M:%S".into(),
        on_bad_row: OnBadRow::Fail,
        wechat_channels: Vec::new(),
        columns: OrderColumns {
            out_trade_no: "商户订单号".into(),
            transaction_id: some("微信订单号"),
            merchant: some("商户号"),
            openid: some("用户标识"),
            paid_at: "支付时间".into(),
            goods: "商品金额".into(),
            discount: "券优惠".into(),
            paid: "实付".into(),
            refund: some("退款"),
            stock_id: "批次号".into(),
            coupon_code: "券码".into(),
            channel: some("渠道"),
            product: None,
            remark: some("备注"),
        },
    }
}

/// An export folder with one file of the day.
struct Till {
    folder: tempfile::TempDir,
}

impl Till {
    fn with(bytes: impl AsRef<[u8]>) -> Till {
        let till = Till { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(till.folder.path().join("o")).unwrap();
        till.and("2026-11-18.csv", bytes)
    }

    fn and(self, name: &str, bytes: impl AsRef<[u8]>) -> Till {
        fs::write(self.folder.path().join("o").join(name), bytes).unwrap();
        self
    }

    fn read(&self) -> Result<Read, ExportError> {
        self.read_as(|_| {})
    }

    fn read_as(&self, change: impl FnOnce(&mut OrderSource)) -> Result<Read, ExportError> {
        let mut source = source(self.folder.path());
        change(&mut source);
        let small = self.read_in(&source, 1);
        // The result does not depend on the memory.
        assert_eq!(format!("{small:?}"), format!("{:?}", self.read_in(&source, 1 << 20)));
        small
    }

    fn read_in(&self, source: &OrderSource, memory_bytes: usize) -> Result<Read, ExportError> {
        let room = Room { folder: self.folder.path().to_owned(), memory_bytes };
        let mut export = read(source, date(), &room)?;
        let mut rows = Vec::new();
        while let Some(row) = export.peek() {
            let line = OrderLine::unpack(&mut row.unpack());
            rows.push(serde_json::from_value(serde_json::to_value(line).unwrap()).unwrap());
            export.advance()?;
        }
        let (files, read) = (std::mem::take(&mut export.files), export.read);
        let Settled { quarantined, collapsed, amounts } = export.finish()?;
        Ok(Read { rows, files, quarantined, collapsed, read, amounts })
    }
}

/// The whole result of reading an export.
#[derive(Debug, PartialEq)]
struct Read {
    rows: Vec<OrderLine>,
    files: Vec<ExportFile>,
    quarantined: Vec<BadRow>,
    collapsed: u64,
    read: u64,
    amounts: Amounts,
}

/// A file with the usual header and these lines.
fn file(lines: &[&str]) -> String {
    std::iter::once(HEADER).chain(lines.iter().copied()).map(|line| format!("{line}\n")).collect()
}

fn bad_rows(error: ExportError) -> Vec<BadRow> {
    match error {
        ExportError::BadRows { rows, .. } => rows,
        other => panic!("{other}"),
    }
}

/// The bad row of a file whose only line is this one.
fn only_bad(line: &str) -> BadRow {
    let mut rows = bad_rows(Till::with(file(&[line])).read().unwrap_err());
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

const GOOD: &str = "M1,4200001,19,oA,2026-11-18 08:00:00,30.00,5.00,25.00,,128,C1,微信,热";

#[test]
fn a_line_becomes_a_row_with_its_place() {
    let export = Till::with(file(&[GOOD])).read().unwrap();
    let expected = OrderLine {
        out_trade_no: "M1".into(),
        stock_id: "128".into(),
        coupon_code: "C1".into(),
        transaction_id: Some("4200001".into()),
        merchant: Some("19".into()),
        openid: Some("oA".into()),
        channel: Some("微信".into()),
        product: None,
        remark: Some("热".into()),
        paid_at: Some("2026-11-18T00:00:00Z".parse().unwrap()),
        goods_fen: Fen(3000),
        discount_fen: Fen(500),
        paid_fen: Fen(2500),
        refund_fen: Fen(0),
        source_file: "o/2026-11-18.csv".into(),
        source_line: 2,
        business_date: date(),
    };
    assert_eq!(export.rows, [expected]);
    assert_eq!((export.quarantined.len(), export.collapsed, export.files.len()), (0, 0, 1));
    assert_eq!(export.files[0].name, "o/2026-11-18.csv");
}

#[test]
fn encodings_marks_line_ends_and_delimiters_make_no_difference() {
    let text = file(&[GOOD]);
    let plain = Till::with(&text).read().unwrap().rows;
    let windows = format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(Till::with(windows).read().unwrap().rows, plain);
    let gb = GB18030.encode(&text).0.into_owned();
    assert_eq!(Till::with(gb).read_as(|source| source.encoding = GB18030).unwrap().rows, plain);
    let tabs = text.replace(',', "\t");
    assert_eq!(Till::with(tabs).read_as(|source| source.delimiter = b'\t').unwrap().rows, plain);
}

#[test]
fn unpaid_orders_and_orders_without_coupon_are_rows_too() {
    let export = Till::with(file(&["M1,,,,,30.00,,0,,,,,", "M2,,,,,30.00,0,30.00,30,,,,"])).read().unwrap();
    assert_eq!(export.rows[0].paid_at, None);
    assert_eq!((export.rows[0].stock_id.as_str(), export.rows[0].discount_fen), ("", Fen(0)));
    assert_eq!(export.rows[1].refund_fen, Fen(3000));
    assert_eq!(export.rows[1].openid, None);
}

#[test]
fn a_source_without_refund_column_refunded_nothing() {
    let text = file(&[GOOD]).replace("退款", "别的");
    let export = Till::with(text).read_as(|source| source.columns.refund = None).unwrap();
    assert_eq!(export.rows[0].refund_fen, Fen(0));
}

#[test]
fn guards_of_spreadsheets_are_stripped_from_ids() {
    let line = "`M1,'4200001,\"=\"\"19\"\"\",oA,`2026-11-18 08:00:00,`30.00,5.00,25.00,,\t128,`C1,微信,`备注";
    let row = Till::with(file(&[line])).read().unwrap().rows.remove(0);
    assert_eq!((row.out_trade_no.as_str(), row.transaction_id.as_deref()), ("M1", Some("4200001")));
    assert_eq!((row.merchant.as_deref(), row.stock_id.as_str(), row.coupon_code.as_str()), (Some("19"), "128", "C1"));
    assert_eq!(row.remark.as_deref(), Some("`备注"));
}

#[test]
fn users_and_channels_are_the_same_with_guards_as_without() {
    for guard in ["`", "'", "\t"] {
        let line = GOOD.replace("oA", &format!("{guard}oA")).replace("微信", &format!("{guard}微信"));
        let row = Till::with(file(&[&line])).read().unwrap().rows.remove(0);
        assert_eq!((row.openid.as_deref(), row.channel.as_deref()), (Some("oA"), Some("微信")), "{guard:?}");
    }
    let line = GOOD.replace("oA", "\"=\"\"oA\"\"\"").replace("微信", "\"=\"\"微信\"\"\"");
    let row = Till::with(file(&[&line])).read().unwrap().rows.remove(0);
    assert_eq!((row.openid.as_deref(), row.channel.as_deref()), (Some("oA"), Some("微信")));
    let bad = only_bad(&GOOD.replace("oA", "1.2E+27"));
    assert_eq!((bad.column.as_str(), bad.value.as_str()), ("用户标识", ""));
}

#[test]
fn every_mistake_names_file_line_column_value_and_remedy() {
    let cases = [
        ("30.00", "3o.00", "商品金额", "3o.00", "plain decimal"),
        ("30.00", "\"1,230.00\"", "商品金额", "1,230.00", "thousands_separators"),
        ("25.00", "-25.00", "实付", "-25.00", "negative"),
        ("5.00,25", "5.005,25", "券优惠", "5.005", "more than 2 decimals"),
        ("25.00,", ",", "实付", "", "empty"),
        ("M1", "4.2E+27", "商户订单号", "4.2E+27", "as text"),
        ("128,", "1.23457E+18,", "批次号", "1.23457E+18", "as text"),
        ("M1", "", "商户订单号", "", "must not be empty"),
        ("2026-11-18 08", "2026/11/18 08", "支付时间", "2026/11/18 08:00:00", "time_format"),
        ("128,", ",", "批次号", "", "without its stock"),
        ("C1", "", "券码", "", "without its coupon code"),
    ];
    for (from, to, column, value, why) in cases {
        let bad = only_bad(&GOOD.replacen(from, to, 1));
        assert_eq!((bad.file.as_str(), bad.line), ("o/2026-11-18.csv", 2), "{bad}");
        assert_eq!((bad.column.as_str(), bad.value.as_str()), (column, value), "{bad}");
        assert!(bad.why.contains(why), "{bad}");
        assert!(!bad.to_string().contains("oA"), "{bad}");
    }
}

#[test]
fn the_message_lists_twenty_problems_and_counts_the_rest() {
    let lines: Vec<_> =
        (0..25).map(|index| GOOD.replacen("M1", &format!("M{index}"), 1).replace("30.00", "x")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let error = Till::with(file(&lines)).read().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("25 malformed rows\n  `o/2026-11-18.csv` line 2, column `商品金额`: `x`: "), "{text}");
    assert!(text.ends_with("… and 5 more"), "{text}");
    assert_eq!(bad_rows(error).len(), 20);
}

#[test]
fn quarantine_puts_bad_rows_aside_raw_and_keeps_the_others() {
    let bad = GOOD.replacen("30.00", "x", 1);
    let till = Till::with(file(&[&bad, &GOOD.replacen("M1", "M2", 1)]));
    let export = till.read_as(|source| source.on_bad_row = OnBadRow::Quarantine).unwrap();
    assert_eq!(export.rows.len(), 1);
    assert_eq!(export.quarantined.len(), 1);
    assert_eq!((export.quarantined[0].line, export.quarantined[0].raw.as_str()), (2, bad.as_str()));
}

#[test]
fn quarantine_takes_a_row_with_wrong_quotes_but_no_file_whose_rows_cannot_be_told() {
    let quarantined =
        |lines: &[&str]| Till::with(file(lines)).read_as(|source| source.on_bad_row = OnBadRow::Quarantine);
    let wrong = GOOD.replacen("C1", "\"C1\"9", 1);
    let export = quarantined(&[&wrong, &GOOD.replacen("M1", "M2", 1)]).unwrap();
    assert_eq!(export.rows.iter().map(|row| row.out_trade_no.as_str()).collect::<Vec<_>>(), ["M2"]);
    assert_eq!((export.quarantined[0].column.as_str(), export.quarantined[0].raw.as_str()), ("券码", wrong.as_str()));
    let opened = GOOD.replace("热", "\"热");
    for next in [GOOD.replacen("M1", "M2", 1).replace("热", "\"去冰"), GOOD.replacen("M1", "M2", 1)] {
        let error = quarantined(&[&opened, &next]).unwrap_err();
        assert!(
            matches!(&error, ExportError::Format { why, .. } if why.starts_with("line 2, column `备注`")),
            "{error}"
        );
        assert!(!error.to_string().contains("oA"), "{error}");
    }
}

#[test]
fn a_row_put_aside_keeps_its_amount_in_the_totals_where_it_can_be_read() {
    let wrong_elsewhere = GOOD.replacen("2026-11-18 08", "yesterday 08", 1);
    let wrong_itself = GOOD.replacen("5.00", "five", 1);
    let wrong_width = format!("{GOOD},more");
    let till = Till::with(file(&[&wrong_elsewhere, &wrong_itself, &wrong_width, &GOOD.replacen("M1", "M2", 1)]));
    let export = till.read_as(|source| source.on_bad_row = OnBadRow::Quarantine).unwrap();
    let amounts = Amounts { read: Fen(1000), collapsed: Fen(0), quarantined: Fen(500), unreadable: 2 };
    assert_eq!((export.quarantined.len(), export.amounts), (3, amounts));
}

#[test]
fn identical_lines_collapse_and_contradicting_ones_are_all_bad() {
    let other = GOOD.replacen("25.00", "24.00", 1);
    let export = Till::with(file(&[GOOD, "", GOOD, GOOD])).read().unwrap();
    assert_eq!((export.rows.len(), export.collapsed, export.rows[0].source_line), (1, 2, 2));
    let till = Till::with(file(&[GOOD, &other, &GOOD.replacen("M1", "M2", 1)]));
    let export = till.read_as(|source| source.on_bad_row = OnBadRow::Quarantine).unwrap();
    assert_eq!(export.rows.len(), 1);
    assert_eq!(export.quarantined.iter().map(|bad| bad.line).collect::<Vec<_>>(), [2, 3]);
    let why = "`o/2026-11-18.csv` line 3 has another `paid` for the same `M1`, `128`, `C1`: one of them is wrong";
    assert_eq!(export.quarantined[0].why, why);
    // Every amount is accounted for: a discount of 5.00 on each of three lines, two of which are quarantined.
    let amounts = Amounts { read: Fen(1500), collapsed: Fen(0), quarantined: Fen(1000), unreadable: 0 };
    assert_eq!(export.amounts, amounts);
    assert_eq!(export.quarantined[1].raw, other);
}

#[test]
fn files_of_a_day_are_read_together_and_contradict_each_other_across() {
    let till = Till::with(file(&[GOOD]))
        .and("2026-11-18-b.csv", file(&[GOOD, &GOOD.replacen("M1", "M0", 1)]))
        .and("2026-11-19.csv", "no header at all");
    let export = till.read().unwrap();
    assert_eq!(export.rows.iter().map(|row| row.out_trade_no.as_str()).collect::<Vec<_>>(), ["M0", "M1"]);
    assert_eq!(export.collapsed, 1);
    assert_eq!(
        export.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(),
        ["o/2026-11-18-b.csv", "o/2026-11-18.csv"]
    );
}

#[test]
fn quoted_line_breaks_keep_later_line_numbers_true() {
    let first = GOOD.replace("热", "\"去冰,\n少糖\"");
    let bad = GOOD.replacen("M1", "M2", 1).replacen("30.00", "x", 1);
    let text = file(&[&first, &bad]).replace('\n', "\r\n");
    let rows = bad_rows(Till::with(&text).read().unwrap_err());
    assert_eq!(rows[0].line, 4);
    let export = Till::with(&text).read_as(|source| source.on_bad_row = OnBadRow::Quarantine).unwrap();
    assert_eq!(export.rows[0].remark.as_deref(), Some("去冰,\r\n少糖"));
}

#[test]
fn a_missing_file_is_missing_and_a_renamed_header_is_named() {
    let till = Till::with(file(&[GOOD]));
    let missing = till.read_as(|source| source.path = PathPattern::new("/nonexistent", "{date}.csv")).unwrap_err();
    assert!(matches!(missing, ExportError::Missing { path } if path == Path::new("/nonexistent/2026-11-18.csv")));
    let error = Till::with(file(&[GOOD]).replace("退款", "退款额")).read().unwrap_err().to_string();
    assert!(error.contains("lacks the column `退款` for `refund` (did you mean `退款额`?)"), "{error}");
    assert!(error.contains("its headers are `商户订单号`, "), "{error}");
    let error = Till::with(file(&[GOOD]).replace("备注", "实付")).read_as(|source| source.columns.remark = None);
    assert!(matches!(error, Err(ExportError::DuplicateHeader { header, .. }) if header == "实付"));
}

#[test]
fn a_day_without_orders_is_a_header_alone() {
    assert_eq!(Till::with(file(&[])).read().unwrap().rows, []);
    assert!(matches!(Till::with("").read(), Err(ExportError::Format { .. })));
}

proptest! {
    #[test]
    fn what_a_till_writes_is_what_we_read(
        lines in prop::collection::btree_map(
            "[A-Z0-9_-]{1,12}",
            (0i64..10_000_000, 0i64..10_000_000, prop::option::of(0i64..86_400), "[ -~\n券]{0,12}"),
            0..20,
        )
    ) {
        let start = date().and_hms_opt(0, 0, 0).unwrap();
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(HEADER.split(',')).unwrap();
        for (order, (goods, discount, paid_at, remark)) in &lines {
            let paid_at = paid_at.map(|seconds| (start + chrono::TimeDelta::seconds(seconds)).to_string());
            let (goods, discount) = (Fen(*goods).to_string(), Fen(*discount).to_string());
            let cells = [order, "", "", "", paid_at.as_deref().unwrap_or(""), &goods, &discount, &goods, "", "S", order, "", remark];
            writer.write_record(cells).unwrap();
        }
        let export = Till::with(writer.into_inner().unwrap()).read().unwrap();
        prop_assert_eq!(export.rows.len(), lines.len());
        for row in &export.rows {
            let (goods, discount, paid_at, remark) = &lines[&row.out_trade_no];
            prop_assert_eq!((row.goods_fen, row.discount_fen, row.paid_fen), (Fen(*goods), Fen(*discount), Fen(*goods)));
            let local = row.paid_at.map(|paid| paid.with_timezone(&beijing()).naive_local());
            prop_assert_eq!(local, paid_at.map(|seconds| start + chrono::TimeDelta::seconds(seconds)));
            prop_assert_eq!(row.remark.as_deref().unwrap_or_default(), remark.trim());
        }
    }
}
