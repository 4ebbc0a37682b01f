//! How the coupons of a stock reduce a price (reference v3 §2.1): values of `stock_type`. One that this version does not know
//! is kept as it came, and no discount is expected of it.

/// A fixed amount off.
pub const NORMAL: &str = "NORMAL";
/// A percentage off.
pub const DISCOUNT: &str = "DISCOUNT";
/// Goods for a fixed price.
pub const EXCHANGE: &str = "EXCHANGE";
