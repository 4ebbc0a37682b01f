//! Stage `user_coupons`: requests the wallets of tonight's roster page by page, then by the single query those coupons
//! whose listed row is in doubt, and carries the rest over from the last night. Coupons are sorted in bounded memory;
//! per wallet, only a fingerprint that it was requested stays in memory.

mod doubtful;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::io;

use doubtful::{Doubt, Doubter};

use super::ask::{Place, ask_each, read_page, read_page_by, require_echo, settle_and_read, settle_and_read_by};
use super::gathered::{Gathered, Handful, Known};
use super::issue::IssueKind;
use super::listing::{ListPage, Listing, Measure, OffsetMeaning, read_list, stated_total};
use super::night::Imprint;
use super::odd_fields::OddFields;
use super::roster::Roster;
use super::wire::user_coupon_row;
use super::{Harvest, Issue, Lookback, Night};
use crate::api::Api;
use crate::fingerprints::Fingerprints;
use crate::job::WalletSettings;
use crate::journal::{Entry, Page, StageJournal};
use crate::quantity::counted;
use crate::record::UserCoupon;
use crate::sorter::{Jotting, Keeper, Kept, Packed, PackedRow};
use crate::stage::Stage;
use crate::threads;
use crate::wechat::oddity::{Mendable, Shape};
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor::{self, CouponFilter, UserCouponPage};
use crate::wechat::wording::shown;
use crate::wechat::{ParseError, Request};

const STAGE: Stage = Stage::UserCoupons;
/// Prefixes of journal keys: the pages of a wallet, and a coupon of the single query.
const WALLET: &str = "wallet/";
const SINGLE: &str = "single/";
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };
/// The server clamps larger pages to this (design §12).
pub(super) const PAGE_ROWS: u64 = 20;
/// Nobody holds twenty thousand coupons of one merchant.
const MEASURE: Measure = Measure { page_rows: PAGE_ROWS, most_pages: 1000 };

/// What of a coupon may be odd.
const SHAPE: Shape = <busifavor::UserCoupon as Mendable>::SHAPE;
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

/// The answer of a requested wallet.
struct Wallet {
    coupons: Handful<UserCoupon>,
    /// The published openid, if WeChat does not know the user.
    stranger: Option<String>,
    odd: OddFields,
}

/// The parts of the night that every call of this stage needs.
struct Requests<'a> {
    night: &'a Night<'a>,
    settings: &'a WalletSettings,
    pay_v3: &'a PayV3,
    journal: &'a StageJournal,
}

/// Requests tonight's wallets. `orders` are the order lines of the look-back including D, with published openids.
pub async fn extract(night: &Night<'_>, roster: &Roster, orders: &Lookback) -> Result<Harvest<Wallets>, Issue> {
    let (Some(settings), Some(pay_v3)) = (&night.job.wallets, &night.apis.pay_v3) else {
        return Ok(Harvest::complete(Wallets::default()));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let requests = Requests { night, settings, pay_v3, journal: &journal };
    let (mut issues, unsettled) = requests.ask_wallets(roster).await?;
    let (asked, unanswered) = requests.asked(roster)?;
    let mut gathered = Gathered::new(&night.corner());
    let mut odd = OddFields::default();
    let strangers = requests.read_wallets(&asked, &mut gathered, &mut odd)?;
    issues.extend(knows_nobody(&asked, &strangers));
    let doubter = Doubter { rules: &night.job.rules, date: night.date, room: night.corner() };
    let spent = requests.carry(&asked, &strangers, &doubter, &mut gathered)?;
    let known = gathered.settle().map_err(Issue::unsorted)?;
    // The digest of the journal only changes with new answers: if there are no single queries, it is computed
    // meanwhile.
    let (digest, doubts) = threads::join(
        || journal.digest(&night.corner()),
        || doubter.find(&known.rows, &spent, orders, roster).map_err(Issue::unsorted),
    );
    let (_, doubts) = (digest?, doubts?);
    issues.extend(requests.ask_single(&doubts).await?);
    let (Known { rows: coupons, intake, .. }, unknown) = requests.replace_single(&doubts, known, &mut odd)?;
    let stocks = stocks_of(&coupons).map_err(Issue::unsorted)?;
    if unsettled > settings.max_unsettled {
        let wallets =
            counted(unsettled, "wallet did not settle while it was", "wallets did not settle while they were");
        let what = format!("{wallets} paged through");
        issues.push(Issue::new(IssueKind::Incomplete, what).hinting("`wallets.max_unsettled` sets how many may"));
    }
    let mut harvest = Harvest::complete(Wallets { coupons, stocks, asked, unanswered, unknown });
    harvest.issues = issues;
    harvest.intake = vec![intake];
    harvest.inputs = vec![(STAGE.to_string(), journal.digest(&night.corner())?)];
    let doubts = usize::try_from(doubts.len()).unwrap_or(usize::MAX);
    let harvest = harvest.noting("unsettled_wallets", unsettled).noting("unknown_wallets", strangers.len());
    Ok(harvest.noting("single_queries", doubts).noting("odd_fields", odd.tell("coupon", "coupons")))
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
    async fn ask_wallets(&self, roster: &Roster) -> Result<(Vec<Issue>, usize), Issue> {
        let meaning = OffsetMeaning::default();
        let unsettled = Cell::new(0);
        let question = |openid: io::Result<String>| openid.map(|openid| (wallet_key(&openid), openid));
        let questions = || Ok(openids(&roster.ask)?.map(question));
        let ask = |openid| self.ask_wallet(openid, &meaning, &unsettled);
        let issues = ask_each(self.night, self.journal, PLACE, questions, ask).await?;
        Ok((issues, unsettled.into_inner()))
    }

    async fn ask_wallet(
        &self,
        openid: String,
        meaning: &OffsetMeaning,
        unsettled: &Cell<usize>,
    ) -> Result<Option<Vec<Page>>, Issue> {
        let listing = read_list(meaning, MEASURE, async |offset| {
            let request = self.wallet_request(&openid, offset);
            let answer = self.pay_v3.send(&request).await;
            if let Some(refused) = ListPage::refused(&request, &answer) {
                return Ok(refused);
            }
            let (page, listed) = settle_and_read_by(&request, answer, Listed::read)?;
            Ok(list_page(page, listed))
        });
        match listing.await? {
            Listing::Settled(pages) => Ok(Some(pages)),
            Listing::Unsettled { seen, total } => {
                unsettled.set(unsettled.get() + 1);
                tracing::warn!(seen, total, "a wallet did not settle; its known coupons are carried over");
                Ok(None)
            }
        }
    }

    fn wallet_request(&self, openid: &str, offset: u64) -> Request<UserCouponPage> {
        let filter = CouponFilter {
            appid: self.settings.appid.clone(),
            creator_merchant: self.settings.creator_merchant.clone(),
            belong_merchant: self.settings.belong_merchant.clone(),
            sender_merchant: self.settings.sender_merchant.clone(),
            ..CouponFilter::default()
        };
        busifavor::user_coupons(openid, &filter, offset, PAGE_ROWS)
    }

    /// Which wallets of tonight's roster have an answer in the journal and which have none. Other entries of the
    /// journal belong to wallets that are no longer on the roster.
    fn asked(&self, roster: &Roster) -> Result<(Fingerprints, Kept), Issue> {
        let mut asked = Fingerprints::expecting(roster.ask.len());
        let mut unanswered = Keeper::new(&self.night.corner());
        for openid in openids(&roster.ask).map_err(Issue::unsorted)? {
            let openid = openid.map_err(Issue::unsorted)?;
            let published = self.night.pseudonyms.publish(&openid);
            if self.journal.contains(&wallet_key(&openid)) {
                asked.insert(&[&published]);
            } else {
                unanswered.push(&Jotting { key: &[&published], mark: 0, texts: &[] }).map_err(Issue::unsorted)?;
            }
        }
        Ok((asked, unanswered.finish().map_err(Issue::unsorted)?))
    }

    /// Reads the rows of the requested wallets. Returns the published openids of users that WeChat does not know.
    fn read_wallets(
        &self,
        asked: &Fingerprints,
        gathered: &mut Gathered<UserCoupon>,
        odd: &mut OddFields,
    ) -> Result<Fingerprints, Issue> {
        let mut strangers = Fingerprints::default();
        let read = |entry: Entry| self.read_wallet(&entry, asked);
        self.journal.visit_read(WALLET, read, |wallet| {
            let Some(Wallet { coupons, stranger, odd: odd_here }) = wallet else { return Ok(()) };
            odd.add(odd_here);
            if let Some(openid) = stranger {
                strangers.insert(&[&openid]);
            }
            gathered.add(&coupons).map_err(Issue::unsorted)
        })?;
        Ok(strangers)
    }

    /// The answer of a wallet, if it was requested.
    fn read_wallet(&self, entry: &Entry, asked: &Fingerprints) -> Result<Option<Wallet>, Issue> {
        let openid = entry.key.strip_prefix(WALLET).unwrap_or_default();
        let published = self.night.pseudonyms.publish(openid);
        if !asked.contains(&[&published]) {
            return Ok(None);
        }
        let request = self.wallet_request(openid, 0);
        let (mut coupons, mut is_known) = (Handful::of_pages(entry.pages.len()), false);
        let mut odd = OddFields::default();
        let imprint = self.night.imprint().about(Some(openid));
        for page in &entry.pages {
            let page = read_page_by(&request, page, WalletPage::read)?;
            is_known |= page.is_some();
            match page {
                Some(WalletPage::Plain(page)) => put(&mut coupons, &mut odd, page, || Cow::from(&published), imprint),
                Some(WalletPage::Mended(page)) => put(&mut coupons, &mut odd, page, || published.clone(), imprint),
                None => {}
            }
        }
        Ok(Some(Wallet { coupons, stranger: (!is_known).then_some(published), odd }))
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
                    spent.push(&Jotting { key, mark: 0, texts: &[] })
                }
                true => Ok(()),
            };
            done.map_err(Issue::unsorted)
        })?;
        spent.finish().map_err(Issue::unsorted)
    }

    async fn ask_single(&self, doubts: &Kept) -> Result<Vec<Issue>, Issue> {
        let question = |row: PackedRow<'_>| {
            let doubt = Doubt::unpack(row);
            (single_key(&doubt.raw_openid, &doubt.coupon_code), doubt)
        };
        let questions = || Ok(doubts.rows()?.map(question));
        let ask = async |doubt: Doubt| {
            let request = self.single_request(&doubt);
            let (page, coupon) = settle_and_read(&request, self.pay_v3.send(&request).await)?;
            coupon.map_or(Ok(()), |coupon| {
                require_echo(&request, &doubt.coupon_code, &coupon.coupon_code)?;
                require_state(&coupon)
            })?;
            Ok(Some(vec![page]))
        };
        ask_each(self.night, self.journal, PLACE, questions, ask).await
    }

    fn single_request(&self, doubt: &Doubt) -> Request<busifavor::UserCoupon> {
        busifavor::user_coupon(&doubt.raw_openid, &doubt.coupon_code, &self.settings.appid)
    }

    /// The single query's answer replaces the listed row, everywhere (design §12). Also returns the coupons that the
    /// single query does not know.
    fn replace_single(
        &self,
        doubts: &Kept,
        known: Known<UserCoupon>,
        odd: &mut OddFields,
    ) -> Result<(Known<UserCoupon>, Fingerprints), Issue> {
        let mut doubtful = Fingerprints::default();
        let add = |row: PackedRow<'_>| {
            let Doubt { raw_openid, coupon_code, .. } = Doubt::unpack(row);
            doubtful.insert(&[&raw_openid, &coupon_code]);
            Ok(())
        };
        doubts.rows().and_then(|rows| rows.each(add)).map_err(Issue::unsorted)?;
        let mut second = Gathered::after(known.intake, &self.night.corner());
        let mut unknown = Fingerprints::expecting(doubts.len());
        self.journal.visit_read(SINGLE, Ok, |entry| {
            let Some(doubt) = self.doubt_of(&entry.key, &doubtful) else { return Ok(()) };
            let page = entry.pages.first().map(|page| read_page(&self.single_request(&doubt), page));
            second.intake.pages += u64::from(page.is_some());
            match page.transpose()?.flatten() {
                Some(entity) => {
                    let row = user_coupon_row(
                        entity,
                        doubt.openid.clone(),
                        self.night.imprint().about(Some(&doubt.raw_openid)),
                    );
                    odd.see(&SHAPE, row.extra.as_deref());
                    second.put(&row).map_err(Issue::unsorted)?;
                }
                None => {
                    unknown.insert(&[&doubt.openid, &doubt.coupon_code]);
                }
            }
            Ok::<(), Issue>(())
        })?;
        Ok((second.replace(&known.rows).map_err(Issue::unsorted)?, unknown))
    }

    /// The doubt that a journal entry answers. Either half of its key may contain a slash.
    fn doubt_of(&self, key: &str, doubtful: &Fingerprints) -> Option<Doubt> {
        let halves = key.strip_prefix(SINGLE)?;
        let splits = halves.match_indices('/').map(|(at, _)| (&halves[..at], &halves[at + 1..]));
        let (raw_openid, coupon_code) = splits.into_iter().find(|(openid, code)| doubtful.contains(&[openid, code]))?;
        Some(Doubt {
            openid: self.night.pseudonyms.publish(raw_openid),
            coupon_code: coupon_code.to_owned(),
            raw_openid: raw_openid.to_owned(),
        })
    }
}

/// Adds the rows of a page; `openid` is the published one.
fn put<T: AsRef<str> + Clone + From<String>>(
    coupons: &mut Handful<UserCoupon>,
    odd: &mut OddFields,
    page: UserCouponPage<T>,
    openid: impl Fn() -> T,
    imprint: Imprint<'_>,
) where
    UserCoupon<T>: Packed,
{
    for entity in page.data {
        let row = user_coupon_row(entity, openid(), imprint);
        odd.see(&SHAPE, row.extra.as_ref().map(T::as_ref));
        coupons.put(&row, row.discount_amount_fen.unwrap_or_default());
    }
}

/// Refuses the answer of the single query without a state: nothing else would tell it, and a coupon without one counts
/// as unknown.
fn require_state(coupon: &busifavor::UserCoupon) -> Result<(), Issue> {
    if coupon.coupon_state.as_deref().is_some_and(|state| !state.is_empty()) {
        return Ok(());
    }
    let what = format!("the single query tells no state of coupon `{}`", shown(&coupon.coupon_code));
    Err(Issue::new(IssueKind::Garbled, what).hinting("run again; the rules on coupons wait until WeChat tells it"))
}

/// Raw openids of the roster.
pub(super) fn openids(ask: &Kept) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    Ok(ask.rows()?.map(|row| row.unpack().key_text().into_owned()))
}

pub(super) fn wallet_key(openid: &str) -> String {
    format!("{WALLET}{openid}")
}

fn single_key(raw_openid: &str, coupon_code: &str) -> String {
    format!("{SINGLE}{raw_openid}/{coupon_code}")
}

/// A page as it was answered.
enum WalletPage<'b> {
    /// As documented, its strings borrowed from the body.
    Plain(UserCouponPage<Cow<'b, str>>),
    /// With odd fields that decide nothing.
    Mended(UserCouponPage),
}

impl<'b> WalletPage<'b> {
    fn read(body: &'b [u8]) -> Result<WalletPage<'b>, ParseError> {
        UserCouponPage::borrowed_from(body)
            .map(WalletPage::Plain)
            .or_else(|strict| UserCouponPage::mended_from(body).map(WalletPage::Mended).ok_or(strict))
    }
}

/// The keys that a page lists, and the total it states.
#[derive(Default)]
struct Listed {
    keys: Vec<String>,
    total: Option<u64>,
}

impl Listed {
    fn read(body: &[u8]) -> Result<Listed, ParseError> {
        match WalletPage::read(body)? {
            WalletPage::Plain(page) => Listed::of(&page),
            WalletPage::Mended(page) => Listed::of(&page),
        }
    }

    /// Refuses a page that lists a coupon twice with different values: which of the two is right would be a guess.
    fn of<T: AsRef<str> + PartialEq>(page: &UserCouponPage<T>) -> Result<Listed, ParseError> {
        let key = |it: &busifavor::UserCoupon<T>| format!("{}/{}", it.stock_id.as_ref(), it.coupon_code.as_ref());
        let keys: Vec<_> = page.data.iter().map(key).collect();
        let mut first = HashMap::new();
        for (at, (key, coupon)) in keys.iter().zip(&page.data).enumerate() {
            if *first.entry(key).or_insert(coupon) != coupon {
                let detail = "lists a coupon of this page again, with different values".to_owned();
                return Err(ParseError::Json { at: format!("data[{at}]"), detail });
            }
        }
        Ok(Listed { total: stated_total(page.total_count), keys })
    }
}

fn list_page(page: Page, listed: Option<Listed>) -> ListPage {
    let is_known = listed.is_some();
    let Listed { keys, total } = listed.unwrap_or_default();
    ListPage { keys, total, is_known, refusal: None, page }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_single_query_must_tell_the_state_of_the_coupon() {
        let told = |json| require_state(&serde_json::from_str(json).unwrap());
        assert_eq!(told(r#"{"stock_id":"1","coupon_code":"A","coupon_state":"REDEEM_FAILED"}"#), Ok(()));
        for stateless in
            [r#"{"stock_id":"1","coupon_code":"A"}"#, r#"{"stock_id":"1","coupon_code":"A","coupon_state":""}"#]
        {
            let issue = told(stateless).unwrap_err();
            assert_eq!((issue.kind, issue.what.contains("coupon `A`")), (IssueKind::Garbled, true), "{}", issue.what);
        }
    }

    #[test]
    fn a_page_may_tell_a_coupon_twice_if_it_tells_it_alike() {
        let read = |states: [&str; 2]| {
            let data = states.map(|state| format!(r#"{{"stock_id":"1","coupon_code":"A","coupon_state":"{state}"}}"#));
            Listed::read(format!(r#"{{"data":[{}],"total_count":1}}"#, data.join(",")).as_bytes())
        };
        assert_eq!(read(["USED", "USED"]).unwrap().keys, ["1/A", "1/A"]);
        assert!(
            read(["USED", "SENDED"])
                .err()
                .unwrap()
                .to_string()
                .contains("`data[1]`: lists a coupon of this page again")
        );
    }
}
