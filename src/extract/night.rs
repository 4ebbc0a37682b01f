//! The context that all stages of one night share: the job, earlier days, the journal, the clients, the
//! progress watcher.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use super::health::Health;
use super::issue::Issue;
use super::retries::Retries;
use crate::clock::{self, World};
use crate::contract::contract;
use crate::dataset::Lake;
use crate::dataset::assembly::each_packed;
use crate::dataset::partial_days::PartialDays;
use crate::dataset::partition::read_rows;
use crate::job::Job;
use crate::journal::Journal;
use crate::pseudonyms::Pseudonyms;
use crate::record::Record;
use crate::sorter::{PackedRow, Room};
use crate::stage::Stage;
use crate::wechat::mp::Mp;
use crate::wechat::pay_v2::PayV2;
use crate::wechat::pay_v3::PayV3;

/// The room is divided by this number for sorters that work at the same time.
const CORNERS: usize = 16;

/// The context of one night.
#[derive(Debug)]
pub struct Night<'a> {
    /// The job.
    pub job: &'a Job,
    /// Business date.
    pub date: NaiveDate,
    /// The lake with the earlier days.
    pub lake: &'a Lake,
    /// The journal of answers.
    pub journal: &'a Journal,
    /// Clock, sleep, randomness.
    pub world: &'a World,
    /// Where rows are sorted on disk, and how much memory that may take.
    pub room: &'a Room,
    /// How openids are published.
    pub pseudonyms: &'a Pseudonyms,
    /// The remote APIs.
    pub apis: &'a Apis,
    /// Receives progress.
    pub watcher: &'a dyn Watcher,
    /// Stages that may send requests; `None` means all.
    pub selected: Option<&'a BTreeSet<Stage>>,
}

/// What every row bears of the night on which it was requested.
#[derive(Debug, Clone, Copy)]
pub(super) struct Imprint<'a> {
    /// Business date.
    pub(super) date: NaiveDate,
    /// How openids are published.
    pub(super) pseudonyms: &'a Pseudonyms,
    /// The raw openid of the user whom the answer is about, if it is about one.
    pub(super) user: Option<&'a str>,
}

impl<'a> Imprint<'a> {
    /// The same for an answer about a user.
    pub(super) fn about(self, user: Option<&'a str>) -> Imprint<'a> {
        Imprint { user, ..self }
    }
}

#[cfg(test)]
impl Imprint<'static> {
    /// Of a night that publishes openids as they are.
    pub(super) fn raw(date: NaiveDate) -> Imprint<'static> {
        static RAW: Pseudonyms = Pseudonyms::raw();
        Imprint { date, pseudonyms: &RAW, user: None }
    }
}

/// The clients of the configured APIs.
#[derive(Debug, Default)]
pub struct Apis {
    /// `[pay_v3]`.
    pub pay_v3: Option<PayV3>,
    /// `[pay_v2]`.
    pub pay_v2: Option<PayV2>,
    /// `[mp]`.
    pub mp: Option<Mp>,
    /// Whether each API answers tonight.
    pub health: Health,
    /// Retries per stage.
    pub retries: Retries,
}

/// Receives the progress of a stage, for the progress bars of a terminal.
pub trait Watcher: Send + Sync + std::fmt::Debug {
    /// `stage` is about to request `total` objects; `retries` keeps counting meanwhile.
    fn expect(&self, stage: Stage, total: u64, retries: &Arc<AtomicU64>);
    /// One of them is done.
    fn advance(&self, stage: Stage);
}

impl Night<'_> {
    /// What every row bears of this night.
    pub(super) fn imprint(&self) -> Imprint<'_> {
        Imprint { date: self.date, pseudonyms: self.pseudonyms, user: None }
    }

    /// Passes on the packed rows of `R` published on any day before D, oldest day first.
    pub(super) fn each_earlier<R: Record>(
        &self,
        mut take: impl FnMut(PackedRow<'_>) -> Result<(), Issue>,
    ) -> Result<(), Issue> {
        let partitions = self.lake.partitions(R::DATASET, NaiveDate::MIN, self.date);
        for partition in partitions.map_err(|error| Issue::io(self.lake.root(), &error))? {
            each_packed(&partition.path, contract(R::DATASET), None, &mut take)?;
        }
        Ok(())
    }

    /// Rows of the latest partition of `R` before D.
    pub(super) fn yesterday<R: Record>(&self) -> Result<Vec<R>, Issue> {
        Ok(self.latest::<R>()?.map(|path| read_rows(&path)).transpose()?.unwrap_or_default())
    }

    /// Passes on the same rows packed, dated D.
    pub(super) fn each_yesterday<R: Record>(
        &self,
        take: impl FnMut(PackedRow<'_>) -> Result<(), Issue>,
    ) -> Result<(), Issue> {
        self.latest::<R>()?.map_or(Ok(()), |path| each_packed(&path, contract(R::DATASET), Some(self.date), take))
    }

    /// The latest partition of `R` before D, by its first file.
    pub(super) fn latest<R: Record>(&self) -> Result<Option<PathBuf>, Issue> {
        let latest = self.lake.latest_before(R::DATASET, self.date);
        Ok(latest.map_err(|error| Issue::io(self.lake.root(), &error))?.map(|partition| partition.path))
    }

    /// The nights of the look-back before D whose partition of `R` lacks rows or answers.
    pub(super) fn partial_nights<R: Record>(&self) -> Result<BTreeSet<NaiveDate>, Issue> {
        let from = self.job.rules.lookback_start(self.date);
        let partitions = self.lake.partitions(R::DATASET, from, self.date);
        let (mut partial, mut partial_days) = (BTreeSet::new(), PartialDays::of(self.lake));
        for partition in partitions.map_err(|error| Issue::io(self.lake.root(), &error))? {
            if partial_days.contain(R::DATASET, partition.date)? {
                partial.insert(partition.date);
            }
        }
        Ok(partial)
    }

    /// A share of the room, for a sorter that works at the same time as others.
    pub fn corner(&self) -> Room {
        Room { memory_bytes: self.room.memory_bytes / CORNERS, ..self.room.clone() }
    }

    /// Whether `stage` may send requests; otherwise it works from the journal alone.
    pub(super) fn may_ask(&self, stage: Stage) -> bool {
        !self.journal.mode().is_read_only() && self.selected.is_none_or(|selected| selected.contains(&stage))
    }

    /// Refuses a stage whose source does not have a complete day yet.
    pub(super) fn require_ready(&self, stage: Stage) -> Result<(), Issue> {
        let Some(source) = stage.source() else { return Ok(()) };
        let ready_at = self.job.sources.get(source).and_then(|calendar| calendar.ready_at);
        let ready = ready_at.map(|time| ready_instant(self.date, time));
        match ready {
            Some(ready) if self.world.clock.now() < ready => Err(Issue::not_ready(source, ready)),
            _ => Ok(()),
        }
    }
}

/// `time` of D+1 in Asia/Shanghai.
fn ready_instant(date: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
    clock::beijing_instant((date + chrono::Days::new(1)).and_time(time))
}
