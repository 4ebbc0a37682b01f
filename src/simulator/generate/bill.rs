//! The trade bill of a day as WeChat serves it: type ALL, 27 columns, BOM, CRLF, a back-tick before
//! every value, no quotes, rows in no particular order (reference v3 §4.3, §4.4).

use std::fmt::Write as _;

use crate::clock::beijing;
use crate::money::Fen;

use super::books::{BillEntry, BillRow};
use super::catalog::{APPID, MCHID};

const HEADER: &str = "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,\
付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,\
商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注";
const TRAILER: &str = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额";
const BOM: char = '\u{feff}';
/// 0.60 % of a fen is six thousandths of it.
const FEE_MILLIFEN_PER_FEN: i64 = 6;

/// The money columns of a row, which the trailer sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amounts {
    settled: Fen,
    refund: Fen,
    fee_millifen: i64,
    order: Fen,
    applied_refund: Fen,
}

/// The file of the day the rows belong to.
pub(super) fn render(rows: &[&BillRow]) -> String {
    let mut text = format!("{BOM}{HEADER}\r\n");
    let mut total = Amounts::default();
    for row in rows {
        let amounts = amounts(&row.entry);
        total = total.plus(amounts);
        line(&mut text, &cells(row, amounts));
    }
    text.push_str(TRAILER);
    text.push_str("\r\n");
    line(&mut text, &total.trailer(rows.len()));
    text
}

impl Amounts {
    fn plus(self, other: Amounts) -> Amounts {
        Amounts {
            settled: self.settled + other.settled,
            refund: self.refund + other.refund,
            fee_millifen: self.fee_millifen + other.fee_millifen,
            order: self.order + other.order,
            applied_refund: self.applied_refund + other.applied_refund,
        }
    }

    /// The count with a needless decimal, as the official sample has it.
    fn trailer(self, rows: usize) -> Vec<String> {
        vec![
            format!("{rows}.0"),
            self.settled.to_string(),
            self.refund.to_string(),
            Fen::ZERO.to_string(),
            fee(self.fee_millifen),
            self.order.to_string(),
            self.applied_refund.to_string(),
        ]
    }
}

fn amounts(entry: &BillEntry) -> Amounts {
    match entry {
        BillEntry::Payment { order_fen, unsettled_fen, .. } => {
            let settled = *order_fen - *unsettled_fen;
            let fee_millifen = settled.0 * FEE_MILLIFEN_PER_FEN;
            Amounts { settled, fee_millifen, order: *order_fen, ..Amounts::default() }
        }
        BillEntry::Revoked => Amounts::default(),
        BillEntry::Refund { applied_fen, unsettled_fen, .. } => {
            let refund = *applied_fen - *unsettled_fen;
            let fee_millifen = -refund.0 * FEE_MILLIFEN_PER_FEN;
            Amounts { refund, fee_millifen, applied_refund: *applied_fen, ..Amounts::default() }
        }
    }
}

/// The 27 values of a row.
fn cells(row: &BillRow, amounts: Amounts) -> Vec<String> {
    let state = RowState::of(&row.entry);
    let texts = [
        row.time.with_timezone(&beijing()).format("%Y-%m-%d %H:%M:%S").to_string(),
        APPID.to_owned(),
        MCHID.to_owned(),
        "0".to_owned(),
        String::new(),
        row.transaction_id.clone(),
        row.out_trade_no.clone(),
        row.openid.clone(),
        "JSAPI".to_owned(),
        state.trade_state.to_owned(),
        "OTHERS".to_owned(),
        "CNY".to_owned(),
        amounts.settled.to_string(),
        state.favor.to_string(),
        state.refund_id.to_owned(),
        state.out_refund_no.to_owned(),
        amounts.refund.to_string(),
        Fen::ZERO.to_string(),
        state.refund_type.to_owned(),
        state.refund_status.to_owned(),
        row.product.to_owned(),
        "store=12,till=3".to_owned(),
        fee(amounts.fee_millifen),
        "0.60%".to_owned(),
        amounts.order.to_string(),
        amounts.applied_refund.to_string(),
        String::new(),
    ];
    texts.into()
}

/// What differs between payments, revocations and refunds.
struct RowState<'a> {
    trade_state: &'static str,
    favor: Fen,
    refund_id: &'a str,
    out_refund_no: &'a str,
    refund_type: &'static str,
    refund_status: &'static str,
}

impl RowState<'_> {
    fn of(entry: &BillEntry) -> RowState<'_> {
        let payment = |trade_state, favor| RowState {
            trade_state,
            favor,
            refund_id: "0",
            out_refund_no: "0",
            refund_type: "",
            refund_status: "",
        };
        match entry {
            BillEntry::Payment { favor_fen, .. } => payment("SUCCESS", *favor_fen),
            BillEntry::Revoked => payment("REVOKED", Fen::ZERO),
            BillEntry::Refund { refund_id, out_refund_no, status, .. } => RowState {
                trade_state: "REFUND",
                favor: Fen::ZERO,
                refund_id,
                out_refund_no,
                refund_type: "ORIGINAL",
                refund_status: status,
            },
        }
    }
}

/// Yuan with five decimals; a thousandth of a fen is the last of them.
fn fee(millifen: i64) -> String {
    let sign = if millifen < 0 { "-" } else { "" };
    let unsigned = millifen.unsigned_abs();
    format!("{sign}{}.{:05}", unsigned / 100_000, unsigned % 100_000)
}

fn line(text: &mut String, cells: &[String]) {
    for (place, cell) in cells.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        write!(text, "{comma}`{cell}").expect("a String takes every text");
    }
    text.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;
    use crate::simulator::generate::calendar::at;

    fn row(entry: BillEntry) -> BillRow {
        BillRow {
            time: at(NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(), 8, 35),
            transaction_id: "4200000263201902167700136502".to_owned(),
            out_trade_no: "RY1".to_owned(),
            openid: "oHkLxtx0vUqe-18p_AXTZ1innxkCY".to_owned(),
            product: "生椰拿铁, 少冰",
            entry,
        }
    }

    #[test]
    fn a_payment_row_reads_as_in_the_official_layout() {
        let payment = row(BillEntry::Payment { order_fen: Fen(600), favor_fen: Fen(100), unsettled_fen: Fen(100) });
        let text = render(&[&payment]);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert!(lines[0].starts_with("\u{feff}交易时间,") && lines[0].split(',').count() == 27);
        assert_eq!(
            lines[1],
            "`2026-11-18 08:35:00,`wx5edab3bdfba3dc1c,`1900000001,`0,`,`4200000263201902167700136502,`RY1,\
             `oHkLxtx0vUqe-18p_AXTZ1innxkCY,`JSAPI,`SUCCESS,`OTHERS,`CNY,`5.00,`1.00,`0,`0,`0.00,`0.00,`,`,\
             `生椰拿铁, 少冰,`store=12,till=3,`0.03000,`0.60%,`6.00,`0.00,`"
        );
        assert_eq!(lines[3], "`1.0,`5.00,`0.00,`0.00,`0.03000,`6.00,`0.00");
        assert_eq!(lines[4], "");
    }

    #[test]
    fn a_refund_row_has_zero_order_amounts_and_a_negative_fee() {
        let refund = row(BillEntry::Refund {
            refund_id: "50300".to_owned(),
            out_refund_no: "RF1".to_owned(),
            applied_fen: Fen(400),
            unsettled_fen: Fen(50),
            status: "PROCESSING",
        });
        let text = render(&[&refund]);
        let cells: Vec<&str> = text.split("\r\n").nth(1).unwrap()[1..].split(",`").collect();
        assert_eq!(cells.len(), 27);
        assert_eq!((cells[9], cells[12], cells[24]), ("REFUND", "0.00", "0.00"));
        assert_eq!((cells[16], cells[25], cells[22]), ("3.50", "4.00", "-0.02100"));
        assert_eq!((cells[18], cells[19]), ("ORIGINAL", "PROCESSING"));
    }

    #[test]
    fn an_empty_day_still_has_header_and_trailer() {
        assert!(render(&[]).ends_with("`0.0,`0.00,`0.00,`0.00,`0.00000,`0.00,`0.00\r\n"));
    }
}
