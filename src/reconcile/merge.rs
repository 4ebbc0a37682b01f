//! Rows of many sides brought together by coupon, each side sorted by (stock_id, coupon_code).
//! Holds one coupon at a time: the sides may be larger than memory.

use std::iter::Peekable;

use super::error::ReconcileError;
use super::facts::{AboutCoupon, CouponKey};

/// Rows read one after the other.
pub(super) type BoxedRows<T> = Box<dyn Iterator<Item = Result<T, ReconcileError>>>;

/// One side of the merge.
pub(super) struct Side<T> {
    dataset: &'static str,
    rows: Peekable<BoxedRows<T>>,
}

impl<T: AboutCoupon + 'static> Side<T> {
    /// A side read from `dataset`.
    pub(super) fn new(dataset: &'static str, rows: BoxedRows<T>) -> Side<T> {
        Side { dataset, rows: rows.peekable() }
    }

    /// A side held in memory.
    pub(super) fn of_sorted(dataset: &'static str, rows: Vec<T>) -> Side<T> {
        Side::new(dataset, Box::new(rows.into_iter().map(Ok)))
    }

    /// The coupon of the next row, smaller than `key` if one is given and this side has it.
    pub(super) fn smaller_key(&mut self, key: Option<CouponKey>) -> Result<Option<CouponKey>, ReconcileError> {
        if let Some(Err(error)) = self.rows.next_if(Result::is_err) {
            return Err(error);
        }
        let next = self.rows.peek().and_then(|row| row.as_ref().ok()).map(AboutCoupon::key);
        Ok(match (next, key) {
            (Some((stock, code)), Some(key)) if (stock, code) < (&*key.0, &*key.1) => Some(owned((stock, code))),
            (Some(next), None) => Some(owned(next)),
            (_, key) => key,
        })
    }

    /// Takes the rows of `key` off this side; a row smaller than `key` shows that it is not sorted.
    pub(super) fn take(&mut self, key: &CouponKey) -> Result<Vec<T>, ReconcileError> {
        let mut taken = Vec::new();
        let wanted = (&*key.0, &*key.1);
        while let Some(row) = self.rows.next_if(|row| row.as_ref().map_or(true, |row| row.key() <= wanted)) {
            let row = row?;
            if row.key() < wanted {
                let (stock, code) = row.key();
                return Err(ReconcileError::Unsorted { dataset: self.dataset, key: format!("{stock}/{code}") });
            }
            taken.push(row);
        }
        Ok(taken)
    }
}

fn owned((stock_id, coupon_code): (&str, &str)) -> CouponKey {
    (stock_id.to_owned(), coupon_code.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Row(String, u32);

    impl AboutCoupon for Row {
        fn key(&self) -> (&str, &str) {
            ("S", &self.0)
        }
    }

    fn side(codes: &[&str]) -> Side<Row> {
        let rows = codes.iter().zip(0..).map(|(code, index)| Row((*code).to_owned(), index));
        Side::of_sorted("user_coupons", rows.collect())
    }

    #[test]
    fn the_smallest_key_of_all_sides_comes_first_and_takes_all_its_rows() {
        let (mut one, mut other) = (side(&["B", "B", "C"]), side(&["A", "B"]));
        let key = one.smaller_key(None).unwrap();
        let key = other.smaller_key(key).unwrap().unwrap();
        assert_eq!(key.1, "A");
        assert!(one.take(&key).unwrap().is_empty());
        assert_eq!(other.take(&key).unwrap().len(), 1);
        let key = one.smaller_key(None).unwrap();
        let key = other.smaller_key(key).unwrap().unwrap();
        assert_eq!((one.take(&key).unwrap().len(), other.take(&key).unwrap().len()), (2, 1));
    }

    #[test]
    fn an_unsorted_side_is_an_error_that_names_the_row() {
        let mut side = side(&["B", "A"]);
        let key = side.smaller_key(None).unwrap().unwrap();
        let error = side.take(&key).err().unwrap();
        assert!(error.to_string().contains("`S/A` comes after a larger key"), "{error}");
    }

    proptest! {
        #[test]
        fn every_row_is_taken_once_and_keys_ascend(mut codes in proptest::collection::vec("[a-c]{1,2}", 0..20)) {
            codes.sort();
            let codes: Vec<_> = codes.iter().map(String::as_str).collect();
            let mut side = side(&codes);
            let mut seen = Vec::new();
            while let Some(key) = side.smaller_key(None).unwrap() {
                let rows = side.take(&key).unwrap();
                prop_assert!(seen.last().is_none_or(|(last, _): &(String, u32)| *last < key.1));
                seen.extend(rows.into_iter().map(|row| (row.0, row.1)));
                prop_assert!(seen.len() <= codes.len());
            }
            prop_assert_eq!(seen.len(), codes.len());
        }
    }
}
