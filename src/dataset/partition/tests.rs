//! Tests of partitions written to a file or to parts and read back.

use arrow::datatypes::DataType;
use chrono::{DateTime, NaiveDate, Utc};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::*;
use crate::money::Fen;
use crate::record::{MemberCardDay, Payment};

fn payment(transaction_id: &str) -> Payment {
    Payment {
        transaction_id: transaction_id.into(),
        trade_state: "SUCCESS".into(),
        trade_time: "2026-11-18T01:02:03.000004Z".parse::<DateTime<Utc>>().unwrap(),
        appid: None,
        mchid: Some("1900000001".into()),
        sub_mchid: None,
        device_info: None,
        out_trade_no: "o1".into(),
        openid: None,
        trade_type: None,
        bank_type: None,
        fee_type: None,
        settled_fen: Fen(100),
        coupon_fee_fen: Fen(5),
        body: Some("拿铁, 大杯".into()),
        attach: None,
        service_fee_millifen: -600,
        rate: None,
        order_fen: Fen(i64::MAX),
        rate_remark: None,
        business_date: NaiveDate::from_ymd_opt(2026, 11, 18).unwrap(),
    }
}

#[test]
fn rows_survive_the_file_exactly_and_twice_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("1"), folder.path().join("2"));
    let rows = vec![payment("4200"), payment("4201")];
    write_rows(&one, &rows, &Provenance::default()).unwrap();
    write_rows(&two, &rows, &Provenance::default()).unwrap();
    assert_eq!(read_rows::<Payment>(&one).unwrap(), rows);
    assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
}

#[test]
fn a_partition_says_that_it_is_partial_and_a_whole_one_says_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for is_partial_one in [false, true] {
        let path = folder.path().join(is_partial_one.to_string());
        let provenance = Provenance { is_partial: is_partial_one, ..Provenance::default() };
        write_rows(&path, &[payment("4200")], &provenance).unwrap();
        assert_eq!(is_partial(&path).unwrap(), is_partial_one);
        let file = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
        let keys = file.metadata().file_metadata().key_value_metadata().unwrap().iter();
        assert_eq!(keys.filter(|entry| entry.key == "coupon_recon.status").count(), usize::from(is_partial_one));
    }
    assert!(is_partial(&folder.path().join("absent")).is_err());
}

#[test]
fn an_empty_day_is_a_file_with_the_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    write_rows::<MemberCardDay>(&path, &[], &Provenance::default()).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.schema().fields(), contract("member_card_daily").arrow().fields());
    assert!(read_rows::<MemberCardDay>(&path).unwrap().is_empty());
}

/// Writes rows to `folder` in batches of this size.
fn write_in_parts(folder: &Path, rows: &[Payment], at_once: usize, limit: PartLimit) -> (PathBuf, Vec<u64>) {
    let first = folder.join(parts::FIRST);
    let mut writer = Writer::create(&first, contract("payments"), &Provenance::default(), limit).unwrap();
    rows.chunks(at_once).for_each(|rows| writer.write_rows(rows).unwrap());
    (first, writer.finish().unwrap())
}

fn payments(count: usize) -> Vec<Payment> {
    (0..count).map(|number| payment(&format!("{number:08}"))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn rows_come_back_from_parts_of_any_size_as_they_were(
        count in 0..150_usize, at_once in 1..60_usize, rows_per_group in 1..50_usize, bytes in 1..40_000_u64,
        plain_bytes in 1..20_000_u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let rows = payments(count);
        let limit = PartLimit { bytes, group: GroupLimit { rows: rows_per_group, plain_bytes } };
        let (first, written) = write_in_parts(folder.path(), &rows, at_once, limit);
        prop_assert_eq!(parts::of(&first).unwrap().len(), written.len());
        prop_assert_eq!(read_rows::<Payment>(&first).unwrap(), rows);
        let batches = open_batches_ahead(&first, &["settled_fen"]).unwrap().map(Result::unwrap);
        let ahead = batches.map(|batch| (batch.num_columns(), batch.num_rows())).collect::<Vec<_>>();
        prop_assert!(ahead.iter().all(|(columns, _)| *columns == 1), "{:?}", ahead);
        prop_assert_eq!(ahead.iter().map(|(_, rows)| rows).sum::<usize>(), count);
        prop_assert_eq!(check_partition(&first, contract("payments"), None).unwrap(), written.clone());
        prop_assert_eq!(sum_of::<Payment>(&first, "settled_fen").unwrap(), Fen(100 * count as i64));
        for (number, rows) in written.iter().enumerate() {
            let size = std::fs::metadata(parts::path(&first, number)).unwrap().len();
            prop_assert!(number + 1 == written.len() || size >= bytes, "{:?} of {} bytes", written, size);
            prop_assert!(*rows > 0 || count == 0, "a part without a row: {:?}", written);
        }
    }
}

#[test]
fn a_flipped_bit_of_a_footer_is_an_error_or_goes_unseen_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = write_in_parts(folder.path(), &payments(3), 3, PartLimit::of_bytes(4 << 30));
    let whole = std::fs::read(&path).unwrap();
    let footer_bytes = u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut refused = 0;
    for at in whole.len() - 8 - footer_bytes..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        refused += usize::from(check_partition(&path, contract("payments"), None).is_err());
    }
    assert!(refused > footer_bytes / 10, "{refused} of {footer_bytes}");
}

#[test]
fn a_part_ends_with_the_row_group_that_reaches_the_limit_and_the_next_row_begins_another() {
    let folder = tempfile::tempdir().unwrap();
    let rows = payments(100);
    let limit = PartLimit::of_rows(10);
    assert_eq!(write_in_parts(folder.path(), &rows[..30], 7, limit).1, [10, 10, 10], "no empty one behind");
    let folder = tempfile::tempdir().unwrap();
    let group = PartLimit { bytes: u64::MAX, ..PartLimit::of_rows(10) };
    let (first, written) = write_in_parts(folder.path(), &rows, 16, group);
    assert_eq!(written, [100]);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&first).unwrap()).unwrap();
    let end_of = |group: usize| {
        let columns = reader.metadata().row_group(group).columns();
        columns.iter().map(|column| column.byte_range().0 + column.byte_range().1).max().unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let limit = PartLimit { bytes: end_of(2), ..PartLimit::of_rows(10) };
    assert_eq!(write_in_parts(folder.path(), &rows, 16, limit).1, [30, 30, 30, 10]);
}

#[test]
fn a_partition_below_its_limit_is_the_file_it_is_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let rows = payments(ROWS_PER_BATCH + 700);
    let alone = folder.path().join("alone");
    let properties = writer_properties(contract("payments"), &Provenance::default());
    let schema = contract("payments").arrow();
    let mut writer = ArrowWriter::try_new(File::create(&alone).unwrap(), schema.clone(), Some(properties)).unwrap();
    for rows in rows.chunks(ROWS_PER_BATCH) {
        writer.write(&to_batch::<Payment>(&alone, &schema, rows).unwrap()).unwrap();
    }
    writer.close().unwrap();
    let (first, written) = write_in_parts(folder.path(), &rows, ROWS_PER_BATCH, PartLimit::of_bytes(4 << 30));
    assert_eq!(written.len(), 1);
    assert!(std::fs::read(first).unwrap() == std::fs::read(alone).unwrap());
}

#[test]
fn keys_are_held_against_each_other_over_the_end_of_a_part_and_a_part_that_is_gone_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join(parts::FIRST);
    let check = || check_partition(&first, contract("payments"), None).map_err(|error| error.to_string());
    let write = |number: usize, id: &str| {
        write_rows(&parts::path(&first, number), &[payment(id)], &Provenance::default()).unwrap();
    };
    write(0, "4201");
    write(1, "4202");
    assert_eq!(check(), Ok(vec![1, 1]));
    write(1, "4201");
    assert!(check().unwrap_err().contains("twice"));
    write(1, "4200");
    assert!(check().unwrap_err().contains("not sorted"));
    std::fs::rename(parts::path(&first, 1), parts::path(&first, 2)).unwrap();
    let error = read_rows::<Payment>(&first).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("part-1.parquet` is missing"), "{cause}");
}

#[test]
fn a_file_of_another_version_of_the_contract_may_lack_columns_that_may_be_null() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(parts::FIRST);
    let whole = to_batch::<Payment>(&path, &contract("payments").arrow(), &[payment("4200")]).unwrap();
    let check = |version: &str, lacking: &str| {
        let contract = Contract { version: version.to_owned(), ..contract("payments").clone() };
        let kept: Vec<_> = (0..whole.num_columns()).filter(|at| whole.schema().field(*at).name() != lacking).collect();
        let batch = whole.project(&kept).unwrap();
        let properties = writer_properties(&contract, &Provenance::default());
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        check_partition(&path, crate::contract::contract("payments"), None).is_ok()
    };
    let current = contract("payments").version.clone();
    assert!(check(&current, "") && check("0.9.0", "") && check("0.9.0", "openid"));
    assert!(!check(&current, "openid") && !check("0.9.0", "trade_time"));
}

#[test]
fn a_torn_part_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let limit = PartLimit::of_rows(1);
    let (first, _) = write_in_parts(folder.path(), &payments(3), 3, limit);
    std::fs::write(parts::path(&first, 2), b"PAR1").unwrap();
    let error = read_rows::<Payment>(&first).unwrap_err().to_string();
    assert!(error.contains("part-2.parquet"), "{error}");
}

#[test]
fn a_key_that_stands_twice_or_out_of_order_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |rows: &[Payment]| write_rows(&folder.path().join("p"), rows, &Provenance::default());
    let twice = write(&[payment("4200"), payment("4200")]).unwrap_err();
    assert_eq!(twice.to_string(), "`payments` would contain the key 4200, SUCCESS twice");
    let unsorted = write(&[payment("4201"), payment("4200")]).unwrap_err();
    assert!(unsorted.to_string().contains("not sorted by its key"), "{unsorted}");
}

#[test]
fn rows_come_back_across_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    let rows: Vec<_> = (0..ROWS_PER_BATCH + 3).map(|number| payment(&format!("{number:028}"))).collect();
    write_rows(&path, &rows, &Provenance::default()).unwrap();
    assert_eq!(read_rows::<Payment>(&path).unwrap(), rows);
}

#[test]
fn a_file_without_a_required_column_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p");
    let schema = Arc::new(Schema::new(vec![Field::new("transaction_id", DataType::Utf8, false)]));
    let ids: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["T1"]));
    let batch = RecordBatch::try_new(schema.clone(), vec![ids]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let error = read_rows::<Payment>(&path).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("no column `trade_state`"), "{cause}");
}

#[test]
fn a_torn_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("torn.parquet");
    std::fs::write(&path, b"PAR1").unwrap();
    assert!(read_rows::<Payment>(&path).unwrap_err().to_string().contains("torn.parquet"));
}
