//! How the order of a coupon was found (design §6): values of `match_pass`.

/// A line of the order names the coupon.
pub const CLAIM: &str = "claim";
/// The coupon names the order.
pub const ASSOCIATION: &str = "association";
/// The request number of the redemption is the order's, or contains it.
pub const USE_REQUEST: &str = "use_request";
/// Several live orders claim the coupon; none was chosen.
pub const AMBIGUOUS: &str = "ambiguous";
