//! What a night would ask, told without asking: the questions of each stage as far as exports, roster and
//! earlier nights foretell them, against what is journalled. Reads only; made on a journal opened to peek.
//!
//! What a wallet shows tonight decides some of the later questions (single queries, stocks never seen), so
//! these counts are estimates from what the last night knew.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::roster::{Roster, RosterInput};
use super::{Api, Issue, LookbackLine, Night, OrderExports, SubsidyInput};
use super::{cards, coupon_codes, datacube, notifications, orders, roster, subsidies, subsidy_ledger};
use super::{user_coupons, v2_stocks};
use crate::job::BillSource;
use crate::record::{Card, CouponEvent, Stock, UserCoupon};

/// The pages a download of a bill takes: the application and the file.
const BILL_CALLS: u64 = 2;

/// What one stage would do.
#[derive(Debug)]
pub struct StageForecast {
    /// Its name.
    pub stage: &'static str,
    /// Whom it asks; none where it reads files.
    pub api: Option<Api>,
    /// Calls it would make, about.
    pub calls: u64,
    /// Of its questions, those the journal has answered.
    pub journalled: u64,
    /// Why it would not be complete.
    pub issue: Option<Issue>,
}

/// Every source stage, in the order of design §3.
pub async fn forecast(night: &Night<'_>) -> Result<Vec<StageForecast>, Issue> {
    let mut told = Vec::new();
    let tonight = read(&mut told, "orders", orders::extract(night).and_then(|it| tonight(night, it.rows)));
    let bills = bills(night)?;
    told.push(bills);
    let ledger = subsidy_ledger::extract(night).and_then(|it| it.rows.settle(|_| Ok(())));
    let ledger = read(&mut told, "subsidy_ledger", ledger.map(|it| it.lines));
    // Without platform certificates callbacks cannot be opened yet; they are few.
    let events = notifications::extract(night).await.map(|it| it.rows).unwrap_or_default();
    told.push(StageForecast::of_files("notifications", night.require_ready("notifications").err()));
    let input = RosterInput { buyers: &tonight.buyers, events: &events, is_whole: false };
    let roster = read(&mut told, "roster", roster::extract(night, &input).map(|it| it.rows));
    let mut lines = night.lookback_orders()?;
    lines.extend(tonight.lines);
    let known = Known { wallets: night.yesterday()?, stocks: night.yesterday()?, cards: night.yesterday()? };
    told.extend(known.forecast(night, &roster, &events)?);
    let input = SubsidyInput { coupons: &known.wallets, orders: &lines, ledger: &ledger };
    let place = Place { stage: "subsidies", source: "subsidies", api: Api::PayV3 };
    told.push(place.count(night, subsidies::keys(night, &input)?.into_iter().map(|key| (key, 1)))?);
    let place = Place { stage: "datacube", source: "datacube", api: Api::Mp };
    told.push(place.count(night, datacube::keys(night).into_iter().map(|key| (key, 1)))?);
    let place = Place { stage: "v2_stocks", source: "v2_stocks", api: Api::PayV2 };
    told.push(place.count(night, v2_stocks::keys(night).into_iter().map(|key| (key, 1)))?);
    Ok(told)
}

/// The rows of a stage that reads files; its issue is told.
fn read<T: Default>(told: &mut Vec<StageForecast>, stage: &'static str, rows: Result<T, Issue>) -> T {
    let (rows, issue) = match rows {
        Ok(rows) => (rows, None),
        Err(issue) => (T::default(), Some(issue)),
    };
    told.push(StageForecast::of_files(stage, issue));
    rows
}

/// What tonight's order lines foretell.
#[derive(Default)]
struct Tonight {
    buyers: HashSet<String>,
    lines: Vec<LookbackLine>,
}

fn tonight(night: &Night<'_>, exports: OrderExports) -> Result<Tonight, Issue> {
    let mut tonight = Tonight::default();
    exports.settle(|row| {
        let line = orders::unpacked(row);
        tonight.buyers.extend(line.openid.as_deref().map(str::to_owned));
        tonight.lines.push(LookbackLine {
            out_trade_no: line.out_trade_no.into_owned(),
            stock_id: line.stock_id.into_owned(),
            coupon_code: line.coupon_code.into_owned(),
            openid: line.openid.map(|openid| night.persona.publish(&openid)),
            paid_at: line.paid_at,
        });
        Ok(())
    })?;
    Ok(tonight)
}

fn bills(night: &Night<'_>) -> Result<StageForecast, Issue> {
    match night.job.bills {
        Some(BillSource::Api { .. }) => {
            let place = Place { stage: "bills", source: "bills", api: Api::PayV3 };
            place.count(night, std::iter::once((night.date.to_string(), BILL_CALLS)))
        }
        _ => Ok(StageForecast::of_files("bills", night.require_ready("bills").err())),
    }
}

/// What the last night knew.
struct Known {
    wallets: Vec<UserCoupon>,
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
        let pay_v3 = |stage, source| Place { stage, source, api: Api::PayV3 };
        let cards = Place { stage: "cards", source: "cards", api: Api::Mp };
        Ok(vec![
            pay_v3("stocks", "stocks").count(night, self.stock_keys(night, events))?,
            pay_v3("user_coupons", "wallets").count(night, self.wallet_pages(night, roster))?,
            pay_v3("coupon_codes", "stocks").count(night, self.pool_pages())?,
            cards.count(night, self.card_keys(night))?,
        ])
    }

    fn stock_keys(&self, night: &Night<'_>, events: &[CouponEvent]) -> impl Iterator<Item = (String, u64)> {
        let configured = night.job.stock_ids.iter().map(String::as_str);
        let seen = self.wallets.iter().map(|coupon| coupon.stock_id.as_str());
        let ids: BTreeSet<&str> = configured.chain(seen).chain(events.iter().map(|it| it.stock_id.as_str())).collect();
        ids.into_iter().map(|id| (id.to_owned(), 1)).collect::<Vec<_>>().into_iter()
    }

    /// A wallet has as many pages as its known coupons fill, and at least one.
    fn wallet_pages(&self, night: &Night<'_>, roster: &Roster) -> impl Iterator<Item = (String, u64)> {
        let mut coupons: BTreeMap<&str, u64> = BTreeMap::new();
        self.wallets.iter().for_each(|coupon| *coupons.entry(&coupon.openid).or_default() += 1);
        roster.ask.iter().map(move |openid| {
            let known = coupons.get(night.persona.publish(openid).as_str()).copied().unwrap_or(0);
            (user_coupons::wallet_key(openid), pages(known, user_coupons::PAGE_ROWS))
        })
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

/// At least one page is asked for.
fn pages(rows: u64, rows_per_page: u64) -> u64 {
    rows.div_ceil(rows_per_page).max(1)
}

/// A stage, the source whose cut-off holds for it, and whom it asks.
#[derive(Clone, Copy)]
struct Place {
    stage: &'static str,
    source: &'static str,
    api: Api,
}

impl Place {
    /// Counts the questions, each with the calls it takes, against the journal.
    fn count(self, night: &Night<'_>, questions: impl Iterator<Item = (String, u64)>) -> Result<StageForecast, Issue> {
        let journal = night.journal.stage(self.stage)?;
        let mut told = StageForecast { stage: self.stage, api: Some(self.api), calls: 0, journalled: 0, issue: None };
        for (key, calls) in questions {
            match journal.contains(&key) {
                true => told.journalled += 1,
                false => told.calls += calls,
            }
        }
        if told.calls > 0 {
            told.issue = night.require_ready(self.source).err();
        }
        Ok(told)
    }
}

impl StageForecast {
    fn of_files(stage: &'static str, issue: Option<Issue>) -> StageForecast {
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
