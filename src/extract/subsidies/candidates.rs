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
use crate::record::receipt_status::{FULL_RETURN, PARTIAL_RETURN, SUCCESS};
use crate::record::{SubsidyOrder, SubsidyPayment, SubsidyReturn, UserCoupon, coupon_state};
use crate::sorter::{CellPacker, JoinSide, Jotting, Keeper, Kept, Mark, PackedRow, Room, Sorter, Unpacker};

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
            id.map_or(Ok(()), |id| listed.push(&Jotting::of(&[&id])))
        })?;
        let (mut listed, mut missing) = (JoinSide::new(listed.finish()?, 1), Keeper::new(room));
        self.receipts.rows()?.each(|row| match listed.find(row.key())?.next() {
            Some(_) => Ok(()),
            None => missing.push(&row),
        })?;
        missing.finish()
    }
}

/// A fact about a coupon; all of its facts together decide whether its receipts are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
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

impl Fact {
    const ALL: [Fact; 9] = [
        Fact::Spent,
        Fact::Recent,
        Fact::Settled,
        Fact::Unsettled,
        Fact::Listed,
        Fact::Receipt,
        Fact::RecentReturn,
        Fact::EarlierReturn,
        Fact::MadeReturn,
    ];

    fn unpack(cells: &mut Unpacker<'_>) -> Fact {
        Fact::ALL[cells.count()]
    }
}

impl Mark for Fact {
    fn pack(self, cells: &mut CellPacker<'_>) {
        cells.count(Fact::ALL.iter().position(|fact| *fact == self).expect("all are listed"));
    }
}

/// Chooses tonight's requests.
pub(super) fn choose(night: &Night<'_>, input: &SubsidyInput<'_>) -> Result<Plan, Issue> {
    let mut facts = Facts(Sorter::new(&night.corner()));
    let window = Window { from: night.job.rules.lookback_start(night.date), to: night.date };
    facts.add_input(night, input, &window).map_err(Issue::unsorted)?;
    night.each_earlier::<SubsidyOrder>(|row| {
        facts.add_line(&SubsidyOrder::unpack(&mut row.unpack()), &window).map_err(Issue::unsorted)
    })?;
    night.each_yesterday::<SubsidyPayment>(|row| {
        facts.add_receipt(&SubsidyPayment::unpack(&mut row.unpack())).map_err(Issue::unsorted)
    })?;
    let mut drafts = Drafts::new(night);
    night.each_yesterday::<SubsidyReturn>(|row| {
        drafts.add_return(&SubsidyReturn::unpack(&mut row.unpack())).map_err(Issue::unsorted)
    })?;
    each_return(night, |id| drafts.returns.push(&Jotting::of(&[id]).marked(Fact::MadeReturn)))?;
    facts.settle(drafts).map_err(Issue::unsorted)
}

/// Facts, sorted by coupon.
struct Facts(Sorter);

impl Facts {
    fn add_input(&mut self, night: &Night<'_>, input: &SubsidyInput<'_>, window: &Window) -> io::Result<()> {
        let programmes: BTreeSet<&str> = night.job.subsidy_programs.iter().map(|it| it.stock_id.as_str()).collect();
        let coupons = input.coupons.rows()?;
        coupons.each(|row| self.add_coupon(&UserCoupon::unpack(&mut row.unpack()), window, &programmes))?;
        input.orders.claims.rows()?.each(|row| {
            let claim = Claim::unpack(row);
            self.note([&claim.stock_id, &claim.coupon_code], Fact::Recent, "")
        })?;
        input.ledger.rows()?.each(|row| self.add_line(&SubsidyOrder::unpack(&mut row.unpack()), window))
    }

    fn add_receipt(&mut self, receipt: &SubsidyPayment<Cow<'_, str>>) -> io::Result<()> {
        let fact = if is_settled(receipt.status.as_deref()) { Fact::Settled } else { Fact::Unsettled };
        self.note([&receipt.stock_id, &receipt.coupon_code], fact, "")
    }

    /// Evaluates the facts of every coupon.
    fn settle(self, mut drafts: Drafts) -> io::Result<Plan> {
        let mut facts = self.0.finish()?;
        let mut coupon = CouponFacts::default();
        while facts.next_group(2, |row| coupon.take(row))? {
            coupon.settle(&mut drafts)?;
        }
        drafts.settle()
    }

    fn note(&mut self, coupon: [&str; 2], fact: Fact, id: &str) -> io::Result<()> {
        self.0.push(&Jotting::of(&coupon).marked(fact).with(&[id]))
    }

    fn add_coupon(
        &mut self,
        coupon: &UserCoupon<Cow<'_, str>>,
        window: &Window,
        programmes: &BTreeSet<&str>,
    ) -> io::Result<()> {
        let key = [&*coupon.stock_id, &*coupon.coupon_code];
        if programmes.contains(&*coupon.stock_id) && is_used_or_returned(coupon) {
            self.note(key, Fact::Spent, "")?;
        }
        match window.holds(coupon.use_time) || window.holds(coupon.return_time) {
            true => self.note(key, Fact::Recent, ""),
            false => Ok(()),
        }
    }

    fn add_line(&mut self, line: &SubsidyOrder<Cow<'_, str>>, window: &Window) -> io::Result<()> {
        let key = [&*line.stock_id, &*line.coupon_code];
        let is_recent = (window.from..=window.to).contains(&line.business_date);
        self.note(key, Fact::Listed, "")?;
        if is_recent {
            self.note(key, Fact::Recent, "")?;
        }
        if let Some(id) = &line.subsidy_receipt_id {
            self.note(key, Fact::Receipt, id.as_ref())?;
        }
        let fact = if is_recent { Fact::RecentReturn } else { Fact::EarlierReturn };
        match line.subsidy_return_receipt_id.as_ref() {
            "" => Ok(()),
            id => self.note(key, fact, id),
        }
    }
}

/// The facts about one coupon.
#[derive(Default)]
struct CouponFacts {
    stock_id: String,
    coupon_code: String,
    /// Each with the id it is about, if it is about one.
    facts: Vec<(Fact, String)>,
}

impl CouponFacts {
    fn take(&mut self, row: PackedRow<'_>) {
        let mut cells = row.unpack();
        (self.stock_id, self.coupon_code) = (cells.key_text().into_owned(), cells.key_text().into_owned());
        self.facts.push((Fact::unpack(&mut cells), cells.text().to_owned()));
    }

    /// Adds the requests for the coupon to `drafts` and resets.
    fn settle(&mut self, drafts: &mut Drafts) -> io::Result<()> {
        let facts = std::mem::take(&mut self.facts);
        let is = |wanted: Fact| facts.iter().any(|(fact, _)| *fact == wanted);
        let can_change = is(Fact::Recent) || is(Fact::Unsettled) || !is(Fact::Settled);
        if !can_change || !(is(Fact::Spent) || is(Fact::Listed)) {
            return Ok(());
        }
        drafts.coupons.push(&Jotting::of(&[&self.stock_id, &self.coupon_code]))?;
        for (fact, id) in &facts {
            match fact {
                Fact::Receipt => drafts.receipts.push(&Jotting::of(&[id]))?,
                Fact::RecentReturn | Fact::EarlierReturn => drafts.returns.push(&Jotting::of(&[id]).marked(*fact))?,
                _ => {}
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
        let fact = if receipt.status.as_deref() == Some(SUCCESS) { Fact::Settled } else { Fact::Unsettled };
        let id = receipt.subsidy_return_receipt_id.as_deref();
        id.map_or(Ok(()), |id| self.returns.push(&Jotting::of(&[id]).marked(fact)))
    }

    fn settle(self) -> io::Result<Plan> {
        let mut asked = Keeper::new(&self.room);
        let (mut returns, mut receipt) = (self.returns.finish()?, ReturnFacts::default());
        while returns.next_group(1, |row| receipt.take(row))? {
            let ReturnFacts { id, facts } = std::mem::take(&mut receipt);
            if is_return_asked(&facts) {
                asked.push(&Jotting::of(&[&id]))?;
            }
        }
        let Drafts { room, coupons, receipts, .. } = self;
        Ok(Plan { coupons: keep(coupons, &room)?, receipts: keep(receipts, &room)?, returns: asked.finish()? })
    }
}

/// The facts about one return receipt.
#[derive(Default)]
struct ReturnFacts {
    id: String,
    facts: Vec<Fact>,
}

impl ReturnFacts {
    fn take(&mut self, row: PackedRow<'_>) {
        let mut cells = row.unpack();
        self.id = cells.key_text().into_owned();
        self.facts.push(Fact::unpack(&mut cells));
    }
}

/// Whether a return receipt of which this is known is requested; of several known versions the first counts.
fn is_return_asked(facts: &[Fact]) -> bool {
    let known = facts.iter().find(|fact| [Fact::Settled, Fact::Unsettled].contains(fact));
    let is_settled = known == Some(&Fact::Settled);
    let is = |wanted: Fact| facts.contains(&wanted);
    is(Fact::RecentReturn) || ((is(Fact::EarlierReturn) || is(Fact::MadeReturn)) && !is_settled)
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
    coupon.coupon_state.as_deref() == Some(coupon_state::USED)
        || coupon.use_time.is_some()
        || coupon.return_time.is_some()
}

fn is_settled(status: Option<&str>) -> bool {
    matches!(status, Some(SUCCESS | PARTIAL_RETURN | FULL_RETURN))
}
