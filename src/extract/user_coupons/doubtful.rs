//! Chooses the coupons for the single query, because lists may lag (design §3, §12): those that orders claim but no
//! wallet shows, those that nobody looked at since an order claimed them, those whose listed association would trigger
//! a rule, and those whose list row may lack a return (reference v3 §6, 23). Coupons, claims and orders are merged in
//! one order.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;

use chrono::{DateTime, NaiveDate, Utc};

use crate::clock;
use crate::extract::Lookback;
use crate::extract::lookback::{Claim, keep};
use crate::extract::roster::{Roster, raw_openid};
use crate::job::RuleSettings;
use crate::record::UserCoupon;
use crate::record::coupon_state::{EXPIRED, SENDED, USED};
use crate::sorter::{HeldRow, JoinSide, Jotting, Keeper, Kept, PackedRow, Room, Sorter};

/// A coupon to request by the single query.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Doubt {
    /// Published openid.
    pub(super) openid: String,
    /// Code.
    pub(super) coupon_code: String,
    /// Raw openid, for the request.
    pub(super) raw_openid: String,
}

impl Doubt {
    /// Unpacks a row of the result of `find`.
    pub(super) fn unpack(row: PackedRow<'_>) -> Doubt {
        let mut cells = row.unpack();
        let (openid, coupon_code) = (cells.key_text().into_owned(), cells.key_text().into_owned());
        Doubt { openid, coupon_code, raw_openid: cells.text().to_owned() }
    }
}

/// Whether a listed row can be trusted.
#[derive(Debug, PartialEq, Eq)]
enum Worth<'c> {
    Fine,
    Doubtful,
    /// In doubt unless an order of this number was paid.
    DoubtfulUnlessPaid(&'c str),
    /// In doubt if an order of this number was paid.
    DoubtfulIfPaid(&'c str),
}

/// What doubts depend on besides the rows, and where rows are sorted.
pub(super) struct Doubter<'n> {
    pub(super) rules: &'n RuleSettings,
    pub(super) date: NaiveDate,
    /// Earlier nights on which wallets or single queries were not all answered.
    pub(super) partial_nights: BTreeSet<NaiveDate>,
    pub(super) room: Room,
}

impl Doubter<'_> {
    /// The coupons in doubt, each once, by published openid and code. `spent` are the keys of coupons in tonight's
    /// requested wallets that the last night knew as used or returned.
    pub(super) fn find(&self, coupons: &Kept, spent: &Kept, orders: &Lookback, roster: &Roster) -> io::Result<Kept> {
        let mut doubts = Doubts(Sorter::new(&self.room));
        let by_order = self.add_listed(coupons, spent, orders, &mut doubts)?;
        doubts.add_by_order(by_order, orders)?;
        doubts.add_unseen(coupons, orders)?;
        self.of_known_users(&keep(doubts.0, &self.room)?, roster)
    }

    /// Adds listed coupons whose row is in doubt; returns those for which that depends on an order, by order number.
    fn add_listed(&self, coupons: &Kept, spent: &Kept, orders: &Lookback, doubts: &mut Doubts) -> io::Result<Sorter> {
        let mut by_order = Sorter::new(&self.room);
        let (mut claims, mut spent) = (JoinSide::new(orders.claims.rows()?, 2), JoinSide::new(spent.rows()?, 3));
        coupons.rows()?.each(|row| {
            let coupon = UserCoupon::unpack(&mut row.unpack());
            if !self.can_be_in_doubt(&coupon) {
                return Ok(());
            }
            let claims = claims.find(row.beginning(2))?.map(Claim::unpack).filter(|claim| claim.is_paid);
            let was_spent = || Ok(spent.find(row.beginning(3))?.next().is_some());
            let (openid, code) = (&*coupon.openid, &*coupon.coupon_code);
            let mut wait_for =
                |order: &str, if_paid| by_order.push(&Jotting::of(&[order]).marked(if_paid).with(&[openid, code]));
            match self.worth(&coupon, &claims.collect::<Vec<_>>(), was_spent)? {
                Worth::Fine => Ok(()),
                Worth::Doubtful => doubts.add(openid, code),
                Worth::DoubtfulUnlessPaid(order) => wait_for(order, false),
                Worth::DoubtfulIfPaid(order) => wait_for(order, true),
            }
        })?;
        Ok(by_order)
    }

    /// Whether the claims on a coupon can matter: not for one that was seen tonight with neither a use nor an association,
    /// and whose row is complete.
    fn can_be_in_doubt(&self, coupon: &UserCoupon<Cow<'_, str>>) -> bool {
        coupon.associate_out_trade_no.is_some()
            || coupon.verified_date != self.date
            || self.is_used_in_lookback(coupon)
            || self.may_lack_return(coupon)
    }

    /// Whether a listed row can be trusted, given the paid `claims` on its coupon. `was_spent` says whether the last night
    /// knew it as used or returned.
    fn worth<'c>(
        &self,
        coupon: &'c UserCoupon<Cow<'_, str>>,
        claims: &[Claim<'_>],
        was_spent: impl FnOnce() -> io::Result<bool>,
    ) -> io::Result<Worth<'c>> {
        if is_outdated(coupon, claims) {
            return Ok(Worth::Doubtful);
        }
        if self.is_used_in_lookback(coupon) {
            return Ok(self.worth_of_association(coupon, claims));
        }
        if !self.may_lack_return(coupon) {
            let is_of_tonight = coupon.verified_date == self.date;
            return Ok(if is_of_tonight { worth_of_any(coupon, claims) } else { Worth::Fine });
        }
        if self.was_taken_back(coupon) {
            return Ok(Worth::Doubtful);
        }
        Ok(worth_of_unused(coupon, claims, was_spent()?))
    }

    /// A use without a time may be of any day.
    fn is_used_in_lookback(&self, coupon: &UserCoupon<Cow<'_, str>>) -> bool {
        let is_used = coupon.coupon_state.as_deref() == Some(USED);
        is_used && (coupon.use_time.is_none() || self.is_recent(coupon.use_time))
    }

    /// Whether tonight's row shows neither use nor return: a list that omits returns shows a returned coupon as never
    /// used, and one that omits a state shows nothing. So a row may that was carried from a night on which the single query
    /// may not have been answered.
    fn may_lack_return(&self, coupon: &UserCoupon<Cow<'_, str>>) -> bool {
        let is_unused = coupon.coupon_state.as_deref() != Some(USED);
        let is_unsure = coupon.verified_date == self.date || self.partial_nights.contains(&coupon.verified_date);
        is_unused && coupon.return_time.is_none() && is_unsure
    }

    /// Whether a row without a return tells of a use within the look-back although its state is that of an unused
    /// coupon: only a return explains that, and only its time tells of which day it was.
    fn was_taken_back(&self, coupon: &UserCoupon<Cow<'_, str>>) -> bool {
        matches!(coupon.coupon_state.as_deref(), None | Some(SENDED | EXPIRED)) && self.is_recent(coupon.use_time)
    }

    /// Whether the last night's row shows a use or a return within the look-back, which tonight's row should then show
    /// as well.
    pub(super) fn is_spent(&self, coupon: &UserCoupon<Cow<'_, str>>) -> bool {
        self.is_used_in_lookback(coupon) || self.is_recent(coupon.return_time)
    }

    fn is_recent(&self, instant: Option<DateTime<Utc>>) -> bool {
        let lookback = self.rules.lookback_start(self.date)..=self.date;
        instant.is_some_and(|instant| lookback.contains(&clock::business_date_of(instant)))
    }

    /// Whether AO02, AO05 or AO07 would report a used coupon by its listed row, given the `claims` on it. AO01, of one without
    /// association and claim, goes by the list: where redemptions have numbers of their own and orders name no coupons,
    /// all used coupons of the look-back would be requested every night.
    fn worth_of_association<'c>(&self, coupon: &'c UserCoupon<Cow<'_, str>>, claims: &[Claim<'_>]) -> Worth<'c> {
        let is_doubtful = match (coupon.associate_out_trade_no.as_deref(), claims) {
            (Some(order), []) => return Worth::DoubtfulUnlessPaid(order),
            (Some(_), claims) => has_other_claim(coupon, claims),
            (None, []) => false,
            (None, _) => self.rules.must_associate.iter().any(|stock_id| *stock_id == coupon.stock_id),
        };
        if is_doubtful { Worth::Doubtful } else { Worth::Fine }
    }

    /// Those whose raw openid is known, with that openid.
    fn of_known_users(&self, doubts: &Kept, roster: &Roster) -> io::Result<Kept> {
        let mut known = JoinSide::new(roster.by_published.rows()?, 1);
        let mut askable = Keeper::new(&self.room);
        doubts.rows()?.each(|row| {
            let Some(user) = known.find(row.beginning(1))?.last() else { return Ok(()) };
            let mut cells = row.unpack();
            let (openid, code) = (cells.key_text(), cells.key_text());
            askable.push(&Jotting::of(&[&openid, &code]).with(&[raw_openid(user)]))
        })?;
        askable.finish()
    }
}

/// Whether a row was carried from a night before the export that claims the coupon: the wallet of the order's user was to
/// be requested that night and did not answer, or the coupon is another user's. AO03 and SU04 would take the past for the
/// present.
fn is_outdated(coupon: &UserCoupon<Cow<'_, str>>, claims: &[Claim<'_>]) -> bool {
    claims.iter().any(|claim| coupon.verified_date < claim.listed_on)
}

/// Whether an order claims a coupon that is associated with another one. Which of several claims is refunded in full is not
/// known here.
fn has_other_claim(coupon: &UserCoupon<Cow<'_, str>>, claims: &[Claim<'_>]) -> bool {
    let association = coupon.associate_out_trade_no.as_deref();
    association.is_some_and(|order| claims.iter().any(|claim| claim.out_trade_no != order))
}

/// AO05 looks at the association whatever became of the coupon: one that was returned, or used before the look-back.
fn worth_of_any<'c>(coupon: &UserCoupon<Cow<'_, str>>, claims: &[Claim<'_>]) -> Worth<'c> {
    if has_other_claim(coupon, claims) { Worth::Doubtful } else { Worth::Fine }
}

/// Whether something indicates a use that the listed row, without a return, does not show. If the coupon was used and
/// returned, AO03 and SU04 would wrongly report it, AO15 would not, and its receipts would not be requested.
fn worth_of_unused<'c>(coupon: &'c UserCoupon<Cow<'_, str>>, claims: &[Claim<'_>], was_spent: bool) -> Worth<'c> {
    match coupon.associate_out_trade_no.as_deref() {
        _ if was_spent || !claims.is_empty() => Worth::Doubtful,
        Some(order) => Worth::DoubtfulIfPaid(order),
        None => Worth::Fine,
    }
}

/// Collects doubts: published openid and code.
struct Doubts(Sorter);

impl Doubts {
    fn add(&mut self, openid: &str, coupon_code: &str) -> io::Result<()> {
        self.0.push(&Jotting::of(&[openid, coupon_code]))
    }

    /// Adds doubts that depend on an order; their mark says whether they need it paid, or not paid.
    fn add_by_order(&mut self, by_order: Sorter, orders: &Lookback) -> io::Result<()> {
        let mut paid = JoinSide::new(orders.paid.rows()?, 1);
        by_order.finish()?.each(|row| {
            let is_paid = paid.find(row.key())?.next().is_some();
            let mut cells = row.unpack();
            match cells.flag() == is_paid {
                true => self.add(cells.text(), cells.text()),
                false => Ok(()),
            }
        })
    }

    /// Adds coupons that paid orders claim and no wallet shows; the last of the orders says whose coupon to request.
    fn add_unseen(&mut self, coupons: &Kept, orders: &Lookback) -> io::Result<()> {
        let mut coupons = JoinSide::new(coupons.rows()?, 2);
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
    use crate::extract::night::Imprint;
    use crate::extract::wire::user_coupon_row;

    const DAY: &str = "2026-11-18";

    /// An order line that owns its texts.
    #[derive(Debug)]
    struct Line {
        out_trade_no: String,
        stock_id: String,
        coupon_code: String,
        openid: Option<String>,
        is_paid: bool,
        listed_on: NaiveDate,
    }

    impl Line {
        fn borrowed(&self) -> LookbackLine<'_> {
            LookbackLine {
                out_trade_no: &self.out_trade_no,
                stock_id: &self.stock_id,
                coupon_code: &self.coupon_code,
                openid: self.openid.as_deref(),
                paid_at: self.is_paid.then_some(0),
                business_date: self.listed_on.to_epoch_days(),
            }
        }
    }

    /// The same over rows in memory, as a reference.
    fn held(
        rules: &RuleSettings,
        coupons: &BTreeMap<[String; 3], UserCoupon>,
        (spent, partial_nights): (&BTreeSet<[String; 3]>, &BTreeSet<NaiveDate>),
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
            let is_outdated = |line: &&Line| coupon.verified_date < line.listed_on;
            if claims.get(&key).is_some_and(|lines| lines.iter().any(|line| is_outdated(line))) {
                doubt(&coupon.openid, &coupon.coupon_code);
                continue;
            }
            let used = coupon.use_time.map(clock::business_date_of);
            let is_used = coupon.coupon_state.as_deref() == Some("USED");
            let is_unsure = coupon.verified_date == to || partial_nights.contains(&coupon.verified_date);
            let has_other_claim = |lines: &[&&Line], order: &str| lines.iter().any(|line| line.out_trade_no != order);
            if is_used && !used.is_none_or(|day| (from..=to).contains(&day)) {
                if let (Some(order), Some(lines)) = (&coupon.associate_out_trade_no, claims.get(&key))
                    && coupon.verified_date == to
                    && has_other_claim(lines, order)
                {
                    doubt(&coupon.openid, &coupon.coupon_code);
                }
                continue;
            }
            let full_key = [coupon.stock_id.clone(), coupon.coupon_code.clone(), coupon.openid.clone()];
            let is_doubtful = match (&coupon.associate_out_trade_no, claims.get(&key)) {
                (Some(order), Some(lines))
                    if !is_used && coupon.return_time.is_some() && coupon.verified_date == to =>
                {
                    has_other_claim(lines, order)
                }
                _ if !is_used && (coupon.return_time.is_some() || !is_unsure) => false,
                _ if !is_used && spent.contains(&full_key) => true,
                _ if !is_used && used.is_some_and(|day| (from..=to).contains(&day)) => true,
                (order, claims) if !is_used => {
                    claims.is_some() || order.as_ref().is_some_and(|order| numbers.contains(order.as_str()))
                }
                (Some(order), None) => !numbers.contains(order.as_str()),
                (Some(order), Some(lines)) => has_other_claim(lines, order),
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

    /// The state of a coupon.
    #[derive(Debug, Clone, Copy)]
    enum Fate {
        Used,
        Unused,
        /// Used and returned, in a list that omits the return.
        TakenBack,
        Returned,
        /// Unused, according to an earlier night.
        Carried,
        /// In a list that omits its state.
        Stateless,
    }

    fn coupon((stock, code, user): (u8, u8, u8), fate: Fate, days: i64, order: Option<u8>) -> UserCoupon {
        let wire = format!(r#"{{"stock_id":"{stock}","coupon_code":"C{code}"}}"#);
        let row = user_coupon_row(
            serde_json::from_str(&wire).unwrap(),
            format!("p{user}"),
            Imprint::raw(DAY.parse().unwrap()),
        );
        let noon: DateTime<Utc> = format!("{DAY}T04:00:00Z").parse().unwrap();
        UserCoupon {
            coupon_state: match fate {
                Fate::Used => Some("USED".to_owned()),
                Fate::Stateless => None,
                _ => Some("SENDED".to_owned()),
            },
            use_time: (!matches!(fate, Fate::Unused)).then(|| noon - chrono::TimeDelta::days(days)),
            return_time: matches!(fate, Fate::Returned).then_some(noon),
            verified_date: row.verified_date - chrono::TimeDelta::days(i64::from(matches!(fate, Fate::Carried))),
            associate_out_trade_no: order.map(|order| format!("M{order}")),
            ..row
        }
    }

    fn coupons() -> impl Strategy<Value = BTreeMap<[String; 3], UserCoupon>> {
        let key = (1_u8..4, 0_u8..4, 0_u8..3);
        let fate = prop_oneof![
            5 => Just(Fate::Used), 3 => Just(Fate::Unused), 2 => Just(Fate::TakenBack), 1 => Just(Fate::Returned), 1 => Just(Fate::Carried),
            1 => Just(Fate::Stateless)
        ];
        let row = (key, fate, -1_i64..4, prop::option::of(0_u8..6));
        prop::collection::vec(row, 0..25).prop_map(|coupons| {
            let coupons = coupons.into_iter().map(|(key, fate, days, order)| coupon(key, fate, days, order));
            coupons.map(|it| ([it.stock_id.clone(), it.coupon_code.clone(), it.openid.clone()], it)).collect()
        })
    }

    fn lines() -> impl Strategy<Value = Vec<Line>> {
        let coupon = prop::option::of((1_u8..4, 0_u8..4));
        let line = (0_u8..6, coupon, prop::option::of(0_u8..4), any::<bool>(), 0_i64..3);
        let line = line.prop_map(|(order, coupon, user, is_paid, days)| Line {
            out_trade_no: format!("M{order}"),
            stock_id: coupon.map(|it| it.0.to_string()).unwrap_or_default(),
            coupon_code: coupon.map(|it| format!("C{}", it.1)).unwrap_or_default(),
            openid: user.map(|user| format!("p{user}")),
            is_paid,
            listed_on: DAY.parse::<NaiveDate>().unwrap() - chrono::TimeDelta::days(days),
        });
        prop::collection::vec(line, 0..25)
    }

    fn spent() -> impl Strategy<Value = BTreeSet<[String; 3]>> {
        let key = (1_u8..4, 0_u8..4, 0_u8..3)
            .prop_map(|(stock, code, user)| [stock.to_string(), format!("C{code}"), format!("p{user}")]);
        prop::collection::btree_set(key, 0..4)
    }

    /// The codes in doubt of one user's coupons that no earlier night knew as spent.
    fn doubted(coupons: &[UserCoupon], lines: &[Line]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: usize::MAX };
        let (mut kept, mut users) = (Keeper::new(&room), Keeper::new(&room));
        coupons.iter().for_each(|coupon| kept.push(coupon).unwrap());
        users.push(&Jotting::of(&["p1"]).with(&["o1"])).unwrap();
        let roster = Roster { ask: Kept::default(), by_published: users.finish().unwrap() };
        let mut orders = Lines::new(&room);
        lines.iter().for_each(|line| orders.add(&line.borrowed()).unwrap());
        let orders = orders.settle().unwrap();
        let rules = RuleSettings { lookback_days: 3, ..RuleSettings::default() };
        let doubter = Doubter { rules: &rules, date: DAY.parse().unwrap(), partial_nights: BTreeSet::new(), room };
        let doubts = doubter.find(&kept.finish().unwrap(), &Kept::default(), &orders, &roster).unwrap();
        doubts.rows().unwrap().map(Doubt::unpack).map(|doubt| doubt.unwrap().coupon_code).collect()
    }

    #[test]
    fn a_row_that_tells_of_a_use_and_not_of_its_return_is_in_doubt_though_nobody_claims_it() {
        let of_state = |code, state: &str, fate| {
            let row = coupon((1, code, 1), fate, 1, None);
            UserCoupon { coupon_state: Some(state.to_owned()), ..row }
        };
        let older = coupon((1, 4, 1), Fate::TakenBack, 3, None);
        let coupons = [
            of_state(0, "SENDED", Fate::TakenBack),
            of_state(1, "EXPIRED", Fate::TakenBack),
            of_state(2, "DELETED", Fate::TakenBack),
            of_state(3, "SENDED", Fate::Returned),
            older,
            of_state(5, "SENDED", Fate::Unused),
        ];
        assert_eq!(doubted(&coupons, &[]), ["C0", "C1"]);
    }

    #[test]
    fn a_row_from_before_the_export_that_claims_its_coupon_is_in_doubt() {
        let carried = |code| coupon((1, code, 1), Fate::Carried, 5, None);
        let claim = |code: u8, days, is_paid| Line {
            out_trade_no: format!("M{code}"),
            stock_id: "1".to_owned(),
            coupon_code: format!("C{code}"),
            openid: Some("p2".to_owned()),
            is_paid,
            listed_on: DAY.parse::<NaiveDate>().unwrap() - chrono::TimeDelta::days(days),
        };
        let lines = [claim(0, 0, true), claim(1, 1, true), claim(2, 0, false)];
        assert_eq!(doubted(&[carried(0), carried(1), carried(2), carried(3)], &lines), ["C0"]);
    }

    #[test]
    fn a_coupon_is_asked_for_before_any_of_its_claims_makes_its_association_another() {
        let listed = |code, fate, days| coupon((1, code, 1), fate, days, Some(code));
        let unknown_use = UserCoupon { use_time: None, ..listed(3, Fate::Used, 0) };
        let coupons = [listed(0, Fate::Used, 0), listed(1, Fate::Used, 0), listed(2, Fate::Returned, 1), unknown_use];
        let claim = |order: u8, code: u8| Line {
            out_trade_no: format!("M{order}"),
            stock_id: "1".to_owned(),
            coupon_code: format!("C{code}"),
            openid: Some("p1".to_owned()),
            is_paid: true,
            listed_on: DAY.parse::<NaiveDate>().unwrap() - chrono::TimeDelta::days(3),
        };
        // Which of two claims is refunded is not known here; no order has the number of the last coupon.
        let lines = [claim(0, 0), claim(1, 1), claim(5, 1), claim(4, 2)];
        assert_eq!(doubted(&coupons, &lines), ["C1", "C2", "C3"]);
    }

    #[test]
    fn what_the_last_night_knew_as_used_or_returned_within_the_look_back_is_spent() {
        let rules = RuleSettings { lookback_days: 3, ..RuleSettings::default() };
        let room = Room { folder: std::env::temp_dir(), memory_bytes: 1 };
        let doubter = Doubter { rules: &rules, date: DAY.parse().unwrap(), partial_nights: BTreeSet::new(), room };
        let is_spent = |fate, days| {
            let mut kept = Keeper::new(&doubter.room);
            kept.push(&coupon((1, 1, 1), fate, days, None)).unwrap();
            let kept = kept.finish().unwrap();
            let rows = kept.rows().unwrap();
            rows.map(|row| doubter.is_spent(&UserCoupon::unpack(&mut row.unpack()))).all(Result::unwrap)
        };
        assert!(is_spent(Fate::Used, 0) && is_spent(Fate::Used, 2) && is_spent(Fate::Returned, 0));
        assert!(!is_spent(Fate::Used, 3), "it left the look-back");
        assert!(!is_spent(Fate::Unused, 0));
    }

    proptest! {
        #[test]
        fn what_is_read_side_by_side_is_doubted_as_if_it_were_held(
            coupons in coupons(), spent in spent(), lines in lines(), is_last_night_partial in any::<bool>(),
            memory_bytes in prop_oneof![1_usize..2_000, Just(usize::MAX)]
        ) {
            let folder = tempfile::tempdir().unwrap();
            let room = Room { folder: folder.path().to_owned(), memory_bytes };
            let rules = RuleSettings { must_associate: vec!["2".into()], lookback_days: 3, ..RuleSettings::default() };
            let partial_nights: BTreeSet<NaiveDate> =
                is_last_night_partial.then(|| DAY.parse::<NaiveDate>().unwrap() - chrono::TimeDelta::days(1)).into_iter().collect();
            // Users 3 and 2 are unknown.
            let known: BTreeMap<_, _> = (0..2).map(|user| (format!("p{user}"), format!("o{user}"))).collect();
            let mut kept = Keeper::new(&room);
            coupons.values().for_each(|coupon| kept.push(coupon).unwrap());
            let mut kept_spent = Keeper::new(&room);
            for [stock, code, user] in &spent {
                kept_spent.push(&Jotting::of(&[stock, code, user])).unwrap();
            }
            let mut users = Keeper::new(&room);
            for (published, raw) in &known {
                users.push(&Jotting::of(&[published]).with(&[raw])).unwrap();
            }
            let mut orders = Lines::new(&room);
            lines.iter().for_each(|line| orders.add(&line.borrowed()).unwrap());
            let roster = Roster { ask: Kept::default(), by_published: users.finish().unwrap() };
            let doubter = Doubter { rules: &rules, date: DAY.parse().unwrap(), partial_nights: partial_nights.clone(), room };
            let (kept, kept_spent) = (kept.finish().unwrap(), kept_spent.finish().unwrap());
            let doubts = doubter.find(&kept, &kept_spent, &orders.settle().unwrap(), &roster).unwrap();
            let doubts: Vec<_> = doubts.rows().unwrap().map(Doubt::unpack).map(Result::unwrap).collect();
            prop_assert_eq!(doubts, held(&rules, &coupons, (&spent, &partial_nights), &lines, &known).into_iter().collect::<Vec<_>>());
        }
    }
}
