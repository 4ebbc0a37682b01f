//! Stage `stocks`: GET stocks/{stock_id} for the configured stocks and for those that wallets and
//! callbacks show.

use std::collections::BTreeSet;

use super::ask::{Place, ask_all, read_page, require_echo, settle_and_read};
use super::issue::IssueKind;
use super::odd_fields::OddFields;
use super::unknown_values::{COUPON_CODE_MODE, STOCK_STATE, STOCK_TYPE};
use super::wire::stock_row;
use super::{Harvest, Issue, Night};
use crate::api::Api;
use crate::journal::StageJournal;
use crate::record::{CouponEvent, Stock};
use crate::stage::Stage;
use crate::wechat::oddity::Mendable;
use crate::wechat::pay_v3::PayV3;
use crate::wechat::pay_v3::busifavor;
use crate::wechat::wording::shown;

const STAGE: Stage = Stage::Stocks;
const PLACE: Place = Place { stage: STAGE, api: Api::PayV3 };

/// The stocks of a night.
#[derive(Debug, Default)]
pub struct Stocks {
    /// `stocks`, sorted by key.
    pub details: Vec<Stock>,
    /// Those that were asked for and gave no answer, if any.
    pub unanswered: Option<Unanswered>,
}

/// Stocks of which nothing is known tonight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unanswered {
    /// How many.
    pub count: usize,
    /// Why: the class of the first of their issues.
    pub why: IssueKind,
}

/// Requests every stock that is configured or was seen; `seen` are those of the wallets.
pub async fn extract(
    night: &Night<'_>,
    seen: &BTreeSet<String>,
    events: &[CouponEvent],
) -> Result<Harvest<Stocks>, Issue> {
    let Some(pay_v3) = &night.apis.pay_v3 else {
        return Ok(Harvest::complete(Stocks::default()));
    };
    let journal = night.journal.stage(STAGE.as_str())?;
    let configured = night.job.stock_ids.iter().map(String::as_str);
    let of_wallets = seen.iter().map(String::as_str);
    let ids: BTreeSet<_> =
        configured.chain(of_wallets).chain(events.iter().map(|event| event.stock_id.as_str())).collect();
    let issues = ask(night, pay_v3, &journal, &ids).await?;
    let count = ids.iter().filter(|id| !journal.contains(id)).count();
    let unanswered = issues.first().filter(|_| count > 0).map(|issue| Unanswered { count, why: issue.kind });
    let mut harvest = Harvest::complete(Stocks { details: Vec::new(), unanswered });
    harvest.issues = issues;
    let odd = read(night, &journal, &ids, &mut harvest)?;
    harvest.inputs = vec![(STAGE.to_string(), journal.digest_of(&night.corner(), |id| ids.contains(id))?)];
    Ok(odd.noted_in(harvest, "stock", "stocks"))
}

async fn ask(
    night: &Night<'_>,
    pay_v3: &PayV3,
    journal: &StageJournal,
    ids: &BTreeSet<&str>,
) -> Result<Vec<Issue>, Issue> {
    let questions = ids.iter().map(|id| ((*id).to_owned(), *id)).collect();
    let ask = async |id: &str| {
        let request = busifavor::stock(id);
        let (page, stock) = settle_and_read(&request, pay_v3.send(&request).await)?;
        stock.map_or(Ok(()), |stock| require_echo(&request, id, &stock.stock_id))?;
        Ok(Some(vec![page]))
    };
    ask_all(night, journal, PLACE, questions, ask).await
}

/// Adds the stocks of the journalled answers, sorted by key. One that WeChat does not know is an issue if the job names it; of
/// one that only wallets or callbacks show nothing more can be known: stocks of other creators are not shown to everybody
/// (reference v3 §6, 20).
fn read(
    night: &Night<'_>,
    journal: &StageJournal,
    ids: &BTreeSet<&str>,
    harvest: &mut Harvest<Stocks>,
) -> Result<OddFields, Issue> {
    let (mut odd, mut untold) = (OddFields::default(), 0);
    for entry in journal.entries()?.iter().filter(|entry| ids.contains(entry.key.as_str())) {
        let page = entry.pages.first().map(|page| read_page(&busifavor::stock(&entry.key), page));
        match page.transpose()?.flatten() {
            Some(detail) => {
                let row = stock_row(&detail, night.imprint());
                odd.see(&busifavor::Stock::SHAPE, row.extra.as_deref());
                odd.see_values([
                    (STOCK_TYPE, row.stock_type.as_deref()),
                    (STOCK_STATE, row.stock_state.as_deref()),
                    (COUPON_CODE_MODE, row.coupon_code_mode.as_deref()),
                ]);
                harvest.rows.details.push(row);
            }
            None if night.job.stock_ids.contains(&entry.key) => harvest.issues.push(unknown(&entry.key)),
            None => {
                tracing::warn!(
                    "WeChat does not know the stock `{}`, which wallets or callbacks show",
                    shown(&entry.key)
                );
                untold += 1;
            }
        }
    }
    if untold > 0 {
        harvest.notes.insert("unknown_stocks".to_owned(), untold);
    }
    harvest.rows.details.sort_by(|a, b| a.stock_id.cmp(&b.stock_id));
    Ok(odd)
}

fn unknown(stock_id: &str) -> Issue {
    Issue::new(IssueKind::Incomplete, format!("WeChat does not know the stock `{stock_id}`"))
        .hinting("`stocks.ids` must be stocks that `pay_v3.mchid` created or owns")
}
