//! The wallets of tonight's roster: pages through each and reads its rows from the journal.

use std::borrow::Cow;
use std::cell::Cell;
use std::io;

use super::page::{WalletPage, read_items};
use super::requests::{PLACE, Requests, SHAPE, enumerated};
use crate::extract::Issue;
use crate::extract::ask::{ask_each, read_page_by, settle_and_read_by};
use crate::extract::gathered::{Gathered, Handful};
use crate::extract::listing::{ListPage, Listing, Measure, OffsetMeaning, read_list};
use crate::extract::night::Imprint;
use crate::extract::odd_fields::OddFields;
use crate::extract::roster::Roster;
use crate::extract::wire::user_coupon_row;
use crate::fingerprints::Fingerprints;
use crate::journal::{Entry, Page};
use crate::record::UserCoupon;
use crate::sorter::{Jotting, Keeper, Kept, Packed};
use crate::wechat::Request;
use crate::wechat::pay_v3::busifavor::{self, CouponFilter, UserCouponPage};

/// Prefix of the journal keys of wallets.
const WALLET: &str = "wallet/";
/// The server clamps larger pages to this (design §12).
pub(in crate::extract) const PAGE_ROWS: u64 = 20;
/// Nobody holds twenty thousand coupons of one merchant.
const MEASURE: Measure = Measure { full_page_rows: PAGE_ROWS, most_pages: 1000 };

/// The answer of a requested wallet.
struct Wallet {
    coupons: Handful<UserCoupon>,
    /// The published openid, if WeChat does not know the user.
    stranger: Option<String>,
    odd: OddFields,
}

/// What reading the wallets of the journal gave beside their rows.
#[derive(Default)]
pub(super) struct Passed {
    /// Published openids of users that WeChat does not know.
    pub(super) strangers: Fingerprints,
    /// Wallets that are not on tonight's roster.
    pub(super) others: usize,
}

impl Requests<'_> {
    /// Requests the wallets that the journal does not have. Returns why some did not answer, and how many did not settle.
    pub(super) async fn ask_wallets(&self, roster: &Roster) -> Result<(Vec<Issue>, usize), Issue> {
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
            let (page, items) = settle_and_read_by(&request, answer, read_items)?;
            Ok(ListPage::of(page, items))
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
    pub(super) fn asked(&self, roster: &Roster) -> Result<(Fingerprints, Kept), Issue> {
        let mut asked = Fingerprints::expecting(roster.ask.len());
        let mut unanswered = Keeper::new(&self.night.corner());
        for openid in openids(&roster.ask).map_err(Issue::unsorted)? {
            let openid = openid.map_err(Issue::unsorted)?;
            let published = self.night.pseudonyms.publish(&openid);
            if self.journal.contains(&wallet_key(&openid)) {
                asked.insert(&[&published]);
            } else {
                unanswered.push(&Jotting::of(&[&published])).map_err(Issue::unsorted)?;
            }
        }
        Ok((asked, unanswered.finish().map_err(Issue::unsorted)?))
    }

    /// Reads the rows of the requested wallets.
    pub(super) fn read_wallets(
        &self,
        asked: &Fingerprints,
        gathered: &mut Gathered<UserCoupon>,
        odd: &mut OddFields,
    ) -> Result<Passed, Issue> {
        let mut passed = Passed::default();
        let read = |entry: Entry| self.read_wallet(&entry, asked);
        self.journal.visit_read(WALLET, read, |wallet| {
            let Some(Wallet { coupons, stranger, odd: odd_here }) = wallet else {
                passed.others += 1;
                return Ok(());
            };
            odd.add(odd_here);
            if let Some(openid) = stranger {
                passed.strangers.insert(&[&openid]);
            }
            gathered.add(&coupons).map_err(Issue::unsorted)
        })?;
        Ok(passed)
    }

    /// Whether a journal key is that of a requested wallet.
    pub(super) fn is_requested(&self, key: &str, asked: &Fingerprints) -> bool {
        key.strip_prefix(WALLET).is_some_and(|openid| asked.contains(&[&self.night.pseudonyms.publish(openid)]))
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
        odd.see_values(enumerated(&row));
        coupons.put(&row, row.discount_amount_fen.unwrap_or_default());
    }
}

/// Raw openids of the roster.
fn openids(ask: &Kept) -> io::Result<impl Iterator<Item = io::Result<String>>> {
    Ok(ask.rows()?.map(|row| row.unpack().key_text().into_owned()))
}

pub(in crate::extract) fn wallet_key(openid: &str) -> String {
    format!("{WALLET}{openid}")
}
