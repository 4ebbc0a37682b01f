//! Every coupon that a programme owes a subsidy, and every receipt: one row per receipt, or one row if there
//! is none. Amounts of the coupon are on its first row, those of an order on its first coupon, so that columns add up.

use std::path::Path;

use chrono::{DateTime, Utc};

use super::coupon::{Coupon, day, instant};
use super::coupon_breaks::CouponBreaks;
use super::error::ReportError;
use super::table::{Cell, Column, Kind, Table, column, summed};
use super::verdict::Tonight;
use super::words::{self, word};
use crate::dataset::partition::PartitionError;
use crate::money::Fen;
use crate::record::SubsidyPayment;
use crate::sorter::{CellPacker, JoinSide, KeyPacker, Packed, PackedRow, Room, Sorter};

/// `subsidies.csv`.
pub(super) const TABLE: Table =
    Table { name: "subsidies", zh: "补差明细", en: "Subsidies", dataset: "subsidy_payments", columns: &COLUMNS };

const COLUMNS: [Column; 26] = [
    column("stock_id", "批次号", "Stock", Kind::Id),
    column("coupon_code", "券码", "Coupon", Kind::Id),
    column("openid", "用户标识", "User", Kind::Id).of("coupon_ledger", "openid"),
    column("state", "券状态", "Coupon state", Kind::Word).of("coupon_ledger", "state_on_date"),
    column("used_at", "核销时间", "Used at", Kind::Time).of("coupon_ledger", "used_at"),
    column("result", "对账结果", "Result", Kind::Word).says(
        "相符：没有未结差异；有差异：见差异规则；待补差：补差或回退仍在途，或补差未到期；\
         未核实：没有未结差异，但已核销券无订单或应补差未知、没有卡包显示该券，补差单状态不明，或当晚有规则缺数据未判定。",
        "Agrees: no open break concerns the row. Differs: see the rules named. Pending: the money is on its way or not yet due. \
         Unproven: no open break either, but no order is known for the used coupon, or not what it is owed, no wallet shows it, \
         its receipt has a status that is not known, or a rule lacked its data tonight.",
    ),
    column("out_trade_no", "商户订单号", "Order", Kind::Id).of("coupon_ledger", "out_trade_no"),
    column("transaction_id", "微信支付订单号", "WeChat Pay order", Kind::Id).of("coupon_ledger", "transaction_id"),
    column("due_date", "应补日期", "Due on", Kind::Date).of("coupon_ledger", "subsidy_due_date"),
    column("discount_yuan", "券优惠金额(元)", "Discount (yuan)", Kind::Yuan).says(
        "该行用券优惠的金额；只记在该券的首行。",
        "Discount the coupon gave on its order line; on the first row of the coupon only.",
    ),
    summed("expected_yuan", "应补差(元)", "Expected (yuan)", Kind::Yuan).says(
        "补差方案对已核销券应付的补差；只记在该券的首行。",
        "Subsidy the programmes of the stock owe the used coupon; on the first row of the coupon only.",
    ),
    summed("paid_yuan", "已补差(元)", "Paid (yuan)", Kind::Yuan).says(
        "已付补差单的合计；只记在该券的首行。",
        "Sum of the receipts that were paid; on the first row of the coupon only.",
    ),
    summed("returned_yuan", "已回退(元)", "Returned (yuan)", Kind::Yuan).says(
        "已成功回退的补差合计；只记在该券的首行。",
        "Sum of the returns that succeeded; on the first row of the coupon only.",
    ),
    column("out_subsidy_no", "补差单号", "Subsidy", Kind::Id),
    column("subsidy_receipt_id", "微信补差单号", "Receipt", Kind::Id),
    column("receipt_transaction_id", "补差单所附支付单号", "WeChat Pay order of the receipt", Kind::Id).says(
        "补差单所附的微信支付订单号，应与该券订单的一致。",
        "WeChat Pay order the receipt names; it should be that of the order of the coupon.",
    ),
    column("payer_merchant", "补差付款商户", "Payer", Kind::Id),
    column("payee_merchant", "补差收款商户", "Payee", Kind::Id),
    summed("receipt_yuan", "补差单金额(元)", "Receipt (yuan)", Kind::Yuan).of("subsidy_payments", "amount_fen"),
    column("receipt_status", "补差单状态", "Receipt status", Kind::Word).of("subsidy_payments", "status"),
    column("created_at", "补差单创建时间", "Created at", Kind::Time).of("subsidy_payments", "create_time"),
    column("succeeded_at", "补差成功时间", "Succeeded at", Kind::Time).of("subsidy_payments", "success_time"),
    column("fail_reason", "失败原因", "Why it failed", Kind::Text),
    summed("at_risk_yuan", "风险金额(元)", "At risk (yuan)", Kind::Yuan).says(
        "本行所列差异的风险金额；订单或支付的差异只计在首张券上。",
        "Amount at risk in the breaks shown on this row; that of an order or a payment is on its first coupon only.",
    ),
    column("rules", "差异规则", "Rules", Kind::Text).says(
        "本行补差单或该券的未结差异的规则。",
        "Rules whose open breaks concern the receipt of this row, or the coupon.",
    ),
    column("break_ids", "差异编号", "Breaks", Kind::Id)
        .says("这些差异的编号，见差异明细。", "Ids of these breaks, as in the discrepancies."),
];

/// Memory for sorting receipts.
const RECEIPT_BYTES: usize = 16 << 20;

/// The receipts of the day in the order of the ledger, those of a coupon oldest first: sorted in a scratch
/// folder, merged with the ledger.
#[derive(Debug)]
pub(super) struct Receipts {
    by_coupon: JoinSide,
}

impl Receipts {
    /// Collects the receipts created before `end`: later ones do not belong to this day.
    pub(super) fn collect(
        rows: impl Iterator<Item = Result<SubsidyPayment, PartitionError>>,
        end: DateTime<Utc>,
        scratch: &Path,
    ) -> Result<Receipts, ReportError> {
        let mut sorter = Sorter::new(&Room { folder: scratch.to_owned(), memory_bytes: RECEIPT_BYTES });
        for row in rows {
            let row = row?;
            if row.create_time.is_none_or(|created| created < end) {
                sorter.push(&Filed(&row)).map_err(ReportError::Sort)?;
            }
        }
        Ok(Receipts { by_coupon: JoinSide::new(sorter.finish().map_err(ReportError::Sort)?, COUPON_TEXTS) })
    }

    /// The receipts of a coupon; coupons must be passed in order.
    pub(super) fn of(&mut self, row: &Coupon<'_>) -> Result<Vec<SubsidyPayment>, ReportError> {
        let found = self.by_coupon.find_texts(&[row.stock_id, row.coupon_code]);
        Ok(found.map_err(ReportError::Sort)?.map(unfiled).collect())
    }
}

/// A receipt in sort order: by coupon, then by time, then by number.
struct Filed<'a>(&'a SubsidyPayment);

/// Strings of the key that name the coupon.
const COUPON_TEXTS: usize = 2;

impl Packed for Filed<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(&self.0.stock_id);
        key.text(&self.0.coupon_code);
        key.text(&self.0.create_time.map(in_order).unwrap_or_default());
        self.0.pack_key(key);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        self.0.pack_cells(cells);
    }
}

/// Unpacks a sorted receipt.
fn unfiled(row: PackedRow<'_>) -> SubsidyPayment {
    let mut cells = row.unpack();
    // The key starts with coupon and time, which are also in the cells.
    (0..=COUPON_TEXTS).for_each(|_| drop(cells.key_text()));
    SubsidyPayment::unpack(&mut cells).into_owned()
}

/// An instant as a string with the same order.
fn in_order(instant: DateTime<Utc>) -> String {
    const SIGN: u64 = 1 << 63;
    format!("{:016x}", instant.timestamp_micros().cast_unsigned() ^ SIGN)
}

/// Whether a coupon is in the table.
pub(super) fn lists(row: &Coupon<'_>, receipts: &[SubsidyPayment], broken: &CouponBreaks<'_>) -> bool {
    let is_owed = row.subsidy_expected_fen.is_some() || row.subsidy_due_date.is_some();
    is_owed || !receipts.is_empty() || row.subsidy_status.is_some() || broken.any(|it| it.out_subsidy_no.is_some())
}

/// The breaks shown beside receipt `index`; those that belong to no listed receipt are on the first row.
pub(super) fn broken_of<'a>(broken: &CouponBreaks<'a>, receipts: &[SubsidyPayment], index: usize) -> CouponBreaks<'a> {
    broken.only(|it| {
        let own = it
            .out_subsidy_no
            .as_deref()
            .and_then(|number| receipts.iter().position(|receipt| receipt.out_subsidy_no == number));
        own.unwrap_or(0) == index
    })
}

/// A coupon with one of its receipts.
pub(super) struct Line<'a> {
    /// `None` if it has none.
    pub(super) receipt: Option<&'a SubsidyPayment>,
    /// Whether the amounts of the coupon are on this row.
    pub(super) is_first: bool,
    /// Whether a break concerns the receipt, or the coupon as a whole.
    pub(super) is_broken: bool,
    /// Money at risk of the breaks of its order and payment, where this row is the one that has it.
    pub(super) order_at_risk: Fen,
}

/// One row: a coupon, one of its receipts, and the breaks shown here.
pub(super) fn row<'a>(
    tonight: Tonight,
    it: &Coupon<'a>,
    line: &Line<'a>,
    broken: &'a CouponBreaks<'_>,
) -> [Cell<'a>; COLUMNS.len()] {
    let state = it.state_on_date.unwrap_or_default();
    let (language, receipt) = (tonight.language, line.receipt);
    let once = |amount| Cell::Yuan(if line.is_first { amount } else { None });
    let status = receipt.and_then(|it| it.status.as_deref()).unwrap_or_default();
    [
        Cell::id(it.stock_id),
        Cell::id(it.coupon_code),
        Cell::maybe_id(it.openid),
        Cell::text(word(words::COUPON, language, state)),
        Cell::Time(it.used_at.map(instant)),
        Cell::text(word(words::RESULT, language, tonight.of_subsidy(it, receipt, line.is_broken))),
        Cell::maybe_id(it.out_trade_no),
        Cell::maybe_id(it.transaction_id),
        Cell::Date(it.subsidy_due_date.map(day)),
        once(it.discount_fen),
        once(it.subsidy_expected_fen),
        once(it.subsidy_paid_fen),
        once(it.subsidy_returned_fen),
        receipt.map_or(Cell::Id(None), |it| Cell::id(&it.out_subsidy_no)),
        receipt.map_or(Cell::Id(None), |it| Cell::maybe_id(it.subsidy_receipt_id.as_deref())),
        receipt.map_or(Cell::Id(None), |it| Cell::maybe_id(it.transaction_id.as_deref())),
        receipt.map_or(Cell::Id(None), |it| Cell::maybe_id(it.payer_merchant.as_deref())),
        receipt.map_or(Cell::Id(None), |it| Cell::maybe_id(it.payee_merchant.as_deref())),
        Cell::Yuan(receipt.map(|it| it.amount_fen)),
        Cell::text(word(words::RECEIPT, language, status)),
        Cell::Time(receipt.and_then(|it| it.create_time)),
        Cell::Time(receipt.and_then(|it| it.success_time)),
        receipt.map_or(Cell::EMPTY, |it| Cell::maybe_text(&it.fail_reason)),
        Cell::Yuan(Some(broken.at_risk_of_coupon() + line.order_at_risk)),
        Cell::text(broken.rules()),
        broken.ids(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::coupon::CouponColumns;
    use super::super::tests::{batch, coupon, receipt};
    use super::*;
    use crate::dataset::columns::Columns;

    fn end() -> DateTime<Utc> {
        "2026-11-20T16:00:00Z".parse().unwrap()
    }

    /// The receipt numbers of coupons, requested in this order.
    fn numbers(receipts: Vec<SubsidyPayment>, codes: &[&str]) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let mut receipts = Receipts::collect(receipts.into_iter().map(Ok), end(), folder.path()).unwrap();
        let ledger: Vec<_> = codes.iter().map(|code| coupon(code, serde_json::json!({}))).collect();
        let columns = CouponColumns::of(&batch(&ledger)).unwrap();
        let mut of = |place| receipts.of(&columns.row(place)).unwrap();
        (0..codes.len()).map(|place| of(place).into_iter().map(|it| it.out_subsidy_no).collect()).collect()
    }

    #[test]
    fn receipts_come_with_their_coupon_and_the_oldest_first() {
        let at = |number: &str, code: &str, created: &str| receipt(number, code, 1, "SUCCESS", created);
        let undated = SubsidyPayment { create_time: None, ..at("9", "C1", "2026-11-20T02:00:00Z") };
        let receipts = vec![
            at("5", "C1", "2026-11-20T02:00:00Z"),
            at("4", "C3", "2026-11-20T02:00:00Z"),
            at("3", "C1", "2026-11-20T02:00:00Z"),
            at("2", "C1", "1969-12-31T23:59:59Z"),
            at("1", "C1", "2026-11-20T16:00:00Z"),
            undated,
            at("0", "C0", "2026-11-20T02:00:00Z"),
        ];
        assert_eq!(numbers(receipts, &["C1", "C2", "C3"]), [vec!["9", "2", "3", "5"], vec![], vec!["4"]]);
    }

    #[test]
    fn a_filed_receipt_comes_back_whole() {
        let whole = receipt("N\u{1}\0", "C\0\u{1}", 7, "FAIL", "2026-11-20T02:00:00.000001Z");
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(&Room { folder: folder.path().to_owned(), memory_bytes: 1 });
        sorter.push(&Filed(&whole)).unwrap();
        assert_eq!(unfiled(sorter.finish().unwrap().peek().unwrap()), whole);
    }
}
