//! Turns sorted, packed rows into the columns of their contract and then into a partition file, in batches of a fixed size:
//! the same rows give the same bytes however they were sorted. Openids are published as the job says. Also the reverse: the
//! rows of a published partition, packed again.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryBuilder, BooleanArray, BooleanBuilder, Date32Array, Date32Builder, Int64Array, Int64Builder,
    RecordBatch, StringArray, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use chrono::NaiveDate;

use super::columns as read;
use super::partition::{PartitionError, ROWS_PER_BATCH, Writer, open_batches_ahead};
use crate::contract::{self, Classification, ColumnKind, Contract};
use crate::pseudonyms::Pseudonyms;
use crate::sorter::{CellPacker, KeyPacker, Packed, PackedRow, PackedRows, Unpacker};
use crate::threads::prefetch::Prefetch;

/// A partition built from packed rows.
#[derive(Debug)]
pub struct Assembly {
    schema: SchemaRef,
    columns: Vec<Column>,
    pseudonyms: Pseudonyms,
    writer: Writer,
    waiting: usize,
}

impl Assembly {
    /// Starts the rows of `contract` in `writer`.
    pub fn new(contract: &'static Contract, pseudonyms: &Pseudonyms, writer: Writer) -> Assembly {
        Assembly {
            schema: contract.arrow(),
            columns: columns_of(contract),
            pseudonyms: pseudonyms.clone(),
            writer,
            waiting: 0,
        }
    }

    /// Adds a row whose key must follow those of the rows before; anything packed after its cells is ignored.
    ///
    /// # Errors
    /// The key is already there; the file cannot be written.
    pub fn add(&mut self, row: PackedRow<'_>) -> Result<(), PartitionError> {
        let mut cells = row.unpack();
        self.columns.iter_mut().for_each(|column| column.append(&mut cells, &self.pseudonyms));
        self.waiting += 1;
        if self.waiting == ROWS_PER_BATCH { self.flush() } else { Ok(()) }
    }

    /// Ends the rows; returns the writer, which is still to be finished.
    pub fn finish(mut self) -> Result<Writer, PartitionError> {
        if self.waiting > 0 {
            self.flush()?;
        }
        Ok(self.writer)
    }

    fn flush(&mut self) -> Result<(), PartitionError> {
        self.waiting = 0;
        let columns = self.columns.iter_mut().map(|column| column.builder.finish()).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns).expect("columns are built by the contract");
        self.writer.write(&batch)
    }
}

/// How the cells of a column are unpacked and collected.
#[derive(Debug)]
struct Column {
    is_key: bool,
    nullable: bool,
    is_personal: bool,
    builder: Builder,
}

#[derive(Debug)]
enum Builder {
    /// Bytes, which are checked to be text a batch at a time.
    Text(BinaryBuilder),
    Integer(Int64Builder),
    Flag(BooleanBuilder),
    Date(Date32Builder),
    Instant(TimestampMicrosecondBuilder),
}

/// The columns of packed rows: the key first, in the order of the contract.
fn columns_of(contract: &'static Contract) -> Vec<Column> {
    let (key, rest) = contract.columns.split_at(contract.key.len());
    assert!(key.iter().map(|column| &column.name).eq(&contract.key), "the key of `{}` stands first", contract.name);
    let key = key.iter().map(|column| Column { is_key: true, ..Column::of(column) });
    key.chain(rest.iter().map(Column::of)).collect()
}

impl Column {
    /// A column that is not part of the key.
    fn of(column: &contract::Column) -> Column {
        let builder = match column.kind {
            ColumnKind::Text => Builder::Text(BinaryBuilder::new()),
            ColumnKind::Integer => Builder::Integer(Int64Builder::new()),
            ColumnKind::Date => Builder::Date(Date32Builder::new()),
            ColumnKind::Instant => Builder::Instant(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnKind::Boolean => Builder::Flag(BooleanBuilder::new()),
        };
        let is_personal = column.classification == Classification::Personal;
        Column { is_key: false, nullable: column.nullable, is_personal, builder }
    }

    fn append(&mut self, cells: &mut Unpacker<'_>, pseudonyms: &Pseudonyms) {
        let nullable = self.nullable;
        match &mut self.builder {
            Builder::Text(builder) if self.is_key => builder.append_value(cells.key_text_bytes()),
            Builder::Text(builder) if self.is_personal => {
                builder.append_option(cells.maybe_text().map(|raw| pseudonyms.publish(raw)));
            }
            Builder::Text(builder) if nullable => builder.append_option(cells.maybe_text_bytes()),
            Builder::Text(builder) => builder.append_value(cells.text_bytes()),
            Builder::Integer(builder) if nullable => builder.append_option(cells.maybe_integer()),
            Builder::Integer(builder) => builder.append_value(cells.integer()),
            Builder::Flag(builder) => builder.append_option(cells.maybe_flag()),
            Builder::Date(builder) => builder.append_value(cells.epoch_days()),
            Builder::Instant(builder) if nullable => builder.append_option(cells.maybe_integer()),
            Builder::Instant(builder) => builder.append_value(cells.integer()),
        }
    }
}

impl Builder {
    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Text(builder) => {
                Arc::new(StringArray::try_from_binary(builder.finish()).expect("what was packed as text is text"))
            }
            Builder::Integer(builder) => Arc::new(builder.finish()),
            Builder::Flag(builder) => Arc::new(builder.finish()),
            Builder::Date(builder) => Arc::new(builder.finish()),
            Builder::Instant(builder) => Arc::new(builder.finish()),
        }
    }
}

/// Passes on the rows of a published partition, in its order, packed; with `date`, as rows of that day. A column that
/// an older file lacks is null.
///
/// # Errors
/// A torn file, or one that does not fit the contract; errors of `take`.
pub fn each_packed<E: From<PartitionError>>(
    path: &Path,
    contract: &'static Contract,
    date: Option<NaiveDate>,
    mut take: impl FnMut(PackedRow<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let names: Vec<_> = contract.columns.iter().map(|column| column.name.as_str()).collect();
    let misfit = {
        let (path, dataset) = (path.to_owned(), contract.name.as_str());
        move |source| PartitionError::Rows { path: path.clone(), dataset, source: Box::new(source) }
    };
    let packed =
        open_batches_ahead(path, &names)?.map(move |batch| packed_again(&batch?, contract, date).map_err(&misfit));
    Prefetch::start(packed, 1).try_for_each(|rows| rows?.iter().try_for_each(&mut take))
}

fn packed_again(batch: &RecordBatch, contract: &Contract, date: Option<NaiveDate>) -> Result<PackedRows, ArrowError> {
    let (stored, mut rows) = (StoredBatch::of(batch, contract, date)?, PackedRows::default());
    (0..stored.rows).for_each(|row| rows.push(&StoredRow { batch: &stored, row }));
    Ok(rows)
}

/// The columns of a batch in the order in which their cells are packed, the key first.
struct StoredBatch {
    key: Vec<StringArray>,
    cells: Vec<StoredColumn>,
    rows: usize,
}

/// A column after the key; null in no row, unless it is a `Maybe`.
enum StoredColumn {
    Text(StringArray),
    MaybeText(StringArray),
    Integer(Int64Array),
    MaybeInteger(Int64Array),
    MaybeFlag(BooleanArray),
    Date(Date32Array),
    Instant(TimestampMicrosecondArray),
    MaybeInstant(TimestampMicrosecondArray),
}

struct StoredRow<'b> {
    batch: &'b StoredBatch,
    row: usize,
}

impl StoredBatch {
    fn of(batch: &RecordBatch, contract: &Contract, date: Option<NaiveDate>) -> Result<StoredBatch, ArrowError> {
        let (key, rest) = contract.columns.split_at(contract.key.len());
        let key = key.iter().map(|column| read::Column::required(batch, &column.name)).collect::<Result<_, _>>()?;
        let cells = rest.iter().map(|column| match date {
            Some(date) if column.name == "business_date" => {
                let days = Date32Array::from_value(date.to_epoch_days(), batch.num_rows());
                Ok(StoredColumn::Date(days))
            }
            _ => StoredColumn::of(batch, column),
        });
        Ok(StoredBatch { key, cells: cells.collect::<Result<_, _>>()?, rows: batch.num_rows() })
    }
}

impl StoredColumn {
    fn of(batch: &RecordBatch, column: &contract::Column) -> Result<StoredColumn, ArrowError> {
        use read::Column;
        let name = &column.name;
        Ok(match (column.kind, column.nullable) {
            (ColumnKind::Text, false) => StoredColumn::Text(Column::required(batch, name)?),
            (ColumnKind::Text, true) => StoredColumn::MaybeText(Column::of(batch, name)?),
            (ColumnKind::Integer, false) => StoredColumn::Integer(Column::required(batch, name)?),
            (ColumnKind::Integer, true) => StoredColumn::MaybeInteger(Column::of(batch, name)?),
            (ColumnKind::Boolean, _) => StoredColumn::MaybeFlag(Column::of(batch, name)?),
            (ColumnKind::Date, _) => StoredColumn::Date(Column::required(batch, name)?),
            (ColumnKind::Instant, false) => StoredColumn::Instant(Column::required(batch, name)?),
            (ColumnKind::Instant, true) => StoredColumn::MaybeInstant(Column::of(batch, name)?),
        })
    }

    fn pack(&self, row: usize, cells: &mut CellPacker<'_>) {
        match self {
            StoredColumn::Text(column) => cells.text(column.value(row)),
            StoredColumn::MaybeText(column) => cells.maybe_text(column.is_valid(row).then(|| column.value(row))),
            StoredColumn::Integer(column) => cells.integer(column.value(row)),
            StoredColumn::MaybeInteger(column) => cells.maybe_integer(column.is_valid(row).then(|| column.value(row))),
            StoredColumn::MaybeFlag(column) => cells.maybe_flag(column.is_valid(row).then(|| column.value(row))),
            StoredColumn::Date(column) => cells.epoch_days(column.value(row)),
            StoredColumn::Instant(column) => cells.micros(column.value(row)),
            StoredColumn::MaybeInstant(column) => cells.maybe_micros(column.is_valid(row).then(|| column.value(row))),
        }
    }
}

impl Packed for StoredRow<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        self.batch.key.iter().for_each(|column| key.text(column.value(self.row)));
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        self.batch.cells.iter().for_each(|column| column.pack(self.row, cells));
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use chrono::{DateTime, Utc};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReader;

    use super::*;
    use crate::contract::contract;
    use crate::dataset::partition::{PartLimit, Provenance, write_rows};
    use crate::money::Fen;
    use crate::record::{OrderLine, Record, Refund, UserCoupon};
    use crate::sorter::{HeldRow, Room, Sorter};

    fn instant(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_794_900_000 + second, 123_456_000).unwrap()
    }

    fn order(number: usize) -> OrderLine {
        let maybe = |text: &str| (!number.is_multiple_of(3)).then(|| format!("{text}{}", number % 7));
        OrderLine {
            out_trade_no: format!("M{number:08}"),
            stock_id: "128".into(),
            coupon_code: String::new(),
            transaction_id: maybe("42"),
            merchant: maybe("19"),
            openid: maybe("o"),
            channel: None,
            product: maybe("拿铁, "),
            remark: maybe(""),
            paid_at: (!number.is_multiple_of(5)).then(|| instant(number as i64)),
            goods_fen: Fen(number as i64),
            discount_fen: Fen(0),
            paid_fen: Fen(i64::MAX),
            refund_fen: Fen(1),
            source_file: "o.csv".into(),
            source_line: number as i64,
            business_date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
        }
    }

    fn refund(number: usize) -> Refund {
        let maybe = |text: &str| (!number.is_multiple_of(2)).then(|| text.to_owned());
        Refund {
            refund_id: format!("R{number:03}"),
            out_refund_no: maybe("RF"),
            transaction_id: "42".into(),
            out_trade_no: "M".into(),
            accepted_time: instant(0),
            success_time: maybe("").map(|_| instant(1)),
            appid: maybe("wx"),
            mchid: maybe("19"),
            sub_mchid: None,
            device_info: None,
            openid: maybe("o1"),
            trade_type: maybe("JSAPI"),
            bank_type: None,
            fee_type: maybe("CNY"),
            refund_type: None,
            refund_status: maybe("SUCCESS"),
            refund_fen: Fen(1),
            applied_refund_fen: Fen(2),
            coupon_refund_fen: Fen(0),
            body: maybe("热"),
            attach: None,
            service_fee_millifen: -600,
            rate: maybe("0.60%"),
            rate_remark: None,
            business_date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
        }
    }

    fn coupon(number: usize) -> UserCoupon {
        let maybe = |text: &str| (!number.is_multiple_of(2)).then(|| format!("{text}{}", number % 11));
        let fen = |bit: usize| (number & bit > 0).then_some(Fen(number as i64));
        UserCoupon {
            stock_id: "128".into(),
            coupon_code: format!("C{number:06}"),
            openid: "o1".into(),
            belong_merchant: maybe("19"),
            stock_name: maybe("满"),
            comment: None,
            goods_name: maybe(""),
            stock_type: Some("NORMAL".into()),
            transferable: [None, Some(false), Some(true)][number % 3],
            shareable: [None, Some(true)][number % 2],
            coupon_state: maybe("USED"),
            discount_amount_fen: fen(1),
            discount_percent: fen(2).map(|fen| fen.0),
            exchange_price_fen: fen(4),
            transaction_minimum_fen: fen(8),
            use_method: None,
            available_start_time: Some(instant(0)),
            expire_time: (!number.is_multiple_of(3)).then(|| instant(number as i64)),
            receive_time: None,
            send_request_no: maybe("S"),
            use_request_no: maybe("U"),
            use_time: fen(2).map(|_| instant(-5)),
            associate_out_trade_no: maybe("M"),
            return_request_no: None,
            return_time: None,
            deactivate_request_no: None,
            deactivate_time: fen(1).map(|_| instant(9)),
            deactivate_reason: maybe("why"),
            verified_date: NaiveDate::from_ymd_opt(2026, 11, 17).unwrap(),
            extra: maybe("{}"),
            business_date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
        }
    }

    #[test]
    fn a_row_comes_out_of_the_bytes_it_lies_in_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(&Room { folder: folder.path().to_owned(), memory_bytes: 1 });
        (0..50).for_each(|number| sorter.push(&coupon(number)).unwrap());
        let own = |row: PackedRow<'_>| UserCoupon::unpack(&mut row.unpack()).into_owned();
        let rows: Vec<_> = sorter.finish().unwrap().map(own).map(Result::unwrap).collect();
        assert_eq!(rows, (0..50).map(coupon).collect::<Vec<_>>());
    }

    /// Sorts `rows`, received in reverse, with this much memory, and writes them packed.
    fn packed<R: Record + Packed>(rows: &[R], pseudonyms: &Pseudonyms, memory_bytes: usize) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(&Room { folder: folder.path().to_owned(), memory_bytes });
        rows.iter().rev().for_each(|row| sorter.push(row).unwrap());
        let mut sorted = sorter.finish().unwrap();
        let path = folder.path().join("p");
        let writer = Writer::create(&path, contract(R::DATASET), &Provenance::default(), PartLimit::NONE).unwrap();
        let mut assembly = Assembly::new(contract(R::DATASET), pseudonyms, writer);
        while let Some(row) = sorted.peek() {
            assembly.add(row).unwrap();
            sorted.advance().unwrap();
        }
        assert_eq!(assembly.finish().unwrap().finish().unwrap(), [rows.len() as u64]);
        std::fs::read(path).unwrap()
    }

    fn held<R: Record>(rows: &[R]) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        write_rows(&path, rows, &Provenance::default()).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn rows_that_were_packed_and_sorted_give_the_bytes_of_rows_that_were_held() {
        let orders: Vec<_> = (0..ROWS_PER_BATCH + 700).map(order).collect();
        let refunds: Vec<_> = (0..40).map(refund).collect();
        let coupons: Vec<_> = (0..ROWS_PER_BATCH + 700).map(coupon).collect();
        for memory_bytes in [100_000, usize::MAX] {
            assert!(packed(&orders, &Pseudonyms::raw(), memory_bytes) == held(&orders), "{memory_bytes}");
            assert!(packed(&refunds, &Pseudonyms::raw(), memory_bytes) == held(&refunds), "{memory_bytes}");
            assert!(packed(&coupons, &Pseudonyms::hmac(b"key"), memory_bytes) == held(&coupons), "{memory_bytes}");
        }
        assert!(packed::<Refund>(&[], &Pseudonyms::raw(), 1) == held::<Refund>(&[]));
    }

    /// Compares rows read from a published file with the packed originals.
    fn check_way_back<R: Record + Packed>(rows: &[R], date: Option<NaiveDate>, wanted: &[R]) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        write_rows(&path, rows, &Provenance::default()).unwrap();
        let (mut wanted, mut one) = (wanted.iter(), HeldRow::default());
        let each = each_packed(&path, contract(R::DATASET), date, |row| {
            one.pack(wanted.next().unwrap());
            assert_eq!(row, one.row());
            Ok::<(), PartitionError>(())
        });
        each.unwrap();
        assert!(wanted.next().is_none());
    }

    #[test]
    fn published_rows_come_back_packed_as_they_were_and_as_those_of_another_day() {
        let (orders, refunds): (Vec<_>, Vec<_>) = ((0..50).map(order).collect(), (0..50).map(refund).collect());
        check_way_back(&orders, None, &orders);
        check_way_back(&refunds, None, &refunds);
        let coupons: Vec<_> = (0..9_000).map(coupon).collect();
        check_way_back(&coupons, None, &coupons);
        let next = NaiveDate::from_ymd_opt(2026, 11, 19).unwrap();
        let renewed: Vec<_> = coupons.iter().map(|it| UserCoupon { business_date: next, ..it.clone() }).collect();
        check_way_back(&coupons, Some(next), &renewed);
        check_way_back::<Refund>(&[], None, &[]);
    }

    #[test]
    fn a_column_an_older_file_does_not_have_is_null_unless_it_may_not_be() {
        let folder = tempfile::tempdir().unwrap();
        let (path, coupons) = (folder.path().join("p"), (0..20).map(coupon).collect::<Vec<_>>());
        write_rows(&path, &coupons, &Provenance::default()).unwrap();
        let file = || std::fs::File::open(&path).unwrap();
        let whole = ParquetRecordBatchReader::try_new(file(), 20).unwrap().next().unwrap().unwrap();
        let each_without = |column: &str| {
            let mut batch = whole.clone();
            batch.remove_column(batch.schema().index_of(column).unwrap());
            let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            let (mut rows, own) = (Vec::new(), |row: PackedRow<'_>| UserCoupon::unpack(&mut row.unpack()).into_owned());
            each_packed(&path, contract("user_coupons"), None, |row| {
                rows.push(own(row));
                Ok::<(), PartitionError>(())
            })
            .map(|()| rows)
        };
        let older: Vec<_> = coupons.iter().map(|it| UserCoupon { comment: None, extra: None, ..it.clone() }).collect();
        assert_eq!(each_without("extra").unwrap(), older);
        let error = each_without("openid").unwrap_err();
        assert_eq!(error.source().unwrap().to_string(), "Schema error: the file has no column `openid`");
    }

    #[test]
    fn users_are_published_as_the_job_says() {
        let pseudonyms = Pseudonyms::hmac(b"key");
        let published: Vec<_> = (0..10)
            .map(|number| {
                let line = order(number);
                OrderLine { openid: line.openid.as_deref().map(|raw| pseudonyms.publish(raw)), ..line }
            })
            .collect();
        let raw: Vec<_> = (0..10).map(order).collect();
        assert!(packed(&raw, &pseudonyms, 1) == held(&published));
    }
}
