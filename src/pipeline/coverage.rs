//! How much of what is known of the wallets was asked for lately (design §5). Counts; judges nothing.

use std::collections::BTreeSet;

use chrono::{Days, NaiveDate};

use crate::dataset::manifest::Coverage;
use crate::extract::Wallets;
use crate::job::Job;
use crate::record::{Stock, UserCoupon};

/// The coverage on `date`; none for a job that asks no wallets.
pub(super) fn of(job: &Job, date: NaiveDate, wallets: &Wallets, stocks: &[Stock]) -> Option<Coverage> {
    let audit_days = job.wallets.as_ref()?.audit_days;
    Some(count(audit_days, date, wallets, stocks))
}

fn count(audit_days: u32, date: NaiveDate, wallets: &Wallets, stocks: &[Stock]) -> Coverage {
    let before = date - Days::new(u64::from(audit_days));
    let recent = || wallets.coupons.iter().filter(|coupon| coupon.verified_date > before);
    let holders = wallets.coupons.iter().map(|coupon| &coupon.openid);
    let verified: BTreeSet<_> = recent().map(|coupon| &coupon.openid).chain(&wallets.asked).collect();
    let known: BTreeSet<_> = holders.chain(&wallets.asked).collect();
    let of_listed_stock = |coupon: &&UserCoupon| stocks.iter().any(|stock| stock.stock_id == coupon.stock_id);
    let issued = stocks.iter().filter_map(|stock| stock.total_send_num).filter_map(|sent| u64::try_from(sent).ok());
    Coverage {
        audit_days,
        wallets: known.len() as u64,
        wallets_verified: verified.len() as u64,
        coupons_verified: recent().filter(of_listed_stock).count() as u64,
        coupons_issued: issued.sum(),
    }
}
