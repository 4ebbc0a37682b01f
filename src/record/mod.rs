//! The row types of all datasets, one struct per contract in `schemas/`, and the values of their columns that the program
//! tells apart. Plain data; a test compares the structs with the contracts.

mod bill;
mod break_status;
mod breaks;
mod card;
mod coupon;
pub mod coupon_state;
mod ledger;
pub mod match_pass;
mod merchant;
mod packed;
pub mod receipt_status;
mod severity;
pub mod stock_type;
mod subsidy;
mod voucher;
mod word;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use bill::{Payment, Refund};
pub use break_status::BreakStatus;
pub use breaks::Break;
pub use card::{Card, CardAccountDay, CardDay, MemberCardDay, MemberCardDetailDay};
pub use coupon::{CouponCode, CouponEvent, Stock, UserCoupon};
pub use ledger::LedgerRow;
pub use merchant::{OrderLine, SubsidyOrder};
pub use severity::Severity;
pub use subsidy::{SubsidyPayment, SubsidyReturn};
pub use voucher::{V2Coupon, V2Stock};

use crate::money::Fen;

/// A row of one dataset.
pub trait Record: Serialize + DeserializeOwned + Send + 'static {
    /// Name of the dataset: folder in the lake, file in `schemas/`, table in SQL.
    const DATASET: &str;
    /// The column whose sum is the control total of the dataset; `None` for a dataset without
    /// amounts.
    const AMOUNT: Option<&str> = None;

    /// The amount of the row for the control total.
    fn amount(&self) -> Fen {
        Fen::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract;

    /// Field names of a row, from what serde would write.
    fn fields<R: Record>() -> Vec<String> {
        use serde::de::{Error, MapAccess, Visitor};
        struct Names(&'static [&'static str]);
        impl<'de> Visitor<'de> for &mut Names {
            type Value = ();

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("nothing")
            }

            fn visit_map<A: MapAccess<'de>>(self, _map: A) -> Result<(), A::Error> {
                Err(A::Error::custom("never"))
            }
        }
        struct Probe<'a>(&'a mut Names);
        impl<'de> serde::Deserializer<'de> for Probe<'_> {
            type Error = serde::de::value::Error;

            fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Self::Error> {
                Err(Self::Error::custom("only structs are asked"))
            }

            fn deserialize_struct<V: Visitor<'de>>(
                self,
                _name: &'static str,
                fields: &'static [&'static str],
                _visitor: V,
            ) -> Result<V::Value, Self::Error> {
                self.0.0 = fields;
                Err(Self::Error::custom("seen"))
            }

            serde::forward_to_deserialize_any! {
                bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
                unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
            }
        }
        let mut names = Names(&[]);
        let _ = R::deserialize(Probe(&mut names));
        names.0.iter().map(|name| (*name).to_owned()).collect()
    }

    fn check<R: Record>() -> &'static str {
        let contract = contract::contract(R::DATASET);
        let columns: Vec<String> = contract.columns.iter().map(|column| column.name.clone()).collect();
        assert_eq!(fields::<R>(), columns, "{}", R::DATASET);
        R::DATASET
    }

    #[test]
    fn every_row_type_has_the_columns_of_its_contract_in_their_order() {
        let checked = [
            check::<OrderLine>(),
            check::<SubsidyOrder>(),
            check::<Payment>(),
            check::<Refund>(),
            check::<CouponEvent>(),
            check::<Stock>(),
            check::<UserCoupon>(),
            check::<CouponCode>(),
            check::<SubsidyPayment>(),
            check::<SubsidyReturn>(),
            check::<CardAccountDay>(),
            check::<CardDay>(),
            check::<MemberCardDay>(),
            check::<MemberCardDetailDay>(),
            check::<Card>(),
            check::<V2Stock>(),
            check::<V2Coupon>(),
            check::<LedgerRow>(),
            check::<Break>(),
        ];
        assert_eq!(checked.len(), contract::all().count());
    }
}
