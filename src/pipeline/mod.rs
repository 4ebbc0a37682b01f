//! A night: stages in order, match, rules, publish, exit code. The only module that joins the
//! others; it parses nothing, asks nothing and computes no number itself.

mod check;
mod coverage;
mod evidence;
mod failure;
mod night;
mod opening;
mod pack;
mod progress;
mod provenance;
mod restated;
mod stages;
mod summary;
mod verdict;

pub use check::{Finding, check_job};
pub use evidence::{Proof, verify_signatures};
pub use night::{JournalKeeper, NightOutcome, Plan, run_night};
pub use progress::{Bars, Quiet};
pub use summary::print as print_summary;

/// Every stage by name, in the order of design §3.
pub const STAGES: [&str; 14] = [
    "orders",
    "bills",
    "subsidy_ledger",
    "notifications",
    "roster",
    "stocks",
    "user_coupons",
    "coupon_codes",
    "subsidies",
    "datacube",
    "cards",
    "v2_stocks",
    "reconcile",
    "report",
];
