//! Wallet coverage (design §5): how many of the known wallets and coupons were verified within the audit period,
//! against the numbers that WeChat has issued. Only counts.

use std::collections::BTreeSet;
use std::io;

use chrono::Days;

use crate::dataset::manifest::Coverage;
use crate::extract::{Issue, Night, Wallets};
use crate::record::{Stock, UserCoupon};
use crate::sorter::{Jotting, PackedRow, Sorter};

/// The coverage of the night; `None` for a job that requests no wallets.
pub(super) fn of(night: &Night<'_>, wallets: &Wallets, stocks: &[Stock]) -> Result<Option<Coverage>, Issue> {
    let Some(settings) = &night.job.wallets else { return Ok(None) };
    let holders = Holders::count(night, settings.audit_days, wallets, stocks);
    let holders = holders.map_err(Issue::unsorted)?;
    let asked = wallets.asked.len() as u64;
    let issued = stocks.iter().filter_map(|stock| stock.total_send_num).filter_map(|sent| u64::try_from(sent).ok());
    Ok(Some(Coverage {
        audit_days: settings.audit_days,
        wallets: asked + holders.unasked,
        wallets_verified: asked + holders.unasked_verified,
        coupons_verified: holders.coupons_verified,
        coupons_issued: issued.sum(),
    }))
}

/// Counts over the known coupons, by their holders.
#[derive(Default)]
struct Holders {
    /// Wallets that were not requested tonight, or did not answer.
    unasked: u64,
    /// Those of them with a coupon verified on an earlier night within the audit period.
    unasked_verified: u64,
    /// Coupons of listed stocks that were verified within the audit period.
    coupons_verified: u64,
}

impl Holders {
    fn count(night: &Night<'_>, audit_days: u32, wallets: &Wallets, stocks: &[Stock]) -> io::Result<Holders> {
        let before = night.date - Days::new(u64::from(audit_days));
        let listed: BTreeSet<&str> = stocks.iter().map(|stock| stock.stock_id.as_str()).collect();
        let (mut holders, mut unasked) = (Holders::default(), Sorter::new(&night.corner()));
        wallets.coupons.rows()?.each(|row| {
            let coupon = UserCoupon::unpack(&mut row.unpack());
            let is_recent = coupon.verified_date > before;
            holders.coupons_verified += u64::from(is_recent && listed.contains(&*coupon.stock_id));
            if wallets.asked.contains(&[&coupon.openid]) {
                return Ok(());
            }
            // A coupon of an unanswered wallet that was verified tonight comes from the single query, which verifies
            // only that coupon.
            let is_verified = is_recent && coupon.verified_date < night.date;
            unasked.push(&Jotting::of(&[&coupon.openid]).marked(is_verified))
        })?;
        // A wallet that was requested in vain is known even if none of its coupons is.
        wallets
            .unanswered
            .rows()?
            .each(|row| unasked.push(&Jotting::of(&[&*row.unpack().key_text()]).marked(false)))?;
        let mut unasked = unasked.finish()?;
        let mut is_verified = false;
        while unasked.next_group(1, |row| is_verified |= is_of_verified(row))? {
            holders.unasked += 1;
            holders.unasked_verified += u64::from(std::mem::take(&mut is_verified));
        }
        Ok(holders)
    }
}

/// Whether the coupon of a row makes its wallet a verified one.
fn is_of_verified(row: PackedRow<'_>) -> bool {
    row.unpack().flag()
}
