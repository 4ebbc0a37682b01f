//! The finance pack (design §8): breaks and ledger as files for people. Rows in, bytes out: the caller
//! opens and keeps the files, and reads the lake.

mod associated_orders;
mod broken;
mod coupon;
mod csv_file;
mod discrepancies;
mod figures;
mod flow;
mod gate;
mod html;
mod once;
mod pack;
mod quarantine;
mod refusal;
mod subsidies;
mod summary;
mod table;
mod totals;
mod words;
mod workbook;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Seek, Write};
use std::path::Path;

use arrow::error::ArrowError;
use chrono::NaiveDate;
use rust_xlsxwriter::XlsxError;

use crate::dataset::manifest::{Coverage, FootingEntry};
use crate::dataset::partition::PartitionError;
use crate::exports::BadRow;
use crate::job::{Language, ReportSettings};
use crate::reconcile::rules::Wording;
use crate::record::Break;

pub(crate) use coupon::CouponColumns;
pub use figures::{Summary, TrendBreak, TrendDay};
pub use flow::{CouponEnd, FlowLine, FlowTally, OrderEnd, SubsidyEnd};
pub use gate::{Gate, GateError};
pub use pack::{Books, write};
pub use summary::AgeBucket;
pub use table::{Column, Kind, Table};

/// Where the files of the pack go.
pub trait Shelf {
    /// An open file.
    type File: Write + Seek + Send;

    /// Opens a file of `reports/dt=D/`.
    ///
    /// # Errors
    /// The system says no.
    fn open(&mut self, name: &str) -> io::Result<Self::File>;

    /// Keeps a file that is written to its end; gives its SHA-256, hex.
    ///
    /// # Errors
    /// The system says no.
    fn keep(&mut self, name: &str, file: Self::File) -> io::Result<String>;
}

/// What a rule is called and what it asks for, as its file's header gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleTitle {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
    /// What to do, in Chinese; empty where the file has none.
    pub action_zh: String,
    /// Its sentences in both languages.
    pub wordings: Vec<Wording>,
}

/// What the pack is made of, beside the ledger and the receipts.
#[derive(Debug)]
pub struct PackInput<'a> {
    /// Language, id guard, trailer.
    pub settings: ReportSettings,
    /// `job.name`.
    pub job: &'a str,
    /// Business date.
    pub date: NaiveDate,
    /// Whether a stage fell short.
    pub is_partial: bool,
    /// Breaks of the day, any order.
    pub breaks: &'a [Break],
    /// Rows put aside; none where the job has no quarantine.
    pub quarantined: Option<&'a [BadRow]>,
    /// Titles by rule id.
    pub titles: &'a BTreeMap<String, RuleTitle>,
    /// Rules that were not judged for lack of a source or because one fell short: id and dataset.
    pub unjudged: &'a [(String, String)],
    /// How much of the wallets was verified lately.
    pub coverage: Option<&'a Coverage>,
    /// Control totals of the match.
    pub footing: &'a [FootingEntry],
    /// Earlier days, oldest first.
    pub trend: &'a [TrendDay],
    /// A folder for rows that wait for the workbook, and for receipts that are sorted.
    pub scratch: &'a Path,
}

/// Why the pack could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The rows cannot be read.
    #[error("cannot read the rows of the reports")]
    Read(#[from] PartitionError),
    /// The ledger has other columns than the reports need.
    #[error("the coupon ledger does not have the columns of the reports")]
    Ledger(#[from] ArrowError),
    /// The scratch folder has no room, or does not give back what lies there.
    #[error("cannot sort the rows of the reports")]
    Sort(#[source] io::Error),
    /// A file cannot be written.
    #[error("cannot write `{name}`")]
    Write {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The workbook cannot be written.
    #[error("cannot write `{WORKBOOK}`")]
    Workbook(#[source] XlsxError),
}

/// The workbook.
const WORKBOOK: &str = "reconciliation.xlsx";

impl From<XlsxError> for ReportError {
    fn from(error: XlsxError) -> ReportError {
        match error {
            XlsxError::IoError(source) | XlsxError::TempFileError(_, source) => {
                ReportError::Write { name: WORKBOOK.to_owned(), source }
            }
            error => ReportError::Workbook(error),
        }
    }
}

/// Every table of the pack: a CSV each, and a sheet of the workbook.
pub fn tables() -> [&'static Table; 5] {
    [&summary::TABLE, &discrepancies::TABLE, &associated_orders::TABLE, &subsidies::TABLE, &quarantine::TABLE]
}

/// The file of the pack that a person opens first.
pub const PAGE: &str = "report.html";

/// The statuses that count as open (design §7).
pub const OPEN_STATUSES: [&str; 3] = ["new", "open", "reopened"];

/// Whether a break is open.
pub fn is_open(it: &Break) -> bool {
    OPEN_STATUSES.contains(&it.status.as_str())
}

impl PackInput<'_> {
    fn title(&self, rule_id: &str) -> &str {
        self.titles.get(rule_id).map_or("", |title| self.pick(&title.zh, &title.en))
    }

    /// What to do about a break, in the language of the report where the rule says it.
    fn action<'t>(&'t self, it: &'t Break) -> &'t str {
        match self.settings.language {
            Language::Zh => self.action_zh(it),
            Language::En => &it.action,
        }
    }

    fn action_zh<'t>(&'t self, it: &'t Break) -> &'t str {
        let zh = self.titles.get(&it.rule_id).map_or("", |title| &title.action_zh);
        if zh.is_empty() { &it.action } else { zh }
    }

    /// What differs, in the language of the report where the rule says it.
    fn why<'t>(&self, it: &'t Break) -> Cow<'t, str> {
        match self.settings.language {
            Language::Zh => self.why_zh(it),
            Language::En => Cow::Borrowed(&it.why),
        }
    }

    fn why_zh<'t>(&self, it: &'t Break) -> Cow<'t, str> {
        let wordings = self.titles.get(&it.rule_id).into_iter().flat_map(|title| &title.wordings);
        let zh = wordings.into_iter().find_map(|wording| wording.in_chinese(&it.why));
        zh.map_or(Cow::Borrowed(it.why.as_str()), Cow::Owned)
    }

    fn pick<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        self.settings.language.pick(zh, en)
    }
}
