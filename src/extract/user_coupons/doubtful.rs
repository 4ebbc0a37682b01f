//! Which coupons are asked once more by the single query: those that orders claim but no wallet
//! shows, and those whose listed association a rule is about to hold against them, because lists
//! may lag (design §3, §12). Coupons, claims and orders are read side by side in one order.

use std::borrow::Cow;
use std::io;

use chrono::NaiveDate;

use crate::clock;
use crate::extract::Lookback;
use crate::extract::lookback::{Claim, keep};
use crate::extract::roster::{Roster, raw_openid};
use crate::job::RuleSettings;
use crate::record::UserCoupon;
use crate::sorter::{HeldRow, Jotting, Keeper, Kept, Lookup, PackedRow, Room, Sorter};

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

/// What doubt depends on beside the rows, and where they are sorted.
pub(super) struct Doubter<'n> {
    pub(super) rules: &'n RuleSettings,
    pub(super) date: NaiveDate,
    pub(super) room: Room,
}

impl Doubter<'_> {
    /// The coupons in doubt, each once, by published openid and code.
    pub(super) fn find(&self, coupons: &Kept, orders: &Lookback, roster: &Roster) -> io::Result<Kept> {
        let mut doubts = Doubts(Sorter::new(&self.room));
        let unless_paid = self.add_associations(coupons, orders, &mut doubts)?;
        doubts.add_unpaid(unless_paid, orders)?;
        doubts.add_unseen(coupons, orders)?;
        self.of_known_users(&keep(doubts.0, &self.room)?, roster)
    }

    /// Coupons that AO02, AO05 or AO07 would speak on; gives those they would speak on unless an order was paid,
    /// by its number.
    fn add_associations(&self, coupons: &Kept, orders: &Lookback, doubts: &mut Doubts) -> io::Result<Sorter> {
        let mut unless_paid = Sorter::new(&self.room);
        let mut claims = Lookup::new(orders.claims.rows()?, 2);
        coupons.rows()?.each(|row| {
            let coupon = UserCoupon::unpack(&mut row.unpack());
            if !self.is_used_in_lookback(&coupon) {
                return Ok(());
            }
            let (openid, code) = (&*coupon.openid, &*coupon.coupon_code);
            let claims = claims.find(row.beginning(2))?.map(Claim::unpack).filter(|claim| claim.is_paid);
            match self.association(&coupon, &claims.collect::<Vec<_>>()) {
                Association::Fine => Ok(()),
                Association::Doubtful => doubts.add(openid, code),
                Association::DoubtfulUnlessPaid(order) => {
                    unless_paid.push(&Jotting { key: &[order], mark: 0, texts: &[openid, code] })
                }
            }
        })?;
        Ok(unless_paid)
    }

    fn is_used_in_lookback(&self, coupon: &UserCoupon<Cow<'_, str>>) -> bool {
        let lookback = self.rules.lookback_start(self.date)..=self.date;
        coupon.coupon_state.as_deref() == Some("USED")
            && coupon.use_time.is_some_and(|used| lookback.contains(&clock::business_date_of(used)))
    }

    /// Whether AO02, AO05 or AO07 would speak on the listed row of a used coupon that `claims` name.
    fn association<'c>(&self, coupon: &'c UserCoupon<Cow<'_, str>>, claims: &[Claim<'_>]) -> Association<'c> {
        let is_doubtful = match (coupon.associate_out_trade_no.as_deref(), claims) {
            (Some(order), []) => return Association::DoubtfulUnlessPaid(order),
            (Some(order), claims) => claims.iter().all(|claim| claim.out_trade_no != order),
            (None, []) => false,
            (None, _) => self.rules.must_associate.iter().any(|stock_id| *stock_id == coupon.stock_id),
        };
        if is_doubtful { Association::Doubtful } else { Association::Fine }
    }

    /// Those whose user can be asked about, with the openid to ask with.
    fn of_known_users(&self, doubts: &Kept, roster: &Roster) -> io::Result<Kept> {
        let mut known = Lookup::new(roster.by_published.rows()?, 1);
        let mut askable = Keeper::new(&self.room);
        doubts.rows()?.each(|row| {
            let Some(user) = known.find(row.beginning(1))?.last() else { return Ok(()) };
            let mut cells = row.unpack();
            let (openid, code) = (cells.key_text(), cells.key_text());
            askable.push(&Jotting { key: &[&openid, &code], mark: 0, texts: &[raw_openid(user)] })
        })?;
        askable.finish()
    }
}

/// Doubts as they come: published openid and code.
struct Doubts(Sorter);

impl Doubts {
    fn add(&mut self, openid: &str, coupon_code: &str) -> io::Result<()> {
        self.0.push(&Jotting { key: &[openid, coupon_code], mark: 0, texts: &[] })
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

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::{DateTime, Utc};
    use proptest::prelude::*;

    use super::*;
    use crate::extract::lookback::{Lines, LookbackLine};
    use crate::extract::wire::user_coupon_row;

    const DAY: &str = "2026-11-18";

    /// An order line with texts of its own.
    #[derive(Debug)]
    struct Line {
        out_trade_no: String,
        stock_id: String,
        coupon_code: String,
        openid: Option<String>,
        is_paid: bool,
    }

    impl Line {
        fn borrowed(&self) -> LookbackLine<'_> {
            LookbackLine {
                out_trade_no: &self.out_trade_no,
                stock_id: &self.stock_id,
                coupon_code: &self.coupon_code,
                openid: self.openid.as_deref(),
                paid_at: self.is_paid.then_some(0),
            }
        }
    }

    /// The same over rows that are held: what a night did before it sorted.
    fn held(
        rules: &RuleSettings,
        coupons: &BTreeMap<[String; 3], UserCoupon>,
        lines: &[Line],
        known: &BTreeMap<String, String>,
    ) -> BTreeSet<Doubt> {
        let key = |line: &Line| [line.out_trade_no.clone(), line.stock_id.clone(), line.coupon_code.clone()];
        let latest: BTreeMap<_, _> = lines.iter().map(|line| (key(line), line)).collect();
        let paid: Vec<_> = latest.into_values().filter(|line| line.is_paid).collect();
        let numbers: BTreeSet<_> = paid.iter().map(|line| line.out_trade_no.as_str()).collect();
        let mut claims: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for line in paid.iter().filter(|line| !line.coupon_code.is_empty()) {
            claims.entry((line.stock_id.as_str(), line.coupon_code.as_str())).or_default().push(line);
        }
        let (mut seen, mut doubts) = (BTreeSet::new(), BTreeSet::new());
        let mut doubt = |openid: &str, coupon_code: &str| {
            if let Some(raw_openid) = known.get(openid).cloned() {
                doubts.insert(Doubt { openid: openid.into(), coupon_code: coupon_code.into(), raw_openid });
            }
        };
        let (from, to) = (rules.lookback_start(DAY.parse().unwrap()), DAY.parse().unwrap());
        for coupon in coupons.values() {
            let key = (coupon.stock_id.as_str(), coupon.coupon_code.as_str());
            seen.insert(key);
            let used = coupon.use_time.map(clock::business_date_of);
            if coupon.coupon_state.as_deref() != Some("USED") || !used.is_some_and(|day| (from..=to).contains(&day)) {
                continue;
            }
            let is_doubtful = match (&coupon.associate_out_trade_no, claims.get(&key)) {
                (Some(order), None) => !numbers.contains(order.as_str()),
                (Some(order), Some(lines)) => lines.iter().all(|line| line.out_trade_no != *order),
                (None, Some(_)) => rules.must_associate.contains(&coupon.stock_id),
                (None, None) => false,
            };
            if is_doubtful {
                doubt(&coupon.openid, &coupon.coupon_code);
            }
        }
        for (key, lines) in claims.iter().filter(|(key, _)| !seen.contains(*key)) {
            lines.last().and_then(|line| line.openid.as_deref()).into_iter().for_each(|openid| doubt(openid, key.1));
        }
        doubts
    }

    fn coupon((stock, code, user): (u8, u8, u8), is_used: bool, days: i64, order: Option<u8>) -> UserCoupon {
        let wire = format!(r#"{{"stock_id":"{stock}","coupon_code":"C{code}"}}"#);
        let row = user_coupon_row(serde_json::from_str(&wire).unwrap(), format!("p{user}"), DAY.parse().unwrap());
        let noon: DateTime<Utc> = format!("{DAY}T04:00:00Z").parse().unwrap();
        UserCoupon {
            coupon_state: Some(if is_used { "USED" } else { "SENDED" }.to_owned()),
            use_time: Some(noon - chrono::TimeDelta::days(days)),
            associate_out_trade_no: order.map(|order| format!("M{order}")),
            ..row
        }
    }

    fn coupons() -> impl Strategy<Value = BTreeMap<[String; 3], UserCoupon>> {
        let key = (1_u8..4, 0_u8..4, 0_u8..3);
        let row = (key, prop::bool::weighted(0.8), -1_i64..4, prop::option::of(0_u8..6));
        prop::collection::vec(row, 0..25).prop_map(|coupons| {
            let coupons = coupons.into_iter().map(|(key, is_used, days, order)| coupon(key, is_used, days, order));
            coupons.map(|it| ([it.stock_id.clone(), it.coupon_code.clone(), it.openid.clone()], it)).collect()
        })
    }

    fn lines() -> impl Strategy<Value = Vec<Line>> {
        let line = (0_u8..6, prop::option::of((1_u8..4, 0_u8..4)), prop::option::of(0_u8..4), any::<bool>());
        let line = line.prop_map(|(order, coupon, user, is_paid)| Line {
            out_trade_no: format!("M{order}"),
            stock_id: coupon.map(|it| it.0.to_string()).unwrap_or_default(),
            coupon_code: coupon.map(|it| format!("C{}", it.1)).unwrap_or_default(),
            openid: user.map(|user| format!("p{user}")),
            is_paid,
        });
        prop::collection::vec(line, 0..25)
    }

    proptest! {
        #[test]
        fn what_is_read_side_by_side_is_doubted_as_if_it_were_held(
            coupons in coupons(), lines in lines(), memory_bytes in prop_oneof![1_usize..2_000, Just(usize::MAX)]
        ) {
            let folder = tempfile::tempdir().unwrap();
            let room = Room { folder: folder.path().to_owned(), memory_bytes };
            let rules = RuleSettings { must_associate: vec!["2".into()], lookback_days: 3, ..RuleSettings::default() };
            // Nobody knows user 3, nor user 2.
            let known: BTreeMap<_, _> = (0..2).map(|user| (format!("p{user}"), format!("o{user}"))).collect();
            let mut kept = Keeper::new(&room);
            coupons.values().for_each(|coupon| kept.push(coupon).unwrap());
            let mut users = Keeper::new(&room);
            for (published, raw) in &known {
                users.push(&Jotting { key: &[published], mark: 0, texts: &[raw] }).unwrap();
            }
            let mut orders = Lines::new(&room);
            lines.iter().for_each(|line| orders.add(&line.borrowed()).unwrap());
            let roster = Roster { ask: Kept::default(), by_published: users.finish().unwrap() };
            let doubter = Doubter { rules: &rules, date: DAY.parse().unwrap(), room };
            let doubts = doubter.find(&kept.finish().unwrap(), &orders.settle().unwrap(), &roster).unwrap();
            let doubts: Vec<_> = doubts.rows().unwrap().map(Doubt::unpack).map(Result::unwrap).collect();
            prop_assert_eq!(doubts, held(&rules, &coupons, &lines, &known).into_iter().collect::<Vec<_>>());
        }
    }
}
