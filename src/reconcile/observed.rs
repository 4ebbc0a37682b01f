//! The view `observed_coupons` as a file of the scratch folder: wallets and dispatched codes are both sorted by
//! coupon, so one walk through the two finds every coupon once, whatever their number. A test holds it
//! equal to the view's SQL.

use std::cmp::Ordering;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::columns::{Micros, row_type};
use super::cursor::{Columns, Cursor};
use super::error::ReconcileError;
use super::facts::scratched;
use super::files::DayFiles;

/// The view this module computes.
pub(super) const VIEW: &str = "observed_coupons";
const ROWS_PER_BATCH: usize = 8_192;
const ROWS_PER_GROUP: usize = 1 << 16;

row_type! {
    WalletRow of WalletColumns {
        stock_id: text,
        coupon_code: text,
        receive_time: maybe_instant,
    }
}

row_type! {
    CodeRow of CodeColumns {
        stock_id: text,
        coupon_code: text,
        code_status: maybe_text,
        dispatched_time: maybe_instant,
    }
}

impl WalletRow<'_> {
    fn is_observed(&self, end: Micros) -> bool {
        self.receive_time.is_none_or(|received| received < end)
    }
}

impl CodeRow<'_> {
    fn is_observed(&self, end: Micros) -> bool {
        let is_dispatched = self.code_status == Some("DISPATCHED") || self.dispatched_time.is_some();
        is_dispatched && self.dispatched_time.is_none_or(|dispatched| dispatched < end)
    }
}

/// Writes the coupons somebody is known to have received by `end`, sorted, each once.
pub(super) fn write(files: &DayFiles, end: Micros, path: &Path) -> Result<(), ReconcileError> {
    let mut wallets = Cursor::<WalletColumns>::open("user_coupons", files.of_day("user_coupons"))?;
    let mut codes = Cursor::<CodeColumns>::open("coupon_codes", files.of_day("coupon_codes"))?;
    let mut output = Output::create(path)?;
    loop {
        let wallet = next(&mut wallets, |row| row.is_observed(end))?.map(|row| (row.stock_id, row.coupon_code));
        let code = next(&mut codes, |row| row.is_observed(end))?.map(|row| (row.stock_id, row.coupon_code));
        let Some(coupon) = wallet.into_iter().chain(code).min() else { return output.finish() };
        let (is_of_wallet, is_of_code) = (wallet == Some(coupon), code == Some(coupon));
        output.push(coupon)?;
        if is_of_wallet {
            wallets.advance()?;
        }
        if is_of_code {
            codes.advance()?;
        }
    }
}

/// The next row that counts.
fn next<C: Columns>(
    rows: &mut Cursor<C>,
    counts: impl Fn(&C::Row<'_>) -> bool,
) -> Result<Option<C::Row<'_>>, ReconcileError> {
    while rows.peek().is_some_and(|row| !counts(&row)) {
        rows.advance()?;
    }
    Ok(rows.peek())
}

/// The file under construction.
struct Output {
    file: ArrowWriter<File>,
    schema: SchemaRef,
    stocks: StringBuilder,
    codes: StringBuilder,
    rows: usize,
    last: (String, String),
}

impl Output {
    fn create(path: &Path) -> Result<Output, ReconcileError> {
        let fields = ["stock_id", "coupon_code"].map(|name| Field::new(name, DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::UNCOMPRESSED)
            .set_max_row_group_row_count(Some(ROWS_PER_GROUP))
            .set_column_dictionary_enabled(ColumnPath::from("coupon_code"), false)
            .build();
        let file = File::create(path).map_err(scratched)?;
        let file = ArrowWriter::try_new(file, schema.clone(), Some(properties)).map_err(torn)?;
        let (stocks, codes) = (StringBuilder::new(), StringBuilder::new());
        Ok(Output { file, schema, stocks, codes, rows: 0, last: Default::default() })
    }

    fn push(&mut self, (stock_id, coupon_code): (&str, &str)) -> Result<(), ReconcileError> {
        let last = (self.last.0.as_str(), self.last.1.as_str());
        match last.cmp(&(stock_id, coupon_code)) {
            Ordering::Equal if self.rows > 0 => return Ok(()),
            Ordering::Greater => {
                return Err(ReconcileError::Unsorted { dataset: VIEW, key: format!("{stock_id}/{coupon_code}") });
            }
            _ => {}
        }
        self.last.0.clear();
        self.last.0.push_str(stock_id);
        self.last.1.clear();
        self.last.1.push_str(coupon_code);
        self.stocks.append_value(stock_id);
        self.codes.append_value(coupon_code);
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_BATCH) { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), ReconcileError> {
        let columns = vec![Arc::new(self.stocks.finish()) as _, Arc::new(self.codes.finish()) as _];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(ReconcileError::shape(VIEW))?;
        self.file.write(&batch).map_err(torn)
    }

    fn finish(mut self) -> Result<(), ReconcileError> {
        self.write()?;
        self.file.close().map(drop).map_err(torn)
    }
}

fn torn(source: ParquetError) -> ReconcileError {
    scratched(std::io::Error::other(source))
}
