//! `coupon-recon run --emit-script FILE`: one line of JSON, and the next steps for people.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::interrupt::Interrupt;
use super::shell;
use super::terminal::{self, Level, say, watcher};
use super::wait::{Attempt, until_ready};
use crate::error::{ExitCode, Failure};
use crate::pipeline::{self, NightPlan, PlannedNight};

pub(super) async fn write(
    night: PlannedNight<'_>,
    wait: Option<Duration>,
    interrupt: &Interrupt,
    file: &Path,
) -> Result<ExitCode, Failure> {
    let PlannedNight { job, plan, world } = night;
    let attempt = async |mode| {
        let plan = NightPlan { mode, ..plan.clone() };
        let watcher = watcher();
        let script = pipeline::write_script(PlannedNight { plan: &plan, ..night }, &*watcher, interrupt, file);
        Attempt::make(interrupt, script, |scripted| scripted.code).await
    };
    let scripted = until_ready(world, wait, plan.mode, attempt).await?;
    for issue in &scripted.issues {
        terminal::tell(Level::Warn, &issue.what);
    }
    say(json!({
        "date": plan.date,
        "script": file,
        "handover": scripted.folder,
        "rows": scripted.rows,
        "requests": scripted.requests,
        "exit_code": scripted.code as i32,
    }));
    let then = format!("coupon-recon run {} --date {} --engine spark --take-script", shell::word(&job.path), plan.date);
    let next = format!("nothing is published yet; next: spark-submit {}\n      and then: {then}", shell::word(file));
    terminal::tell(Level::Info, next);
    Ok(scripted.code)
}
