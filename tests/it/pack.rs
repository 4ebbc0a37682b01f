//! The finance pack of whole nights: every file is there, the books foot with it, hostile exports stay text.

use std::collections::BTreeMap;
use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
use coupon_recon::record::{Break, LedgerRow};
use sha2::{Digest, Sha256};

use crate::support::Shop;

const FILES: [&str; 8] = [
    "SHA256SUMS",
    "associated_orders.csv",
    "discrepancies.csv",
    "reconciliation.xlsx",
    "report.html",
    "subsidies.csv",
    "summary.csv",
    "summary.json",
];
const DAY: &str = "2026-11-20";

fn reports(shop: &Shop, date: &str) -> BTreeMap<String, Vec<u8>> {
    let prefix = format!("reports/dt={date}/");
    let files = shop.published().into_iter();
    files.filter_map(|(name, bytes)| Some((name.strip_prefix(&prefix)?.to_owned(), bytes))).collect()
}

/// The lines of a CSV without header and total.
fn lines(files: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<csv::StringRecord> {
    let mut lines: Vec<_> = csv::Reader::from_reader(files[name].as_slice()).records().map(Result::unwrap).collect();
    assert_eq!(lines.pop().unwrap().get(0), Some("合计"), "{name}");
    lines
}

#[test]
fn the_pack_of_a_night_is_whole_and_foots_with_the_ledger_and_the_breaks() {
    let shop = Shop::of_seed(6);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let files = reports(&shop, DAY);
    assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), FILES);
    for line in String::from_utf8(files["SHA256SUMS"].clone()).unwrap().lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        assert_eq!(sum, hex::encode(Sha256::digest(&files[name])), "{name}");
    }
    let ledger = shop.lake().join(format!("datasets/coupon_ledger/dt={DAY}/part-0.parquet"));
    let ledger: Vec<LedgerRow> = coupon_recon::dataset::partition::read_rows(&ledger).unwrap();
    let used = ledger.iter().filter(|row| row.state_on_date.as_deref() == Some("USED") || row.match_pass.is_some());
    assert_eq!(lines(&files, "associated_orders.csv").len(), used.count());
    let summary: serde_json::Value = serde_json::from_slice(&files["summary.json"]).unwrap();
    assert_eq!(summary["open"]["rows"].as_u64().unwrap() as usize, lines(&files, "discrepancies.csv").len());
    let flow = summary["flow"].as_array().unwrap();
    let coupons: u64 = flow.iter().map(|line| line["coupons"].as_u64().unwrap()).sum();
    assert_eq!(coupons as usize, ledger.len(), "every coupon goes one way");
    let paid = |line: &serde_json::Value| line["subsidy_paid_fen"].as_i64().unwrap();
    let in_ledger: i64 = ledger.iter().filter_map(|row| row.subsidy_paid_fen).map(|paid| paid.0).sum();
    assert_eq!(flow.iter().map(paid).sum::<i64>(), in_ledger);
}

#[test]
fn the_trend_counts_the_published_nights_before() {
    let shop = Shop::of_seed(6);
    let wechat = shop.serve(None);
    shop.run_nights(&wechat);
    let summary: serde_json::Value = serde_json::from_slice(&reports(&shop, DAY)["summary.json"]).unwrap();
    let trend = summary["trend"].as_array().unwrap();
    assert_eq!(trend.len(), 3);
    for (day, date) in trend.iter().zip(&shop.dates) {
        let open = shop.breaks(*date).into_iter().filter(Break::is_open);
        let risk: i64 = open.map(|it| it.at_risk_fen.0).sum();
        assert_eq!(day["date"], date.to_string());
        assert_eq!(day["open"]["at_risk_fen"], risk, "{date}");
    }
}

/// An order line with formulas in its number, product and remark, and one that must be quarantined.
fn plant(shop: &Shop) {
    shop.edit("job.toml", |text| text.replace("on_bad_row = \"fail\"", "on_bad_row = \"quarantine\""));
    shop.edit("orders/2026-11-18.csv", |text| {
        let evil = "\"=HYPERLINK(\"\"http://evil\"\",\"\"<script>alert(1)</script>\"\")\"";
        let paid = text.lines().find(|line| line.contains("2026-11-18 ") && line.contains(",微信支付,")).unwrap();
        let cells: Vec<&str> = paid.split(',').collect();
        let line = |order: &str, goods: &str| {
            let (openid, time, stock) = (cells[3], cells[4], cells[9]);
            format!(
                "{order},,{},{openid},{time},{goods},1.00,9.00,0.00,{stock},@CODE-EVIL,微信支付,{evil},{evil}\n",
                cells[2]
            )
        };
        format!("{text}{}{}", line("+ORDER-EVIL", "10.00"), line("-ORDER-BAD", evil))
    });
}

#[test]
fn hostile_exports_stay_text_in_every_file_of_the_pack() {
    let shop = Shop::of_seed(6);
    plant(&shop);
    let wechat = shop.serve(None);
    let ending = shop.run(&wechat, &["--date", "2026-11-18"]);
    assert_eq!(ending.code, 0, "{}", ending.stderr);
    let files = reports(&shop, "2026-11-18");
    let page = String::from_utf8(files["report.html"].clone()).unwrap();
    assert!(page.contains("+ORDER-EVIL") && !page.contains("<script>alert"));
    assert_eq!(page.matches("<script").count(), 1);
    let quarantine = String::from_utf8(files["quarantine.csv"].clone()).unwrap();
    assert!(quarantine.contains("'=HYPERLINK"), "{quarantine}");
    let orders = String::from_utf8(files["associated_orders.csv"].clone()).unwrap();
    assert!(orders.contains(",`+ORDER-EVIL,") && orders.contains(",`@CODE-EVIL,"), "{orders}");
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(files["reconciliation.xlsx"].clone())).unwrap();
    let mut met = 0;
    for name in book.sheet_names() {
        assert!(book.worksheet_formula(&name).unwrap().is_empty(), "{name}");
        let cells = book.worksheet_range(&name).unwrap();
        met += cells.cells().filter(|(.., cell)| matches!(cell, Data::String(text) if text.contains("EVIL"))).count();
    }
    assert!(met > 0, "the workbook shows the order as text");
}
