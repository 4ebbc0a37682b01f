//! Whose receipts are asked for tonight (design §12): coupons of programmes that were used or
//! returned, and every coupon of the merchant's ledger, as long as something about them lies in the
//! look-back or their receipts are not settled.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io;

use chrono::{DateTime, NaiveDate, Utc};

use super::{Subsidies, SubsidyInput};
use crate::clock;
use crate::extract::Night;
use crate::extract::lookback::Claim;
use crate::record::{SubsidyOrder, SubsidyPayment, SubsidyReturn, UserCoupon};
use crate::sorter::{Jotting, PackedRow, Sorter};

/// Tonight's questions.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// (stock, code) to list receipts of.
    pub(super) coupons: BTreeSet<(String, String)>,
    /// Receipt ids the ledger names.
    receipts: BTreeSet<String>,
    /// Return receipt ids the ledger names.
    pub(super) returns: BTreeSet<String>,
}

impl Plan {
    /// Receipt ids that the lists did not bring.
    pub(super) fn receipts_missing_from(&self, payments: &BTreeMap<String, SubsidyPayment>) -> BTreeSet<String> {
        let listed: BTreeSet<_> = payments.values().filter_map(|it| it.subsidy_receipt_id.as_deref()).collect();
        self.receipts.iter().filter(|id| !listed.contains(id.as_str())).cloned().collect()
    }
}

/// What speaks of a coupon: whether its receipts are asked for depends on all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// A coupon of a programme that was used or returned.
    Spent,
    /// Something about it lies in the look-back.
    Recent,
    /// A known receipt that cannot change.
    Settled,
    /// A known receipt that still can.
    Unsettled,
    /// A line of the ledger.
    Listed,
    /// The receipt such a line names.
    Receipt,
    /// The return receipt a line of the look-back names.
    RecentReturn,
    /// The return receipt an older line names.
    EarlierReturn,
}

/// Chooses tonight's questions.
pub(super) fn choose(
    night: &Night<'_>,
    input: &SubsidyInput<'_>,
    ledger: &[SubsidyOrder],
    carried: &Subsidies,
) -> io::Result<Plan> {
    let mut words = Words(Sorter::new(&night.corner()));
    let window = Window { from: night.job.rules.lookback_start(night.date), to: night.date };
    let programmes: BTreeSet<&str> = night.job.subsidy_programs.iter().map(|it| it.stock_id.as_str()).collect();
    input.coupons.rows()?.each(|row| words.add_coupon(&UserCoupon::unpack(&mut row.unpack()), &window, &programmes))?;
    input.orders.claims.rows()?.each(|row| {
        let claim = Claim::unpack(row);
        words.say([&claim.stock_id, &claim.coupon_code], Word::Recent, "")
    })?;
    for receipt in &carried.payments {
        let word = if is_settled(receipt.status.as_deref()) { Word::Settled } else { Word::Unsettled };
        words.say([&receipt.stock_id, &receipt.coupon_code], word, "")?;
    }
    ledger.iter().try_for_each(|line| words.add_line(line, &window))?;
    let mut plan = Plan::default();
    let settled = settled_returns(&carried.returns);
    let mut words = words.0.finish()?;
    let mut coupon = About::default();
    while words.next_group(2, |row| coupon.hear(row))? {
        coupon.settle(&settled, &mut plan);
    }
    Ok(plan)
}

/// Words by coupon.
struct Words(Sorter);

impl Words {
    fn say(&mut self, coupon: [&str; 2], word: Word, id: &str) -> io::Result<()> {
        self.0.push(&Jotting { key: &coupon, mark: word as i64, texts: &[id] })
    }

    fn add_coupon(
        &mut self,
        coupon: &UserCoupon<Cow<'_, str>>,
        window: &Window,
        programmes: &BTreeSet<&str>,
    ) -> io::Result<()> {
        let key = [&*coupon.stock_id, &*coupon.coupon_code];
        if programmes.contains(&*coupon.stock_id) && is_used_or_returned(coupon) {
            self.say(key, Word::Spent, "")?;
        }
        match window.holds(coupon.use_time) || window.holds(coupon.return_time) {
            true => self.say(key, Word::Recent, ""),
            false => Ok(()),
        }
    }

    fn add_line(&mut self, line: &SubsidyOrder, window: &Window) -> io::Result<()> {
        let key = [line.stock_id.as_str(), line.coupon_code.as_str()];
        let is_recent = (window.from..=window.to).contains(&line.business_date);
        self.say(key, Word::Listed, "")?;
        if is_recent {
            self.say(key, Word::Recent, "")?;
        }
        if let Some(id) = &line.subsidy_receipt_id {
            self.say(key, Word::Receipt, id)?;
        }
        let word = if is_recent { Word::RecentReturn } else { Word::EarlierReturn };
        match line.subsidy_return_receipt_id.as_str() {
            "" => Ok(()),
            id => self.say(key, word, id),
        }
    }
}

/// All that is said of one coupon.
#[derive(Default)]
struct About {
    coupon: (String, String),
    words: Vec<(i64, String)>,
}

impl About {
    fn hear(&mut self, row: PackedRow<'_>) {
        let mut cells = row.unpack();
        self.coupon = (cells.key_text().into_owned(), cells.key_text().into_owned());
        self.words.push((cells.integer(), cells.text().to_owned()));
    }

    /// Puts what is to be asked into `plan`, and forgets the coupon.
    fn settle(&mut self, settled_returns: &BTreeMap<&str, bool>, plan: &mut Plan) {
        let words = std::mem::take(&mut self.words);
        let is = |wanted: Word| words.iter().any(|(word, _)| *word == wanted as i64);
        let can_change = is(Word::Recent) || is(Word::Unsettled) || !is(Word::Settled);
        if !can_change || !(is(Word::Spent) || is(Word::Listed)) {
            return;
        }
        plan.coupons.insert(std::mem::take(&mut self.coupon));
        for (word, id) in words {
            let is_word = |wanted: Word| word == wanted as i64;
            let is_settled = || settled_returns.get(id.as_str()) == Some(&true);
            if is_word(Word::Receipt) {
                plan.receipts.insert(id);
            } else if is_word(Word::RecentReturn) || (is_word(Word::EarlierReturn) && !is_settled()) {
                plan.returns.insert(id);
            }
        }
    }
}

struct Window {
    from: NaiveDate,
    to: NaiveDate,
}

impl Window {
    fn holds(&self, instant: Option<DateTime<Utc>>) -> bool {
        instant.is_some_and(|instant| (self.from..=self.to).contains(&clock::business_date_of(instant)))
    }
}

fn is_used_or_returned(coupon: &UserCoupon<Cow<'_, str>>) -> bool {
    coupon.coupon_state.as_deref() == Some("USED") || coupon.use_time.is_some() || coupon.return_time.is_some()
}

fn is_settled(status: Option<&str>) -> bool {
    matches!(status, Some("SUCCESS" | "PARTIAL_RETURN" | "FULL_RETURN"))
}

/// Whether the known return receipt of an id is final; the first one, should there be more.
fn settled_returns(carried: &[SubsidyReturn]) -> BTreeMap<&str, bool> {
    let mut settled = BTreeMap::new();
    for it in carried {
        if let Some(id) = it.subsidy_return_receipt_id.as_deref() {
            settled.entry(id).or_insert(it.status.as_deref() == Some("SUCCESS"));
        }
    }
    settled
}
