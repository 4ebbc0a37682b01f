//! Chooses the receipts to request tonight (design §12): those of used or returned coupons of programmes
//! and of every coupon in the merchant's ledger, as long as they have something within the look-back or are
//! not final; and the returns made by `apply`, until they are final.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;

use chrono::{DateTime, NaiveDate, Utc};

use crate::clock;
use crate::extract::lookback::{Claim, keep};
use crate::extract::made_returns::each_return;
use crate::extract::{Issue, Lookback, Night};
use crate::record::{SubsidyOrder, SubsidyPayment, SubsidyReturn, UserCoupon};
use crate::sorter::{Jotting, Keeper, Kept, Lookup, PackedRow, Room, Sorter};

/// The inputs of the choice.
#[derive(Debug)]
pub struct SubsidyInput<'a> {
    /// Tonight's wallets.
    pub coupons: &'a Kept,
    /// Order lines of the look-back.
    pub orders: &'a Lookback,
    /// The lines of tonight's subsidy ledger.
    pub ledger: &'a Kept,
}

/// Tonight's requests.
#[derive(Debug, Default)]
pub struct Plan {
    /// (stock, code) whose receipts to list.
    pub(super) coupons: Kept,
    /// Receipt ids that the ledger names.
    receipts: Kept,
    /// Return receipt ids to request.
    pub(super) returns: Kept,
}

impl Plan {
    /// Receipt ids that the lists did not contain.
    pub(super) fn receipts_missing_from(&self, payments: &Kept, room: &Room) -> io::Result<Kept> {
        let mut listed = Sorter::new(room);
        payments.rows()?.each(|row| {
            let id = SubsidyPayment::unpack(&mut row.unpack()).subsidy_receipt_id;
            id.map_or(Ok(()), |id| listed.push(&Jotting { key: &[&id], mark: 0, texts: &[] }))
        })?;
        let (mut listed, mut missing) = (Lookup::new(listed.finish()?, 1), Keeper::new(room));
        self.receipts.rows()?.each(|row| match listed.find(row.key())?.next() {
            Some(_) => Ok(()),
            None => missing.push(&row),
        })?;
        missing.finish()
    }
}

/// A fact about a coupon; all of its facts together decide whether its receipts are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// It belongs to a programme and was used or returned.
    Spent,
    /// Something about it is within the look-back.
    Recent,
    /// A known receipt that is final.
    Settled,
    /// A known receipt that may still change.
    Unsettled,
    /// The ledger has a line for it.
    Listed,
    /// The receipt that such a line names.
    Receipt,
    /// The return receipt that a line within the look-back names.
    RecentReturn,
    /// The return receipt that an older line names.
    EarlierReturn,
    /// The return receipt of a call made by `apply`.
    MadeReturn,
}

/// Chooses tonight's requests.
pub(super) fn choose(night: &Night<'_>, input: &SubsidyInput<'_>) -> Result<Plan, Issue> {
    let mut words = Words(Sorter::new(&night.corner()));
    let window = Window { from: night.job.rules.lookback_start(night.date), to: night.date };
    words.add_input(night, input, &window).map_err(Issue::unsorted)?;
    night.each_earlier::<SubsidyOrder>(|row| {
        words.add_line(&SubsidyOrder::unpack(&mut row.unpack()), &window).map_err(Issue::unsorted)
    })?;
    night.each_yesterday::<SubsidyPayment>(|row| {
        words.add_receipt(&SubsidyPayment::unpack(&mut row.unpack())).map_err(Issue::unsorted)
    })?;
    let mut plan = Drafts::new(night);
    night.each_yesterday::<SubsidyReturn>(|row| {
        plan.add_return(&SubsidyReturn::unpack(&mut row.unpack())).map_err(Issue::unsorted)
    })?;
    each_return(night, |id| plan.returns.push(&Jotting { key: &[id], mark: Word::MadeReturn as i64, texts: &[] }))?;
    words.settle(plan).map_err(Issue::unsorted)
}

/// Facts, sorted by coupon.
struct Words(Sorter);

impl Words {
    fn add_input(&mut self, night: &Night<'_>, input: &SubsidyInput<'_>, window: &Window) -> io::Result<()> {
        let programmes: BTreeSet<&str> = night.job.subsidy_programs.iter().map(|it| it.stock_id.as_str()).collect();
        let coupons = input.coupons.rows()?;
        coupons.each(|row| self.add_coupon(&UserCoupon::unpack(&mut row.unpack()), window, &programmes))?;
        input.orders.claims.rows()?.each(|row| {
            let claim = Claim::unpack(row);
            self.say([&claim.stock_id, &claim.coupon_code], Word::Recent, "")
        })?;
        input.ledger.rows()?.each(|row| self.add_line(&SubsidyOrder::unpack(&mut row.unpack()), window))
    }

    fn add_receipt(&mut self, receipt: &SubsidyPayment<Cow<'_, str>>) -> io::Result<()> {
        let word = if is_settled(receipt.status.as_deref()) { Word::Settled } else { Word::Unsettled };
        self.say([&receipt.stock_id, &receipt.coupon_code], word, "")
    }

    /// Evaluates the facts of every coupon.
    fn settle(self, mut drafts: Drafts) -> io::Result<Plan> {
        let mut words = self.0.finish()?;
        let mut coupon = About::default();
        while words.next_group(2, |row| coupon.hear(row))? {
            coupon.settle(&mut drafts)?;
        }
        drafts.settle()
    }

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

    fn add_line(&mut self, line: &SubsidyOrder<Cow<'_, str>>, window: &Window) -> io::Result<()> {
        let key = [&*line.stock_id, &*line.coupon_code];
        let is_recent = (window.from..=window.to).contains(&line.business_date);
        self.say(key, Word::Listed, "")?;
        if is_recent {
            self.say(key, Word::Recent, "")?;
        }
        if let Some(id) = &line.subsidy_receipt_id {
            self.say(key, Word::Receipt, id.as_ref())?;
        }
        let word = if is_recent { Word::RecentReturn } else { Word::EarlierReturn };
        match line.subsidy_return_receipt_id.as_ref() {
            "" => Ok(()),
            id => self.say(key, word, id),
        }
    }
}

/// The facts about one coupon.
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

    /// Adds the requests for the coupon to `drafts` and resets.
    fn settle(&mut self, drafts: &mut Drafts) -> io::Result<()> {
        let words = std::mem::take(&mut self.words);
        let is = |wanted: Word| words.iter().any(|(word, _)| *word == wanted as i64);
        let can_change = is(Word::Recent) || is(Word::Unsettled) || !is(Word::Settled);
        if !can_change || !(is(Word::Spent) || is(Word::Listed)) {
            return Ok(());
        }
        let (stock_id, coupon_code) = &self.coupon;
        drafts.coupons.push(&Jotting { key: &[stock_id, coupon_code], mark: 0, texts: &[] })?;
        for (word, id) in &words {
            if *word == Word::Receipt as i64 {
                drafts.receipts.push(&Jotting { key: &[id], mark: 0, texts: &[] })?;
            } else if [Word::RecentReturn as i64, Word::EarlierReturn as i64].contains(word) {
                drafts.returns.push(&Jotting { key: &[id], mark: *word, texts: &[] })?;
            }
        }
        Ok(())
    }
}

/// Collects requests.
struct Drafts {
    room: Room,
    coupons: Sorter,
    receipts: Sorter,
    /// By id: whether a line names it, and its known state.
    returns: Sorter,
}

impl Drafts {
    fn new(night: &Night<'_>) -> Drafts {
        let sorter = || Sorter::new(&night.corner());
        Drafts { room: night.corner(), coupons: sorter(), receipts: sorter(), returns: sorter() }
    }

    /// Adds a known return receipt.
    fn add_return(&mut self, receipt: &SubsidyReturn<Cow<'_, str>>) -> io::Result<()> {
        let word = if receipt.status.as_deref() == Some("SUCCESS") { Word::Settled } else { Word::Unsettled };
        let id = receipt.subsidy_return_receipt_id.as_deref();
        id.map_or(Ok(()), |id| self.returns.push(&Jotting { key: &[id], mark: word as i64, texts: &[] }))
    }

    fn settle(self) -> io::Result<Plan> {
        let mut asked = Keeper::new(&self.room);
        let mut returns = self.returns.finish()?;
        loop {
            let (mut id, mut words) = (String::new(), Vec::new());
            let hear = |row: PackedRow<'_>| {
                let mut cells = row.unpack();
                id = cells.key_text().into_owned();
                words.push(cells.integer());
            };
            if !returns.next_group(1, hear)? {
                break;
            }
            if is_return_asked(&words) {
                asked.push(&Jotting { key: &[&id], mark: 0, texts: &[] })?;
            }
        }
        let Drafts { room, coupons, receipts, .. } = self;
        Ok(Plan { coupons: keep(coupons, &room)?, receipts: keep(receipts, &room)?, returns: asked.finish()? })
    }
}

/// Whether a return receipt with these marks is requested; of several known versions the first counts.
fn is_return_asked(words: &[i64]) -> bool {
    let known = words.iter().find(|word| [Word::Settled as i64, Word::Unsettled as i64].contains(word));
    let is_settled = known == Some(&(Word::Settled as i64));
    let is = |wanted: Word| words.contains(&(wanted as i64));
    is(Word::RecentReturn) || ((is(Word::EarlierReturn) || is(Word::MadeReturn)) && !is_settled)
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
