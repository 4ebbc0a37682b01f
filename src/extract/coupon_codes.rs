//! Stage `coupon_codes`: the code pool of every MERCHANT_UPLOAD stock, page by page (reference v3 §2.6).

use std::io;

use super::ask::{Place, ask_all, read_page, require_echo, settle_and_read};
use super::issue::IssueKind;
use super::listing::{Items, ListPage, Listing, Measure, OffsetMeaning, read_list, stated_total};
use super::odd_fields::OddFields;
use super::stocks::{Stocks, Unanswered};
use super::unknown_values::CODE_STATUS;
use super::wire::{code_of, coupon_code_row};
use super::{Harvest, Issue, Night};
use crate::api::Api;
use crate::dataset::manifest::Intake;
use crate::journal::{Entry, Page};
use crate::quantity::counted;
use crate::record::{CouponCode, Record, Stock};
use crate::sorter::{Keeper, Kept, Room, Sorter};
use crate::stage::Stage;
use crate::wechat::oddity::Mendable;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor::{self, CodeFilter, CodeInformation, CouponCodePage};
use crate::wechat::{Answer, ApiError, Request};

const STAGE: Stage = Stage::CouponCodes;
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };
pub(super) const PAGE_ROWS: u64 = 100;
/// A server may clamp its pages, as that of the wallets does, and count only what it sends: what lies past a page of so
/// many codes is asked for although its total is reached. Two million codes: a pool is held in memory while it is read.
const MEASURE: Measure = Measure { full_page_rows: 20, most_pages: 20_000 };

/// Reads the pools of those `stocks` whose codes the merchant uploaded; rows are packed, openids raw.
pub async fn extract(night: &Night<'_>, stocks: &Stocks) -> Result<Harvest<Kept>, Issue> {
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Ok(Harvest::complete(Kept::default()));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let appid = night.job.wallets.as_ref().map(|wallets| wallets.appid.as_str());
    let uploaded = |stock: &&Stock| stock.coupon_code_mode.as_deref() == Some("MERCHANT_UPLOAD");
    let pools: Vec<&str> = stocks.details.iter().filter(uploaded).map(|stock| stock.stock_id.as_str()).collect();
    let meaning = OffsetMeaning::default();
    let questions = pools.iter().map(|id| ((*id).to_owned(), *id)).collect();
    let ask = |stock_id| ask_pool(pay_v3, stock_id, appid, &meaning);
    let issues = ask_all(night, &journal, PLACE, questions, ask).await?;
    let mut read = Pools::empty(night);
    journal.visit(|entry| if pools.contains(&entry.key.as_str()) { read.take(&entry, appid) } else { Ok(()) })?;
    let Pools { codes, mut intake, odd, .. } = read;
    let codes = last_of_each(codes, &night.corner()).map_err(Issue::unsorted)?;
    intake.repeated = intake.read - codes.len();
    let mut harvest = Harvest::complete(codes);
    harvest.issues = issues;
    harvest.issues.extend(stocks.unanswered.map(perhaps_pools));
    harvest.intake.push(intake);
    harvest.inputs = vec![(STAGE.to_string(), journal.digest_of(&night.corner(), |id| pools.contains(&id))?)];
    Ok(odd.noted_in(harvest, "code", "codes"))
}

/// What was read of journalled pools.
struct Pools<'a> {
    night: &'a Night<'a>,
    codes: Sorter,
    intake: Intake,
    odd: OddFields,
}

impl<'a> Pools<'a> {
    fn empty(night: &'a Night<'a>) -> Pools<'a> {
        let codes = Sorter::new(&night.corner());
        Pools { night, codes, intake: Intake::of(CouponCode::DATASET), odd: OddFields::default() }
    }

    /// Adds the pool of a stock.
    fn take(&mut self, pool: &Entry, appid: Option<&str>) -> Result<(), Issue> {
        let stock_id = &pool.key;
        for page in &pool.pages {
            self.intake.pages += 1;
            let page = read_page(&request(stock_id, appid, 0), page)?;
            for item in page.map(|page| page.data).unwrap_or_default() {
                self.intake.read += 1;
                let code = coupon_code_row(&item, stock_id, self.night.imprint())?;
                self.odd.see(&CodeInformation::SHAPE, code.extra.as_deref());
                self.odd.see_values([(CODE_STATUS, code.code_status.as_deref())]);
                self.codes.push(&code).map_err(Issue::unsorted)?;
            }
        }
        Ok(())
    }
}

/// A stock without an answer may have a pool: without its codes the dataset is not that of a merchant who has none. It
/// is no worse than the reason: codes of stocks that are not ready yet are not ready either.
fn perhaps_pools(Unanswered { count, why }: Unanswered) -> Issue {
    let stocks = counted(count, "stock did not tell whether it has", "stocks did not tell whether they have");
    Issue::new(why, format!("{stocks} a code pool"))
}

/// Keeps the last row of a code that a pool lists twice: what was answered later is newer.
fn last_of_each(codes: Sorter, room: &Room) -> io::Result<Kept> {
    let mut keeper = Keeper::new(room);
    codes.finish()?.last_of_each(|_| {}, |row| keeper.push(&row))?;
    keeper.finish()
}

fn request(stock_id: &str, appid: Option<&str>, offset: u64) -> Request<CouponCodePage> {
    let filter = CodeFilter { appid: appid.map(str::to_owned), ..CodeFilter::default() };
    busifavor::coupon_codes(stock_id, &filter, offset, PAGE_ROWS)
}

/// The page of a pool. One with an item that has no code is no answer: journalled, it would fail every later run.
fn list_page(
    request: &Request<CouponCodePage>,
    stock_id: &str,
    answer: Result<Answer, ApiError>,
) -> Result<ListPage, Issue> {
    if let Some(refused) = ListPage::refused(request, &answer) {
        return Ok(refused);
    }
    let (page, read) = settle_and_read(request, answer)?;
    let told = read.as_ref().and_then(|page| page.stock_id.as_deref()).filter(|id| !id.is_empty());
    told.map_or(Ok(()), |told| require_echo(request, stock_id, told))?;
    Ok(ListPage::of(page, read.map(|read| items_of(&read, stock_id)).transpose()?))
}

fn items_of(page: &CouponCodePage, stock_id: &str) -> Result<Items, Issue> {
    let keys = page.data.iter().map(|item| code_of(item, stock_id).map(str::to_owned));
    Ok(Items { keys: keys.collect::<Result<_, _>>()?, total: stated_total(page.total_count) })
}

async fn ask_pool(
    pay_v3: &PayV3,
    stock_id: &str,
    appid: Option<&str>,
    meaning: &OffsetMeaning,
) -> Result<Option<Vec<Page>>, Issue> {
    let listing = read_list(meaning, MEASURE, async |offset| {
        let request = request(stock_id, appid, offset);
        let answer = pay_v3.send(&request).await;
        list_page(&request, stock_id, answer)
    });
    match listing.await? {
        Listing::Settled(pages) => Ok(Some(pages)),
        Listing::Unsettled { seen, total } => {
            let what = format!("the code pool of stock `{stock_id}` did not settle: {seen} of {total} codes seen");
            Err(Issue::new(IssueKind::Incomplete, what).hinting("run again; codes may be dispatched while it is read"))
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::extract::listing::Told;
    use crate::sorter::PackedRow;
    use crate::wechat::Evidence;

    fn listed(body: &str) -> Result<ListPage, Issue> {
        let (body, fetched_at) = (body.to_owned().into(), DateTime::UNIX_EPOCH);
        let answer = Answer { status: 200, body, evidence: Evidence::default(), fetched_at, attempts: 1 };
        list_page(&request("1212", None, 0), "1212", Ok(answer))
    }

    #[test]
    fn a_code_that_was_dispatched_while_the_pool_was_read_is_not_available_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: 1 << 16 };
        let mut codes = Sorter::new(&room);
        for (code, status) in [("B", "AVAILABLE"), ("A", "AVAILABLE"), ("B", "DISPATCHED")] {
            let row = serde_json::json!({
                "stock_id": "1212", "coupon_code": code, "code_status": status, "business_date": "2026-11-18"
            });
            codes.push(&serde_json::from_value::<CouponCode>(row).unwrap()).unwrap();
        }
        let mut kept = Vec::new();
        let keep = |row: PackedRow<'_>| {
            let row = CouponCode::unpack(&mut row.unpack());
            kept.push((row.coupon_code, row.code_status.unwrap_or_default()));
            Ok(())
        };
        last_of_each(codes, &room).unwrap().rows().unwrap().each(keep).unwrap();
        assert_eq!(kept, [("A", "AVAILABLE"), ("B", "DISPATCHED")].map(|(code, is)| (code.to_owned(), is.to_owned())));
    }

    #[test]
    fn a_page_of_which_an_item_has_no_code_is_not_kept_even_where_the_total_leaves_it_out() {
        let page = listed(r#"{"total_count":1,"data":[{"coupon_code":"A"}]}"#).unwrap();
        let Told::Items(Items { keys, total }) = page.told else { panic!("{page:?}") };
        assert_eq!((keys, total), (vec!["A".to_owned()], Some(1)));
        let issue = listed(r#"{"total_count":1,"data":[{"coupon_code":"A"},{"code":"","code_status":"AVAILABLE"}]}"#);
        let issue = issue.unwrap_err();
        assert_eq!((issue.kind, issue.what.contains("without a code")), (IssueKind::Garbled, true));
    }
}
