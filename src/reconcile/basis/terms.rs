//! The settings of a job that matching and judging need. Holds no credentials and no paths, so that a rule case can state
//! its own.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use crate::clock;
use crate::job::{DEFAULT_REPULL_DAYS, Job, OrderSource, PathPattern, RuleSettings, SubsidyProgram};
use crate::stage::Stage;

/// The part of a job that reconciliation depends on.
#[derive(Debug, Clone)]
pub struct Terms {
    /// `[rules]`.
    pub rules: RuleSettings,
    /// `[[subsidy_programs]]`.
    pub programs: Vec<SubsidyProgram>,
    /// `[[orders]]`.
    pub order_sources: Vec<OrderChannels>,
    /// Merchant numbers for which bills are requested, even if a bill has no row.
    pub own_merchants: Vec<String>,
    /// `sources.<name>.grace_days`.
    pub grace_days: BTreeMap<String, u32>,
    /// `mp.repull_days`.
    pub repull_days: u32,
}

/// Which payments of an export count as WeChat payments.
#[derive(Debug, Clone)]
pub struct OrderChannels {
    /// Where its files are.
    pub path: PathPattern,
    /// The channels that mean WeChat; if there are none, all payments are.
    pub wechat_channels: Vec<String>,
}

impl Terms {
    /// The terms of a job.
    pub fn of(job: &Job) -> Terms {
        let channels = |source: &OrderSource| OrderChannels {
            path: source.path.clone(),
            wechat_channels: source.wechat_channels.clone(),
        };
        Terms {
            rules: job.rules.clone(),
            programs: job.subsidy_programs.clone(),
            order_sources: job.orders.iter().map(channels).collect(),
            own_merchants: job.pay_v3.iter().map(|pay| pay.mchid.clone()).collect(),
            grace_days: job.sources.iter().map(|(name, calendar)| (name.clone(), calendar.grace_days)).collect(),
            repull_days: job.mp.as_ref().map_or(DEFAULT_REPULL_DAYS, |mp| mp.repull_days),
        }
    }

    /// The programmes of a stock.
    pub(in crate::reconcile) fn programs_of<'a>(
        &'a self,
        stock_id: &'a str,
    ) -> impl Iterator<Item = &'a SubsidyProgram> {
        self.programs.iter().filter(move |program| program.stock_id == stock_id)
    }

    /// The largest `grace_days` of the sources that feed these datasets.
    pub(in crate::reconcile) fn grace_days_of<'a>(&self, datasets: impl IntoIterator<Item = &'a str>) -> Days {
        let days = datasets.into_iter().filter_map(|dataset| self.grace_days.get(source_of(dataset)?)).max();
        Days::new(u64::from(days.copied().unwrap_or(0)))
    }

    /// Receipts pending since before this instant at the end of `date` are stuck (SU09).
    pub(super) fn stuck_before(&self, date: NaiveDate) -> DateTime<Utc> {
        clock::end_of(date) - TimeDelta::hours(i64::from(self.rules.stuck_hours))
    }
}

/// The source (`[sources.<name>]`) of a dataset.
fn source_of(dataset: &str) -> Option<&'static str> {
    Stage::of_dataset(dataset)?.source()
}

impl Default for Terms {
    /// The defaults of a job file: no programme, and one order source whose channels are all WeChat.
    fn default() -> Terms {
        Terms {
            rules: RuleSettings::default(),
            programs: Vec::new(),
            order_sources: vec![OrderChannels {
                path: PathPattern::new("", "orders/{date}.csv"),
                wechat_channels: Vec::new(),
            }],
            own_merchants: Vec::new(),
            grace_days: BTreeMap::new(),
            repull_days: DEFAULT_REPULL_DAYS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_source_of_a_rule_sets_its_grace() {
        let grace_days = BTreeMap::from([("orders".to_owned(), 1), ("bills".to_owned(), 2)]);
        let terms = Terms { grace_days, ..Terms::default() };
        assert_eq!(terms.grace_days_of(["orders", "refunds"]), Days::new(2));
        assert_eq!(terms.grace_days_of(["orders", "stocks"]), Days::new(1));
        assert_eq!(terms.grace_days_of(["stocks"]), Days::new(0));
        let terms = Terms { grace_days: BTreeMap::from([("wallets".to_owned(), 3)]), ..Terms::default() };
        assert_eq!(terms.grace_days_of(["orders", "user_coupons"]), Days::new(3));
    }
}
