//! The coupon ledger: one row per coupon known from any side up to D, every side joined (design §6).
//! Reads partitions, writes none; a pure function of them, the job and whom the night asked.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveDate, Utc};

use super::engine::Engine;
use super::error::ReconcileError;
use super::facts::{Claim, CouponKey, Dispatch, Facts, Orders, Receipt, Return};
use super::files::DayFiles;
use super::footing::{self, Counts, Footing};
use super::matching::{self, Trace};
use super::merge::Side;
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

/// Builds the ledger of `files.date`.
pub(super) fn build(terms: &Terms, rules: &Rules, files: &DayFiles, asked: &Asked) -> Result<Ledger, ReconcileError> {
    let mut engine = Engine::open(terms, rules, files)?;
    let facts = Facts::read(&mut engine)?;
    let stocks = read_stocks(files)?;
    let night = Night { date: files.date, terms, asked, orders: &facts.orders, stocks };
    let end = clock::end_of(files.date);
    let mut wallets = Side::new("user_coupons", open_side::<UserCoupon>(files.of_day(UserCoupon::DATASET))?);
    let mut previous = Side::new("coupon_ledger", open_side::<LedgerRow>(files.latest_before(LedgerRow::DATASET))?);
    let mut claims = Side::new("orders", facts.claims.into_iter().map(Ok));
    let mut dispatches = Side::new("coupon_codes", facts.dispatches.into_iter().map(Ok));
    let mut receipts = Side::new("subsidy_payments", facts.receipts.into_iter().map(Ok));
    let mut returns = Side::new("subsidy_returns", facts.returns.into_iter().map(Ok));
    let (mut rows, mut counts) = (Vec::new(), Counts::default());
    loop {
        let key = wallets.smaller_key(None)?;
        let key = previous.smaller_key(key)?;
        let key = claims.smaller_key(key)?;
        let key = dispatches.smaller_key(key)?;
        let key = receipts.smaller_key(key)?;
        let Some(key) = returns.smaller_key(key)? else { break };
        let known = Known {
            wallet: known_wallet(wallets.take(&key)?, end, &mut counts),
            previous: previous.take(&key)?.pop(),
            claims: claims.take(&key)?,
            dispatch: dispatches.take(&key)?.pop(),
            receipts: receipts.take(&key)?,
            returns: returns.take(&key)?,
            key,
        };
        if known.is_anything() {
            let row = night.row(&known);
            counts.add(&row, known.wallet.as_ref(), &known.claims, &known.receipts);
            rows.push(row);
        }
    }
    let footing = footing::of(&mut engine, &counts)?;
    Ok(Ledger { rows, footing })
}

/// The rows of a file, none where there is no file.
fn open_side<R: Record>(
    path: Option<&std::path::Path>,
) -> Result<impl Iterator<Item = Result<R, ReconcileError>> + use<R>, PartitionError> {
    let rows = path.map(partition::open_rows::<R>).transpose()?;
    Ok(rows.into_iter().flatten().map(|row| row.map_err(ReconcileError::from)))
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
