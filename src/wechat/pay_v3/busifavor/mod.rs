//! The merchant-coupon (商家券) API of APIv3: every call of reference v3 §2, numbers 1 to 22. Wire
//! types keep the names of the API, times as text, and unknown values and fields.

pub mod callbacks;
pub mod codes;
pub mod coupons;
pub mod rule;
pub mod stocks;
pub mod subsidy;

pub use callbacks::{Callbacks, callbacks, set_callbacks};
pub use codes::{
    CodeFilter, CodeInformation, CouponCodePage, coupon_code, coupon_codes, delete_coupon_code, upload_coupon_codes,
};
pub use coupons::{
    CouponFilter, UserCoupon, UserCouponPage, associate, deactivate, disassociate, return_coupon, use_coupon,
    user_coupon, user_coupons,
};
pub use rule::CouponUseRule;
pub use stocks::{Budget, NewStock, Stock, StockChange, change_budget, create_stock, modify_stock, stock};
pub use subsidy::{
    PayReceipt, PayReceiptList, ReturnReceipt, pay_receipt, pay_receipts, pay_subsidy, plain_status, return_receipt,
    return_subsidy,
};
