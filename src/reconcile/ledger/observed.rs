//! Computes the view `observed_coupons` as a table of the scratch folder: wallets and dispatched codes are both sorted
//! by coupon, so one merge finds every coupon once in bounded memory. A test compares it with the view's SQL.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;

use super::facts::is_dispatched_by;
use crate::clock;
use crate::dataset::columns::{Columns, Micros, row_type};
use crate::reconcile::basis::files::DayFiles;
use crate::reconcile::error::{ReconcileError, torn};
use crate::reconcile::rows::builders::table_type;
use crate::reconcile::rows::cursor::{Cursor, count_rows};
use crate::reconcile::rows::scratch_table::RowWriter;
use crate::reconcile::rules::Reads;

/// The view this module computes.
pub(in crate::reconcile) const VIEW: &str = "observed_coupons";

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

table_type! {
    /// A row of the view.
    ObservedRow into ObservedTable {
        stock_id: text,
        coupon_code: text,
    }
}

impl WalletRow<'_> {
    fn is_observed(&self, end: Micros) -> bool {
        self.receive_time.is_none_or(|received| received < end)
    }
}

impl CodeRow<'_> {
    fn is_observed(&self, end: Micros) -> bool {
        is_dispatched_by(end, self.code_status, self.dispatched_time)
    }
}

/// The path of the table.
pub(in crate::reconcile) fn path_of(folder: &Path, date: NaiveDate) -> PathBuf {
    folder.join(format!("{VIEW}-{date}.arrow"))
}

/// Writes the coupons that were known to be received by the end of the day, sorted and distinct, with the columns that
/// are read, to `folder`.
pub(in crate::reconcile) fn write(files: &DayFiles, reads: &Reads, folder: &Path) -> Result<(), ReconcileError> {
    let end = clock::end_of(files.date).timestamp_micros();
    let paths = ["user_coupons", "coupon_codes"].map(|dataset| files.of_day(dataset));
    let expected_rows = count_rows(paths.into_iter().flatten())?;
    let mut wallets = Cursor::<WalletColumns>::open("user_coupons", paths[0])?;
    let mut codes = Cursor::<CodeColumns>::open("coupon_codes", paths[1])?;
    let table = RowWriter::new(path_of(folder, files.date), expected_rows).only(reads.of(VIEW));
    let mut output = Output { table, last: None };
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

/// The table that is being written.
struct Output {
    table: RowWriter<ObservedTable>,
    last: Option<(String, String)>,
}

impl Output {
    fn push(&mut self, (stock_id, coupon_code): (&str, &str)) -> Result<(), ReconcileError> {
        let last = self.last.as_ref().map(|(stock_id, coupon_code)| (stock_id.as_str(), coupon_code.as_str()));
        match last.cmp(&Some((stock_id, coupon_code))) {
            Ordering::Equal => return Ok(()),
            Ordering::Greater => {
                return Err(ReconcileError::Unsorted { dataset: VIEW, key: format!("{stock_id}/{coupon_code}") });
            }
            Ordering::Less => {}
        }
        let last = self.last.get_or_insert_default();
        last.0.clear();
        last.0.push_str(stock_id);
        last.1.clear();
        last.1.push_str(coupon_code);
        self.table.push(&ObservedRow { stock_id, coupon_code }).map_err(torn)
    }

    fn finish(self) -> Result<(), ReconcileError> {
        self.table.finish().map_err(torn)
    }
}
