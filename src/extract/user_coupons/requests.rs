//! What every call of the stage needs of its night.

use crate::api::Api;
use crate::extract::Night;
use crate::extract::ask::Place;
use crate::extract::unknown_values::{COUPON_STATE, Known, STOCK_TYPE};
use crate::job::WalletSettings;
use crate::journal::StageJournal;
use crate::record::UserCoupon;
use crate::stage::Stage;
use crate::wechat::oddity::{Mendable, Shape};
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor;

/// Where its calls are counted.
pub(super) const PLACE: Place = Place { stage: Stage::UserCoupons, api: Api::PayV3 };
/// What of a coupon may be odd.
pub(super) const SHAPE: Shape = <busifavor::UserCoupon as Mendable>::SHAPE;

/// The columns of a coupon whose values this version knows.
pub(super) fn enumerated<T: AsRef<str>>(row: &UserCoupon<T>) -> [(Known, Option<&str>); 2] {
    [(COUPON_STATE, row.coupon_state.as_ref().map(T::as_ref)), (STOCK_TYPE, row.stock_type.as_ref().map(T::as_ref))]
}

/// The parts of the night that its calls need: `wallet` and `single` make them.
pub(super) struct Requests<'a> {
    pub(super) night: &'a Night<'a>,
    pub(super) settings: &'a WalletSettings,
    pub(super) pay_v3: &'a PayV3,
    pub(super) journal: &'a StageJournal,
}
