//! A forecast of the requests of a night, made without sending any: the calls of each stage as far as
//! exports, roster and earlier nights predict them, minus what the journal has. Only reads; the journal is
//! opened without creating one.
//!
//! Some later calls depend on tonight's wallets (single queries, new stocks), so the counts are estimates.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::lookback::{Lines, LookbackLine};
use super::roster::{Buyers, Roster, RosterInput};
use super::{Issue, IssueKind, Night, OrderExports, SubsidyInput};
use super::{bills, cards, coupon_codes, datacube, notifications, orders, roster, subsidies, subsidy_ledger};
use super::{user_coupons, v2_stocks};
use crate::api::Api;
use crate::job::BillSource;
use crate::journal::StageJournal;
use crate::record::{Card, CouponEvent, OrderLine, Stock, UserCoupon};
use crate::sorter::{Jotting, Keeper, Kept, PackedRow, Sorter};
use crate::stage::Stage;

/// The calls for a bill: the application and the download.
const BILL_CALLS: u64 = 2;

/// What one stage would do.
#[derive(Debug)]
pub struct StageForecast {
    /// The stage.
    pub stage: Stage,
    /// The API it calls; `None` for a stage that reads files.
    pub api: Option<Api>,
    /// Calls it would make, approximately.
    pub calls: u64,
    /// Its questions that the journal has answered.
    pub journalled: u64,
    /// Why it would be incomplete.
    pub issue: Option<Issue>,
}

/// Every source stage, in the order of design §3.
pub async fn forecast(night: &Night<'_>) -> Result<Vec<StageForecast>, Issue> {
    let mut told = Vec::new();
    let tonight = orders::extract(night).and_then(|it| Tonight::of(night, it.rows));
    // Lines that do not count predict nothing.
    let (tonight, issue) = match tonight {
        Ok(tonight) => (tonight, None),
        Err(issue) => (Tonight::nothing(night)?, Some(issue)),
    };
    told.push(StageForecast::of_files(Stage::Orders, issue));
    told.push(trade_bill(night).await?);
    let ledger = subsidy_ledger::extract(night).and_then(|it| it.rows.settle(|_| Ok(())));
    let ledger = read(&mut told, Stage::SubsidyLedger, ledger.map(|it| it.lines));
    let (events, issue) = match notifications::extract(night).await {
        Ok(spooled) => (spooled.rows, None),
        Err(issue) => (Vec::new(), Some(issue)),
    };
    // Without platform certificates, callbacks cannot be opened yet; they are few.
    let issue = issue.filter(|issue| issue.kind == IssueKind::NotReady);
    told.push(StageForecast::of_files(Stage::Notifications, issue));
    let input = RosterInput { buyers: tonight.buyers, events: &events, is_whole: false };
    let roster = read(&mut told, Stage::Roster, roster::extract(night, input).map(|it| it.rows));
    let lines = tonight.lines.settle()?;
    let known = Known { wallets: wallets(night)?, stocks: night.yesterday()?, cards: night.yesterday()? };
    told.extend(known.forecast(night, &roster, &events)?);
    let input = SubsidyInput { coupons: &known.wallets, orders: &lines, ledger: &ledger };
    let mut receipts = Count::begin(night, Stage::Subsidies)?;
    subsidies::each_key(night, &input, |key| receipts.add(key, 1))?;
    told.push(receipts.finish(night)?);
    told.push(count(night, Stage::Datacube, datacube::keys(night).into_iter().map(|key| (key, 1)))?);
    told.push(count(night, Stage::V2Stocks, v2_stocks::keys(night).into_iter().map(|key| (key, 1)))?);
    Ok(told)
}

/// The rows of a stage that reads files; its issue is recorded.
fn read<T: Default>(told: &mut Vec<StageForecast>, stage: Stage, rows: Result<T, Issue>) -> T {
    let (rows, issue) = match rows {
        Ok(rows) => (rows, None),
        Err(issue) => (T::default(), Some(issue)),
    };
    told.push(StageForecast::of_files(stage, issue));
    rows
}

/// What order lines predict, tonight's included.
struct Tonight {
    buyers: Buyers,
    lines: Lines,
}

impl Tonight {
    fn nothing(night: &Night<'_>) -> Result<Tonight, Issue> {
        Ok(Tonight { buyers: Buyers::new(night), lines: night.earlier_lines()? })
    }

    fn of(night: &Night<'_>, exports: OrderExports) -> Result<Tonight, Issue> {
        let mut tonight = Tonight::nothing(night)?;
        exports.settle(|row| tonight.add(night, &orders::unpacked(row)))?;
        Ok(tonight)
    }

    fn add(&mut self, night: &Night<'_>, line: &OrderLine<Cow<'_, str>>) -> Result<(), Issue> {
        let openid = line.openid.as_deref();
        openid.map_or(Ok(()), |openid| self.buyers.add(openid))?;
        let published = openid.map(|openid| night.pseudonyms.publish(openid));
        self.lines.add(&LookbackLine {
            out_trade_no: &line.out_trade_no,
            stock_id: &line.stock_id,
            coupon_code: &line.coupon_code,
            openid: published.as_deref(),
            paid_at: line.paid_at.map(|paid| paid.timestamp_micros()),
            business_date: line.business_date.to_epoch_days(),
        })
    }
}

/// The coupons that the last night published.
fn wallets(night: &Night<'_>) -> Result<Kept, Issue> {
    let mut coupons = Keeper::new(&night.corner());
    night.each_yesterday::<UserCoupon>(|coupon| coupons.push(&coupon).map_err(Issue::unsorted))?;
    coupons.finish().map_err(Issue::unsorted)
}

/// The calls for a bill, or what is wrong with one that the merchant downloads itself.
async fn trade_bill(night: &Night<'_>) -> Result<StageForecast, Issue> {
    match night.job.bills {
        Some(BillSource::Api { .. }) => {
            count(night, Stage::Bills, std::iter::once((night.date.to_string(), BILL_CALLS)))
        }
        Some(BillSource::Files(_)) | None => {
            Ok(StageForecast::of_files(Stage::Bills, bills::extract(night).await.err()))
        }
    }
}

/// The state as of the last night.
struct Known {
    wallets: Kept,
    stocks: Vec<Stock>,
    cards: Vec<Card>,
}

impl Known {
    fn forecast(
        &self,
        night: &Night<'_>,
        roster: &Roster,
        events: &[CouponEvent],
    ) -> Result<Vec<StageForecast>, Issue> {
        Ok(vec![
            count(night, Stage::Stocks, self.stock_keys(night, events).map_err(Issue::unsorted)?.into_iter())?,
            self.wallet_pages(night, roster)?,
            count(night, Stage::CouponCodes, self.pool_pages())?,
            count(night, Stage::Cards, self.card_keys(night))?,
        ])
    }

    fn stock_keys(&self, night: &Night<'_>, events: &[CouponEvent]) -> io::Result<Vec<(String, u64)>> {
        let mut ids: BTreeSet<String> = night.job.stock_ids.iter().cloned().collect();
        ids.extend(events.iter().map(|it| it.stock_id.clone()));
        self.wallets.rows()?.each(|row| {
            let stock_id = row.unpack().key_text();
            if !ids.contains(&*stock_id) {
                ids.insert(stock_id.into_owned());
            }
            Ok(())
        })?;
        Ok(ids.into_iter().map(|id| (id, 1)).collect())
    }

    /// A wallet has as many pages as its known coupons fill, and at least one.
    fn wallet_pages(&self, night: &Night<'_>, roster: &Roster) -> Result<StageForecast, Issue> {
        let mut count = Count::begin(night, Stage::UserCoupons)?;
        self.count_wallets(night, roster, &mut count).map_err(Issue::unsorted)?;
        count.finish(night)
    }

    fn count_wallets(&self, night: &Night<'_>, roster: &Roster, count: &mut Count) -> io::Result<()> {
        let mut wallets = Sorter::new(&night.corner());
        let published = |raw: &str| night.pseudonyms.publish(raw);
        roster.ask.rows()?.each(|row| {
            let raw = row.unpack().key_text();
            wallets.push(&Jotting::of(&[&published(&raw)]).marked(true).with(&[&raw]))
        })?;
        self.wallets.rows()?.each(|row| {
            let coupon = UserCoupon::unpack(&mut row.unpack());
            wallets.push(&Jotting::of(&[&coupon.openid]).marked(false))
        })?;
        let (mut wallets, mut wallet) = (wallets.finish()?, Wallet::default());
        while wallets.next_group(1, |row| wallet.meet(row))? {
            let Wallet { key, coupons } = std::mem::take(&mut wallet);
            key.into_iter().for_each(|key| count.add(&key, pages(coupons, user_coupons::PAGE_ROWS)));
        }
        Ok(())
    }

    fn pool_pages(&self) -> impl Iterator<Item = (String, u64)> {
        let uploaded = self.stocks.iter().filter(|it| it.coupon_code_mode.as_deref() == Some("MERCHANT_UPLOAD"));
        uploaded.map(|stock| {
            let codes = stock.total_count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            (stock.stock_id.clone(), pages(codes, coupon_codes::PAGE_ROWS))
        })
    }

    fn card_keys(&self, night: &Night<'_>) -> impl Iterator<Item = (String, u64)> {
        let list =
            night.job.mp.is_some().then(|| (cards::LIST.to_owned(), pages(self.cards.len() as u64, cards::PAGE_ROWS)));
        list.into_iter().chain(self.cards.iter().map(|card| (format!("card/{}", card.card_id), 1)))
    }
}

/// A wallet that is requested, or holds known coupons, or both.
#[derive(Default)]
struct Wallet {
    /// The key of its request, if it is requested.
    key: Option<String>,
    /// How many known coupons it holds.
    coupons: u64,
}

impl Wallet {
    /// Takes in a row, whose mark says whether it is its request or a coupon in it.
    fn meet(&mut self, row: PackedRow<'_>) {
        let mut cells = row.unpack();
        match cells.flag() {
            true => self.key = Some(user_coupons::wallet_key(cells.text())),
            false => self.coupons += 1,
        }
    }
}

/// At least one page is requested.
fn pages(rows: u64, rows_per_page: u64) -> u64 {
    rows.div_ceil(rows_per_page).max(1)
}

/// Counts the questions of a stage, each with its number of calls, against the journal.
fn count(
    night: &Night<'_>,
    stage: Stage,
    questions: impl Iterator<Item = (String, u64)>,
) -> Result<StageForecast, Issue> {
    let mut count = Count::begin(night, stage)?;
    questions.for_each(|(key, calls)| count.add(&key, calls));
    count.finish(night)
}

/// A running count of the questions of a stage.
struct Count {
    journal: Arc<StageJournal>,
    told: StageForecast,
}

impl Count {
    fn begin(night: &Night<'_>, stage: Stage) -> Result<Count, Issue> {
        let told = StageForecast { stage, api: stage.api(), calls: 0, journalled: 0, issue: None };
        Ok(Count { journal: night.journal.stage(stage.as_str())?, told })
    }

    fn add(&mut self, key: &str, calls: u64) {
        match self.journal.contains(key) {
            true => self.told.journalled += 1,
            false => self.told.calls += calls,
        }
    }

    fn finish(mut self, night: &Night<'_>) -> Result<StageForecast, Issue> {
        if self.told.calls > 0 {
            self.told.issue = night.require_ready(self.told.stage).err();
        }
        Ok(self.told)
    }
}

impl StageForecast {
    fn of_files(stage: Stage, issue: Option<Issue>) -> StageForecast {
        StageForecast { stage, api: None, calls: 0, journalled: 0, issue }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_wallet_takes_a_page_and_a_full_page_no_second_one() {
        let counts = [0, 1, 20, 21].map(|rows| pages(rows, 20));
        assert_eq!(counts, [1, 1, 1, 2]);
    }
}
