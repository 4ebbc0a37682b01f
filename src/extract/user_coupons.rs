//! Stage `user_coupons`: the wallets of tonight's roster, page by page; then the single query for
//! coupons whose listed row cannot be the last word; the rest carried from the last night.

mod doubtful;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use doubtful::Doubt;

use super::ask::{Place, ask_all, read_page, settle, settle_and_read};
use super::issue::IssueKind;
use super::listing::{ListPage, Listing, OffsetMeaning, read_list, stated_total};
use super::roster::Roster;
use super::wire::user_coupon_row;
use super::{Api, Harvest, Issue, LookbackLine, Night};
use crate::dataset::manifest::Intake;
use crate::job::{PayV3Settings, WalletSettings};
use crate::journal::{Page, StageJournal};
use crate::record::{Record, UserCoupon};
use crate::wechat::Request;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor::{self, CouponFilter, UserCouponPage};

const STAGE: &str = "user_coupons";
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };
/// The server clamps larger pages to this (design §12).
pub(super) const PAGE_ROWS: u64 = 20;
/// Nobody holds twenty thousand coupons of one merchant.
const MOST_PAGES: usize = 1000;

/// What the wallets said.
#[derive(Debug, Default)]
pub struct Wallets {
    /// The full known state: asked and carried rows, sorted by key.
    pub coupons: Vec<UserCoupon>,
    /// Published openids that were asked tonight and settled.
    pub asked: BTreeSet<String>,
    /// (published openid, code) that the single query did not know.
    pub unknown: BTreeSet<(String, String)>,
}

/// The parts of the night this stage needs in every call.
struct Counter<'a> {
    night: &'a Night<'a>,
    settings: &'a WalletSettings,
    pay_v3: &'a PayV3,
    limits: &'a PayV3Settings,
    journal: &'a StageJournal,
}

/// Asks tonight's wallets. `orders` are the order lines of the look-back, D's included, with
/// published openids, oldest day first.
pub async fn extract(night: &Night<'_>, roster: &Roster, orders: &[LookbackLine]) -> Result<Harvest<Wallets>, Issue> {
    let (Some(settings), Some(pay_v3), Some(limits)) = (&night.job.wallets, &night.apis.pay_v3, &night.job.pay_v3)
    else {
        return Ok(Harvest::complete(Wallets::default()));
    };
    let journal = night.journal.stage(STAGE)?;
    let counter = Counter { night, settings, pay_v3, limits, journal: &journal };
    let (mut issues, unsettled) = counter.ask_wallets(roster).await?;
    let mut state = counter.read_wallets(roster)?;
    counter.carry(&mut state)?;
    let doubts = doubtful::find(night, state.coupons.values(), orders, roster);
    issues.extend(counter.ask_single(&doubts).await?);
    counter.replace_single(&doubts, &mut state)?;
    if unsettled > settings.max_unsettled {
        let what = format!("{unsettled} wallets would not settle while paging");
        issues.push(Issue::new(IssueKind::Incomplete, what).hinting("`wallets.max_unsettled` sets how many may"));
    }
    let State { coupons, asked, unknown, intake } = state;
    let wallets = Wallets { coupons: coupons.into_values().collect(), asked, unknown };
    let mut harvest = Harvest::complete(wallets);
    harvest.issues = issues;
    harvest.intake = vec![intake];
    harvest.inputs = vec![(STAGE.to_owned(), journal.digest()?)];
    Ok(harvest.noting("unsettled_wallets", unsettled).noting("single_queries", doubts.len()))
}

/// What is known so far, by key, and where its rows came from.
struct State {
    coupons: BTreeMap<(String, String, String), UserCoupon>,
    asked: BTreeSet<String>,
    unknown: BTreeSet<(String, String)>,
    intake: Intake,
}

impl State {
    fn new() -> State {
        let intake = Intake::of(UserCoupon::DATASET);
        State { coupons: BTreeMap::new(), asked: BTreeSet::new(), unknown: BTreeSet::new(), intake }
    }

    /// A row of an answer.
    fn put(&mut self, coupon: UserCoupon) {
        self.intake.read(coupon.amount());
        self.keep(coupon);
    }

    /// A row of an earlier night.
    fn carry(&mut self, coupon: UserCoupon) {
        self.intake.carry(coupon.amount());
        self.keep(coupon);
    }

    fn keep(&mut self, coupon: UserCoupon) {
        let key = (coupon.stock_id.clone(), coupon.coupon_code.clone(), coupon.openid.clone());
        if let Some(earlier) = self.coupons.insert(key, coupon) {
            self.intake.repeat(earlier.amount());
        }
    }
}

impl Counter<'_> {
    async fn ask_wallets(&self, roster: &Roster) -> Result<(Vec<Issue>, usize), Issue> {
        let meaning = OffsetMeaning::default();
        let unsettled = AtomicUsize::new(0);
        let questions = roster.ask.iter().map(|openid| (wallet_key(openid), openid.as_str())).collect();
        let ask = |openid| self.ask_wallet(openid, &meaning, &unsettled);
        let concurrency = self.limits.limits.concurrency;
        let issues = ask_all(self.night, self.journal, PLACE, concurrency, questions, ask).await?;
        Ok((issues, unsettled.into_inner()))
    }

    async fn ask_wallet(
        &self,
        openid: &str,
        meaning: &OffsetMeaning,
        unsettled: &AtomicUsize,
    ) -> Result<Option<Vec<Page>>, Issue> {
        let listing = read_list(meaning, MOST_PAGES, async |offset| {
            let request = self.wallet_request(openid, offset);
            settle_and_read(&request, self.pay_v3.send(&request).await).map(list_page)
        });
        match listing.await? {
            Listing::Settled(pages) => Ok(Some(pages)),
            Listing::Unsettled { seen, total } => {
                unsettled.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(seen, total, "a wallet would not settle; its known coupons are carried");
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

    /// The rows of tonight's roster; entries of wallets that are no longer on it are passed over.
    fn read_wallets(&self, roster: &Roster) -> Result<State, Issue> {
        let mut state = State::new();
        self.journal.visit(|entry| {
            let Some(openid) = entry.key.strip_prefix("wallet/").filter(|openid| roster.ask.contains(*openid)) else {
                return Ok(());
            };
            let request = self.wallet_request(openid, 0);
            let published = self.night.persona.publish(openid);
            for page in &entry.pages {
                state.intake.pages += 1;
                let page = read_page(&request, page)?;
                for entity in page.map(|page| page.data).unwrap_or_default() {
                    state.put(user_coupon_row(&entity, &published, self.night.date));
                }
            }
            state.asked.insert(published);
            Ok::<(), Issue>(())
        })?;
        Ok(state)
    }

    /// Wallets that were not asked tonight are as they were.
    fn carry(&self, state: &mut State) -> Result<(), Issue> {
        for mut coupon in self.night.yesterday::<UserCoupon>()? {
            if !state.asked.contains(&coupon.openid) {
                coupon.business_date = self.night.date;
                state.carry(coupon);
            }
        }
        Ok(())
    }

    async fn ask_single(&self, doubts: &[Doubt]) -> Result<Vec<Issue>, Issue> {
        let questions = doubts.iter().map(|doubt| (single_key(doubt), self.single_request(doubt))).collect();
        let ask = async |request: Request<busifavor::UserCoupon>| {
            settle(&request, self.pay_v3.send(&request).await).map(|page| Some(vec![page]))
        };
        ask_all(self.night, self.journal, PLACE, self.limits.limits.concurrency, questions, ask).await
    }

    fn single_request(&self, doubt: &Doubt) -> Request<busifavor::UserCoupon> {
        busifavor::user_coupon(&doubt.raw_openid, &doubt.coupon_code, &self.settings.appid)
    }

    /// The second answer of a coupon replaces the listed row, everywhere (design §12).
    fn replace_single(&self, doubts: &[Doubt], state: &mut State) -> Result<(), Issue> {
        let by_key: BTreeMap<String, &Doubt> = doubts.iter().map(|doubt| (single_key(doubt), doubt)).collect();
        self.journal.visit(|entry| {
            let Some(doubt) = by_key.get(&entry.key) else { return Ok(()) };
            let page = entry.pages.first().map(|page| read_page(&self.single_request(doubt), page));
            state.intake.pages += u64::from(page.is_some());
            match page.transpose()?.flatten() {
                Some(entity) => state.put(user_coupon_row(&entity, &doubt.openid, self.night.date)),
                None => {
                    state.unknown.insert((doubt.openid.clone(), doubt.coupon_code.clone()));
                }
            }
            Ok::<(), Issue>(())
        })
    }
}

pub(super) fn wallet_key(openid: &str) -> String {
    format!("wallet/{openid}")
}

fn single_key(doubt: &Doubt) -> String {
    format!("single/{}/{}", doubt.raw_openid, doubt.coupon_code)
}

fn list_page((page, read): (Page, Option<UserCouponPage>)) -> ListPage {
    let keys = read.iter().flat_map(|page| &page.data).map(|it| format!("{}/{}", it.stock_id, it.coupon_code));
    let keys = keys.collect();
    // A wallet that is not known (404) is an empty one.
    let total = read.map_or(Some(0), |page| stated_total(page.total_count));
    ListPage { keys, total, page }
}
