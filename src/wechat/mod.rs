//! The remote APIs of WeChat Pay (v3, v2) and the official account platform.

pub mod mp;
pub mod pay_v2;
pub mod pay_v3;
