//! The breaks that a reconciliation must find, derived from how each was planted; no rule is run.
//! Rows have exactly the fields of a break's id (design §7), with the raw openid.

use chrono::NaiveDate;
use sha2::{Digest, Sha256};

use crate::simulator::world::Coupon;

use super::books::Purchase;
use super::calendar::{Calendar, later};

/// Header of `truth/{date}.csv`.
pub(super) const COLUMNS: [&str; 11] = [
    "rule_id",
    "stock_id",
    "coupon_code",
    "openid",
    "out_trade_no",
    "transaction_id",
    "out_subsidy_no",
    "card_id",
    "ref_date",
    "subject",
    "status",
];

/// Who signs the decisions.
const APPROVER: &str = "财务 李敏";

/// A resolved break is listed up to and including so many days later (design §12).
const RESOLVED_STAYS_DAYS: u64 = 30;

/// The fields that identify a break, empty where not in its rule's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Stock.
    pub stock_id: String,
    /// Code.
    pub coupon_code: String,
    /// User, raw.
    pub openid: String,
    /// Merchant order number.
    pub out_trade_no: String,
    /// WeChat's payment number.
    pub transaction_id: String,
    /// Merchant's subsidy number.
    pub out_subsidy_no: String,
    /// Card, empty for account rows.
    pub card_id: String,
    /// Day of datacube figures.
    pub ref_date: String,
    /// Which figure.
    pub subject: String,
}

impl Key {
    /// Key `c`.
    pub(super) fn coupon(coupon: &Coupon) -> Key {
        Key { stock_id: coupon.stock_id.clone(), coupon_code: coupon.coupon_code.clone(), ..Key::default() }
    }

    /// Key `c o`.
    pub(super) fn claim(coupon: &Coupon, purchase: &Purchase) -> Key {
        Key { out_trade_no: purchase.out_trade_no.clone(), ..Key::coupon(coupon) }
    }

    /// Key `o`.
    pub(super) fn order(purchase: &Purchase) -> Key {
        Key { out_trade_no: purchase.out_trade_no.clone(), ..Key::default() }
    }

    /// Key `t`.
    pub(super) fn payment(purchase: &Purchase) -> Key {
        Key { transaction_id: purchase.transaction_id.clone(), ..Key::default() }
    }

    /// Key `s`.
    pub(super) fn subsidy(out_subsidy_no: &str) -> Key {
        Key { out_subsidy_no: out_subsidy_no.to_owned(), ..Key::default() }
    }

    /// Key `k`.
    pub(super) fn stock(stock_id: &str) -> Key {
        Key { stock_id: stock_id.to_owned(), ..Key::default() }
    }

    /// Key `d` of an account or member-card figure.
    pub(super) fn figure(ref_date: NaiveDate, subject: String) -> Key {
        Key { ref_date: ref_date.to_string(), subject, ..Key::default() }
    }
}

/// One break and its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planted {
    /// Rule that finds it.
    pub rule_id: &'static str,
    /// What identifies it.
    pub key: Key,
    /// The first night it is listed as `expected`; `new_on` when it never is.
    pub expected_from: NaiveDate,
    /// The night it is `new`.
    pub new_on: NaiveDate,
    /// The night its data arrive.
    pub resolved_on: Option<NaiveDate>,
    /// The night they are gone again, to stay so.
    pub reopened_on: Option<NaiveDate>,
    /// What somebody decided, from the first night on.
    pub decision: Option<Decision>,
}

/// A line of `decisions.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// `accepted` or `written_off`: the status while it holds.
    pub word: &'static str,
    /// The last day it holds; none for good.
    pub until: Option<NaiveDate>,
    /// Why.
    pub reason: &'static str,
}

impl Planted {
    /// New on `date`, open for ever.
    pub(super) fn new(rule_id: &'static str, key: Key, date: NaiveDate) -> Planted {
        Planted {
            rule_id,
            key,
            expected_from: date,
            new_on: date,
            resolved_on: None,
            reopened_on: None,
            decision: None,
        }
    }

    /// Only `expected` until it is due on `date`.
    pub(super) fn due(self, date: NaiveDate) -> Planted {
        Planted { new_on: date, ..self }
    }

    /// Resolved on `date`.
    pub(super) fn resolved(self, date: NaiveDate) -> Planted {
        Planted { resolved_on: Some(date), ..self }
    }

    /// Seen again on `date`, after it was resolved.
    pub(super) fn reopened(self, date: NaiveDate) -> Planted {
        Planted { reopened_on: Some(date), ..self }
    }

    /// Decided about before the first night.
    pub(super) fn decided(self, decision: Decision) -> Planted {
        Planted { decision: Some(decision), ..self }
    }

    /// Its status in `breaks/dt=date`, if it is listed there.
    pub fn status_on(&self, date: NaiveDate) -> Option<&'static str> {
        let undecided = self.undecided_on(date)?;
        let decision = self.decision.filter(|it| it.until.is_none_or(|until| date <= until));
        Some(decision.map_or(undecided, |it| it.word))
    }

    fn undecided_on(&self, date: NaiveDate) -> Option<&'static str> {
        if date < self.expected_from {
            return None;
        }
        match self.reopened_on {
            Some(reopened) if date == reopened => return Some("reopened"),
            Some(reopened) if date > reopened => return Some("open"),
            _ => {}
        }
        match self.resolved_on {
            Some(resolved) if date > later(resolved, RESOLVED_STAYS_DAYS) => None,
            Some(resolved) if date >= resolved => Some("resolved"),
            _ if date < self.new_on => Some("expected"),
            _ if date == self.new_on => Some("new"),
            _ => Some("open"),
        }
    }
}

/// All planted breaks.
#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    breaks: Vec<Planted>,
}

impl Truth {
    /// Notes a break.
    pub(super) fn plant(&mut self, planted: Planted) {
        self.breaks.push(planted);
    }

    /// Every break that some night lists.
    pub(super) fn within(self, calendar: Calendar) -> Vec<Planted> {
        let mut breaks = self.breaks;
        breaks.retain(|planted| planted.expected_from <= calendar.last());
        breaks.sort_by(|left, right| (left.rule_id, &left.key).cmp(&(right.rule_id, &right.key)));
        breaks
    }
}

/// The lines of `decisions.csv`.
pub(super) fn decisions(breaks: &[Planted]) -> Vec<[String; 5]> {
    let line = |planted: &Planted| {
        let Decision { word, until, reason } = planted.decision?;
        let until = until.map(|date| date.to_string()).unwrap_or_default();
        Some([break_id(planted), word.to_owned(), reason.to_owned(), APPROVER.to_owned(), until])
    };
    breaks.iter().filter_map(line).collect()
}

/// The published id (design §7): 16 hex digits of SHA-256 over rule and key. Keys with an openid have
/// another one in the lake, where it is a pseudonym.
fn break_id(planted: &Planted) -> String {
    let row = row(planted, "");
    let (_, key) = row.split_last().expect("a row has eleven cells");
    let digest = Sha256::digest(key.join("\n").as_bytes());
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The lines of `truth/{date}.csv`, sorted by rule and key.
pub(super) fn rows(breaks: &[Planted], date: NaiveDate) -> Vec<[&str; 11]> {
    let listed = breaks.iter().filter_map(|planted| Some((planted, planted.status_on(date)?)));
    listed.map(|(planted, status)| row(planted, status)).collect()
}

fn row<'a>(planted: &'a Planted, status: &'a str) -> [&'a str; 11] {
    let key = &planted.key;
    [
        planted.rule_id,
        &key.stock_id,
        &key.coupon_code,
        &key.openid,
        &key.out_trade_no,
        &key.transaction_id,
        &key.out_subsidy_no,
        &key.card_id,
        &key.ref_date,
        &key.subject,
        status,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::generate::calendar::next;

    fn day(day: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, day).unwrap()
    }

    #[test]
    fn a_break_is_expected_then_new_then_open_then_resolved_for_thirty_days() {
        let planted = Planted::new("SU01", Key::stock("1"), day(2)).due(day(4)).resolved(day(6));
        let life: Vec<_> = day(1).iter_days().take(6).map(|date| planted.status_on(date)).collect();
        assert_eq!(life, [None, Some("expected"), Some("expected"), Some("new"), Some("open"), Some("resolved")]);
        assert_eq!(planted.status_on(later(day(6), 30)), Some("resolved"));
        assert_eq!(planted.status_on(later(day(6), 31)), None);
    }

    #[test]
    fn a_break_reopens_for_one_night_and_a_decision_holds_to_its_last_day() {
        let undone = Planted::new("PM01", Key::stock("1"), day(1)).resolved(day(2)).reopened(day(3));
        let life: Vec<_> = (1..5).map(|number| undone.status_on(day(number)).unwrap()).collect();
        assert_eq!(life, ["new", "resolved", "reopened", "open"]);
        let decision = Decision { word: "accepted", until: Some(day(2)), reason: "r" };
        let decided = Planted::new("PM01", Key::stock("1"), day(1)).decided(decision);
        let life: Vec<_> = (1..4).map(|number| decided.status_on(day(number)).unwrap()).collect();
        assert_eq!(life, ["accepted", "accepted", "open"]);
    }

    #[test]
    fn a_break_that_never_resolves_stays_open() {
        let planted = Planted::new("PM03", Key::default(), day(1));
        assert_eq!(planted.status_on(day(1)), Some("new"));
        assert_eq!(planted.status_on(next(day(1))), Some("open"));
        assert_eq!(planted.status_on(day(30)), Some("open"));
    }

    #[test]
    fn rows_come_sorted_whatever_the_order_of_planting() {
        let mut truth = Truth::default();
        truth.plant(Planted::new("V201", Key::stock("2"), day(1)));
        truth.plant(Planted::new("AO01", Key::stock("9"), day(1)));
        truth.plant(Planted::new("AO01", Key::stock("1"), day(1)));
        truth.plant(Planted::new("AO01", Key::stock("0"), day(3)));
        let breaks = truth.within(Calendar::new(day(1), 2));
        let rows = rows(&breaks, day(1));
        assert_eq!(
            rows.iter().map(|row| (row[0], row[1])).collect::<Vec<_>>(),
            [("AO01", "1"), ("AO01", "9"), ("V201", "2")]
        );
    }
}
