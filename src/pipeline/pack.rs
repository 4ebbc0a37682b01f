//! Collects the inputs of the finance pack of a night and stages its files. Renders nothing itself.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use arrow::array::RecordBatch;
use chrono::{Days, NaiveDate};

use super::failure::{disk, violated};
use super::sources::Sources;
use crate::dataset::columns::Columns;
use crate::dataset::manifest::FootingEntry;
use crate::dataset::partition::{PartitionError, open_batches_ahead, open_rows, or_error, read_columns};
use crate::dataset::publish::Staging;
use crate::dataset::staged::StagedFile;
use crate::error::Failure;
use crate::exports::BadRow;
use crate::job::{Job, OnBadRow, Pii};
use crate::reconcile::rules::Rules;
use crate::reconcile::{BreakFigures, DayFiles, Judgement};
use crate::record::{Break, LedgerRow, Record, SubsidyPayment};
use crate::report::{self, Books, CouponColumns, PackInput, ReportError, Shelf, TrendDay};

/// Days of the trend before the day itself.
const TREND_DAYS_BEFORE: u64 = 29;

/// A night whose rules were run.
pub(super) struct NightToReport<'a> {
    pub(super) job: &'a Job,
    pub(super) rules: &'a Rules,
    pub(super) is_partial: bool,
    /// The day's staged partitions, including ledger and breaks, and the published days before it.
    pub(super) files: &'a DayFiles,
    pub(super) judgement: &'a Judgement,
    pub(super) breaks: &'a BreakFigures,
    pub(super) sources: &'a Sources,
    pub(super) footing: &'a [FootingEntry],
}

/// The first day the trend of `date` shows.
pub(super) fn trend_start(date: NaiveDate) -> NaiveDate {
    date - Days::new(TREND_DAYS_BEFORE)
}

/// Writes the pack into the staging folder.
pub(super) fn write(night: &NightToReport<'_>, staging: &Staging) -> Result<Vec<StagedFile>, Failure> {
    let quarantined = quarantined(night.job, night.sources);
    let trend = trend(night.files).map_err(|error| violated(&error))?;
    let input = PackInput {
        settings: night.job.report,
        job: &night.job.name,
        date: night.files.date,
        is_partial: night.is_partial,
        breaks: night.breaks,
        quarantined: quarantined.as_deref(),
        rules: night.rules,
        unjudged: &night.judgement.unjudged,
        coverage: night.sources.coverage.as_ref(),
        footing: night.footing,
        trend: &trend,
        scratch: staging.folder(),
    };
    let books = Books {
        breaks: rows::<Break>(night.files),
        ledger: ledger(night.files),
        receipts: rows::<SubsidyPayment>(night.files),
    };
    let mut shelf = StagingShelf { staging, files: Vec::new() };
    report::write(&input, books, &mut shelf).map_err(unwritten)?;
    Ok(shelf.files)
}

/// The batches of the day's ledger, read ahead on a thread; empty if there is no ledger.
fn ledger(files: &DayFiles) -> impl Iterator<Item = Result<RecordBatch, PartitionError>> + use<> {
    let path = files.of_day(LedgerRow::DATASET);
    path.map(|path| or_error(open_batches_ahead(path, CouponColumns::NAMES))).into_iter().flatten()
}

/// The rows of a dataset of the day.
fn rows<R: Record>(files: &DayFiles) -> impl Iterator<Item = Result<R, PartitionError>> + use<R> {
    files.of_day(R::DATASET).map(|path| or_error(open_rows(path))).into_iter().flatten()
}

/// The days before this one, counted from their published breaks.
fn trend(files: &DayFiles) -> Result<Vec<TrendDay>, PartitionError> {
    let days = files.window(Break::DATASET, trend_start(files.date)).into_iter();
    let count = |(date, path): (NaiveDate, &Path)| {
        let breaks = read_columns(path, Break::DATASET, &TrendDay::COLUMNS)?;
        Ok(TrendDay::count(date, breaks.into_iter()))
    };
    days.filter(|(date, _)| *date < files.date).map(count).collect()
}

/// The quarantined rows, if the job has a quarantine. Rows identify users, so their contents are
/// shown only where openids are published raw.
fn quarantined(job: &Job, sources: &Sources) -> Option<Vec<BadRow>> {
    let has_quarantine = job.orders.iter().any(|source| source.on_bad_row == OnBadRow::Quarantine);
    let shown = |row: &BadRow| match job.pii {
        Pii::Raw => row.clone(),
        Pii::Hmac(_) => BadRow { raw: String::new(), ..row.clone() },
    };
    has_quarantine.then(|| sources.quarantined.iter().map(shown).collect())
}

fn unwritten(error: ReportError) -> Failure {
    match error {
        ReportError::Read(_) | ReportError::Ledger(_) => violated(&error),
        ReportError::Sort(ref source) | ReportError::Write { ref source, .. } => {
            disk(source, &format!("{error}; nothing was published"))
        }
        ReportError::Workbook(_) => disk(&io::Error::other(error), "cannot write the reports; nothing was published"),
    }
}

/// The reports in the staging folder.
struct StagingShelf<'a> {
    staging: &'a Staging,
    files: Vec<StagedFile>,
}

impl Shelf for StagingShelf<'_> {
    type File = BufWriter<File>;

    fn open(&mut self, name: &str) -> io::Result<Self::File> {
        self.staging.open_report(name)
    }

    fn keep(&mut self, name: &str, file: Self::File) -> io::Result<String> {
        let staged = self.staging.keep_report(name, file)?;
        self.files.push(staged.clone());
        Ok(staged.sha256)
    }
}
