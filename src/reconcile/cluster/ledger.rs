//! The coupon ledger built by the cluster: it runs the SQL of `ledger_sql` and writes sorted parts beside what
//! the night has staged; they come back through the one writer of partitions.

use std::sync::Arc;

use arrow::array::{AsArray, Date32Array, RecordBatch};
use arrow::datatypes::Date32Type;
use chrono::NaiveDate;
use serde::Deserialize;

use super::super::engine::ResultColumn;
use super::super::error::ReconcileError;
use super::super::footing::{Footing, Tally};
use super::super::ledger::Asked;
use super::super::ledger_sql::MOST_RECEIPTS;
use super::super::parameters::days;
use super::ClusterNight;
use super::gather::Gather;
use crate::contract;
use crate::contract::ColumnKind::{Integer, Text};
use crate::money::Fen;
use crate::record::{LedgerRow, Record};

const ASKED_DATE: &str = "asked_date";
/// The sides of the match, in the order in which they are told.
const SIDES: [&str; 5] = ["user_coupons", "orders", "subsidy_payments", "payments", "refunds"];

const FOOTING: [ResultColumn<'_>; 9] = [
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

#[derive(Debug, Deserialize)]
struct Side {
    side: String,
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

impl ClusterNight<'_> {
    /// Builds the ledger on the cluster and streams it into `sink`, sorted by its key; gives the control
    /// totals of every side that went into it.
    pub(in crate::reconcile) fn build_ledger<E: From<ReconcileError>>(
        &mut self,
        asked: &Asked,
        mut sink: impl FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<Vec<Footing>, E> {
        self.ask_nobody()?;
        self.refuse_crowds()?;
        let footing = self.rows("footing", "SELECT * FROM footing", &FOOTING)?;
        let footing = SIDES.iter().map(|side| footing_of(side, &footing)).collect::<Result<Vec<_>, _>>()?;
        let folder =
            self.store_sorted(LedgerRow::DATASET, "SELECT * FROM coupon_ledger ORDER BY stock_id, coupon_code")?;
        let mut gather = Gather::open(contract::contract(LedgerRow::DATASET), &folder)?;
        let mut came = 0;
        while let Some(batch) = gather.next_batch()? {
            came += batch.num_rows() as i64;
            sink(asked_tonight(batch, asked, self.files.date)?)?;
        }
        self.refuse_lost(came)?;
        self.forget(LedgerRow::DATASET);
        Ok(footing)
    }

    /// Whom the night asked is known here only, and not as a list: the cluster knows of nobody.
    fn ask_nobody(&mut self) -> Result<(), ReconcileError> {
        for (name, columns) in
            [("asked_wallets", "openid STRING"), ("unknown_coupons", "openid STRING, coupon_code STRING")]
        {
            self.cluster.session.name_nothing(name, columns)?;
            self.cluster.declared.insert(name.to_owned());
        }
        Ok(())
    }

    /// The SQL tells the statuses of so many receipts of a coupon and no more: it must not cut them silently.
    fn refuse_crowds(&mut self) -> Result<(), ReconcileError> {
        let sql = format!("SELECT COUNT(*) AS row_count FROM receipt_sums WHERE receipt_count > {MOST_RECEIPTS}");
        match self.count("receipt_sums", &sql)? {
            0 => Ok(()),
            coupons => Err(ReconcileError::TooManyReceipts { coupons, most: MOST_RECEIPTS }),
        }
    }

    fn count(&mut self, what: &str, sql: &str) -> Result<i64, ReconcileError> {
        let counted: Vec<Count> = self.rows(what, sql, &[("row_count", Integer)])?;
        Ok(counted.first().map_or(0, |count| count.row_count))
    }

    /// As many rows must have come as the cluster counts: a part that was not seen is no small ledger.
    fn refuse_lost(&mut self, came: i64) -> Result<(), ReconcileError> {
        let there = self.count(LedgerRow::DATASET, "SELECT COUNT(*) AS row_count FROM coupon_ledger")?;
        if there == came {
            return Ok(());
        }
        Err(ReconcileError::Lost { what: LedgerRow::DATASET.to_owned(), there, came })
    }
}

/// The rows, with D as the day on which they were asked for where they were.
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

fn footing_of(side: &'static str, rows: &[Side]) -> Result<Footing, ReconcileError> {
    let missing = || ReconcileError::Lost { what: format!("footing of {side}"), there: 1, came: 0 };
    let row = rows.iter().find(|row| row.side == side).ok_or_else(missing)?;
    let tally = |rows, fen| Tally { rows, fen: Fen(fen) };
    Ok(Footing {
        side,
        total: tally(row.total_rows, row.total_fen),
        matched: tally(row.matched_rows, row.matched_fen),
        unmatched: tally(row.unmatched_rows, row.unmatched_fen),
        left_out: tally(row.left_out_rows, row.left_out_fen),
    })
}
