//! The coupon ledger: one row per coupon known from any side up to D, with all sides joined (design
//! §6). A pure function of partitions, job and what the night requested; publishes nothing. Every side
//! is read in the order of its coupons, so memory does not grow with their number.

mod facts;
pub(super) mod footing;
mod matching;
pub(super) mod observed;
pub(super) mod order_book;
mod order_side;
mod row;
mod sides;
mod subsidy;
pub(super) mod tally;
mod wallet;

use std::collections::HashMap;
use std::panic::resume_unwind;

use arrow::array::RecordBatch;

use super::basis::files::{DayFiles, Scratch};
use super::basis::parameters::days;
use super::basis::terms::Terms;
use super::error::{ReconcileError, scratched};
use super::rows::builders::Table;
use super::rules::Reads;
use crate::clock;
use crate::contract;
use crate::dataset::columns::{DayNumber, Micros};
use crate::dataset::partition::{self, PartitionError};
use crate::fingerprints::Fingerprints;
use crate::record::{LedgerRow, Record, Stock};
use facts::Facts;
use footing::{Counts, Footing};
use matching::Trace;
use order_book::OrderBook;
use order_side::{LookBack, OrderSide};
use row::{JoinedCoupon, LedgerBuilder, LedgerLine};
use sides::{Known, Sides};
use subsidy::Subsidy;
use wallet::Coupon;

/// Rows per batch. The bytes of the published file depend on it.
pub(super) const ROWS_PER_BATCH: usize = 8_192;

/// The wallets and coupons that the night requested.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Published openids whose wallet was requested and read to its end tonight.
    pub wallets: Fingerprints,
    /// (published openid, coupon code) for which the single query answered 404.
    pub unknown_coupons: Fingerprints,
}

impl Asked {
    /// Whether the night requested this wallet, or this coupon by the single query.
    pub(super) fn has(&self, openid: &str, coupon_code: &str) -> bool {
        self.wallets.contains(&[openid]) || self.unknown_coupons.contains(&[openid, coupon_code])
    }
}

/// What every row of the night depends on.
pub(super) struct Night<'a> {
    files: &'a DayFiles,
    date: DayNumber,
    /// The first instant of the look-back.
    from: Micros,
    end: Micros,
    terms: &'a Terms,
    asked: &'a Asked,
    stocks: HashMap<String, Stock>,
}

/// The columns that the match decodes, by dataset.
pub(super) fn columns_read() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    sides::READ.into_iter().chain(order_book::READ).chain(facts::READ)
}

/// Memory that is reused for every row.
#[derive(Default)]
struct Blocks {
    passes: [Vec<u8>; 2],
    look_back: order_side::Blocks,
}

/// The ledger as far as it is built.
#[derive(Default)]
struct Draft {
    builder: LedgerBuilder,
    counts: Counts,
    blocks: Blocks,
}

fn batch(builder: &mut LedgerBuilder) -> Result<RecordBatch, ReconcileError> {
    let columns = builder.take().into_iter().map(|(_, column)| column).collect();
    let schema = contract::contract(LedgerRow::DATASET).arrow();
    RecordBatch::try_new(schema, columns).map_err(ReconcileError::shape(LedgerRow::DATASET))
}

fn read_stocks(files: &DayFiles) -> Result<HashMap<String, Stock>, PartitionError> {
    let path = files.of_day(Stock::DATASET).or_else(|| files.latest_before(Stock::DATASET));
    let stocks = path.map(partition::read_rows::<Stock>).transpose()?.unwrap_or_default();
    Ok(stocks.into_iter().map(|stock| (stock.stock_id.clone(), stock)).collect())
}

impl<'a> Night<'a> {
    /// The night of `files.date`.
    pub(super) fn open(terms: &'a Terms, files: &'a DayFiles, asked: &'a Asked) -> Result<Night<'a>, ReconcileError> {
        let from = clock::start_of(terms.rules.lookback_start(files.date)).timestamp_micros();
        let end = clock::end_of(files.date).timestamp_micros();
        Ok(Night { files, date: days(files.date), from, end, terms, asked, stocks: read_stocks(files)? })
    }

    /// Builds the ledger batch by batch, sorted by key; returns the control totals.
    pub(super) fn build<E: From<ReconcileError>>(
        &self,
        reads: &Reads,
        scratch: &Scratch,
        mut sink: impl FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<Vec<Footing>, E> {
        let (mut orders, facts) = self.gather(reads, scratch)?;
        let receipt_rows = facts.receipt_rows;
        let mut sides = Sides::open(self.files, facts, &mut orders)?;
        let mut draft = Draft::default();
        while sides.next_coupon()? {
            let known = sides.known(self.end, &mut draft.counts);
            if !known.is_empty() {
                self.push_row(known, &orders, &mut draft)?;
            }
            if draft.builder.rows() >= ROWS_PER_BATCH {
                sink(batch(&mut draft.builder)?)?;
            }
        }
        if draft.builder.rows() > 0 {
            sink(batch(&mut draft.builder)?)?;
        }
        Ok(draft.counts.footing(&orders, receipt_rows))
    }

    /// Joins orders with bills and, on another thread, reads all other facts.
    fn gather(&self, reads: &Reads, scratch: &Scratch) -> Result<(OrderBook, Facts), ReconcileError> {
        let (files, from) = (self.files, self.terms.rules.lookback_start(self.files.date));
        let (orders, facts) = std::thread::scope(|threads| {
            let facts = threads.spawn(|| {
                if reads.has(observed::VIEW) {
                    observed::write(files, reads, scratch.folder())?;
                }
                Facts::read(files, from, self.end, scratch.folder())
            });
            let orders = order_book::build(files, from, scratch.folder(), reads);
            (orders, facts.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        Ok((orders?, facts?))
    }

    fn push_row(&self, mut known: Known<'_>, orders: &OrderBook, draft: &mut Draft) -> Result<(), ReconcileError> {
        let Draft { builder, counts, blocks } = draft;
        let previous = known.previous.as_ref();
        let coupon = self.coupon(&known);
        let trace =
            Trace { associate_out_trade_no: coupon.associate_out_trade_no, use_request_no: coupon.use_request_no };
        let pattern = self.terms.rules.use_request_pattern.as_ref();
        let matched = matching::find_order(&known.claims, trace, &orders.by_number, &mut blocks.passes, pattern);
        let look_back = LookBack { from: self.from, orders, blocks: &mut blocks.look_back };
        let paid_claims = matching::paid_claims(&known.claims);
        let order =
            matched.and_then(|matched| OrderSide::new(matched, paid_claims, previous, coupon.returned_at, look_back));
        let order = order.map_err(scratched)?;
        let (stock_id, code) = known.key;
        let received = Subsidy::from_receipts(&mut known.receipts, &known.returns);
        let subsidy = received.adding_owed(self.terms, stock_id, &coupon, order.discount);
        let asked_date = self.is_asked(&order, code).then_some(self.date).or_else(|| previous?.asked_date);
        let joined = JoinedCoupon { key: known.key, coupon: &coupon, order: &order, subsidy: &subsidy };
        builder.push(&LedgerLine::new(&joined, self.date, asked_date));
        counts.add(order.out_trade_no, known.wallet.as_ref(), &known.claims, &known.receipts);
        Ok(())
    }

    fn coupon<'k>(&'k self, known: &Known<'k>) -> Coupon<'k> {
        let stock = self.stocks.get(known.key.0);
        let mut coupon = Coupon::at(self.end, known.wallet.as_ref(), known.previous.as_ref(), stock);
        if let Some(dispatch) = &known.dispatch {
            coupon.openid = coupon.openid.or(dispatch.openid);
            coupon.received_at = coupon.received_at.or(dispatch.dispatched_at);
        }
        coupon
    }

    /// Whether the night requested the claiming user's wallet, or this coupon by the single query.
    fn is_asked(&self, order: &OrderSide<'_>, coupon_code: &str) -> bool {
        let Some(openid) = order.openid else { return false };
        self.asked.has(openid, coupon_code)
    }
}

#[cfg(test)]
mod tests {
    use crate::reconcile::cases::fixture::{Csv, Fixture, difference, folders, name_of};
    use crate::reconcile::rules::Rules;
    use std::path::Path;

    use super::*;

    fn cases() -> Vec<std::path::PathBuf> {
        folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ledger")).unwrap()
    }

    fn build_case(case: &Path) -> (Vec<LedgerRow>, Vec<Footing>) {
        let mut night = Fixture::read(case).unwrap();
        let footing = night.put_ledger(&Rules::built_in()).unwrap();
        let rows = partition::read_rows(night.files.of_day(LedgerRow::DATASET).unwrap()).unwrap();
        (rows, footing)
    }

    #[test]
    fn every_ledger_case_gives_the_rows_it_expects_and_foots() {
        let mut problems = String::new();
        for case in cases() {
            let (rows, footing) = build_case(&case);
            let expected = Csv::read(&case.join("expected.csv")).unwrap();
            let difference = difference(&expected, &rows).unwrap_or_default();
            let unfooted: Vec<_> = footing.iter().filter(|side| !side.holds()).collect();
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
            let keys: Vec<_> = one.0.iter().map(|row| (&row.stock_id, &row.coupon_code)).collect();
            assert!(keys.is_sorted() && !keys.is_empty());
        }
    }

    #[test]
    fn a_coupon_of_tomorrow_is_left_out_of_the_footing_not_lost() {
        let case = cases().into_iter().find(|case| name_of(case).starts_with("a_coupon_is_known")).unwrap();
        let (_, footing) = build_case(&case);
        let side = footing.iter().find(|side| side.side == "user_coupons").unwrap();
        assert_eq!((side.total.rows, side.matched.rows, side.unmatched.rows, side.left_out.rows), (2, 0, 1, 1));
    }
}
