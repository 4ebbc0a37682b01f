//! The shared views about orders as Parquet files in the scratch folder, for the rules' SQL.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::spilled;
use crate::dataset::encoder::Encoder;
use crate::reconcile::columns::table_type;
use crate::reconcile::error::ReconcileError;

/// Rows of a batch.
pub(super) const ROWS_PER_BATCH: usize = 8_192;
const ROWS_PER_GROUP: usize = 1 << 18;
/// Texts that repeat themselves. Of all else a dictionary only costs.
const REPEATED: [&str; 6] = ["stock_id", "merchant", "channel", "source_file", "mchid", "sub_mchid"];

table_type! {
    /// A row of `order_totals`.
    TotalsRow into TotalsTable {
        out_trade_no: text,
        transaction_id: maybe_text,
        merchant: maybe_text,
        openid: maybe_text,
        channel: maybe_text,
        source_file: text,
        paid_at: maybe_instant,
        paid_date: maybe_date,
        changed_date: date,
        goods_fen: fen,
        discount_fen: fen,
        paid_fen: fen,
        refund_fen: fen,
        bill_transaction_id: maybe_text,
        bill_paid_fen: maybe_fen,
        bill_date: maybe_date,
        bill_is_revoked: flag,
        bill_refund_fen: fen,
        bill_refund_count: integer,
        bill_refunded_at: maybe_instant,
        bill_refund_date: maybe_date,
        is_paid: flag,
        is_fully_refunded: flag,
        is_live: flag,
    }
}

table_type! {
    /// A row of `order_lines`.
    LinesRow into LinesTable {
        out_trade_no: text,
        stock_id: text,
        coupon_code: text,
        transaction_id: maybe_text,
        merchant: maybe_text,
        openid: maybe_text,
        channel: maybe_text,
        paid_at: maybe_instant,
        goods_fen: fen,
        discount_fen: fen,
        paid_fen: fen,
        refund_fen: fen,
        source_file: text,
        dt: date,
    }
}

table_type! {
    /// A row of `bill_payments`.
    PaymentsRow into PaymentsTable {
        transaction_id: text,
        out_trade_no: text,
        openid: maybe_text,
        mchid: maybe_text,
        sub_mchid: maybe_text,
        order_fen: maybe_fen,
        trade_time: instant,
        dt: date,
        is_revoked: flag,
    }
}

table_type! {
    /// A row of `bill_refunds`.
    RefundsRow into RefundsTable {
        transaction_id: text,
        out_trade_no: text,
        refund_fen: fen,
        refund_count: integer,
        refunded_at: maybe_instant,
        dt: maybe_date,
    }
}

/// A Parquet file under construction, uncompressed: it is read once and soon gone.
pub(super) struct TableFile {
    path: PathBuf,
    writer: Option<Encoder>,
}

impl TableFile {
    pub(super) fn new(path: PathBuf) -> TableFile {
        TableFile { path, writer: None }
    }

    /// Adds a batch; the first one, which may have no row, gives the schema.
    pub(super) fn write(&mut self, columns: Vec<(&'static str, ArrayRef)>) -> Result<(), ParquetError> {
        let field = |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
        let arrays = columns.into_iter().map(|(_, array)| array).collect();
        let batch = RecordBatch::try_new(schema, arrays)?;
        if self.writer.is_none() {
            let file = File::create(&self.path)?;
            self.writer = Some(Encoder::new(file, &batch.schema(), properties(), ROWS_PER_GROUP)?);
        }
        self.writer.as_mut().expect("just made").write(&batch)
    }

    pub(super) fn finish(self) -> Result<(), ParquetError> {
        self.writer.map_or(Ok(()), |writer| writer.finish().map(drop))
    }
}

fn properties() -> WriterProperties {
    let builder = WriterProperties::builder()
        .set_compression(Compression::UNCOMPRESSED)
        .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
        // Nobody looks for single rows here.
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false);
    let repeated = REPEATED.into_iter().map(ColumnPath::from);
    repeated.fold(builder, |builder, column| builder.set_column_dictionary_enabled(column, true)).build()
}

/// A table that could not be written.
pub(super) fn torn(source: ParquetError) -> ReconcileError {
    spilled(std::io::Error::other(source))
}

/// Where the table of a view lies.
pub(in crate::reconcile) fn path_of(folder: &Path, view: &str) -> PathBuf {
    folder.join(format!("{view}.parquet"))
}
