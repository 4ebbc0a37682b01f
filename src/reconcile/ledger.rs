//! The coupon ledger: one row per coupon known from any side up to D, every side joined (design §6).
//! Reads partitions, writes none; a pure function of them, the job and whom the night asked.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use chrono::{DateTime, NaiveDate, Utc};

use super::engine::Engine;
use super::error::ReconcileError;
use super::facts::{Claim, CouponFacts, CouponKey, Dispatch, Facts, Orders, Receipt, Return};
use super::files::DayFiles;
use super::footing::{self, Counts, Footing};
use super::matching::{self, Trace};
use super::merge::{BoxedRows, Side};
use super::order_side::OrderSide;
use super::rules::Rules;
use super::subsidy::Subsidy;
use super::terms::Terms;
use super::wallet::Coupon;
use crate::clock;
use crate::dataset::partition::{self, PartitionError};
use crate::record::{LedgerRow, Record, Stock, UserCoupon};

/// Whom the night asked, and what it was told.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Published openids whose wallet was asked and settled tonight.
    pub wallets: BTreeSet<String>,
    /// (published openid, coupon code) the single query answered 404 for.
    pub unknown_coupons: BTreeSet<(String, String)>,
}

/// The ledger of a day and what its sides sum up to.
#[derive(Debug, Clone, PartialEq)]
pub struct Ledger {
    /// Sorted by (stock_id, coupon_code).
    pub rows: Vec<LedgerRow>,
    /// Per side: rows and fen, matched and unmatched.
    pub footing: Vec<Footing>,
}

/// What every row of the night is made with.
struct Night<'a> {
    date: NaiveDate,
    terms: &'a Terms,
    asked: &'a Asked,
    orders: &'a Orders,
    stocks: HashMap<String, Stock>,
}

/// Everything that speaks of coupons, each sorted by coupon. Wallets and ledger are read as they go.
struct Sides {
    wallets: Side<UserCoupon>,
    previous: Side<LedgerRow>,
    claims: Side<Claim>,
    dispatches: Side<Dispatch>,
    receipts: Side<Receipt>,
    returns: Side<Return>,
}

/// What is known of one coupon.
struct Known {
    key: CouponKey,
    wallet: Option<UserCoupon>,
    previous: Option<LedgerRow>,
    claims: Vec<Claim>,
    dispatch: Option<Dispatch>,
    receipts: Vec<Receipt>,
    returns: Vec<Return>,
}

/// Builds the ledger of `files.date` in memory.
pub(super) fn build(terms: &Terms, rules: &Rules, files: &DayFiles, asked: &Asked) -> Result<Ledger, ReconcileError> {
    let mut rows = Vec::new();
    let footing = build_into(terms, rules, files, asked, |row| rows.push(row))?;
    Ok(Ledger { rows, footing })
}

/// Builds the ledger of `files.date` row by row, sorted by key; gives the control totals.
pub(super) fn build_into(
    terms: &Terms,
    rules: &Rules,
    files: &DayFiles,
    asked: &Asked,
    mut sink: impl FnMut(LedgerRow),
) -> Result<Vec<Footing>, ReconcileError> {
    let mut engine = Engine::open(terms, rules, files)?;
    let facts = Facts::read(&mut engine)?;
    let mut sides = Sides::open(files, facts.sides)?;
    let night = Night { date: files.date, terms, asked, orders: &facts.orders, stocks: read_stocks(files)? };
    let mut counts = Counts::default();
    while let Some(known) = sides.next_coupon(clock::end_of(files.date), &mut counts)? {
        if known.is_anything() {
            let row = night.row(&known);
            counts.add(&row, known.wallet.as_ref(), &known.claims, &known.receipts);
            sink(row);
        }
    }
    footing::of(&mut engine, &counts)
}

impl Sides {
    fn open(files: &DayFiles, facts: CouponFacts) -> Result<Sides, PartitionError> {
        Ok(Sides {
            wallets: Side::new("user_coupons", open_rows(files.of_day(UserCoupon::DATASET))?),
            previous: Side::new("coupon_ledger", open_rows(files.latest_before(LedgerRow::DATASET))?),
            claims: Side::of_sorted("orders", facts.claims),
            dispatches: Side::of_sorted("coupon_codes", facts.dispatches),
            receipts: Side::of_sorted("subsidy_payments", facts.receipts),
            returns: Side::of_sorted("subsidy_returns", facts.returns),
        })
    }

    /// Takes the next coupon off every side, in key order.
    fn next_coupon(&mut self, end: DateTime<Utc>, counts: &mut Counts) -> Result<Option<Known>, ReconcileError> {
        let key = self.wallets.smaller_key(None)?;
        let key = self.previous.smaller_key(key)?;
        let key = self.claims.smaller_key(key)?;
        let key = self.dispatches.smaller_key(key)?;
        let key = self.receipts.smaller_key(key)?;
        let Some(key) = self.returns.smaller_key(key)? else { return Ok(None) };
        Ok(Some(Known {
            wallet: known_wallet(self.wallets.take(&key)?, end, counts),
            previous: self.previous.take(&key)?.pop(),
            claims: self.claims.take(&key)?,
            dispatch: self.dispatches.take(&key)?.pop(),
            receipts: self.receipts.take(&key)?,
            returns: self.returns.take(&key)?,
            key,
        }))
    }
}

/// The rows of a file, none where there is no file.
fn open_rows<R: Record + 'static>(path: Option<&Path>) -> Result<BoxedRows<R>, PartitionError> {
    let rows = path.map(partition::open_rows::<R>).transpose()?;
    Ok(Box::new(rows.into_iter().flatten().map(|row| row.map_err(ReconcileError::from))))
}

fn read_stocks(files: &DayFiles) -> Result<HashMap<String, Stock>, PartitionError> {
    let path = files.of_day(Stock::DATASET).or_else(|| files.latest_before(Stock::DATASET));
    let stocks = path.map(partition::read_rows::<Stock>).transpose()?.unwrap_or_default();
    Ok(stocks.into_iter().map(|stock| (stock.stock_id.clone(), stock)).collect())
}

/// The wallet's row of a coupon. One received after D is not known on D; of a coupon given away, which
/// may stand in two wallets, the one asked last knows better.
fn known_wallet(rows: Vec<UserCoupon>, end: DateTime<Utc>, counts: &mut Counts) -> Option<UserCoupon> {
    let (mut known, later): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row.receive_time.is_none_or(|received| received < end));
    known.sort_by(newest_wallet);
    let newest = known.pop();
    for row in known.iter().chain(&later) {
        counts.leave_out(row);
    }
    newest
}

fn newest_wallet(one: &UserCoupon, other: &UserCoupon) -> std::cmp::Ordering {
    let recency = |row: &UserCoupon| (row.verified_date, row.receive_time);
    recency(one).cmp(&recency(other)).then_with(|| other.openid.cmp(&one.openid))
}

impl Known {
    fn is_anything(&self) -> bool {
        self.wallet.is_some()
            || self.previous.is_some()
            || self.dispatch.is_some()
            || !(self.claims.is_empty() && self.receipts.is_empty() && self.returns.is_empty())
    }
}

impl Night<'_> {
    fn row(&self, known: &Known) -> LedgerRow {
        let previous = known.previous.as_ref();
        let (stock_id, coupon_code) = known.key.clone();
        let mut coupon = Coupon::at_end_of(self.date, known.wallet.as_ref(), previous, self.stocks.get(&stock_id));
        if let Some(dispatch) = &known.dispatch {
            coupon.openid = coupon.openid.or_else(|| dispatch.openid.clone());
            coupon.received_at = coupon.received_at.or(dispatch.dispatched_at);
        }
        let trace = Trace {
            associate_out_trade_no: coupon.associate_out_trade_no.as_deref(),
            use_request_no: coupon.use_request_no.as_deref(),
        };
        let pattern = self.terms.rules.use_request_pattern.as_ref();
        let matched = matching::find_order(&known.claims, trace, self.orders, pattern);
        let order = OrderSide::of(matched, self.orders, previous);
        let subsidy = Subsidy::of(self.terms, &stock_id, &coupon, order.discount, &known.receipts, &known.returns);
        let asked_date = self
            .is_asked(&order, &coupon_code)
            .then_some(self.date)
            .or_else(|| previous.and_then(|row| row.asked_date));
        compose(self.date, (stock_id, coupon_code), coupon, order, subsidy, asked_date)
    }

    /// Whether the night asked the claiming user's wallet, or for this very coupon.
    fn is_asked(&self, order: &OrderSide, coupon_code: &str) -> bool {
        order.openid.as_ref().is_some_and(|openid| {
            self.asked.wallets.contains(openid)
                || self.asked.unknown_coupons.contains(&(openid.clone(), coupon_code.to_owned()))
        })
    }
}

fn compose(
    date: NaiveDate,
    (stock_id, coupon_code): CouponKey,
    coupon: Coupon,
    order: OrderSide,
    subsidy: Subsidy,
    asked_date: Option<NaiveDate>,
) -> LedgerRow {
    LedgerRow {
        expected_discount_fen: coupon.terms.expected_discount(order.goods),
        used_after_paid_seconds: coupon.used_at.zip(order.paid_at).map(|(used, paid)| (used - paid).num_seconds()),
        stock_id,
        coupon_code,
        openid: coupon.openid,
        coupon_state: coupon.coupon_state,
        state_on_date: coupon.state_on_date,
        stock_type: coupon.terms.stock_type,
        belong_merchant: coupon.terms.belong_merchant,
        discount_amount_fen: coupon.terms.discount_amount,
        discount_percent: coupon.terms.discount_percent,
        exchange_price_fen: coupon.terms.exchange_price,
        transaction_minimum_fen: coupon.terms.transaction_minimum,
        available_start_at: coupon.available_start_at,
        expire_at: coupon.expire_at,
        received_at: coupon.received_at,
        used_at: coupon.used_at,
        returned_at: coupon.returned_at,
        deactivated_at: coupon.deactivated_at,
        use_request_no: coupon.use_request_no,
        return_request_no: coupon.return_request_no,
        associate_out_trade_no: coupon.associate_out_trade_no,
        match_pass: order.match_pass,
        claim_count: order.claim_count,
        out_trade_no: order.out_trade_no,
        transaction_id: order.transaction_id,
        order_openid: order.openid,
        order_merchant: order.merchant,
        order_paid_at: order.paid_at,
        order_live: order.is_live,
        order_fully_refunded: order.is_fully_refunded,
        goods_fen: order.goods,
        discount_fen: order.discount,
        paid_fen: order.paid,
        order_refund_fen: order.order_refund,
        bill_paid_fen: order.bill_paid,
        refund_fen: order.bill_refund.amount,
        refunded_at: order.bill_refund.last_at,
        refund_count: order.bill_refund.count,
        subsidy_expected_fen: subsidy.expected,
        subsidy_paid_fen: subsidy.paid,
        subsidy_returned_fen: subsidy.returned,
        subsidy_receipt_count: subsidy.live_count,
        subsidy_status: subsidy.status,
        subsidy_transaction_id: subsidy.transaction_id,
        asked_date,
        verified_date: coupon.verified_date,
        subsidy_live_fen: subsidy.live,
        subsidy_due_date: subsidy.due_date,
        business_date: date,
    }
}

/// A ledger row that knows nothing but its key.
#[cfg(test)]
pub(super) fn empty_row(date: NaiveDate, stock_id: &str, coupon_code: &str) -> LedgerRow {
    let key = (stock_id.to_owned(), coupon_code.to_owned());
    compose(date, key, Coupon::default(), OrderSide::default(), Subsidy::default(), None)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Csv, Fixture, difference, folders, name_of};
    use super::*;

    fn cases() -> Vec<std::path::PathBuf> {
        folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger")).unwrap()
    }

    fn build_case(case: &Path) -> Ledger {
        let night = Fixture::read(case).unwrap();
        build(&night.terms, &Rules::built_in(), &night.files, &night.asked).unwrap()
    }

    #[test]
    fn every_ledger_case_gives_the_rows_it_expects_and_foots() {
        let mut problems = String::new();
        for case in cases() {
            let ledger = build_case(&case);
            let expected = Csv::read(&case.join("expected.csv")).unwrap();
            let difference = difference(&expected, &ledger.rows).unwrap_or_default();
            let unfooted: Vec<_> = ledger.footing.iter().filter(|side| !side.holds()).collect();
            if !(difference.is_empty() && unfooted.is_empty()) {
                problems.push_str(&format!("\n{}: {difference} {unfooted:?}", name_of(&case)));
            }
        }
        assert!(problems.is_empty(), "{problems}");
    }

    #[test]
    fn the_same_inputs_give_the_same_ledger_sorted_by_key() {
        for case in cases().iter().take(3) {
            let (one, other) = (build_case(case), build_case(case));
            assert_eq!(one, other);
            let keys: Vec<_> = one.rows.iter().map(|row| (&row.stock_id, &row.coupon_code)).collect();
            assert!(keys.is_sorted() && !keys.is_empty());
        }
    }

    #[test]
    fn a_coupon_of_tomorrow_is_left_out_of_the_footing_not_lost() {
        let case = cases().into_iter().find(|case| name_of(case).starts_with("a_coupon_is_known")).unwrap();
        let ledger = build_case(&case);
        let side = ledger.footing.iter().find(|side| side.side == "user_coupons").unwrap();
        assert_eq!((side.total.rows, side.matched.rows, side.unmatched.rows, side.left_out.rows), (2, 0, 1, 1));
    }
}
