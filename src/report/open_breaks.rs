//! The open breaks of the night in the order in which people read them (design §8): those with most money at risk first,
//! then the oldest. Sorted in a scratch folder, so that one of them is in memory at a time.

use std::path::Path;

use super::coupon_breaks::BreakIndex;
use super::error::ReportError;
use crate::dataset::partition::PartitionError;
use crate::record::Break;
use crate::sorter::{CellPacker, KeyPacker, Packed, PackedRow, Room, Sorted, Sorter};

/// Memory for sorting breaks.
const BREAK_BYTES: usize = 16 << 20;

/// The open breaks, to be read once, and what the lists of coupons need of them.
#[derive(Debug)]
pub(super) struct OpenBreaks {
    by_risk: Sorted,
    pub(super) index: BreakIndex,
}

impl OpenBreaks {
    /// Collects the open ones among `rows`, which come in any order.
    pub(super) fn collect(
        rows: impl Iterator<Item = Result<Break, PartitionError>>,
        scratch: &Path,
    ) -> Result<OpenBreaks, ReportError> {
        let mut sorter = Sorter::new(&Room { folder: scratch.to_owned(), memory_bytes: BREAK_BYTES });
        let mut index = BreakIndex::default();
        for row in rows {
            let row = row?;
            if row.is_open() {
                index.add(&row);
                sorter.push(&ByRisk(&row)).map_err(ReportError::Sort)?;
            }
        }
        Ok(OpenBreaks { by_risk: sorter.finish().map_err(ReportError::Sort)?, index })
    }

    /// Passes on every break in order; returns the index.
    pub(super) fn each(
        self,
        mut take: impl FnMut(Break) -> Result<(), ReportError>,
    ) -> Result<BreakIndex, ReportError> {
        for row in self.by_risk.map(read) {
            take(row.map_err(ReportError::Sort)?)?;
        }
        Ok(self.index)
    }
}

/// A break in sort order.
struct ByRisk<'a>(&'a Break);

/// Texts of its key before that of the break.
const RANKS: usize = 2;

impl Packed for ByRisk<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(&descending(self.0.at_risk_fen.0));
        key.text(&descending(self.0.age_days));
        self.0.pack_key(key);
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        self.0.pack_cells(cells);
    }
}

fn read(row: PackedRow<'_>) -> Break {
    let mut cells = row.unpack();
    (0..RANKS).for_each(|_| drop(cells.key_text()));
    Break::unpack(&mut cells)
}

/// A number as a text that sorts the larger ones first.
fn descending(number: i64) -> String {
    const SIGN: u64 = 1 << 63;
    format!("{:016x}", !(number.cast_unsigned() ^ SIGN))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;
    use proptest::prelude::*;

    use super::*;
    use crate::money::Fen;
    use crate::record::BreakStatus;

    fn in_order(breaks: &[Break]) -> Vec<Break> {
        let folder = tempfile::tempdir().unwrap();
        let open = OpenBreaks::collect(breaks.iter().cloned().map(Ok), folder.path()).unwrap();
        let mut read = Vec::new();
        open.each(|row| {
            read.push(row);
            Ok(())
        })
        .unwrap();
        read
    }

    #[test]
    fn open_breaks_are_read_by_the_money_at_risk_then_by_age_and_then_by_id() {
        let of = |break_id: &str, at_risk_fen, age_days, status| {
            let rest = Break::for_tests("AO01", NaiveDate::from_ymd_opt(2026, 11, 18).unwrap());
            Break { break_id: break_id.to_owned(), at_risk_fen: Fen(at_risk_fen), age_days, status, ..rest }
        };
        let breaks = [
            of("a", 1, 9, BreakStatus::Open),
            of("d", 5, 0, BreakStatus::New),
            of("c", 5, 0, BreakStatus::Reopened),
            of("b", 5, 2, BreakStatus::Open),
            of("e", 9, 2, BreakStatus::Accepted),
        ];
        let place = |wanted: usize| breaks[wanted].clone();
        assert_eq!(in_order(&breaks), [3, 2, 1, 0].map(place));
    }

    proptest! {
        #[test]
        fn a_larger_number_is_an_earlier_text(one: i64, other: i64) {
            prop_assert_eq!(one.cmp(&other), descending(other).cmp(&descending(one)));
        }
    }
}
