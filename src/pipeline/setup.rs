//! What a night needs before it starts: clients, pseudonyms, folders.

use std::io;
use std::sync::Arc;

use chrono::NaiveDate;

use super::failure::{disk, unjournalled, unpublished, unusable_keys};
use super::night_plan::{NightPlan, PlannedNight};
use crate::clock::World;
use crate::dataset::Lake;
use crate::dataset::partition::PartLimit;
use crate::dataset::publication::{self, Recovery};
use crate::dataset::publish::Staging;
use crate::dataset::runs::Runs;
use crate::error::{ExitCode, Failure};
use crate::extract::{Apis, Night, Watcher};
use crate::job::{Job, Pii};
use crate::journal::{Journal, JournalError, Mode};
use crate::pseudonyms::Pseudonyms;
use crate::sorter::Room;
use crate::stage::Stage;
use crate::wechat::SetupError;
use crate::wechat::mp::Mp;
use crate::wechat::pay_v2::PayV2;
use crate::wechat::pay_v3::PayV3;

/// What a night works with, besides its lake.
pub(super) struct Equipment {
    pub(super) journal: Arc<Journal>,
    pub(super) apis: Apis,
    pub(super) pseudonyms: Pseudonyms,
    pub(super) room: Room,
}

impl Equipment {
    /// The night of a plan, for its stages.
    pub(super) fn night<'a>(
        &'a self,
        planned: PlannedNight<'a>,
        lake: &'a Lake,
        watcher: &'a dyn Watcher,
    ) -> Night<'a> {
        let PlannedNight { job, plan, world } = planned;
        Night {
            job,
            date: plan.date,
            lake,
            journal: &self.journal,
            world,
            room: &self.room,
            pseudonyms: &self.pseudonyms,
            apis: &self.apis,
            watcher,
            selected: plan.stages.as_ref(),
        }
    }
}

/// The clients of the configured APIs; unusable keys are an error here.
pub(super) fn connect(job: &Job, world: &World) -> Result<Apis, Failure> {
    let wrong = |error: SetupError| unusable_keys(&error);
    let pay_v3 = job.pay_v3.as_ref().map(|settings| PayV3::new(settings, world.clone())).transpose().map_err(wrong)?;
    let pay_v2 = job.pay_v2.as_ref().map(|settings| PayV2::new(settings, world.clone())).transpose().map_err(wrong)?;
    let mp = job.mp.as_ref().map(|settings| Mp::new(settings, world.clone())).transpose().map_err(wrong)?;
    Ok(Apis { pay_v3, pay_v2, mp, ..Apis::default() })
}

/// How the job publishes openids.
pub(super) fn pseudonyms(job: &Job) -> Pseudonyms {
    match &job.pii {
        Pii::Hmac(key) => Pseudonyms::hmac(key.expose().as_bytes()),
        Pii::Raw => Pseudonyms::raw(),
    }
}

/// Creates the folders of the lake; none may lead out of it.
pub(super) fn prepare(lake: &Lake, job: &Job, date: NaiveDate) -> Result<(), Failure> {
    let link = lake.link(date, &job.name).map_err(|error| disk(&error, "cannot look at the lake"))?;
    if let Some(link) = link {
        let what = format!("`{}` is a symbolic link: nothing in a lake may lead out of it", link.display());
        return Err(
            Failure::new(ExitCode::Usage, what).hinting("replace it with a folder; `job.lake` itself may be a link")
        );
    }
    let root = lake.root().display();
    lake.prepare().map_err(|error| {
        let failure = disk(&error, &format!("cannot make the folders of the lake `{root}`"));
        match error.kind() {
            // All folders that are missing would be made.
            io::ErrorKind::NotFound => failure.hinting("a link on the way there leads nowhere: is the disk mounted?"),
            _ => failure,
        }
    })?;
    match lake.closed_folder() {
        None => Ok(()),
        Some((folder, error)) => Err(disk(&error, &format!("cannot write to `{}`", folder.display()))),
    }
}

/// Completes the publication of a run that was killed, before anything is read.
pub(super) fn complete_publication(lake: &Lake, job: &str) -> Result<(), Failure> {
    match publication::recover(lake, job) {
        Ok(Recovery::Nothing) => {}
        Ok(Recovery::Completed(date)) => {
            tracing::warn!("a run died while publishing {date}; the publication is now complete")
        }
        Ok(Recovery::Lost(date)) => {
            tracing::warn!("a run died while publishing {date}, and what it staged is gone: run {date} again");
        }
        Err(error) => return Err(unpublished(&error)),
    }
    Ok(())
}

/// Opens the journal as the plan says; a replay reads the published generation, up to what it held then. If only
/// some stages are requested again, the others keep their answers, from which the day is made.
pub(super) fn open_journal(
    lake: &Lake,
    job: &Job,
    plan: &NightPlan,
    runs: &Runs,
    world: &World,
) -> Result<Journal, Failure> {
    let folder = lake.journal(plan.date);
    // What belongs to no stage would not be requested again, so it is kept: answers to the calls of plans,
    // certificates.
    let is_kept = |name: &str| match (Stage::find(name), &plan.stages) {
        (None, _) => true,
        (Some(stage), Some(asked)) => !asked.contains(&stage),
        (Some(_), None) => false,
    };
    let journal = match plan.mode {
        Mode::Replay => runs.journal(lake, plan.date, world.clone()),
        Mode::Refetch => {
            let beside = lake.staging(&job.name).join("journal");
            Journal::refetch_some(&folder, &is_kept, &beside, world.clone())
        }
        mode => Journal::open(&folder, mode, world.clone()),
    };
    journal.map_err(|error| match &error {
        JournalError::Io { .. } => unjournalled(&error),
        _ => Failure::caused_by(ExitCode::Usage, format!("cannot open the journal of {}", plan.date), &error),
    })
}

/// A clean staging folder, with the part size of the job.
pub(super) fn open_staging(lake: &Lake, job: &Job, date: NaiveDate) -> Result<Staging, Failure> {
    let staging = Staging::open(lake, &job.name, date);
    let staging = staging.map_err(|error| disk(&error, "cannot open the staging folder"))?;
    Ok(staging.in_parts(PartLimit::of_bytes(job.part_bytes)))
}
