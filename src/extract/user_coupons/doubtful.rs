//! Which coupons are asked once more by the single query: those that orders claim but no wallet
//! shows, and those whose listed association a rule is about to hold against them, because lists
//! may lag (design §3, §12). Coupons, claims and orders are read side by side in one order.

use std::borrow::Cow;
use std::io;

use crate::clock;
use crate::extract::lookback::{Claim, keep};
use crate::extract::roster::{Roster, raw_openid};
use crate::extract::{Lookback, Night};
use crate::record::UserCoupon;
use crate::sorter::{HeldRow, Jotting, Keeper, Kept, Lookup, PackedRow, Sorter};

/// A coupon to ask about by itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Doubt {
    /// Published openid.
    pub(super) openid: String,
    /// Code.
    pub(super) coupon_code: String,
    /// Raw openid, to ask with.
    pub(super) raw_openid: String,
}

impl Doubt {
    /// A row of what `find` gives.
    pub(super) fn unpack(row: PackedRow<'_>) -> Doubt {
        let mut cells = row.unpack();
        let (openid, coupon_code) = (cells.key_text().into_owned(), cells.key_text().into_owned());
        cells.integer();
        Doubt { openid, coupon_code, raw_openid: cells.text().to_owned() }
    }
}

/// What a listed association is worth.
#[derive(Debug, PartialEq, Eq)]
enum Association<'c> {
    Fine,
    Doubtful,
    /// Unless an order of this number was paid.
    DoubtfulUnlessPaid(&'c str),
}

/// The coupons in doubt, each once, by published openid and code.
pub(super) fn find(night: &Night<'_>, coupons: &Kept, orders: &Lookback, roster: &Roster) -> io::Result<Kept> {
    let mut doubts = Doubts(Sorter::new(&night.corner()));
    let unless_paid = doubts.add_associations(night, coupons, orders)?;
    doubts.add_unpaid(unless_paid, orders)?;
    doubts.add_unseen(coupons, orders)?;
    of_known_users(night, &keep(doubts.0, &night.corner())?, roster)
}

/// Doubts as they come: published openid and code.
struct Doubts(Sorter);

impl Doubts {
    fn add(&mut self, openid: &str, coupon_code: &str) -> io::Result<()> {
        self.0.push(&Jotting { key: &[openid, coupon_code], mark: 0, texts: &[] })
    }

    /// Coupons that AO02, AO05 or AO07 would speak on; gives those they would speak on unless an order was paid,
    /// by its number.
    fn add_associations(&mut self, night: &Night<'_>, coupons: &Kept, orders: &Lookback) -> io::Result<Sorter> {
        let mut unless_paid = Sorter::new(&night.corner());
        let mut claims = Lookup::new(orders.claims.rows()?, 2);
        coupons.rows()?.each(|row| {
            let coupon = UserCoupon::unpack(&mut row.unpack());
            if !is_used_in_lookback(night, &coupon) {
                return Ok(());
            }
            let (openid, code) = (&*coupon.openid, &*coupon.coupon_code);
            let claims = claims.find(row.beginning(2))?.map(Claim::unpack).filter(|claim| claim.is_paid);
            match association(night, &coupon, &claims.collect::<Vec<_>>()) {
                Association::Fine => Ok(()),
                Association::Doubtful => self.add(openid, code),
                Association::DoubtfulUnlessPaid(order) => {
                    unless_paid.push(&Jotting { key: &[order], mark: 0, texts: &[openid, code] })
                }
            }
        })?;
        Ok(unless_paid)
    }

    fn add_unpaid(&mut self, unless_paid: Sorter, orders: &Lookback) -> io::Result<()> {
        let mut paid = Lookup::new(orders.paid.rows()?, 1);
        unless_paid.finish()?.each(|row| {
            if paid.find(row.key())?.next().is_some() {
                return Ok(());
            }
            let mut cells = row.unpack();
            cells.integer();
            self.add(cells.text(), cells.text())
        })
    }

    /// Coupons that paid orders name and no wallet shows; the last of the orders tells whom to ask about.
    fn add_unseen(&mut self, coupons: &Kept, orders: &Lookback) -> io::Result<()> {
        let mut coupons = Lookup::new(coupons.rows()?, 2);
        let mut claims = orders.claims.rows()?;
        let mut last = HeldRow::default();
        loop {
            let mut is_paid = false;
            let take = |row: PackedRow<'_>| {
                if Claim::unpack(row).is_paid {
                    last.hold(row);
                    is_paid = true;
                }
            };
            if !claims.next_group(2, take)? {
                return Ok(());
            }
            if is_paid && coupons.find(last.row().beginning(2))?.next().is_none() {
                let claim = Claim::unpack(last.row());
                claim.openid.map_or(Ok(()), |openid| self.add(openid, &claim.coupon_code))?;
            }
        }
    }
}

fn is_used_in_lookback(night: &Night<'_>, coupon: &UserCoupon<Cow<'_, str>>) -> bool {
    let lookback = night.job.rules.lookback_start(night.date)..=night.date;
    coupon.coupon_state.as_deref() == Some("USED")
        && coupon.use_time.is_some_and(|used| lookback.contains(&clock::business_date_of(used)))
}

/// Whether AO02, AO05 or AO07 would speak on the listed row of a used coupon that `claims` name.
fn association<'c>(night: &Night<'_>, coupon: &'c UserCoupon<Cow<'_, str>>, claims: &[Claim<'_>]) -> Association<'c> {
    let is_doubtful = match (coupon.associate_out_trade_no.as_deref(), claims) {
        (Some(order), []) => return Association::DoubtfulUnlessPaid(order),
        (Some(order), claims) => claims.iter().all(|claim| claim.out_trade_no != order),
        (None, []) => false,
        (None, _) => night.job.rules.must_associate.iter().any(|stock_id| *stock_id == coupon.stock_id),
    };
    if is_doubtful { Association::Doubtful } else { Association::Fine }
}

/// Those whose user can be asked about, with the openid to ask with.
fn of_known_users(night: &Night<'_>, doubts: &Kept, roster: &Roster) -> io::Result<Kept> {
    let mut known = Lookup::new(roster.by_published.rows()?, 1);
    let mut askable = Keeper::new(&night.corner());
    doubts.rows()?.each(|row| {
        let Some(user) = known.find(row.beginning(1))?.last() else { return Ok(()) };
        let mut cells = row.unpack();
        let (openid, code) = (cells.key_text(), cells.key_text());
        askable.push(&Jotting { key: &[&openid, &code], mark: 0, texts: &[raw_openid(user)] })
    })?;
    askable.finish()
}
