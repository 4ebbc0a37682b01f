//! Reads the merchant's own list of the subsidies it ordered (design §11 `[subsidy_ledger]`).
//! Amounts in fen. A line with a return receipt id is a return order.

use std::borrow::Cow;

use chrono::NaiveDate;

use super::cell;
use super::distinct::{Export, ExportRow, first_difference};
use super::error::ExportError;
use super::fixed::{self, FixedRow};
use super::found;
use super::row::Fault;
use crate::job::PathPattern;
use crate::money::Fen;
use crate::record::SubsidyOrder;
use crate::sorter::{Room, Unpacker};

const COLUMNS: [&str; 9] = [
    "out_subsidy_no",
    "subsidy_receipt_id",
    "subsidy_return_receipt_id",
    "stock_id",
    "coupon_code",
    "transaction_id",
    "payer_merchant",
    "payee_merchant",
    "amount",
];

/// The subsidy orders of one business date, sorted in `room`.
pub fn read(path: &PathPattern, date: NaiveDate, room: &Room) -> Result<Export<SubsidyOrder>, ExportError> {
    fixed::read(&found::find(path, date)?, &COLUMNS, room, |row| subsidy_order(row, date))
}

fn subsidy_order<'r>(row: &FixedRow<'r, '_>, date: NaiveDate) -> Result<SubsidyOrder<Cow<'r, str>>, Fault> {
    Ok(SubsidyOrder {
        out_subsidy_no: row.cell(0, cell::required_id)?,
        subsidy_receipt_id: row.cell(1, cell::optional_id)?,
        subsidy_return_receipt_id: row.cell(2, cell::id)?,
        stock_id: row.cell(3, cell::required_id)?,
        coupon_code: row.cell(4, cell::required_id)?,
        transaction_id: row.cell(5, cell::optional_id)?,
        payer_merchant: row.cell(6, cell::optional_id)?,
        payee_merchant: row.cell(7, cell::optional_id)?,
        amount_fen: row.cell(8, granted)?,
        source_file: Cow::Borrowed(row.file),
        source_line: i64::try_from(row.line).unwrap_or(i64::MAX),
        business_date: date,
    })
}

fn granted(text: &str) -> Result<Fen, String> {
    match cell::whole_fen(text)? {
        Fen::ZERO => Err("a subsidy of zero: amounts are whole fen, more than 0".to_owned()),
        fen => Ok(fen),
    }
}

impl ExportRow for SubsidyOrder {
    type Row<'r> = SubsidyOrder<Cow<'r, str>>;

    fn unpack<'r>(cells: &mut Unpacker<'r>) -> Self::Row<'r> {
        SubsidyOrder::unpack(cells)
    }

    fn key<'a>(row: &'a Self::Row<'_>) -> [&'a str; 3] {
        [&row.out_subsidy_no, &row.subsidy_return_receipt_id, ""]
    }

    fn difference(one: &Self::Row<'_>, other: &Self::Row<'_>) -> Option<&'static str> {
        first_difference([
            ("subsidy_receipt_id", one.subsidy_receipt_id != other.subsidy_receipt_id),
            ("stock_id", one.stock_id != other.stock_id),
            ("coupon_code", one.coupon_code != other.coupon_code),
            ("transaction_id", one.transaction_id != other.transaction_id),
            ("payer_merchant", one.payer_merchant != other.payer_merchant),
            ("payee_merchant", one.payee_merchant != other.payee_merchant),
            ("amount", one.amount_fen != other.amount_fen),
        ])
    }

    fn place<'a>(row: &'a Self::Row<'_>) -> (&'a str, u64) {
        (&row.source_file, row.source_line.unsigned_abs())
    }

    fn amount(row: &Self::Row<'_>) -> Fen {
        row.amount_fen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "out_subsidy_no,subsidy_receipt_id,subsidy_return_receipt_id,stock_id,coupon_code,\
                          transaction_id,payer_merchant,payee_merchant,amount\n";

    fn date() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 18).unwrap()
    }

    /// The rows, the number of collapsed rows, the number of files.
    fn read_text(text: &str) -> Result<(Vec<SubsidyOrder>, u64, usize), ExportError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("s")).unwrap();
        std::fs::write(folder.path().join("s/2026-11-18.csv"), text).unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: 1 };
        let read = || read(&PathPattern::new(folder.path(), "s/{date}.csv"), date(), &room);
        let files = read()?.files.len();
        let collapsed = read()?.finish()?.collapsed;
        Ok((read()?.collect(|row| row.into_owned())?, collapsed, files))
    }

    #[test]
    fn payments_and_returns_of_one_number_stand_side_by_side() {
        let text = format!("\u{feff}{HEADER}S1,R1,,stock,code,42,19,20,100\r\nS1,R1,RET1,stock,code,42,19,20,40\r\n");
        let (orders, _, files) = read_text(&text).unwrap();
        let rows: Vec<_> = orders
            .iter()
            .map(|row| (row.subsidy_return_receipt_id.as_str(), row.amount_fen, row.source_line))
            .collect();
        assert_eq!(rows, [("", Fen(100), 2), ("RET1", Fen(40), 3)]);
        assert_eq!(orders[0].source_file, "s/2026-11-18.csv");
        assert_eq!(files, 1);
    }

    #[test]
    fn a_repeated_line_collapses_and_a_contradicting_one_fails() {
        let (rows, collapsed, _) = read_text(&format!("{HEADER}S1,,,k,c,,,,100\nS1,,,k,c,,,,100\n")).unwrap();
        assert_eq!((rows.len(), collapsed), (1, 1));
        let error = read_text(&format!("{HEADER}S1,,,k,c,,,,100\nS1,,,k,c,,,,101\n")).unwrap_err().to_string();
        assert!(error.starts_with("2 malformed rows") && error.contains("another `amount`"), "{error}");
    }

    #[test]
    fn amounts_are_whole_fen() {
        for amount in ["1.50", "1.00", "5.", "0", "-5", "", "1e2", "\"1,000\""] {
            let error = read_text(&format!("{HEADER}S1,,,k,c,,,,{amount}\n")).unwrap_err().to_string();
            assert!(error.contains("line 2, column `amount`") && !error.contains("amount_unit"), "{error}");
            assert!(!error.contains("thousands_separators"), "{error}");
        }
    }

    #[test]
    fn another_encoding_is_no_key_of_the_job_file() {
        let (bytes, _, _) = encoding_rs::GB18030.encode("out_subsidy_no,备注\n");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("s.csv"), bytes).unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: 1 };
        let error = read(&PathPattern::new(folder.path(), "s.csv"), date(), &room).unwrap_err().to_string();
        assert!(error.contains("save the file as CSV UTF-8") && !error.contains("encoding ="), "{error}");
    }

    #[test]
    fn an_empty_day_is_a_header_alone() {
        assert_eq!(read_text(HEADER).unwrap().0.len(), 0);
        assert!(
            matches!(read_text("out_subsidy_no\n"), Err(ExportError::MissingColumns { columns, .. }) if columns.len() == 8)
        );
    }
}
