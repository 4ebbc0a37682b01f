//! Stage `user_coupons`: requests the wallets of tonight's roster page by page, then by the single query those coupons
//! whose listed row is in doubt, and carries the rest over from the last night. Coupons are sorted in bounded memory;
//! per wallet, only a fingerprint that it was requested stays in memory.

mod doubtful;
mod page;
mod requests;
mod single;
mod wallet;

use std::collections::BTreeSet;
use std::io;

use doubtful::Doubter;
use requests::{PLACE, Requests};
use single::Replaced;
use wallet::Passed;
pub(super) use wallet::{PAGE_ROWS, wallet_key};

use super::gathered::{Gathered, Known};
use super::issue::IssueKind;
use super::odd_fields::OddFields;
use super::roster::Roster;
use super::{Harvest, Issue, Lookback, Night};
use crate::fingerprints::Fingerprints;
use crate::quantity::counted;
use crate::record::UserCoupon;
use crate::sorter::{Jotting, Keeper, Kept};
use crate::threads;

/// If WeChat does not know this many users, and knows no other, the openids must be wrong.
const FEWEST_STRANGERS: usize = 8;

/// The result of the stage.
#[derive(Debug, Default)]
pub struct Wallets {
    /// The full known state, sorted by key: requested and carried rows, packed.
    pub coupons: Kept,
    /// The stocks of those coupons.
    pub stocks: BTreeSet<String>,
    /// Published openids of wallets that were requested and read to their end tonight.
    pub asked: Fingerprints,
    /// Published openids of tonight's roster whose wallet did not answer or did not settle, each once.
    pub unanswered: Kept,
    /// (published openid, code) of coupons that the single query does not know.
    pub unknown: Fingerprints,
}

/// What the wallets show, with the carried rows of those that were not requested.
struct Shown {
    known: Known<UserCoupon>,
    passed: Passed,
    /// The keys of coupons in requested wallets that the last night knew as used or returned.
    spent: Kept,
    odd: OddFields,
}

/// Requests tonight's wallets. `orders` are the order lines of the look-back including D, with published openids.
pub async fn extract(night: &Night<'_>, roster: &Roster, orders: &Lookback) -> Result<Harvest<Wallets>, Issue> {
    let (Some(settings), Some(pay_v3)) = (&night.job.wallets, &night.apis.pay_v3) else {
        return Ok(Harvest::complete(Wallets::default()));
    };
    let journal = night.journal.stage(PLACE.stage.as_str())?;
    let requests = Requests { night, settings, pay_v3, journal: &journal };
    let (mut issues, unsettled) = requests.ask_wallets(roster).await?;
    let (asked, unanswered) = requests.asked(roster)?;
    let partial_nights = night.partial_nights::<UserCoupon>()?;
    let doubter = Doubter { rules: &night.job.rules, date: night.date, partial_nights, room: night.corner() };
    let Shown { known, passed: Passed { strangers, others: other_wallets }, spent, mut odd } =
        requests.shown(&asked, &doubter)?;
    issues.extend(knows_nobody(&asked, &strangers));
    // The digest of the journal only changes with new answers: if there are no single queries, it is computed
    // meanwhile.
    let (digest, doubts) = threads::join(
        || journal.digest(&night.corner()),
        || doubter.find(&known.rows, &spent, orders, roster).map_err(Issue::unsorted),
    );
    let (_, doubts) = (digest?, doubts?);
    issues.extend(requests.ask_single(&doubts).await?);
    let Replaced { known, unknown, doubtful, others: other_singles } =
        requests.replace_single(&doubts, known, &mut odd)?;
    let Known { rows: coupons, intake, .. } = known;
    let digest = requests.digest(&asked, &doubtful, other_wallets + other_singles)?;
    issues.extend(too_many_unsettled(unsettled, settings.max_unsettled));
    let stocks = stocks_of(&coupons).map_err(Issue::unsorted)?;
    let mut harvest = Harvest::complete(Wallets { coupons, stocks, asked, unanswered, unknown });
    harvest.issues = issues;
    harvest.intake = vec![intake];
    harvest.inputs = vec![(PLACE.stage.to_string(), digest)];
    let doubts = usize::try_from(doubts.len()).unwrap_or(usize::MAX);
    let harvest = harvest.noting("unsettled_wallets", unsettled).noting("unknown_wallets", strangers.len());
    Ok(odd.noted_in(harvest.noting("single_queries", doubts), "coupon", "coupons"))
}

/// Whether WeChat knows none of the requested users: some unknown users are normal, but all of them means that the
/// openids belong to another appid.
fn knows_nobody(asked: &Fingerprints, strangers: &Fingerprints) -> Option<Issue> {
    let what = format!("WeChat knows none of the {} users whose wallets were requested", asked.len());
    let hint =
        "`wallets.appid` must be the appid to which the openids of orders, callbacks and `wallets.roster_file` belong";
    let is_nobody = strangers.len() >= FEWEST_STRANGERS && strangers.len() == asked.len();
    is_nobody.then(|| Issue::new(IssueKind::Incomplete, what).hinting(hint))
}

fn too_many_unsettled(unsettled: usize, most: usize) -> Option<Issue> {
    let wallets = counted(unsettled, "wallet did not settle while it was", "wallets did not settle while they were");
    let issue = || Issue::new(IssueKind::Incomplete, format!("{wallets} paged through"));
    (unsettled > most).then(|| issue().hinting("`wallets.max_unsettled` sets how many may"))
}

/// The stocks of coupons, which are sorted by stock.
fn stocks_of(coupons: &Kept) -> io::Result<BTreeSet<String>> {
    let mut stocks = BTreeSet::<String>::new();
    coupons.rows()?.each(|row| {
        let stock_id = row.unpack().key_text();
        if stocks.last().is_none_or(|last| *last != stock_id) {
            stocks.insert(stock_id.into_owned());
        }
        Ok(())
    })?;
    Ok(stocks)
}

impl Requests<'_> {
    /// The digest over the answers that the night uses; `others` is how many of the journal it does not.
    fn digest(&self, asked: &Fingerprints, doubtful: &Fingerprints, others: usize) -> Result<String, Issue> {
        let room = self.night.corner();
        let is_used = |key: &str| self.is_requested(key, asked) || self.is_doubted(key, doubtful);
        let digest = if others == 0 { self.journal.digest(&room) } else { self.journal.digest_of(&room, is_used) };
        Ok(digest?)
    }

    /// What the requested wallets show, and what the last night knew of the others.
    fn shown(&self, asked: &Fingerprints, doubter: &Doubter<'_>) -> Result<Shown, Issue> {
        let (mut gathered, mut odd) = (Gathered::new(&self.night.corner()), OddFields::default());
        let passed = self.read_wallets(asked, &mut gathered, &mut odd)?;
        let spent = self.carry(asked, &passed.strangers, doubter, &mut gathered)?;
        Ok(Shown { known: gathered.settle().map_err(Issue::unsorted)?, passed, spent, odd })
    }

    /// Carries over wallets that were not requested tonight, and those whose user WeChat no longer knows: an unsigned
    /// 404 (reference v3 §1.3) removes nobody's coupons. Returns the keys of the other coupons that the last night knew
    /// as used or returned.
    fn carry(
        &self,
        asked: &Fingerprints,
        strangers: &Fingerprints,
        doubter: &Doubter<'_>,
        gathered: &mut Gathered<UserCoupon>,
    ) -> Result<Kept, Issue> {
        let mut spent = Keeper::new(&self.night.corner());
        self.night.each_yesterday::<UserCoupon>(|row| {
            let coupon = UserCoupon::unpack(&mut row.unpack());
            let is_answered = asked.contains(&[&coupon.openid]) && !strangers.contains(&[&coupon.openid]);
            let done = match is_answered {
                false => gathered.carry(row, coupon.discount_amount_fen.unwrap_or_default()),
                true if doubter.is_spent(&coupon) => {
                    let key: &[&str] = &[&coupon.stock_id, &coupon.coupon_code, &coupon.openid];
                    spent.push(&Jotting::of(key))
                }
                true => Ok(()),
            };
            done.map_err(Issue::unsorted)
        })?;
        spent.finish().map_err(Issue::unsorted)
    }
}
