//! One night: runs the stages in order, then match, rules and reports, publishes, and determines
//! the exit code. The only module that connects the others; it parses nothing, sends no request and
//! computes no figure itself.

mod check;
mod clerk;
mod coverage;
mod decisions;
mod desk;
mod done;
mod engine;
mod entries;
mod evidence;
mod failure;
mod forecast;
mod manifest;
mod night;
mod opening;
mod outcome;
mod pack;
mod place;
mod plan;
mod progress;
mod provenance;
mod reconciliation;
mod refoot;
mod remedies;
mod restated;
mod run;
mod script;
mod sources;
mod stages;
mod staleness;
mod summary;
mod telling;
mod verdict;
mod work;

pub use check::{Finding, check_job};
pub use evidence::{Proof, verify_signatures};
pub use failure::{not_published, nothing_published, unread};
pub use forecast::{NightForecast, StageOutlook, forecast_night, refuse_forgotten};
pub use night::run_night;
pub use outcome::NightOutcome;
pub use place::{Reading, lake_as_shown};
pub use plan::{INTAKE_MEMORY_BYTES, Plan};
pub use progress::{Bars, Quiet};
pub use refoot::refoot;
pub use remedies::{Applied, apply, propose};
pub use script::{Scripted, write_script};
pub use summary::{print as print_summary, warnings};
pub use telling::{LastWords, tell_night};
pub use work::JournalKeeper;
