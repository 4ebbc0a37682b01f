//! What the published datasets say about the coupons and subsidies of some breaks. Reads each dataset once and holds
//! only what the breaks refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Days, NaiveDate, Utc};

use crate::dataset::Lake;
use crate::dataset::columns::{Micros, row_type};
use crate::dataset::lake::Partition;
use crate::dataset::partition::{PartitionError, each_row, open_rows};
use crate::money::Fen;
use crate::record::{
    Break, LedgerRow, Record, Refund, SubsidyOrder, SubsidyPayment, SubsidyReturn, UserCoupon, receipt_status,
};
use crate::wechat::pay_v3::busifavor::plain_status;

/// The status of a refund that failed.
const REFUND_FAILED: &str = "FAIL";

row_type! {
    /// The columns of the ledger.
    LedgerCoupon of LedgerCouponColumns {
        stock_id: text,
        coupon_code: text,
        coupon_state: maybe_text,
        stock_type: maybe_text,
        used_at: maybe_instant,
        expire_at: maybe_instant,
        out_trade_no: maybe_text,
        transaction_id: maybe_text,
        order_paid_at: maybe_instant,
        order_fully_refunded: maybe_flag,
        discount_fen: maybe_fen,
        expected_discount_fen: maybe_fen,
        subsidy_expected_fen: maybe_fen,
        verified_date: maybe_date,
        use_request_no: maybe_text,
    }
}

row_type! {
    /// When the wallet shows that a coupon was returned, even if after the day.
    WalletReturn of WalletReturnColumns {
        stock_id: text,
        coupon_code: text,
        return_time: maybe_instant,
    }
}

row_type! {
    /// A refund of a bill.
    BillRefund of BillRefundColumns {
        refund_id: text,
        transaction_id: text,
        accepted_time: instant,
        refund_status: maybe_text,
    }
}

/// Stock and code.
type CouponId = (String, String);

/// A coupon of the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Coupon {
    /// As last shown by the wallet.
    pub(super) state: Option<String>,
    pub(super) stock_type: Option<String>,
    pub(super) used_at: Option<DateTime<Utc>>,
    /// The last return that its wallet shows, which may be later than the day of the ledger.
    pub(super) returned_at: Option<DateTime<Utc>>,
    pub(super) expire_at: Option<DateTime<Utc>>,
    pub(super) out_trade_no: Option<String>,
    pub(super) transaction_id: Option<String>,
    pub(super) order_paid_at: Option<DateTime<Utc>>,
    pub(super) is_order_fully_refunded: bool,
    /// What it took off: by its order, else by its stock.
    pub(super) discount: Option<Fen>,
    pub(super) subsidy_expected: Option<Fen>,
    /// The night in which its wallet was last requested.
    pub(super) verified_date: Option<NaiveDate>,
}

/// The facts about the coupons of some breaks.
#[derive(Debug, Default)]
pub struct Facts {
    coupons: BTreeMap<CouponId, Coupon>,
    receipts: BTreeMap<CouponId, Vec<SubsidyPayment>>,
    returns: BTreeMap<CouponId, Vec<SubsidyReturn>>,
    /// By transaction and refund id.
    refunds: BTreeMap<String, BTreeMap<String, RefundSeen>>,
    orders: BTreeMap<String, SubsidyOrder>,
    /// Coupons of the receipts that have the number of a break.
    numbered: BTreeMap<String, CouponId>,
    /// Coupons by the number they were redeemed under, where that is the order number of a break.
    redeemed: BTreeMap<String, BTreeSet<CouponId>>,
}

/// A refund as listed by all bills.
#[derive(Debug, Clone, Copy, Default)]
struct RefundSeen {
    accepted_time: Micros,
    has_failed: bool,
}

/// The keys to look for.
struct Wanted {
    codes: BTreeMap<String, BTreeSet<String>>,
    subsidy_nos: BTreeSet<String>,
    order_nos: BTreeSet<String>,
}

impl Wanted {
    fn of(breaks: &[Break]) -> Wanted {
        let mut wanted = Wanted { codes: BTreeMap::new(), subsidy_nos: BTreeSet::new(), order_nos: BTreeSet::new() };
        for it in breaks {
            if let (Some(stock), Some(code)) = (&it.stock_id, &it.coupon_code) {
                wanted.codes.entry(stock.clone()).or_default().insert(code.clone());
            }
            wanted.subsidy_nos.extend(it.out_subsidy_no.clone());
            wanted.order_nos.extend(it.out_trade_no.clone());
        }
        wanted
    }

    fn has(&self, stock_id: &str, coupon_code: &str) -> bool {
        self.codes.get(stock_id).is_some_and(|codes| codes.contains(coupon_code))
    }
}

impl Facts {
    /// Reads what concerns these breaks, from the day `date` and from the look-back since `from`.
    ///
    /// # Errors
    /// A published file is torn or does not fit its contract; the lake cannot be listed.
    pub fn read(lake: &Lake, from: NaiveDate, date: NaiveDate, breaks: &[Break]) -> Result<Facts, PartitionError> {
        let (wanted, mut facts) = (Wanted::of(breaks), Facts::default());
        let of_day = |dataset| Some(lake.partition(dataset, date)).filter(|path| path.exists());
        if let Some(path) = of_day(LedgerRow::DATASET) {
            facts.read_coupons(&path, &wanted)?;
        }
        if let Some(path) = of_day(UserCoupon::DATASET) {
            facts.read_wallets(&path)?;
        }
        if let Some(path) = of_day(SubsidyPayment::DATASET) {
            facts.read_receipts(&path, &wanted)?;
        }
        if let Some(path) = of_day(SubsidyReturn::DATASET) {
            facts.read_returns(&path, &wanted)?;
        }
        for it in window(lake, Refund::DATASET, from, date)? {
            facts.read_refunds(&it.path)?;
        }
        for it in window(lake, SubsidyOrder::DATASET, from, date)? {
            facts.read_orders(&it.path, &wanted)?;
        }
        Ok(facts)
    }

    fn read_coupons(&mut self, path: &Path, wanted: &Wanted) -> Result<(), PartitionError> {
        each_row::<LedgerCouponColumns, _>(path, LedgerRow::DATASET, |row| {
            self.note_coupon(&row, wanted);
            Ok(())
        })
    }

    fn note_coupon(&mut self, row: &LedgerCoupon<'_>, wanted: &Wanted) {
        let id = || (row.stock_id.to_owned(), row.coupon_code.to_owned());
        if let Some(number) = row.use_request_no.filter(|number| wanted.order_nos.contains(*number)) {
            self.redeemed.entry(number.to_owned()).or_default().insert(id());
        }
        if wanted.has(row.stock_id, row.coupon_code) {
            self.coupons.insert(id(), Coupon::of(row));
        }
    }

    /// Of the coupons that are known by now.
    fn read_wallets(&mut self, path: &Path) -> Result<(), PartitionError> {
        each_row::<WalletReturnColumns, _>(path, UserCoupon::DATASET, |row| {
            let Some(returned_at) = row.return_time.and_then(DateTime::from_timestamp_micros) else { return Ok(()) };
            let id = (row.stock_id.to_owned(), row.coupon_code.to_owned());
            if let Some(coupon) = self.coupons.get_mut(&id) {
                coupon.returned_at = coupon.returned_at.max(Some(returned_at));
            }
            Ok(())
        })
    }

    fn read_receipts(&mut self, path: &Path, wanted: &Wanted) -> Result<(), PartitionError> {
        for row in open_rows::<SubsidyPayment>(path)? {
            let row = row?;
            let id = (row.stock_id.clone(), row.coupon_code.clone());
            if wanted.subsidy_nos.contains(&row.out_subsidy_no) {
                self.numbered.insert(row.out_subsidy_no.clone(), id.clone());
            }
            if wanted.has(&row.stock_id, &row.coupon_code) {
                self.receipts.entry(id).or_default().push(row);
            }
        }
        Ok(())
    }

    fn read_returns(&mut self, path: &Path, wanted: &Wanted) -> Result<(), PartitionError> {
        for row in open_rows::<SubsidyReturn>(path)? {
            let row = row?;
            if wanted.has(&row.stock_id, &row.coupon_code) {
                let id = (row.stock_id.clone(), row.coupon_code.clone());
                self.returns.entry(id).or_default().push(row);
            }
        }
        Ok(())
    }

    /// For every transaction of the coupons known so far.
    fn read_refunds(&mut self, path: &Path) -> Result<(), PartitionError> {
        let transactions: BTreeSet<_> = self.coupons.values().filter_map(|it| it.transaction_id.as_deref()).collect();
        let refunds = &mut self.refunds;
        each_row::<BillRefundColumns, _>(path, Refund::DATASET, |row| {
            if transactions.contains(row.transaction_id) {
                let of_payment = refunds.entry(row.transaction_id.to_owned()).or_default();
                let seen = of_payment.entry(row.refund_id.to_owned()).or_default();
                seen.accepted_time = seen.accepted_time.max(row.accepted_time);
                seen.has_failed |= row.refund_status == Some(REFUND_FAILED);
            }
            Ok(())
        })
    }

    fn read_orders(&mut self, path: &Path, wanted: &Wanted) -> Result<(), PartitionError> {
        for row in open_rows::<SubsidyOrder>(path)? {
            let row = row?;
            if row.subsidy_return_receipt_id.is_empty() && wanted.subsidy_nos.contains(&row.out_subsidy_no) {
                self.orders.insert(row.out_subsidy_no.clone(), row);
            }
        }
        Ok(())
    }

    /// The coupon of a break.
    ///
    /// # Errors
    /// The ledger of the day has none.
    pub(super) fn coupon(&self, it: &Break) -> Result<&Coupon, String> {
        let coupon = id_of(it).and_then(|id| self.coupons.get(&id));
        coupon.ok_or_else(|| "the ledger of the day does not know the coupon".to_owned())
    }

    /// The code of another coupon that was redeemed under a number.
    pub(super) fn redeemed_under(&self, number: &str, it: &Break) -> Option<&str> {
        let id = id_of(it);
        let others = self.redeemed.get(number)?.iter().find(|other| Some(*other) != id.as_ref());
        others.map(|(_, coupon_code)| coupon_code.as_str())
    }

    /// The night in which the wallet of a coupon was asked last.
    pub(super) fn verified_date(&self, stock_id: &str, coupon_code: &str) -> Option<NaiveDate> {
        self.coupons.get(&(stock_id.to_owned(), coupon_code.to_owned()))?.verified_date
    }

    /// The subsidy payments of its coupon.
    pub(super) fn receipts(&self, it: &Break) -> &[SubsidyPayment] {
        id_of(it).and_then(|id| self.receipts.get(&id)).map_or(&[], Vec::as_slice)
    }

    /// The code of another coupon whose receipt has this number.
    pub(super) fn paid_under(&self, out_subsidy_no: &str, it: &Break) -> Option<&str> {
        let other = self.numbered.get(out_subsidy_no).filter(|other| Some(*other) != id_of(it).as_ref());
        other.map(|(_, coupon_code)| coupon_code.as_str())
    }

    /// Its subsidy returns that did not fail.
    pub(super) fn returns(&self, it: &Break) -> impl Iterator<Item = &SubsidyReturn> {
        self.all_returns(it).filter(|it| !has_failed(it))
    }

    /// How often a return of one of them failed, or may have: not every return says of which it is.
    pub(super) fn failed_returns(&self, it: &Break, receipt: &SubsidyPayment) -> usize {
        let is_of_another = |it: &SubsidyReturn| {
            it.subsidy_receipt_id.as_ref().zip(receipt.subsidy_receipt_id.as_ref()).is_some_and(|(one, id)| one != id)
        };
        self.all_returns(it).filter(|it| has_failed(it) && !is_of_another(it)).count()
    }

    fn all_returns(&self, it: &Break) -> impl Iterator<Item = &SubsidyReturn> {
        id_of(it).and_then(|id| self.returns.get(&id)).into_iter().flatten()
    }

    /// The last accepted refund of a transaction that did not fail.
    pub(super) fn refund_id(&self, transaction_id: &str) -> Option<&str> {
        let refunds = self.refunds.get(transaction_id)?.iter().filter(|(_, seen)| !seen.has_failed);
        refunds
            .max_by_key(|(refund_id, seen)| (seen.accepted_time, *refund_id))
            .map(|(refund_id, _)| refund_id.as_str())
    }

    /// The line of the merchant's own subsidy ledger.
    pub(super) fn order(&self, out_subsidy_no: &str) -> Option<&SubsidyOrder> {
        self.orders.get(out_subsidy_no)
    }
}

fn has_failed(it: &SubsidyReturn) -> bool {
    it.status.as_deref().map(plain_status) == Some(receipt_status::FAIL)
}

impl Coupon {
    fn of(row: &LedgerCoupon<'_>) -> Coupon {
        let text = |text: Option<&str>| text.map(str::to_owned);
        let instant = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
        Coupon {
            state: text(row.coupon_state),
            stock_type: text(row.stock_type),
            used_at: instant(row.used_at),
            returned_at: None,
            expire_at: instant(row.expire_at),
            out_trade_no: text(row.out_trade_no),
            transaction_id: text(row.transaction_id),
            order_paid_at: instant(row.order_paid_at),
            is_order_fully_refunded: row.order_fully_refunded.unwrap_or(false),
            discount: row.discount_fen.or(row.expected_discount_fen),
            subsidy_expected: row.subsidy_expected_fen,
            verified_date: row.verified_date.and_then(NaiveDate::from_epoch_days),
        }
    }
}

/// The published days of a dataset up to `date`.
fn window(lake: &Lake, dataset: &str, from: NaiveDate, date: NaiveDate) -> Result<Vec<Partition>, PartitionError> {
    let partitions = lake.partitions(dataset, from, date + Days::new(1));
    partitions.map_err(|source| PartitionError::Open { path: lake.dataset(dataset), source })
}

fn id_of(it: &Break) -> Option<CouponId> {
    Some((it.stock_id.clone()?, it.coupon_code.clone()?))
}

#[cfg(test)]
impl Facts {
    /// The facts of one coupon, that of `it`.
    pub(super) fn of_coupon(it: &Break, coupon: Coupon) -> Facts {
        let coupons = BTreeMap::from([(id_of(it).expect("a coupon"), coupon)]);
        Facts { coupons, ..Facts::default() }
    }

    pub(super) fn with_redeemed(mut self, number: &str, coupon_code: &str) -> Facts {
        let id = ("1288880000000001".to_owned(), coupon_code.to_owned());
        self.redeemed.entry(number.to_owned()).or_default().insert(id);
        self
    }

    pub(super) fn with_number_of(mut self, out_subsidy_no: &str, stock_id: &str, coupon_code: &str) -> Facts {
        self.numbered.insert(out_subsidy_no.to_owned(), (stock_id.to_owned(), coupon_code.to_owned()));
        self
    }

    pub(super) fn with_receipts(mut self, it: &Break, receipts: Vec<SubsidyPayment>) -> Facts {
        self.receipts.insert(id_of(it).expect("a coupon"), receipts);
        self
    }

    pub(super) fn with_returns(mut self, it: &Break, returns: Vec<SubsidyReturn>) -> Facts {
        self.returns.insert(id_of(it).expect("a coupon"), returns);
        self
    }

    pub(super) fn with_refund(mut self, transaction_id: &str, refund_id: &str) -> Facts {
        self.refunds.entry(transaction_id.to_owned()).or_default().insert(refund_id.to_owned(), RefundSeen::default());
        self
    }

    pub(super) fn with_order(mut self, order: SubsidyOrder) -> Facts {
        self.orders.insert(order.out_subsidy_no.clone(), order);
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::dataset::partition::{Provenance, write_rows};

    #[test]
    fn a_number_that_redeemed_a_coupon_is_known_to_every_other_coupon_of_its_order() {
        let of_coupon = |coupon_code: &str| Break {
            stock_id: Some("S".to_owned()),
            coupon_code: Some(coupon_code.to_owned()),
            out_trade_no: Some("RY1".to_owned()),
            ..Break::for_tests("AO03", NaiveDate::MIN)
        };
        let breaks = [of_coupon("C1"), of_coupon("C2")];
        let wanted = Wanted::of(&breaks);
        let row = |coupon_code, use_request_no| LedgerCoupon {
            stock_id: "S",
            coupon_code,
            coupon_state: None,
            stock_type: None,
            used_at: None,
            expire_at: None,
            out_trade_no: Some("RY1"),
            transaction_id: None,
            order_paid_at: None,
            order_fully_refunded: None,
            discount_fen: None,
            expected_discount_fen: None,
            subsidy_expected_fen: None,
            verified_date: None,
            use_request_no,
        };
        let mut facts = Facts::default();
        for row in [row("C1", Some("RY1")), row("C2", None), row("C3", Some("RY3"))] {
            facts.note_coupon(&row, &wanted);
        }
        assert_eq!(facts.redeemed_under("RY1", &breaks[1]), Some("C1"));
        assert_eq!(facts.redeemed_under("RY1", &breaks[0]), None, "it was redeemed under it itself");
        assert_eq!(facts.redeemed_under("RY3", &breaks[1]), None, "no break is of that order");
        assert_eq!(facts.coupons.len(), 2);
    }

    #[test]
    fn a_subsidy_is_returned_for_the_last_refund_that_did_not_fail() {
        let mut facts = Facts::default();
        let seen = [("50301", 10, false), ("50302", 20, false), ("50303", 30, true)];
        for (refund_id, accepted_time, has_failed) in seen {
            let of_payment = facts.refunds.entry("4200".to_owned()).or_default();
            of_payment.insert(refund_id.to_owned(), RefundSeen { accepted_time, has_failed });
        }
        assert_eq!((facts.refund_id("4200"), facts.refund_id("4201")), (Some("50302"), None));
    }

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    fn publish<R: Record + serde::de::DeserializeOwned>(lake: &Lake, date: NaiveDate, rows: &[serde_json::Value]) {
        let rows: Vec<R> = rows.iter().map(|row| serde_json::from_value(row.clone()).unwrap()).collect();
        let path = lake.partition(R::DATASET, date);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_rows(&path, &rows, &Provenance::default()).unwrap();
    }

    fn refund(refund_id: &str, day: u32, refund_status: &str) -> serde_json::Value {
        json!({
            "refund_id": refund_id, "transaction_id": "4200", "out_trade_no": "RY1", "refund_status": refund_status,
            "accepted_time": format!("2026-11-{day}T04:00:00Z"), "refund_fen": 0, "applied_refund_fen": 100,
            "coupon_refund_fen": 0, "service_fee_millifen": 0, "business_date": format!("2026-11-{day}"),
        })
    }

    #[test]
    fn refunds_are_those_of_every_bill_up_to_the_day_and_one_that_failed_once_has_failed() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        publish::<Refund>(&lake, day(18), &[refund("50301", 18, "SUCCESS"), refund("50302", 18, "FAIL")]);
        publish::<Refund>(&lake, day(19), &[refund("50302", 19, "PROCESSING")]);
        publish::<Refund>(&lake, day(20), &[refund("50303", 20, "SUCCESS")]);
        publish::<Refund>(&lake, day(21), &[refund("50304", 21, "SUCCESS")]);
        let it = Break {
            stock_id: Some("S".to_owned()),
            coupon_code: Some("C1".to_owned()),
            ..Break::for_tests("SU07", day(20))
        };
        let last_refund = |from: u32, date: u32| {
            let coupon = Coupon { transaction_id: Some("4200".to_owned()), ..Coupon::default() };
            let mut facts = Facts::of_coupon(&it, coupon);
            for it in window(&lake, Refund::DATASET, day(from), day(date)).unwrap() {
                facts.read_refunds(&it.path).unwrap();
            }
            facts.refund_id("4200").map(str::to_owned)
        };
        assert_eq!(last_refund(18, 20).as_deref(), Some("50303"));
        assert_eq!(last_refund(18, 19).as_deref(), Some("50301"));
    }

    #[test]
    fn a_line_of_the_ledger_that_tells_of_a_return_is_no_line_to_pay() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let line = |returned: &str, amount_fen: i64| {
            json!({
                "out_subsidy_no": "L1", "subsidy_return_receipt_id": returned, "stock_id": "S", "coupon_code": "C1",
                "amount_fen": amount_fen, "source_file": "l.csv", "source_line": 2, "business_date": "2026-11-20",
            })
        };
        publish::<SubsidyOrder>(&lake, day(20), &[line("", 80), line("2120", 30)]);
        let it = Break { out_subsidy_no: Some("L1".to_owned()), ..Break::for_tests("SU11", day(20)) };
        let facts = Facts::read(&lake, day(18), day(20), &[it]).unwrap();
        assert_eq!(facts.order("L1").map(|line| line.amount_fen), Some(Fen(80)));
    }

    #[test]
    fn a_return_that_the_wallet_shows_is_known_though_the_ledger_of_the_day_does_not_count_it() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::at(folder.path());
        let shown = json!({
            "stock_id": "S", "coupon_code": "C1", "openid": "o", "coupon_state": "SENDED",
            "return_time": "2026-11-20T17:00:00Z", "verified_date": "2026-11-20", "business_date": "2026-11-20",
        });
        publish::<UserCoupon>(&lake, day(20), &[shown]);
        let it = Break {
            stock_id: Some("S".to_owned()),
            coupon_code: Some("C1".to_owned()),
            ..Break::for_tests("AO03", day(20))
        };
        let mut facts = Facts::of_coupon(&it, Coupon::default());
        facts.read_wallets(&lake.partition(UserCoupon::DATASET, day(20))).unwrap();
        let returned_at = facts.coupon(&it).unwrap().returned_at;
        assert_eq!(returned_at.map(|it| it.to_rfc3339()).as_deref(), Some("2026-11-20T17:00:00+00:00"));
    }
}
