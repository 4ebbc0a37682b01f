//! The row types of every dataset, one struct per contract in `schemas/`.
//! Plain data: nothing here reads, writes or decides. A test holds them against the contracts.

mod bill;
mod breaks;
mod card;
mod coupon;
mod ledger;
mod merchant;
mod subsidy;
mod voucher;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use bill::{Payment, Refund};
pub use breaks::Break;
pub use card::{Card, CardAccountDay, CardDay, MemberCardDay, MemberCardDetailDay};
pub use coupon::{CouponCode, CouponEvent, Stock, UserCoupon};
pub use ledger::LedgerRow;
pub use merchant::{OrderLine, SubsidyOrder};
pub use subsidy::{SubsidyPayment, SubsidyReturn};
pub use voucher::{V2Coupon, V2Stock};

/// A row of one dataset.
pub trait Record: Serialize + DeserializeOwned {
    /// Name of the dataset: folder in the lake, file in `schemas/`, table in SQL.
    const DATASET: &str;
}
