//! The open breaks of the night in the order in which people read them (design §8): those with most money at risk first,
//! then the oldest. Sorted in a scratch folder, so that one of them is in memory at a time.

use std::io;
use std::path::Path;

use crate::record::Break;
use crate::sorter::{CellPacker, KeyPacker, Packed, PackedRow, Room, Sorter};

/// Memory for sorting breaks.
const BREAK_BYTES: usize = 16 << 20;

/// Open breaks that are being collected, in any order.
#[derive(Debug)]
pub struct OpenBreaks(Sorter);

impl OpenBreaks {
    /// None yet; they are sorted in a scratch folder.
    pub fn sorting_in(scratch: &Path) -> OpenBreaks {
        OpenBreaks(Sorter::new(&Room { folder: scratch.to_owned(), memory_bytes: BREAK_BYTES }))
    }

    /// Adds an open break.
    ///
    /// # Errors
    /// The scratch file cannot be written.
    pub fn add(&mut self, it: &Break) -> io::Result<()> {
        self.0.push(&ByRisk(it))
    }

    /// All of them in the order in which people read them.
    ///
    /// # Errors
    /// The scratch file cannot be written, or read back.
    pub fn by_risk(self) -> io::Result<impl Iterator<Item = io::Result<Break>>> {
        Ok(self.0.finish()?.map(read))
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
        let mut open = OpenBreaks::sorting_in(folder.path());
        breaks.iter().for_each(|it| open.add(it).unwrap());
        open.by_risk().unwrap().map(Result::unwrap).collect()
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
            of("e", -9, 2, BreakStatus::Open),
        ];
        let place = |wanted: usize| breaks[wanted].clone();
        assert_eq!(in_order(&breaks), [3, 2, 1, 0, 4].map(place));
    }

    proptest! {
        #[test]
        fn a_larger_number_is_an_earlier_text(one: i64, other: i64) {
            prop_assert_eq!(one.cmp(&other), descending(other).cmp(&descending(one)));
        }
    }
}
