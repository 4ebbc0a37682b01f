//! Builds the coupon ledger on another engine: it runs the SQL of `ledger_sql` and writes sorted parts beside the
//! staged files; they are read back through the one writer of partitions.

use std::sync::Arc;

use arrow::array::{AsArray, Date32Array, RecordBatch};
use arrow::datatypes::Date32Type;
use chrono::NaiveDate;
use serde::Deserialize;

use super::gather::{Gather, without_idle_masks};
use super::{Replies, rows};
use crate::contract;
use crate::contract::ColumnKind::{Integer, Text};
use crate::money::Fen;
use crate::reconcile::basis::parameters::days;
use crate::reconcile::engine::tables::ResultColumn;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::ledger::Asked;
use crate::reconcile::ledger::footing::Footing;
use crate::reconcile::ledger::tally::Tally;
use crate::reconcile::ledger_sql::MOST_RECEIPTS;
use crate::record::{LedgerRow, Record};

const ASKED_DATE: &str = "asked_date";
/// The sides of the match, in output order.
const SIDES: [&str; 5] = ["user_coupons", "orders", "subsidy_payments", "payments", "refunds"];

const SIDES_QUESTION: (&str, &str) = ("footing", "SELECT * FROM footing");
const COUNT_QUESTION: (&str, &str) = ("coupon_ledger", "SELECT COUNT(*) AS row_count FROM coupon_ledger");
/// Counts coupons with more receipts than the SQL can list statuses of.
const CROWDS: &str = "receipt_sums";

/// The columns of the view `footing`.
pub(in crate::reconcile) const FOOTING: [ResultColumn<'_>; 9] = [
    ("side", Text),
    ("total_rows", Integer),
    ("total_fen", Integer),
    ("matched_rows", Integer),
    ("matched_fen", Integer),
    ("unmatched_rows", Integer),
    ("unmatched_fen", Integer),
    ("left_out_rows", Integer),
    ("left_out_fen", Integer),
];

/// A row of `footing`.
#[derive(Debug, Deserialize)]
pub(in crate::reconcile) struct Side {
    pub(in crate::reconcile) side: String,
    total_rows: i64,
    total_fen: i64,
    matched_rows: i64,
    matched_fen: i64,
    unmatched_rows: i64,
    unmatched_fen: i64,
    left_out_rows: i64,
    left_out_fen: i64,
}

#[derive(Debug, Deserialize)]
struct Count {
    row_count: i64,
}

/// Name and SQL of the questions besides the sorted ledger.
pub(super) fn questions() -> Vec<(&'static str, String)> {
    let [sides, count] = [SIDES_QUESTION, COUNT_QUESTION].map(|(name, sql)| (name, sql.to_owned()));
    vec![(CROWDS, crowds()), sides, count]
}

fn crowds() -> String {
    format!("SELECT COUNT(*) AS row_count FROM receipt_sums WHERE receipt_count > {MOST_RECEIPTS}")
}

/// Builds the ledger on another engine and streams it into `sink`, sorted by its key; returns the control totals
/// of every side.
pub(in crate::reconcile) fn build_ledger<E: From<ReconcileError>>(
    replies: &mut dyn Replies,
    date: NaiveDate,
    asked: &Asked,
    mut sink: impl FnMut(RecordBatch) -> Result<(), E>,
) -> Result<Vec<Footing>, E> {
    refuse_crowds(replies)?;
    let sides: Vec<Side> = rows(replies, SIDES_QUESTION, &FOOTING)?;
    let footing = SIDES.iter().map(|side| footing_of(side, &sides)).collect::<Result<Vec<_>, _>>()?;
    let folder = replies.sorted_ledger()?;
    let mut gather = Gather::open(contract::contract(LedgerRow::DATASET), &folder)?;
    let mut came = 0;
    while let Some(batch) = gather.next_batch()? {
        came += batch.num_rows() as i64;
        let batch = asked_tonight(batch, asked, date)?;
        sink(without_idle_masks(&batch).map_err(ReconcileError::shape(LedgerRow::DATASET))?)?;
    }
    refuse_lost(replies, came)?;
    Ok(footing)
}

/// The SQL lists the statuses of a limited number of receipts per coupon; it must not truncate silently.
fn refuse_crowds(replies: &mut dyn Replies) -> Result<(), ReconcileError> {
    match count(replies, (CROWDS, &crowds()))? {
        0 => Ok(()),
        coupons => Err(ReconcileError::TooManyReceipts { coupons, most: MOST_RECEIPTS }),
    }
}

/// The number of rows received must equal the cluster's count, so that a missed part is not taken for a small
/// ledger.
fn refuse_lost(replies: &mut dyn Replies, came: i64) -> Result<(), ReconcileError> {
    let there = count(replies, COUNT_QUESTION)?;
    if there == came {
        return Ok(());
    }
    Err(ReconcileError::Lost { what: LedgerRow::DATASET.to_owned(), there, came })
}

fn count(replies: &mut dyn Replies, question: (&str, &str)) -> Result<i64, ReconcileError> {
    let counted: Vec<Count> = rows(replies, question, &[("row_count", Integer)])?;
    Ok(counted.first().map_or(0, |count| count.row_count))
}

/// The rows, with D as the `asked_date` of those that were requested.
fn asked_tonight(batch: RecordBatch, asked: &Asked, date: NaiveDate) -> Result<RecordBatch, ReconcileError> {
    let schema = batch.schema();
    let texts = |name: &str| batch.column_by_name(name).expect("the batch is the ledger's").as_string::<i32>();
    let place = schema.index_of(ASKED_DATE).expect("the batch is the ledger's");
    let earlier = batch.column(place).as_primitive::<Date32Type>();
    let rows = texts("order_openid").iter().zip(texts("coupon_code")).zip(earlier);
    let dates: Date32Array = rows
        .map(|((openid, code), earlier)| {
            let is_asked = openid.zip(code).is_some_and(|(openid, code)| asked.has(openid, code));
            if is_asked { Some(days(date)) } else { earlier }
        })
        .collect();
    let mut columns = batch.columns().to_vec();
    columns[place] = Arc::new(dates);
    RecordBatch::try_new(schema, columns).map_err(ReconcileError::shape(LedgerRow::DATASET))
}

fn footing_of(side: &'static str, sides: &[Side]) -> Result<Footing, ReconcileError> {
    let missing = || ReconcileError::Lost { what: format!("footing of {side}"), there: 1, came: 0 };
    sides.iter().find(|row| row.side == side).map(|row| row.footing(side)).ok_or_else(missing)
}

impl Side {
    /// The totals as the local match has them.
    pub(in crate::reconcile) fn footing(&self, side: &'static str) -> Footing {
        let tally = |rows, fen| Tally { rows, fen: Fen(fen) };
        Footing {
            side,
            total: tally(self.total_rows, self.total_fen),
            matched: tally(self.matched_rows, self.matched_fen),
            unmatched: tally(self.unmatched_rows, self.unmatched_fen),
            left_out: tally(self.left_out_rows, self.left_out_fen),
        }
    }
}
