//! Tests of bills: every layout of the reference, bills that contradict themselves, and a writer
//! for round trips.

use std::io::{self, Write};

use chrono::NaiveDate;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::job::PathPattern;
use crate::money::Fen;
use crate::record::{Payment, Refund};
use crate::sha256::sha256_of;

const ALL: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const SUCCESS: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,商品名称,商户数据包,手续费,费率,订单金额,费率备注";
const REFUND: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const RECHARGE_REFUND: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,退款申请时间,退款成功时间,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,返还手续费,费率,订单金额,申请退款金额";
const LEGACY: &str = "交易时间,公众账号ID,商户号,子商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,总金额,代金券或立减优惠金额,微信退款单号,商户退款单号,退款金额,代金券或立减优惠退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率";
const TRAILER: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const LEGACY_TRAILER: &str = "总交易单数,总交易额,总退款金额,总代金券或立减优惠退款金额,手续费总金额";

/// Reference v3 §4.6: a refund and a payment of the official sample.
const REFUND_ROW: &str = "`2019-02-19 05:01:46,`wxab8acd895ab1638a,`1921000401,`0,`harryma007,`4200000263201902167700134212,`autotest_20190216081946_82335,`oHkLxtx0vUqe-18p_AXTZ1innxkCY,`JSAPI,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`50000709672019011908420787722,`REF4200000263201902167700963919,`0.01,`0.00,`ORIGINAL,`SUCCESS,`系统拨测-cheeryin-test_micropay_succ,`,`0.00000,`39.00%,`0.00,`0.01,`";
const PAYMENT_ROW: &str = "`2019-02-19 01:51:59,`wxab8acd895ab1638a,`1921000401,`0,`,`4200000263201902167700136502,`autotest_20190219015157_13391,`wxab8acd865bb1637e,`NATIVE,`SUCCESS,`OTHERS,`CNY,`0.03,`0.01,`0,`0,`0.00,`0.00,`,`,`autotest,`,`0.01000,`39.00%,`0.03,`0.00,`";

/// A bill and its rows in file order.
#[derive(Debug, Default, PartialEq)]
struct Read {
    payments: Vec<Payment>,
    refunds: Vec<Refund>,
    trailer: Option<Trailer>,
}

impl Read {
    fn take(&mut self, entry: Entry<'_>) -> io::Result<()> {
        match entry {
            Entry::Payment(row) => self.payments.push(owned(&row)),
            Entry::Refund(row) => self.refunds.push(owned(&row)),
        }
        Ok(())
    }
}

fn owned<T: serde::de::DeserializeOwned>(row: &impl serde::Serialize) -> T {
    serde_json::from_value(serde_json::to_value(row).unwrap()).unwrap()
}

fn read_all(reader: impl io::Read, name: &str, date: NaiveDate) -> Result<Read, BillError> {
    let mut rows = Read::default();
    let bill = read(reader, name, date, &mut |entry, _| rows.take(entry))?;
    assert_eq!((bill.payments, bill.refunds), (rows.payments.len() as u64, rows.refunds.len() as u64));
    assert_eq!(bill.payments_fen, rows.payments.iter().map(|row| row.order_fen).sum());
    assert_eq!(bill.refunds_fen, rows.refunds.iter().map(|row| row.applied_refund_fen).sum());
    Ok(Read { trailer: bill.trailer, ..rows })
}

fn of(text: impl AsRef<[u8]>, date: &str) -> Result<Read, BillError> {
    read_all(text.as_ref(), "bill.csv", date.parse().unwrap())
}

fn bill(header: &str, rows: &[&str], trailer: &str, totals: &str) -> String {
    let lines = [header].into_iter().chain(rows.iter().copied()).chain([trailer, totals]);
    lines.map(|line| format!("{line}\r\n")).collect()
}

fn sample() -> String {
    bill(ALL, &[REFUND_ROW, PAYMENT_ROW], TRAILER, "`2.0,`0.03,`0.01,`0.0,`0.01,`0.03,`0.01")
}

#[test]
fn the_official_sample_becomes_a_payment_and_a_refund() {
    let bill = of(sample(), "2019-02-19").unwrap();
    let [payment] = bill.payments.as_slice() else { panic!("{:?}", bill.payments) };
    let [refund] = bill.refunds.as_slice() else { panic!("{:?}", bill.refunds) };
    assert_eq!(payment.transaction_id, "4200000263201902167700136502");
    assert_eq!((payment.settled_fen, payment.coupon_fee_fen, payment.order_fen), (Fen(3), Fen(1), Fen(3)));
    assert_eq!((payment.service_fee_millifen, payment.rate.as_deref()), (1000, Some("39.00%")));
    assert_eq!((payment.sub_mchid.as_deref(), payment.device_info.as_deref()), (None, None));
    assert_eq!(payment.trade_time.to_rfc3339(), "2019-02-18T17:51:59+00:00");
    assert_eq!(refund.refund_id, "50000709672019011908420787722");
    assert_eq!(refund.out_refund_no.as_deref(), Some("REF4200000263201902167700963919"));
    assert_eq!((refund.refund_fen, refund.applied_refund_fen), (Fen(1), Fen(1)));
    assert_eq!((refund.refund_status.as_deref(), refund.attach.as_deref()), (Some("SUCCESS"), None));
    assert_eq!((refund.success_time, refund.accepted_time.to_rfc3339().as_str()), (None, "2019-02-18T21:01:46+00:00"));
    let trailer = bill.trailer.unwrap();
    assert_eq!((trailer.rows, trailer.service_fee_millifen), (2, Some(1000)));
}

#[test]
fn marks_line_ends_and_gzip_make_no_difference() {
    let plain = of(sample(), "2019-02-19").unwrap();
    let unix = sample().replace("\r\n", "\n");
    let marked = format!("\u{feff}{}\r\n\r\n", sample());
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(marked.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(of(unix, "2019-02-19").unwrap(), plain);
    assert_eq!(of(&marked, "2019-02-19").unwrap(), plain);
    assert_eq!(of(&packed, "2019-02-19").unwrap(), plain);
    let torn = of(&packed[..packed.len() - 20], "2019-02-19").unwrap_err();
    assert!(matches!(torn, BillError::Read { .. }), "{torn}");
}

#[test]
fn success_bills_state_refund_totals_their_rows_have_no_columns_for() {
    let row = "`2019-07-23 18:46:41,`XXXX,`XXX,`XXX,`,`T1,`M1,`XXX,`JSAPI,`SUCCESS,`CFT,`CNY,`0.01,`0.00,`XXX,`XXXX,`0.00000,`0.60%,`0.01,`";
    let seven = of(bill(SUCCESS, &[row], TRAILER, "`1,`0.01,`0.00,`0.00,`0.00000,`0.01,`0.00"), "2019-07-23").unwrap();
    let four = of(
        bill(SUCCESS, &[row], "总交易单数,应结订单总金额,手续费总金额,订单总金额", "`1,`0.01,`0.00000,`0.01"),
        "2019-07-23",
    );
    assert_eq!(four.unwrap().payments, seven.payments);
    assert_eq!((seven.payments[0].order_fen, seven.payments[0].sub_mchid.as_deref()), (Fen(1), Some("XXX")));
}

#[test]
fn refund_bills_tell_when_a_refund_was_accepted_and_done_and_fees_are_negative() {
    let row = "`2019-07-23 20:53:36,`xxx,`xxx,`xxx,`,`T1,`M1,`xxxxx,`JSAPI,`REFUND,`CFT,`CNY,`0.00,`0.00,`2019-07-23 20:53:36,`2019-07-23 20:53:40,`R1,`xxx,`0.01,`0.00,`ORIGINAL,`SUCCESS,`xxxx,`xxxx,`-0.02000,`0.60%,`0.00,`0.01,`";
    let read = of(bill(REFUND, &[row], TRAILER, "`1,`0.00,`0.01,`0.00,`-0.02000,`0.00,`0.01"), "2019-07-23").unwrap();
    assert_eq!(read.refunds[0].success_time.unwrap().to_rfc3339(), "2019-07-23T12:53:40+00:00");
    assert_eq!(read.refunds[0].service_fee_millifen, -2000);
    let recharge = row.strip_suffix(",`").unwrap();
    let read =
        of(bill(RECHARGE_REFUND, &[recharge], TRAILER, "`1,`0.00,`0.01,`0.00,`-0.02000,`0.00,`0.01"), "2019-07-23");
    assert_eq!(read.unwrap().refunds[0].service_fee_millifen, -2000);
}

#[test]
fn the_legacy_layout_is_read_with_its_full_width_colons() {
    let row = "`2014-11-10 16：33：45,`wx2421b1c4370ec43b,`10000100,`0,`1000,`1001690740201411100005734289,`1415640626,`085e9858e3ba5186aafcbaed1,`MICROPAY,`SUCCESS,`OTHERS,`CNY,`0.01,`0.0,`0,`0,`0,`0,`,`,`被扫支付测试,`订单额外描述,`0,`0.60%";
    let read = of(bill(LEGACY, &[row], LEGACY_TRAILER, "`1,`0.01,`0.0,`0.0,`0"), "2014-11-10").unwrap();
    assert_eq!((read.payments[0].settled_fen, read.payments[0].order_fen), (Fen(1), Fen(1)));
    assert_eq!(read.payments[0].trade_time.to_rfc3339(), "2014-11-10T08:33:45+00:00");
    assert_eq!(read.trailer.unwrap().order_fen, None);
}

#[test]
fn commas_back_ticks_and_line_breaks_in_product_names_shift_nothing() {
    let name = |name: &str| PAYMENT_ROW.replace("`autotest,", &format!("`{name},"));
    let totals = "`1,`0.03,`0.00,`0.00,`0.01,`0.03,`0.00";
    for text in ["拿铁,大杯, 热", "a`b", "a\nb", ",", "\"quoted\""] {
        let read = of(bill(ALL, &[&name(text)], TRAILER, totals), "2019-02-19").unwrap();
        assert_eq!(read.payments[0].body.as_deref(), Some(text));
    }
}

#[test]
fn a_comma_before_a_back_tick_in_a_text_of_the_merchant_shifts_no_amount() {
    let totals = "`1.0,`0.03,`0.00,`0.0,`0.01,`0.03,`0.00";
    let written = [
        ("`拿铁,`热,`,", "拿铁,`热", None),
        ("`拿铁,`a,`b,", "拿铁,`a,`b", None),
        ("`拿铁,`热,`大,`杯,", "拿铁,`热,`大,`杯", None),
        ("`拿铁,`a,", "拿铁", Some("a")),
    ];
    for (cells, body, attach) in written {
        let row = PAYMENT_ROW.replace("`autotest,`,", cells);
        let read = of(bill(ALL, &[&row], TRAILER, totals), "2019-02-19").unwrap();
        let payment = &read.payments[0];
        assert_eq!((payment.service_fee_millifen, payment.order_fen, payment.settled_fen), (1000, Fen(3), Fen(3)));
        let told = payment.body.as_deref().unwrap().trim_end_matches([',', '`']);
        assert_eq!((told, payment.attach.as_deref()), (body, attach));
    }
    let apart = ALL.replace("商品名称,商户数据包", "商品名称,x,商户数据包");
    let row = PAYMENT_ROW.replace("`autotest,`,", "`拿铁,`热,`,`,");
    let error = of(bill(&apart, &[&format!("{row},`")], TRAILER, totals), "2019-02-19").unwrap_err().to_string();
    assert!(error.contains("cells where the header has 28"), "{error}");
}

#[test]
fn a_revoked_payment_stays_beside_the_payment_and_unknown_states_survive() {
    let revoked = PAYMENT_ROW.replace("`SUCCESS,", "`REVOKED,");
    let unknown = REFUND_ROW.replace("`REFUND,", "`SOMETHING_NEW,");
    let totals = "`3,`0.06,`0.01,`0.00,`0.02,`0.06,`0.01";
    let read = of(bill(ALL, &[PAYMENT_ROW, &revoked, &unknown], TRAILER, totals), "2019-02-19").unwrap();
    assert_eq!(read.payments.iter().map(|row| row.trade_state.as_str()).collect::<Vec<_>>(), ["SUCCESS", "REVOKED"]);
    assert_eq!(read.refunds.len(), 1);
}

#[test]
fn an_empty_day_is_a_header_or_zero_totals_or_both() {
    let zero = "`0,`0.0,`0.0,`0.0,`0.0,`0.0,`0.0";
    let both = of(bill(ALL, &[], TRAILER, zero), "2019-02-19").unwrap();
    assert_eq!((both.payments.len(), both.refunds.len(), both.trailer.map(|trailer| trailer.rows)), (0, 0, Some(0)));
    assert_eq!(of(format!("{ALL}\n"), "2019-02-19").unwrap(), Read::default());
    assert!(of(format!("{TRAILER}\n{zero}\n"), "2019-02-19").unwrap().trailer.is_some());
    assert!(matches!(of("", "2019-02-19"), Err(BillError::Empty { .. })));
    assert!(matches!(of("\u{feff}\r\n", "2019-02-19"), Err(BillError::Empty { .. })));
}

#[test]
fn a_bill_whose_lines_are_one_is_no_empty_day() {
    let zero = bill(ALL, &[], TRAILER, "`0,`0.0,`0.0,`0.0,`0.0,`0.0,`0.0");
    let marked = ALL.split(',').map(|header| format!("`{header}")).collect::<Vec<_>>().join(",");
    for text in [sample(), sample().replace(ALL, &marked), zero] {
        for end in ["\r", "", "\t", "\u{b}"] {
            let error = of(text.replace("\r\n", end), "2019-02-19");
            assert!(matches!(&error, Err(BillError::Row { line: 1, .. })), "{end:?} {error:?}");
        }
    }
    let error = of(sample().replace("\r\n", "\r"), "2019-02-19").unwrap_err().to_string();
    assert!(error.contains("line 1: `费率备注`") && error.contains("download it again"), "{error}");
    assert_eq!(of(format!("{ALL}\r"), "2019-02-19").unwrap(), Read::default());
}

/// Produces a header and endless payments, one of which is malformed.
struct Endless {
    line: usize,
    ready: Vec<u8>,
}

impl std::io::Read for Endless {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.ready.is_empty() {
            self.line += 1;
            let text = match self.line {
                1 => ALL.to_owned(),
                50_000 => PAYMENT_ROW.replace("`0.03,`0.00,`", "`three,`0.00,`"),
                _ => PAYMENT_ROW.to_owned(),
            };
            self.ready = format!("{text}\r\n").into_bytes();
        }
        let size = buffer.len().min(self.ready.len());
        buffer[..size].copy_from_slice(&self.ready[..size]);
        self.ready.drain(..size);
        Ok(size)
    }
}

#[test]
fn a_bill_is_read_line_by_line_and_a_wrong_one_ends_it_however_much_would_follow() {
    let endless = Endless { line: 0, ready: Vec::new() };
    match read_all(endless, "bill.csv", "2019-02-19".parse().unwrap()) {
        Err(BillError::Row { line, column, value, .. }) => {
            assert_eq!((line, column.as_str(), value.as_str()), (50_000, "订单金额", "three"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_trailer_must_equal_the_details_in_every_total_it_states() {
    let right = "`2.0,`0.03,`0.01,`0.0,`0.01,`0.03,`0.01";
    let cases = [
        ("`2.0,", "`3,", "`总交易单数` states 3, the rows give 2"),
        ("`0.03,`0.01,`0.0,", "`0.04,`0.01,`0.0,", "`应结订单总金额` states 0.04, the rows give 0.03"),
        ("`0.01,`0.0,", "`-0.01,`0.0,", "`退款总金额` states -0.01, the rows give 0.01"),
        ("`0.0,", "`0.02,", "`充值券退款总金额` states 0.02, the rows give 0.00"),
        ("`0.01,`0.03,", "`0.01001,`0.03,", "`手续费总金额` states 0.01001, the rows give 0.01000"),
        ("`0.03,`0.01,", "`0.05,`0.01,", "states 0.05"),
    ];
    for (from, to, sentence) in cases {
        let error = of(sample().replace(right, &right.replacen(from, to, 1)), "2019-02-19").unwrap_err();
        let BillError::TrailerDiffers { differences, .. } = &error else { panic!("{error}") };
        assert!(differences.len() == 1 && error.to_string().contains(sentence), "{error}");
    }
}

#[test]
fn a_bill_that_is_cut_off_is_told_from_an_empty_one() {
    for end in [sample().find(TRAILER).unwrap(), sample().find("`2.0").unwrap()] {
        let error = of(&sample()[..end], "2019-02-19").unwrap_err();
        assert!(matches!(error, BillError::Truncated { .. }), "{error}");
    }
    let error = of(format!("{}{}", sample(), sample()), "2019-02-19").unwrap_err();
    assert!(error.to_string().contains("line 6") && error.to_string().contains("two bills"), "{error}");
}

#[test]
fn a_malformed_row_names_line_column_value_and_reason() {
    let cases = [
        ("`0.03,`0.01,`0,", "`3分,`0.01,`0,", "line 3, column `应结订单金额`: `3分`: not a plain decimal"),
        (
            "`0.03,`0.01,`0,",
            "`-0.03,`0.01,`0,",
            "line 3, column `应结订单金额`: `-0.03`: negative, as only a fee may be",
        ),
        ("`0.01000,", "`0.010001,", "line 3, column `手续费`: `0.010001`: more than 5 decimals"),
        ("2019-02-19 01:51:59", "19/02/2019", "line 3, column `交易时间`: `19/02/2019`: must be a time"),
        ("`autotest_20190219015157_13391", "`", "line 3, column `商户订单号`: ``: must not be empty"),
        ("`autotest,`,", "`autotest,", "26 cells where the header has 27"),
        ("`50000709672019011908420787722", "`0", "line 2, column `微信退款单号`: `0`: a refund without its number"),
        ("\r\n`2019-02-19 01", "\r\n2019-02-19 01", "was the file saved again by a spreadsheet?"),
    ];
    for (from, to, wanted) in cases {
        assert!(sample().contains(from), "{from}");
        let error = of(sample().replacen(from, to, 1), "2019-02-19").unwrap_err().to_string();
        assert!(error.starts_with("the bill `bill.csv` line") && error.contains(wanted), "{error}");
    }
    let error = of(b"\xbd\xbb\xd2\xd7,x\n", "2019-02-19").unwrap_err().to_string();
    assert!(error.contains("line 1") && error.contains("not UTF-8"), "{error}");
}

#[test]
fn a_header_of_something_else_names_what_it_lacks() {
    let fund = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型\n";
    let error = of(fund, "2019-02-19").unwrap_err().to_string();
    assert!(error.contains("lacks `交易时间`, `微信订单号`") && error.contains("`记账时间,"), "{error}");
}

#[test]
fn unknown_columns_are_passed_over_wherever_they_stand() {
    let header = format!("新列,{}", ALL);
    let row = format!("`x,{PAYMENT_ROW}");
    let read = of(bill(&header, &[&row], TRAILER, "`1,`0.03,`0,`0,`0.01,`0.03,`0"), "2019-02-19").unwrap();
    assert_eq!(
        read.payments,
        of(bill(ALL, &[PAYMENT_ROW], TRAILER, "`1,`0.03,`0,`0,`0.01,`0.03,`0"), "2019-02-19").unwrap().payments
    );
}

#[test]
fn error_documents_are_told_from_bills_with_their_code() {
    let xml = "<xml>\n<return_code><![CDATA[FAIL]]></return_code>\n<return_msg><![CDATA[No Bill Exist]]></return_msg>\n<error_code><![CDATA[20002]]></error_code>\n</xml>";
    let json = r#"{"code":"NO_STATEMENT_EXIST","message":"账单文件不存在"}"#;
    for (body, wanted, said) in [
        (xml, Some("20002"), "`20002` `No Bill Exist`"),
        (json, Some("NO_STATEMENT_EXIST"), "`NO_STATEMENT_EXIST` `账单文件不存在`"),
        ("<html>502</html>", None, "neither code nor message"),
    ] {
        let error = of(body, "2019-02-19").unwrap_err();
        assert!(matches!(&error, BillError::ErrorDocument { code, .. } if code.as_deref() == wanted), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn an_error_document_does_not_bring_an_openid_into_a_message() {
    let openid = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o";
    let body = format!(r#"{{"code":"PARAM_ERROR","message":"{openid} asked /v3/bill?token=secret"}}"#);
    let error = of(&body, "2019-02-19").unwrap_err().to_string();
    assert!(error.contains("PARAM_ERROR") && !error.contains(openid) && !error.contains("secret"), "{error}");
}

#[test]
fn the_bill_of_another_day_is_refused_and_a_stray_row_is_not() {
    let error = of(sample(), "2019-02-20").unwrap_err();
    assert!(matches!(error, BillError::OtherDay { found, .. } if found == "2019-02-19".parse().unwrap()), "{error}");
    let stray = sample().replace("2019-02-19 05:01:46", "2019-02-18 23:59:59");
    assert_eq!(of(stray, "2019-02-19").unwrap().refunds.len(), 1);
}

#[test]
fn local_bills_are_hashed_as_they_lie_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(sample().as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    std::fs::write(folder.path().join("20190219_a.csv"), sample()).unwrap();
    std::fs::write(folder.path().join("20190219_b.csv"), &packed).unwrap();
    let pattern = PathPattern::new(folder.path(), "{yyyymmdd}_*.csv");
    let read_day = |date: &str| read_local(&pattern, date.parse().unwrap(), &mut |_, _| Ok(()));
    let bills = read_day("2019-02-19").unwrap();
    assert_eq!(bills[0].bill, bills[1].bill);
    let sizes: Vec<_> = bills.iter().map(|bill| bill.file.bytes).collect();
    assert_eq!(sizes, [sample().len() as u64, packed.len() as u64]);
    assert_eq!(bills[1].file.sha256, sha256_of(&packed));
    assert_eq!(bills[0].file.name, "20190219_a.csv");
    let missing = read_day("2019-02-20").unwrap_err();
    assert!(matches!(missing, BillError::Missing { .. }), "{missing}");
}

#[test]
fn a_bill_that_was_gzipped_twice_is_read_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let packed = |bytes: &[u8]| {
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    };
    std::fs::write(folder.path().join("a.csv"), sample()).unwrap();
    std::fs::write(folder.path().join("b.csv"), packed(&packed(sample().as_bytes()))).unwrap();
    let pattern = PathPattern::new(folder.path(), "*.csv");
    let bills = read_local(&pattern, "2019-02-19".parse().unwrap(), &mut |_, _| Ok(())).unwrap();
    assert_eq!(bills[0].bill, bills[1].bill);
}

/// A bill as WeChat writes it, with this content.
fn written(rows: &[(bool, i64, i64, i64, String)]) -> String {
    let (mut settled, mut refunded, mut fees) = (0, 0, 0);
    let mut lines = vec![ALL.to_owned()];
    for (index, (is_refund, order_fen, coupon_fen, fee_millifen, name)) in rows.iter().enumerate() {
        let fee = decimal5(if *is_refund { -fee_millifen } else { *fee_millifen });
        let (order, zero) = (Fen(*order_fen).to_string(), "0.00".to_owned());
        let (state, paid, back) = if *is_refund { ("REFUND", &zero, &order) } else { ("SUCCESS", &order, &zero) };
        let refund_id = if *is_refund { format!("R{index}") } else { "0".to_owned() };
        let coupon = Fen(*coupon_fen).to_string();
        let cells = [
            "2026-11-18 08:35:41",
            "wx1",
            "1900000001",
            "0",
            "",
            &format!("T{index}"),
            &format!("M{index}"),
            "o1",
            "JSAPI",
            state,
            "OTHERS",
            "CNY",
            paid,
            &coupon,
            &refund_id,
            &refund_id,
            back,
            "0.00",
            "",
            "",
            name,
            "",
            &fee,
            "0.60%",
            paid,
            back,
            "",
        ];
        lines.push(cells.iter().map(|cell| format!("`{cell}")).collect::<Vec<_>>().join(","));
        settled += if *is_refund { 0 } else { *order_fen };
        refunded += if *is_refund { *order_fen } else { 0 };
        fees += if *is_refund { -fee_millifen } else { *fee_millifen };
    }
    lines.push(TRAILER.to_owned());
    let (settled, refunded) = (Fen(settled), Fen(refunded));
    lines.push(format!("`{}.0,`{settled},`{refunded},`0.0,`{},`{settled},`{refunded}", rows.len(), decimal5(fees)));
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

fn decimal5(millifen: i64) -> String {
    let sign = if millifen < 0 { "-" } else { "" };
    format!("{sign}{}.{:05}", millifen.abs() / 100_000, millifen.abs() % 100_000)
}

proptest! {
    #[test]
    fn what_wechat_writes_is_what_we_read(
        rows in prop::collection::vec(
            (any::<bool>(), 0i64..10_000_000, 0i64..100, 0i64..1_000_000, "[a-z,券\\-]{0,10}"), 0..30)
    ) {
        let read = of(written(&rows), "2026-11-18").unwrap();
        let payments: Vec<_> = rows.iter().filter(|row| !row.0).collect();
        let refunds: Vec<_> = rows.iter().filter(|row| row.0).collect();
        prop_assert_eq!((read.payments.len(), read.refunds.len()), (payments.len(), refunds.len()));
        for (read, written) in read.payments.iter().zip(payments) {
            prop_assert_eq!((read.order_fen, read.coupon_fee_fen), (Fen(written.1), Fen(written.2)));
            prop_assert_eq!(read.service_fee_millifen, written.3);
            prop_assert_eq!(read.body.as_deref().unwrap_or_default(), written.4.as_str());
        }
        for (read, written) in read.refunds.iter().zip(refunds) {
            prop_assert_eq!((read.applied_refund_fen, read.service_fee_millifen), (Fen(written.1), -written.3));
        }
    }

    #[test]
    fn one_changed_digit_in_the_totals_never_passes(order_fen in 1i64..1_000_000, place in 0usize..6) {
        let text = written(&[(false, order_fen, 0, 600, "x".into())]);
        let start = text.rfind("\r\n`").unwrap() + 2;
        let mut cells: Vec<String> = text[start..].trim_end().split(',').map(str::to_owned).collect();
        cells[place].push('1');
        let changed = format!("{}{}\r\n", &text[..start], cells.join(","));
        prop_assert!(of(changed, "2026-11-18").is_err());
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = of(&bytes, "2026-11-18");
        let mut after_header = format!("{ALL}\r\n").into_bytes();
        after_header.extend(bytes);
        let _ = of(&after_header, "2026-11-18");
    }
}
