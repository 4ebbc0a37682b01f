//! Tests of order exports as Parquet files and workbooks, with every mistake that a spreadsheet
//! makes.

use std::sync::Arc;

use arrow::array::{Decimal128Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::*;

#[test]
fn a_parquet_export_of_any_common_codec_reads_like_its_csv() {
    let text = |values: &[&str]| Arc::new(StringArray::from(values.to_vec())) as arrow::array::ArrayRef;
    let yuan = |fen: i128| {
        Arc::new(Decimal128Array::from(vec![fen]).with_precision_and_scale(12, 2).unwrap()) as arrow::array::ArrayRef
    };
    let paid_at = "2026-11-18T00:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_micros();
    let columns = [
        ("商户订单号", text(&["M1"])),
        ("微信订单号", text(&["4200001"])),
        ("商户号", text(&["19"])),
        ("用户标识", text(&["oA"])),
        ("支付时间", Arc::new(TimestampMicrosecondArray::from(vec![paid_at]).with_timezone("UTC"))),
        ("商品金额", yuan(3000)),
        ("券优惠", yuan(500)),
        ("实付", yuan(2500)),
        ("退款", yuan(0)),
        ("批次号", text(&["128"])),
        ("券码", text(&["C1"])),
        ("渠道", text(&["微信"])),
        ("备注", text(&["热"])),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let expected = Till::with(file(&[GOOD])).read().unwrap().rows;
    let (gzip, zstd) = (GzipLevel::default(), ZstdLevel::default());
    for codec in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(gzip),
        Compression::ZSTD(zstd),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        let till = Till::with("").and("2026-11-18.parquet", parquet(&batch, codec));
        let of_parquet = |source: &mut OrderSource| {
            source.format = FileFormat::Parquet;
            source.path = PathPattern::new(till.folder.path(), "o/{date}.parquet");
        };
        let mut rows = till.read_as(of_parquet).unwrap().rows;
        rows[0].source_file = "o/2026-11-18.csv".into();
        assert_eq!(rows, expected, "{codec}");
    }
}

fn parquet(batch: &RecordBatch, codec: Compression) -> Vec<u8> {
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn a_workbook_reads_like_its_csv_and_names_the_row_of_a_rounded_number() {
    let row = |number: usize, line: &str| {
        let cell = |text: &str| format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#);
        format!(r#"<row r="{number}">{}</row>"#, line.split(',').map(cell).collect::<String>())
    };
    let rounded = r#"<row r="3"><c><v>4.2E+27</v></c></row>"#;
    let data = row(1, HEADER) + &row(2, GOOD);
    let till = Till::with(file(&[GOOD]))
        .and("2026-11-18.xlsx", crate::exports::spreadsheet::tests::workbook(&data))
        .and("2026-11-18-bad.xlsx", crate::exports::spreadsheet::tests::workbook(&(data + rounded)));
    let of_workbook = |name: &str| {
        till.read_as(|source| {
            source.format = FileFormat::Xlsx;
            source.path = PathPattern::new(till.folder.path(), name);
        })
    };
    let mut rows = of_workbook("o/{date}.xlsx").unwrap().rows;
    rows[0].source_file = "o/2026-11-18.csv".into();
    assert_eq!(rows, till.read().unwrap().rows);
    let bad = bad_rows(of_workbook("o/{date}-bad.xlsx").unwrap_err());
    assert_eq!((bad[0].line, bad[0].column.as_str(), bad[0].value.as_str()), (3, "商户订单号", "4.2E+27"));
}

/// The rows of a workbook with the usual header and one row of these cells, and the problems found.
fn in_workbook(cells: &[&str]) -> Result<Read, ExportError> {
    let header: String = HEADER.split(',').map(text_cell).collect();
    let data = format!(r#"<row r="1">{header}</row><row r="2">{}</row>"#, cells.concat());
    let till = Till::with("").and("2026-11-18.xlsx", crate::exports::spreadsheet::tests::workbook(&data));
    till.read_as(|source| {
        source.format = FileFormat::Xlsx;
        source.path = PathPattern::new(till.folder.path(), "o/{date}.xlsx");
    })
}

fn text_cell(text: &str) -> String {
    format!(r#"<c t="inlineStr"><is><t>{text}</t></is></c>"#)
}

#[test]
fn a_formula_that_nobody_computed_is_a_bad_row_and_not_nothing() {
    let good: Vec<String> = GOOD.split(',').map(text_cell).collect();
    let with = |place: usize, cell: &str| {
        let cells: Vec<_> = good.iter().enumerate().map(|(at, good)| if at == place { cell } else { good }).collect();
        in_workbook(&cells)
    };
    for (place, column) in
        [(0, "商户订单号"), (3, "用户标识"), (4, "支付时间"), (6, "券优惠"), (8, "退款"), (11, "渠道")]
    {
        for formula in ["<c><f>F2-H2</f></c>", "<c><f>F2-H2</f><v/></c>", r#"<c><f t="shared" si="0"/><v></v></c>"#] {
            let bad = bad_rows(with(place, formula).unwrap_err());
            assert_eq!((bad[0].line, bad[0].column.as_str(), bad[0].value.as_str()), (2, column, ""));
            assert!(bad[0].why.contains("no stored value") && bad[0].why.contains("save it"), "{}", bad[0]);
        }
    }
    let computed = with(6, "<c><f>F2-H2</f><v>5</v></c>").unwrap();
    assert_eq!(computed.rows[0].discount_fen, Fen(500));
    let empty_text = with(8, r#"<c t="str"><f>IF(A2="","",0)</f><v></v></c>"#).unwrap();
    assert_eq!(empty_text.rows[0].refund_fen, Fen(0));
    assert_eq!(with(12, "<c><f>A2</f></c>").unwrap().rows[0].remark, None);
    let formulas = vec!["<c><f>A1</f></c>"; good.len()];
    assert_eq!(bad_rows(in_workbook(&formulas).unwrap_err()).len(), 1, "a row of formulas is not blank");
}

#[test]
fn an_error_of_a_spreadsheet_is_a_bad_row_wherever_its_value_counts() {
    let good: Vec<String> = GOOD.split(',').map(text_cell).collect();
    let with = |place: usize, cell: &str| {
        let cells: Vec<_> = good.iter().enumerate().map(|(at, good)| if at == place { cell } else { good }).collect();
        in_workbook(&cells)
    };
    let error = r#"<c t="e"><f>VLOOKUP(A2,B:C,2,0)</f><v>#N/A</v></c>"#;
    for (place, value) in [(0, "#N/A"), (3, ""), (6, "#N/A"), (10, "#N/A"), (11, "#N/A")] {
        let bad = bad_rows(with(place, error).unwrap_err());
        assert_eq!((bad[0].line, bad[0].value.as_str()), (2, value));
        assert!(bad[0].why.contains("shows an error"), "{}", bad[0]);
    }
    assert_eq!(with(12, error).unwrap().rows[0].remark.as_deref(), Some("#N/A"));
}

#[test]
fn a_time_in_a_workbook_keeps_its_fraction_and_is_no_id() {
    let good: Vec<String> = GOOD.split(',').map(text_cell).collect();
    let time = r#"<c t="d"><v>2026-11-18T08:00:00.25</v></c>"#;
    let with = |place: usize| {
        let cells: Vec<_> = good.iter().enumerate().map(|(at, good)| if at == place { time } else { good }).collect();
        in_workbook(&cells)
    };
    let paid_at = with(4).unwrap().rows[0].paid_at.unwrap();
    assert_eq!(paid_at.to_rfc3339(), "2026-11-18T00:00:00.250+00:00");
    for (place, column) in [(0, "商户订单号"), (10, "券码"), (6, "券优惠")] {
        let bad = bad_rows(with(place).unwrap_err());
        assert_eq!((bad[0].line, bad[0].column.as_str()), (2, column));
        assert!(bad[0].why.contains("a date or a time"), "{}", bad[0]);
    }
    assert_eq!(with(12).unwrap().rows[0].remark.as_deref(), Some("2026-11-18 08:00:00.250"));
}
