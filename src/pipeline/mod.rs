//! One night: runs the stages in order, then match, rules and reports, publishes, and determines
//! the exit code. The only module that connects the others; it parses nothing, sends no request and
//! computes no figure itself.

mod check;
mod stage_recorder;
mod coverage;
mod decisions;
mod stage_output;
mod finished_night;
mod engine;
mod entries;
mod evidence;
mod failure;
mod forecast;
mod manifest;
mod night;
mod setup;
mod outcome;
mod pack;
mod lake_access;
mod night_plan;
mod progress;
mod provenance;
mod reconciliation;
mod refoot;
mod remedies;
mod restatement;
mod run;
mod script;
mod sources;
mod stages;
mod staleness;
mod summary;
mod observers;
mod verdict;
mod work;

pub use check::{Finding, check_job};
pub use evidence::{Proof, verify_signatures};
pub use failure::{not_published, nothing_published, unread};
pub use forecast::{NightForecast, StageOutlook, forecast_night, refuse_forgotten};
pub use lake_access::{ReadableLake, lake_as_shown};
pub use night::run_night;
pub use night_plan::{INTAKE_MEMORY_BYTES, NightPlan};
pub use observers::{LastWords, tell_night};
pub use outcome::NightOutcome;
pub use progress::{Bars, Quiet};
pub use refoot::refoot;
pub use remedies::{Applied, apply, propose};
pub use script::{Scripted, write_script};
pub use summary::{print as print_summary, warnings};
pub use work::JournalKeeper;
