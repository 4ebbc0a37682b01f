//! The stages of a night (design §3): what each publishes and which API it asks. Only a table: how a
//! stage works is in `extract`, `reconcile` and `report`.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::api::Api;

/// A stage, in the order of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Order exports of the day.
    Orders,
    /// Trade bills, from the API or from files.
    Bills,
    /// The merchant's own list of subsidies.
    SubsidyLedger,
    /// Spooled callbacks.
    Notifications,
    /// Which wallets to request tonight.
    Roster,
    /// Stock details.
    Stocks,
    /// Wallets and single coupons.
    UserCoupons,
    /// Code pools.
    CouponCodes,
    /// Pay and return receipts.
    Subsidies,
    /// The four MP statistics.
    Datacube,
    /// The cards that the statistics name.
    Cards,
    /// v2 stocks and coupons.
    V2Stocks,
    /// Match, rules, life cycle.
    Reconcile,
    /// The finance pack.
    Report,
}

impl Stage {
    /// Every stage, in the order of the design.
    pub const ALL: [Stage; 14] = [
        Stage::Orders,
        Stage::Bills,
        Stage::SubsidyLedger,
        Stage::Notifications,
        Stage::Roster,
        Stage::Stocks,
        Stage::UserCoupons,
        Stage::CouponCodes,
        Stage::Subsidies,
        Stage::Datacube,
        Stage::Cards,
        Stage::V2Stocks,
        Stage::Reconcile,
        Stage::Report,
    ];

    /// The name on the command line, in the manifest and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Orders => "orders",
            Stage::Bills => "bills",
            Stage::SubsidyLedger => "subsidy_ledger",
            Stage::Notifications => "notifications",
            Stage::Roster => "roster",
            Stage::Stocks => "stocks",
            Stage::UserCoupons => "user_coupons",
            Stage::CouponCodes => "coupon_codes",
            Stage::Subsidies => "subsidies",
            Stage::Datacube => "datacube",
            Stage::Cards => "cards",
            Stage::V2Stocks => "v2_stocks",
            Stage::Reconcile => "reconcile",
            Stage::Report => "report",
        }
    }

    /// The stage of that name.
    pub fn find(name: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.as_str() == name)
    }

    /// The datasets it publishes. The roster publishes none: it is state, and its effect shows in the
    /// wallets.
    pub fn datasets(self) -> &'static [&'static str] {
        match self {
            Stage::Orders => &["orders"],
            Stage::Bills => &["payments", "refunds"],
            Stage::SubsidyLedger => &["subsidy_orders"],
            Stage::Notifications => &["coupon_events"],
            Stage::Stocks => &["stocks"],
            Stage::UserCoupons => &["user_coupons"],
            Stage::CouponCodes => &["coupon_codes"],
            Stage::Subsidies => &["subsidy_payments", "subsidy_returns"],
            Stage::Datacube => &["card_account_daily", "card_daily", "member_card_daily", "member_card_detail_daily"],
            Stage::Cards => &["cards"],
            Stage::V2Stocks => &["v2_stocks", "v2_coupons"],
            Stage::Reconcile => &["coupon_ledger", "breaks"],
            Stage::Roster | Stage::Report => &[],
        }
    }

    /// The datasets that are incomplete if it fails: a wallet that is not on the roster is not
    /// requested.
    pub fn datasets_at_stake(self) -> &'static [&'static str] {
        match self {
            Stage::Roster => Stage::UserCoupons.datasets(),
            stage => stage.datasets(),
        }
    }

    /// The stage that publishes a dataset.
    pub fn of_dataset(dataset: &str) -> Option<Stage> {
        Stage::ALL.into_iter().find(|stage| stage.datasets().contains(&dataset))
    }

    /// The `[sources.<name>]` that says when its day is complete; `None` for a stage that works on the
    /// results of others.
    pub fn source(self) -> Option<&'static str> {
        match self {
            Stage::UserCoupons => Some("wallets"),
            Stage::CouponCodes => Some("stocks"),
            Stage::Roster | Stage::Reconcile | Stage::Report => None,
            Stage::Orders
            | Stage::Bills
            | Stage::SubsidyLedger
            | Stage::Notifications
            | Stage::Stocks
            | Stage::Subsidies
            | Stage::Datacube
            | Stage::Cards
            | Stage::V2Stocks => Some(self.as_str()),
        }
    }

    /// Whether all its rows are answers of an API, or carried from those of earlier nights.
    pub fn only_asks(self) -> bool {
        matches!(
            self,
            Stage::Stocks
                | Stage::UserCoupons
                | Stage::CouponCodes
                | Stage::Subsidies
                | Stage::Datacube
                | Stage::Cards
                | Stage::V2Stocks
        )
    }

    /// The API it calls, if any: bills may come from files, callbacks only need keys.
    pub fn api(self) -> Option<Api> {
        match self {
            Stage::Bills
            | Stage::Notifications
            | Stage::Stocks
            | Stage::UserCoupons
            | Stage::CouponCodes
            | Stage::Subsidies => Some(Api::PayV3),
            Stage::Datacube | Stage::Cards => Some(Api::Mp),
            Stage::V2Stocks => Some(Api::PayV2),
            Stage::Orders | Stage::SubsidyLedger | Stage::Roster | Stage::Reconcile | Stage::Report => None,
        }
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::contract;

    #[test]
    fn every_stage_is_found_by_its_name_and_stands_in_its_place() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!((Stage::find(stage.as_str()), stage as usize), (Some(stage), place));
        }
        assert_eq!(Stage::find("wallets"), None);
    }

    #[test]
    fn every_dataset_is_published_by_exactly_one_stage() {
        let published: Vec<_> = Stage::ALL.into_iter().flat_map(Stage::datasets).copied().collect();
        let names: BTreeSet<_> = contract::all().map(|contract| contract.name.as_str()).collect();
        assert_eq!((published.len(), published.into_iter().collect::<BTreeSet<_>>()), (names.len(), names));
    }
}
