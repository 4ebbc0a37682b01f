//! The packed form of a row, from one list of its fields: key fields first, then the others in the order of the contract.
//! Knows no row.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};

use crate::money::Fen;
use crate::sorter::{CellPacker, Unpacker};

/// Packs and unpacks a row type. `$row<S>` owns or borrows its strings; `$row` owns them.
macro_rules! packed_row {
    ($row:ident<S>: key { $($key:ident),+ } cells { $($cell:ident),+ $(,)? }) => {
        impl<S: $crate::record::packed::Text> $crate::sorter::Packed for $row<S> {
            packed_row!(@pack { $($key),+ } { $($cell),+ });
        }

        impl<'r> $row<std::borrow::Cow<'r, str>> {
            /// Unpacks a row.
            pub fn unpack(cells: &mut $crate::sorter::Unpacker<'r>) -> Self {
                $row { $($key: cells.key_text(),)+ $($cell: $crate::record::packed::Unpacked::unpack(cells),)+ }
            }

            /// The row with owned strings.
            pub fn into_owned(self) -> $row {
                use $crate::record::packed::Unpacked;
                $row { $($key: self.$key.own(),)+ $($cell: self.$cell.own(),)+ }
            }
        }
    };
    ($row:ident: key { $($key:ident),+ } cells { $($cell:ident),+ $(,)? }) => {
        impl $crate::sorter::Packed for $row {
            packed_row!(@pack { $($key),+ } { $($cell),+ });
        }

        impl $row {
            /// Unpacks a row.
            pub fn unpack(cells: &mut $crate::sorter::Unpacker<'_>) -> Self {
                $row {
                    $($key: cells.key_text().into_owned(),)+
                    $($cell: $crate::record::packed::Unpacked::unpack(cells),)+
                }
            }
        }
    };
    (@pack { $($key:ident),+ } { $($cell:ident),+ }) => {
        fn pack_key(&self, key: &mut $crate::sorter::KeyPacker<'_>) {
            $(key.text(self.$key.as_ref());)+
        }

        fn pack_cells(&self, cells: &mut $crate::sorter::CellPacker<'_>) {
            $($crate::record::packed::Cell::pack(&self.$cell, cells);)+
        }
    };
}
pub(super) use packed_row;

/// A string of a row, owned or borrowed.
pub trait Text: AsRef<str> {}

impl Text for String {}
impl Text for &str {}
impl Text for Cow<'_, str> {}

/// What can be packed as a cell. What it is, its type says.
pub(crate) trait Cell {
    /// Packs it.
    fn pack(&self, cells: &mut CellPacker<'_>);
}

/// A cell as it is read again.
pub(crate) trait Unpacked<'r> {
    /// The same with texts of its own.
    type Owned;

    /// The next cell.
    fn unpack(cells: &mut Unpacker<'r>) -> Self;

    /// Converts borrowed to owned strings.
    fn own(self) -> Self::Owned;
}

impl<S: Text> Cell for S {
    #[inline]
    fn pack(&self, cells: &mut CellPacker<'_>) {
        cells.text(self.as_ref());
    }
}

impl<S: Text> Cell for Option<S> {
    #[inline]
    fn pack(&self, cells: &mut CellPacker<'_>) {
        cells.maybe_text(self.as_ref());
    }
}

/// Implements a cell type by the name of its packing and unpacking functions, and its conversions to and from the
/// packed value.
macro_rules! cell {
    ($type:ty, $word:ident, $of:expr, $to:expr) => {
        impl Cell for $type {
            #[inline]
            fn pack(&self, cells: &mut CellPacker<'_>) {
                cells.$word($of(*self));
            }
        }

        impl Unpacked<'_> for $type {
            type Owned = Self;

            #[inline]
            fn unpack(cells: &mut Unpacker<'_>) -> Self {
                $to(cells.$word())
            }

            fn own(self) -> Self {
                self
            }
        }
    };
    ($type:ty, $word:ident) => {
        cell!($type, $word, std::convert::identity, std::convert::identity);
    };
}

cell!(i64, integer);
cell!(Option<i64>, maybe_integer);
cell!(Fen, integer, |fen: Fen| fen.0, Fen);
cell!(Option<Fen>, maybe_integer, |fen: Option<Fen>| fen.map(|fen| fen.0), |number: Option<i64>| number.map(Fen));
cell!(Option<bool>, maybe_flag);
cell!(DateTime<Utc>, instant);
cell!(Option<DateTime<Utc>>, maybe_instant);
cell!(NaiveDate, date);
cell!(Option<NaiveDate>, maybe_date);

/// Implements a string cell by how it is created from a packed one and converted to an owned one.
macro_rules! text_cell {
    ($life:lifetime, $text:ty, $made:expr, $owned:expr) => {
        impl<$life> Unpacked<$life> for $text {
            type Owned = String;

            #[inline]
            fn unpack(cells: &mut Unpacker<$life>) -> Self {
                $made(cells.text())
            }

            fn own(self) -> String {
                $owned(self)
            }
        }

        impl<$life> Unpacked<$life> for Option<$text> {
            type Owned = Option<String>;

            #[inline]
            fn unpack(cells: &mut Unpacker<$life>) -> Self {
                cells.maybe_text().map($made)
            }

            fn own(self) -> Option<String> {
                self.map($owned)
            }
        }
    };
}

text_cell!('r, Cow<'r, str>, Cow::Borrowed, Cow::into_owned);
text_cell!('r, String, str::to_owned, std::convert::identity);

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use serde_json::json;

    use crate::record::{Break, CouponCode, Payment, Record, UserCoupon};
    use crate::sorter::{HeldRow, Packed, Unpacker};

    /// A row of these columns, packed and unpacked.
    fn survives<R: Record + Packed + Debug + PartialEq>(
        columns: &serde_json::Value,
        unpack: impl Fn(&mut Unpacker<'_>) -> R,
    ) {
        let (row, mut held): (R, _) = (serde_json::from_value(columns.clone()).unwrap(), HeldRow::default());
        held.pack(&row);
        assert_eq!(unpack(&mut held.row().unpack()), row);
    }

    #[test]
    fn a_row_comes_back_whole_whatever_its_cells_are() {
        let date = "2026-11-18";
        let payment = json!({
            "transaction_id": "42\u{0}00", "trade_state": "SUCCESS", "trade_time": "2026-11-18T01:02:03.000004Z",
            "mchid": "", "out_trade_no": "o1", "settled_fen": -1, "coupon_fee_fen": i64::MIN, "body": "拿铁",
            "service_fee_millifen": 600, "order_fen": i64::MAX, "business_date": date,
        });
        survives::<Payment>(&payment, |cells| Payment::unpack(cells).into_owned());
        let coupon = json!({
            "stock_id": "S", "coupon_code": "C", "openid": "u", "transferable": true, "shareable": false,
            "discount_amount_fen": 0, "discount_percent": 88, "use_time": "1969-12-31T23:59:59Z",
            "verified_date": date, "business_date": date,
        });
        survives::<UserCoupon>(&coupon, |cells| UserCoupon::unpack(cells).into_owned());
        let code = json!({"stock_id": "S", "coupon_code": "C", "code_status": "AVAILABLE", "business_date": date});
        survives::<CouponCode>(&code, CouponCode::unpack);
        let broken = json!({
            "break_id": "b", "rule_id": "AO01", "severity": "high", "side": "merchant", "status": "new",
            "first_seen_date": date, "last_seen_date": date, "resolved_date": "1969-01-01", "age_days": 3,
            "expected_fen": 5, "actual_count": -2, "at_risk_fen": 7, "why": "", "action": "a", "business_date": date,
        });
        survives::<Break>(&broken, Break::unpack);
    }
}
