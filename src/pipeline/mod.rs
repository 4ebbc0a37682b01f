//! One night: runs the stages in order, then match, rules and reports, publishes, and determines
//! the exit code. The only module that connects the others; it parses nothing, sends no request and
//! computes no figure itself.

mod check;
mod coverage;
mod decisions;
mod engine;
mod entries;
mod failure;
mod finished_night;
mod forecast;
mod kept_bill;
mod lake_access;
mod manifest;
mod night;
mod night_plan;
mod observers;
mod outcome;
mod ownership;
mod pack;
mod progress;
mod provenance;
mod reconciliation;
mod refoot;
mod remedies;
mod restatement;
mod run;
mod script;
mod setup;
mod setup_mistakes;
mod signatures;
mod sources;
mod stage_output;
mod stage_recorder;
mod stages;
mod staleness;
mod summary;
mod verdict;
mod work;

pub use check::{Finding, check_job};
pub use engine::refuse_engine;
pub use failure::{not_published, nothing_published, unread, unusable_keys};
pub use forecast::{NightForecast, StageOutlook, forecast_night, refuse_forgotten};
pub use kept_bill::missing_bill;
pub use lake_access::{ReadableLake, lake_as_shown};
pub use night::run_night;
pub use night_plan::{INTAKE_MEMORY_BYTES, NightPlan, PlannedNight};
pub use observers::{LastWords, tell_night};
pub use outcome::NightOutcome;
pub use progress::{Bars, Quiet};
pub use refoot::refoot;
pub use remedies::{Applied, apply, propose};
pub use script::{Scripted, write_script};
pub use signatures::{Proof, verify_signatures};
pub use summary::{print as print_summary, restatement, warnings};
pub use work::JournalKeeper;
