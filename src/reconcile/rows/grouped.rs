//! Rows that refer to coupons (or are keyed by another string), sorted in scratch files and read group by group, one
//! key at a time. Never goes back; holds the rows of one key, and what is merged ahead.

use std::io;
use std::path::Path;

use super::coupon_key::{CouponId, CouponKey};
use crate::sorter::{CellPacker, KeyPacker, Packed, PackedRows, Room, Rows, Sorted, SortedAhead, Sorter};

/// Memory of a sort: one half is filled while the other half is sorted and written.
const MEMORY_BYTES: usize = 64 << 20;
/// Bytes of a sort's file that stay uncompressed: compressing less would not pay.
const LOOSE_BYTES: u64 = 1 << 30;

/// A sorter of rows made by `packed`.
pub(in crate::reconcile) fn sorter(scratch: &Path) -> Sorter {
    Sorter::new(&Room { folder: scratch.to_owned(), memory_bytes: MEMORY_BYTES }).compressing_from(LOOSE_BYTES)
}

/// A row for the sorter: its coupon, and a function that packs its cells.
pub(in crate::reconcile) fn packed<'t, P: Fn(&mut CellPacker<'_>)>(
    coupon: (&'t str, &'t str),
    pack: P,
) -> impl Packed + use<'t, P> {
    let (stock_id, coupon_code) = coupon;
    OfCoupon { stock_id, coupon_code, pack }
}

/// A key for sorting by one string, which takes the place of the coupon's code.
pub(in crate::reconcile) fn by_text(text: &str) -> (&str, &str) {
    ("", text)
}

/// The key of a row sorted `by_text`.
pub(in crate::reconcile) fn key_of(text: &str) -> CouponKey<'_> {
    CouponKey::new(b"", text.as_bytes())
}

struct OfCoupon<'t, P> {
    stock_id: &'t str,
    coupon_code: &'t str,
    pack: P,
}

impl<P: Fn(&mut CellPacker<'_>)> Packed for OfCoupon<'_, P> {
    #[inline]
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        key.text(self.stock_id);
        key.text(self.coupon_code);
    }

    #[inline]
    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        (self.pack)(cells);
    }
}

/// Sorted rows, taken one coupon at a time.
pub(in crate::reconcile) struct Grouped {
    sorted: SortedAhead,
    /// The coupon of the next rows, if there are any.
    next: CouponId,
    has_next: bool,
    /// The rows taken last, with their coupon.
    rows: PackedRows,
    taken: CouponId,
}

impl Grouped {
    pub(in crate::reconcile) fn new(sorted: Sorted) -> io::Result<Grouped> {
        let mut grouped = Grouped {
            sorted: sorted.ahead()?,
            next: CouponId::default(),
            has_next: false,
            rows: PackedRows::default(),
            taken: CouponId::default(),
        };
        grouped.see_next();
        Ok(grouped)
    }

    /// The rows taken last.
    #[inline]
    pub(in crate::reconcile) fn rows(&self) -> Rows<'_> {
        self.rows.iter()
    }

    /// The code of the rows taken last, or the string in its place.
    pub(in crate::reconcile) fn text(&self) -> &str {
        &self.taken.coupon_code
    }

    /// The coupon of the next rows.
    #[inline]
    pub(in crate::reconcile) fn peek(&self) -> Option<CouponKey<'_>> {
        self.has_next.then(|| self.next.key())
    }

    /// Takes the rows of a coupon, if they are next; otherwise none.
    #[inline]
    pub(in crate::reconcile) fn take(&mut self, key: CouponKey<'_>) -> io::Result<()> {
        self.rows.clear();
        while self.peek() == Some(key) {
            self.take_one()?;
        }
        Ok(())
    }

    /// Takes the rows of the next coupon; false if there is none.
    pub(in crate::reconcile) fn take_next(&mut self) -> io::Result<bool> {
        self.rows.clear();
        while self.rows.is_empty() || self.peek() == Some(self.taken.key()) {
            if !self.take_one()? {
                break;
            }
        }
        Ok(!self.rows.is_empty())
    }

    /// Takes a single row, if its coupon is smaller than `key` (or `key` is `None`); returns whether it did.
    #[inline]
    pub(in crate::reconcile) fn take_smaller(&mut self, key: Option<CouponKey<'_>>) -> io::Result<bool> {
        self.rows.clear();
        let is_smaller = self.peek().is_some_and(|next| key.is_none_or(|key| next < key));
        if is_smaller { self.take_one() } else { Ok(false) }
    }

    fn take_one(&mut self) -> io::Result<bool> {
        let Some(row) = self.sorted.peek() else { return Ok(false) };
        self.rows.push(&row);
        self.sorted.advance()?;
        std::mem::swap(&mut self.taken, &mut self.next);
        self.see_next();
        Ok(true)
    }

    fn see_next(&mut self) {
        let next = self.sorted.peek();
        self.has_next = next.is_some();
        if let Some(row) = next {
            let mut texts = row.unpack();
            self.next.become_texts(&texts.key_text(), &texts.key_text());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_come_one_by_one_and_what_is_smaller_can_be_passed() {
        let scratch = tempfile::tempdir().unwrap();
        let mut sorter = sorter(scratch.path());
        for (number, code) in (0..).zip(["B", "D", "A", "B", "D", "D"]) {
            sorter.push(&packed(("", code), |cells| cells.integer(number))).unwrap();
        }
        let mut groups = Grouped::new(sorter.finish().unwrap()).unwrap();
        let numbers = |groups: &Grouped| groups.rows().map(|row| row.unpack().integer()).collect::<Vec<_>>();
        let key = |code: &'static str| CouponKey::new(b"", code.as_bytes());
        assert!(!groups.take_smaller(Some(key("A"))).unwrap());
        assert!(groups.take_smaller(Some(key("B"))).unwrap());
        assert_eq!((groups.text(), numbers(&groups)), ("A", vec![2]));
        groups.take(key("B")).unwrap();
        assert_eq!((groups.text(), numbers(&groups)), ("B", vec![0, 3]));
        groups.take(key("C")).unwrap();
        assert!(groups.rows().next().is_none());
        assert!(groups.take_next().unwrap());
        assert_eq!((groups.text(), numbers(&groups)), ("D", vec![1, 4, 5]));
        assert!(!groups.take_next().unwrap() && !groups.take_smaller(None).unwrap());
        assert!(groups.peek().is_none());
    }
}
