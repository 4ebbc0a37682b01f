//! A night: stages in order, match, rules, publish, exit code. The only module that joins the
//! others; it parses nothing, asks nothing and computes no number itself.

mod check;
mod coverage;
mod desk;
mod engine;
mod entries;
mod evidence;
mod failure;
mod forecast;
mod night;
mod opening;
mod pack;
mod place;
mod progress;
mod provenance;
mod refoot;
mod restated;
mod script;
mod stages;
mod summary;
mod telling;
mod verdict;

pub use check::{Finding, check_job};
pub use evidence::{Proof, verify_signatures};
pub use forecast::{NightForecast, StageOutlook, forecast_night, refuse_forgotten};
pub use night::{INTAKE_MEMORY_BYTES, JournalKeeper, NightOutcome, Plan, run_night};
pub use place::{Reading, lake_as_shown};
pub use progress::{Bars, Quiet};
pub use refoot::refoot;
pub use script::{Scripted, write_script};
pub use summary::{print as print_summary, warnings};
pub use telling::{LastWords, tell_night};
