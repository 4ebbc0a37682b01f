//! The states of a coupon in a list of coupons (reference v3 §2.24), in the spelling of the wire: values of `coupon_state`
//! and `state_on_date`. The single query has more; one that this version does not know is kept as it came.

/// Not redeemed, and not past its end.
pub const SENDED: &str = "SENDED";
/// Redeemed.
pub const USED: &str = "USED";
/// Past its end without having been redeemed.
pub const EXPIRED: &str = "EXPIRED";
/// Removed from the wallet.
pub const DELETED: &str = "DELETED";
/// Withdrawn by the merchant.
pub const DEACTIVATED: &str = "DEACTIVATED";
