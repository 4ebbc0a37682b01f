//! Merges everything that refers to coupons, coupon by coupon; each side is sorted by coupon. Holds the rows of one coupon
//! at a time, so the sides may be larger than memory.

use super::facts::{self, Claim, Dispatch, Facts, Receipt};
use super::footing::Counts;
use super::order_book::OrderBook;
use super::wallet::{PreviousColumns, PreviousRow, WalletColumns, WalletRow};
use crate::dataset::columns::{Columns, Micros};
use crate::money::Fen;
use crate::reconcile::basis::files::DayFiles;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::reconcile::rows::coupon_key::{CouponId, CouponKey};
use crate::reconcile::rows::cursor::{Cursor, Held};
use crate::reconcile::rows::grouped::Grouped;
use crate::record::{LedgerRow, Record, UserCoupon};

/// The columns read from the sides that are already sorted.
pub(super) const READ: [(&str, &[&str]); 2] =
    [(UserCoupon::DATASET, WalletColumns::NAMES), (LedgerRow::DATASET, PreviousColumns::NAMES)];

/// Columns sorted by coupon.
trait ByCoupon: Columns {
    fn coupon(&self, row: usize) -> CouponKey<'_>;
}

macro_rules! by_coupon {
    ($columns:ty) => {
        impl ByCoupon for $columns {
            #[inline]
            fn coupon(&self, row: usize) -> CouponKey<'_> {
                CouponKey::new(self.stock_id.value(row).as_bytes(), self.coupon_code.value(row).as_bytes())
            }
        }
    };
}

by_coupon!(WalletColumns);
by_coupon!(PreviousColumns);

/// A side read from a file, with the rows of the current coupon.
struct FileSide<C> {
    cursor: Cursor<C>,
    rows: Vec<Held<C>>,
}

/// All sides of the match.
pub(super) struct Sides {
    wallets: FileSide<WalletColumns>,
    previous: FileSide<PreviousColumns>,
    claims: Grouped,
    dispatches: Grouped,
    receipts: Grouped,
    returns: Grouped,
    /// The coupon of the current rows; `None` before the first.
    current: Option<CouponId>,
}

/// The rows of one coupon.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// Stock and code.
    pub(super) key: (&'a str, &'a str),
    pub(super) wallet: Option<WalletRow<'a>>,
    pub(super) previous: Option<PreviousRow<'a>>,
    pub(super) claims: Vec<Claim<'a>>,
    pub(super) dispatch: Option<Dispatch<'a>>,
    pub(super) receipts: Vec<Receipt<'a>>,
    pub(super) returns: Vec<Fen>,
}

impl Known<'_> {
    /// Whether no side has a row that counts on this day.
    pub(super) fn is_empty(&self) -> bool {
        let has_one = self.wallet.is_some() || self.previous.is_some() || self.dispatch.is_some();
        !has_one && self.claims.is_empty() && self.receipts.is_empty() && self.returns.is_empty()
    }
}

impl Sides {
    /// Opens every side; takes the claims out of the order book.
    pub(super) fn open(files: &DayFiles, facts: Facts, orders: &mut OrderBook) -> Result<Sides, ReconcileError> {
        let grouped = |sorted| Grouped::new(sorted).map_err(scratched);
        Ok(Sides {
            wallets: FileSide::new(Cursor::open_ahead(UserCoupon::DATASET, files.of_day(UserCoupon::DATASET))?),
            previous: FileSide::new(Cursor::open_ahead(LedgerRow::DATASET, files.latest_before(LedgerRow::DATASET))?),
            claims: grouped(std::mem::take(&mut orders.claims))?,
            dispatches: grouped(facts.dispatches)?,
            receipts: grouped(facts.receipts)?,
            returns: grouped(facts.returns)?,
            current: None,
        })
    }

    /// Advances to the next coupon; false at the end.
    pub(super) fn next_coupon(&mut self) -> Result<bool, ReconcileError> {
        let files = [self.wallets.peek(), self.previous.peek()];
        let sorted = [&self.claims, &self.dispatches, &self.receipts, &self.returns];
        let keys = files.into_iter().chain(sorted.map(Grouped::peek));
        let Some(smallest) = keys.flatten().min() else { return Ok(false) };
        if self.current.as_ref().is_some_and(|current| smallest <= current.key()) {
            // The sorted sides cannot be out of order, so it is one of the files.
            let is_wallet = self.wallets.peek() == Some(smallest);
            let dataset = if is_wallet { UserCoupon::DATASET } else { LedgerRow::DATASET };
            return Err(ReconcileError::Unsorted { dataset, key: smallest.to_string() });
        }
        let current = self.current.get_or_insert_default();
        let [stock_id, coupon_code] =
            smallest.texts().map(|text| std::str::from_utf8(text).expect("keys were read as text"));
        current.become_texts(stock_id, coupon_code);
        let key = current.key();
        self.wallets.take(key)?;
        self.previous.take(key)?;
        for side in [&mut self.claims, &mut self.dispatches, &mut self.receipts, &mut self.returns] {
            side.take(key).map_err(scratched)?;
        }
        Ok(true)
    }

    /// What is known of the current coupon at the end of the day.
    pub(super) fn known(&self, end: Micros, counts: &mut Counts) -> Known<'_> {
        Known {
            key: self.current.as_ref().map_or(("", ""), |current| (&current.stock_id, &current.coupon_code)),
            wallet: known_wallet(&self.wallets.rows, end, counts),
            previous: self.previous.rows.last().map(Held::row),
            claims: self.claims.rows().map(Claim::of).collect(),
            dispatch: Dispatch::of(self.dispatches.rows()),
            receipts: self.receipts.rows().map(Receipt::of).collect(),
            returns: self.returns.rows().map(facts::returned).collect(),
        }
    }
}

impl<C: ByCoupon> FileSide<C> {
    fn new(cursor: Cursor<C>) -> FileSide<C> {
        FileSide { cursor, rows: Vec::new() }
    }

    fn peek(&self) -> Option<CouponKey<'_>> {
        self.cursor.place().map(|(columns, row)| columns.coupon(row))
    }

    fn take(&mut self, key: CouponKey<'_>) -> Result<(), ReconcileError> {
        self.rows.clear();
        while self.peek() == Some(key) {
            self.rows.extend(self.cursor.hold());
            self.cursor.advance()?;
        }
        Ok(())
    }
}

/// The wallet row of a coupon. One received after D is not known on D; of a coupon that was given away, which may be in
/// two wallets, the row verified last counts.
fn known_wallet<'a>(rows: &'a [Held<WalletColumns>], end: Micros, counts: &mut Counts) -> Option<WalletRow<'a>> {
    let mut newest: Option<WalletRow<'a>> = None;
    for row in rows.iter().map(Held::row) {
        counts.read(&row);
        if row.receive_time.is_some_and(|received| received >= end) {
            counts.leave_out(&row);
            continue;
        }
        let is_newer = newest.is_none_or(|newest| newest_wallet(&newest, &row).is_le());
        let older = if is_newer { newest.replace(row) } else { Some(row) };
        older.iter().for_each(|row| counts.leave_out(row));
    }
    newest
}

fn newest_wallet(one: &WalletRow<'_>, other: &WalletRow<'_>) -> std::cmp::Ordering {
    let recency = |row: &WalletRow<'_>| (row.verified_date, row.receive_time);
    recency(one).cmp(&recency(other)).then_with(|| other.openid.cmp(one.openid))
}
