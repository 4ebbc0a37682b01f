//! `coupon-recon check`: verifies a job before the night: file, keys, clock, serials, hosts, rules.
//! Reports every problem at once. Writes nothing, except for one object, removed again, where the
//! lake is in a bucket.

use super::arguments::Check;
use super::run::{load_job, redirect};
use super::terminal::say;
use crate::clock::World;
use crate::error::{ExitCode, Failure};
use crate::pipeline;

pub(super) async fn run(command: &Check, world: &World) -> Result<ExitCode, Failure> {
    let mut job = load_job(&command.job)?;
    if let Some(base_url) = &command.base_url {
        redirect(&mut job, base_url)?;
    }
    say(format_args!("ok   job file `{}`", command.job.display()));
    let findings = pipeline::check_job(&job, world).await;
    let mut worst = ExitCode::Complete;
    for finding in &findings {
        match &finding.problem {
            None => say(format_args!("ok   {}", finding.what)),
            Some((code, problem)) => {
                say(format_args!("FAIL {}: {problem}", finding.what));
                worst = worst.max(*code);
            }
        }
    }
    for warning in &job.warnings {
        say(format_args!("warn {warning}"));
    }
    Ok(worst)
}
