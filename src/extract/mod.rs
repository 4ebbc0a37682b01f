//! Extraction: one file per source stage with its requests, its pages and its typed rows. Every
//! remote answer is in the journal before it becomes a row. Publishes nothing.

mod answered;
mod ask;
mod bills;
mod cards;
mod certificates;
mod coupon_codes;
mod datacube;
mod forecast;
mod gathered;
mod harvest;
mod health;
mod issue;
mod listing;
mod lookback;
mod made_returns;
mod night;
mod notifications;
mod odd_fields;
mod orders;
mod retries;
mod roster;
mod stocks;
mod subsidies;
mod subsidy_ledger;
mod unknown_users;
mod unknown_values;
mod user_coupons;
mod v2_stocks;
mod wire;

pub use answered::page as journal_page;
pub use bills::{BillFiles, Bills, extract as extract_bills, missing_bill, oldest_kept};
pub use cards::extract as extract_cards;
pub use certificates::{CERTIFICATES, keep_certificates};
pub use coupon_codes::extract as extract_coupon_codes;
pub use datacube::{Datacube, extract as extract_datacube};
pub use forecast::{StageForecast, forecast};
pub use harvest::Harvest;
pub use health::Health;
pub use issue::{Issue, IssueKind};
pub use lookback::Lookback;
pub use made_returns::keep_return;
pub use night::{Apis, Night, Watcher};
pub use notifications::{extract as extract_notifications, published as published_events};
pub use orders::{OrderExports, SettledOrders, extract as extract_orders, unpacked as order_line};
pub use retries::Retries;
pub use roster::{Buyers, Roster, RosterInput, extract as extract_roster};
pub use stocks::{Stocks, extract as extract_stocks};
pub use subsidies::{
    Plan as SubsidyPlan, Subsidies, SubsidyInput, extract as extract_subsidies, plan as plan_subsidies,
};
pub use subsidy_ledger::{SettledLedger, SubsidyLedger, extract as extract_subsidy_ledger};
pub use user_coupons::{Wallets, extract as extract_user_coupons};
pub use v2_stocks::{Vouchers, extract as extract_v2_stocks};
