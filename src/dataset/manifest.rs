//! The manifest of a run: what was done, from which inputs, with which result. The only published data file with
//! the run id and wall-clock times; no row of a dataset is computed from it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use super::staged::StagedFile;
use super::status::{RunStatus, StageStatus};
use crate::durable;
use crate::money::Fen;
use crate::quantity::counted;
use crate::sha256::sha256_of;
use crate::stage::Stage;

/// The manifest of a run, in its folder.
pub const MANIFEST_FILE: &str = "manifest.json";
/// Its checksum, as `sha256sum` writes it.
pub const CHECKSUM_FILE: &str = "manifest.json.sha256";

/// Version of the manifest format.
pub const MANIFEST_VERSION: u32 = 1;

/// A manifest of a later format, of which this program would understand a part.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{path}` was written by coupon-recon {code_version} in format {version}; this program knows formats up to {MANIFEST_VERSION}"
)]
pub struct LaterFormat {
    path: String,
    code_version: String,
    version: u32,
}

/// What is read of a manifest before the rest of it.
#[derive(Deserialize)]
struct Format {
    manifest_version: u32,
    #[serde(default)]
    code_version: String,
}

/// What `source_sha256` is over: 1, the answers that a night used; 0, all that were journalled. Another number for another
/// definition.
pub const SOURCE_DIGESTS: u32 = 1;

/// `runs/D/<run_id>/manifest.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub manifest_version: u32,
    /// Program version.
    pub code_version: String,
    /// `job.name`.
    pub job: String,
    /// Business date.
    pub business_date: NaiveDate,
    /// Id of this run.
    pub run_id: String,
    /// Counts the runs of the date: the larger number is the later run.
    #[serde(default)]
    pub sequence: u64,
    /// Generation of the journal the day was made from.
    #[serde(default)]
    pub generation: u32,
    /// Wall clock.
    pub started_at: DateTime<Utc>,
    /// Wall clock.
    pub finished_at: DateTime<Utc>,
    /// How it ended.
    pub status: RunStatus,
    /// Exit code of the run.
    pub exit_code: i32,
    /// Stages in the order of the design.
    pub stages: Vec<StageEntry>,
    /// Published files.
    pub files: Vec<StagedFile>,
    /// Earlier partitions this day was made from.
    pub read_partitions: Vec<ReadPartition>,
    /// SHA-256 over everything the day was made of.
    pub inputs_sha256: String,
    /// SHA-256 over what the rows of each source stage were made from: its files or answers, and its settings. Empty
    /// in manifests of older programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub source_sha256: BTreeMap<String, String>,
    /// What those digests are over (`SOURCE_DIGESTS`): programs may differ in it. 0 in manifests of older programs.
    #[serde(default)]
    pub source_digests: u32,
    /// How openids were published: another key of the job has another mark. Empty in manifests of older programs.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub openid_mark: String,
    /// SHA-256 over the journalled answers of each stage.
    #[serde(default)]
    pub journal_sha256: BTreeMap<String, String>,
    /// How far those stages reached: the number of the first segment that the day was not made from.
    #[serde(default)]
    pub journal_extent: BTreeMap<String, u32>,
    /// SHA-256 over the rule files in force.
    pub rules_sha256: String,
    /// Rules that could not be evaluated, and why.
    pub unjudged_rules: BTreeMap<String, String>,
    /// Later days that were made from an older version of this one.
    pub stale_dates: Vec<NaiveDate>,
    /// Control totals of the match, per side: what came in is matched, unmatched or left out.
    pub footing: Vec<FootingEntry>,
    /// Control totals before the match, per dataset: what was read is published.
    #[serde(default)]
    pub intake: Vec<Intake>,
    /// Wallet coverage; `None` when no wallets were to be requested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Compared with the breaks published for this day before, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restated: Option<Restated>,
    /// Days before this one that were never run, first and last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing_dates: Option<(NaiveDate, NaiveDate)>,
    /// Decisions that do not apply yet: their breaks are first seen on a later day.
    #[serde(default)]
    pub early_decisions: usize,
    /// Who started the run: `AIRFLOW_CTX_*`, empty without Airflow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub caller: BTreeMap<String, String>,
}

/// The control total of one dataset between its source and its partition, in rows and in fen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intake {
    /// The dataset.
    pub dataset: String,
    /// Journalled pages or export files read.
    pub pages: u64,
    /// Rows in them.
    pub read: u64,
    /// Rows of earlier days taken over.
    pub carried: u64,
    /// Rows that were replaced by another row of the same key.
    pub repeated: u64,
    /// Malformed rows in the quarantine.
    pub quarantined: u64,
    /// Rows of the partition.
    pub published: u64,
    /// The amounts of the rows read. A malformed row counts if its amount can be parsed; the note
    /// `quarantined_without_amount` counts the others.
    #[serde(default)]
    pub read_fen: Fen,
    /// Of the rows taken over.
    #[serde(default)]
    pub carried_fen: Fen,
    /// Of the replaced rows.
    #[serde(default)]
    pub repeated_fen: Fen,
    /// Of the quarantined rows whose amount can be parsed.
    #[serde(default)]
    pub quarantined_fen: Fen,
    /// Of the partition, as read back from its file.
    #[serde(default)]
    pub published_fen: Fen,
}

impl Intake {
    /// Zero, for `dataset`.
    pub fn of(dataset: &str) -> Intake {
        Intake { dataset: dataset.to_owned(), ..Intake::default() }
    }

    /// Counts a row of an answer or a file.
    pub fn read(&mut self, amount: Fen) {
        self.read += 1;
        self.read_fen += amount;
    }

    /// Counts a row of an earlier day.
    pub fn carry(&mut self, amount: Fen) {
        self.carried += 1;
        self.carried_fen += amount;
    }

    /// Counts a row that is replaced by another one.
    pub fn repeat(&mut self, amount: Fen) {
        self.repeated += 1;
        self.repeated_fen += amount;
    }

    /// Whether rows and amounts add up: everything that came in is accounted for, and nothing else.
    pub fn holds(&self) -> bool {
        self.read + self.carried == self.repeated + self.quarantined + self.published
            && self.read_fen + self.carried_fen == self.repeated_fen + self.quarantined_fen + self.published_fen
    }
}

impl fmt::Display for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = |rows: u64, fen: Fen| format!("{} of {fen} yuan", counted(rows, "row", "rows"));
        write!(
            f,
            "`{}` read {}, carried {}; repeated {}, quarantined {}, published {}",
            self.dataset,
            tally(self.read, self.read_fen),
            tally(self.carried, self.carried_fen),
            tally(self.repeated, self.repeated_fen),
            tally(self.quarantined, self.quarantined_fen),
            tally(self.published, self.published_fen)
        )
    }
}

/// How many of the known wallets and coupons were verified within the audit period (design §5).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// `wallets.audit_days`.
    pub audit_days: u32,
    /// Wallets that hold a coupon or were requested tonight.
    pub wallets: u64,
    /// Those verified within `audit_days`.
    pub wallets_verified: u64,
    /// Coupons verified within `audit_days`.
    pub coupons_verified: u64,
    /// Coupons issued according to the stocks: Σ `total_send_num`.
    pub coupons_issued: u64,
}

/// What a rerun changed in the breaks of its day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restated {
    /// Breaks that were not listed before.
    pub new: usize,
    /// Breaks that are no longer listed.
    pub gone: usize,
    /// Breaks whose row differs.
    pub changed: usize,
    /// Ids of breaks that are no longer listed but have a decision: later nights still accept that decision.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub decided_gone: Vec<String>,
}

/// The control totals of one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootingEntry {
    /// `user_coupons`, `orders`, `subsidy_payments`, `payments`, `refunds`.
    pub side: String,
    /// What came in.
    pub total: FootingTally,
    /// What was matched.
    pub matched: FootingTally,
    /// What was not.
    pub unmatched: FootingTally,
    /// What does not belong to this day.
    pub left_out: FootingTally,
}

/// Rows and amount.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FootingTally {
    /// Rows.
    pub rows: i64,
    /// Amount.
    pub fen: Fen,
}

/// One stage of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageEntry {
    /// Name (design §3).
    pub stage: String,
    /// How it ended.
    pub status: StageStatus,
    /// Rows by dataset.
    pub rows: BTreeMap<String, u64>,
    /// Questions that an API answered tonight, each with all its pages.
    pub requests: u64,
    /// Answers taken from the journal.
    pub from_journal: u64,
    /// Attempts beyond the first, tonight.
    #[serde(default)]
    pub retries: u64,
    /// Why it is incomplete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Counts: unsettled wallets, dead letters, collapsed lines, quarantined rows and those among them whose
    /// amount cannot be parsed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub notes: BTreeMap<String, u64>,
}

/// An earlier partition the day was made from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReadPartition {
    /// Dataset.
    pub dataset: String,
    /// Its date.
    pub date: NaiveDate,
    /// Its SHA-256.
    pub sha256: String,
}

impl StageEntry {
    /// A stage without requests and rows.
    pub fn new(stage: Stage, status: StageStatus) -> StageEntry {
        StageEntry {
            stage: stage.to_string(),
            status,
            rows: BTreeMap::new(),
            requests: 0,
            from_journal: 0,
            retries: 0,
            why: None,
            notes: BTreeMap::new(),
        }
    }

    /// Whether it is the entry of this stage.
    pub fn is(&self, stage: Stage) -> bool {
        self.stage == stage.as_str()
    }
}

impl Manifest {
    /// Reads the manifest at `path` from its bytes; the inner error is that of its JSON.
    ///
    /// # Errors
    /// It is of a later format.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<serde_json::Result<Manifest>, LaterFormat> {
        match serde_json::from_slice::<Format>(bytes) {
            Ok(Format { manifest_version: version, code_version }) if version > MANIFEST_VERSION => {
                Err(LaterFormat { path: path.display().to_string(), code_version, version })
            }
            _ => Ok(serde_json::from_slice(bytes)),
        }
    }

    /// How far the journal reached when the day was made; `None` if an older program wrote the manifest.
    pub fn journal_extent(&self) -> Option<BTreeMap<String, u32>> {
        let is_told = !self.journal_extent.is_empty() || self.journal_sha256.is_empty();
        is_told.then(|| self.journal_extent.clone())
    }

    /// Whether the rows of a stage were made from the same source by `other`. Where the two programs do not mean the same by
    /// its digest, the same journalled answers are the same source.
    pub fn has_source_of(&self, other: &Manifest, stage: Stage) -> bool {
        let in_both = |of: fn(&Manifest) -> &BTreeMap<String, String>| {
            [self, other].map(|manifest| of(manifest).get(stage.as_str()))
        };
        let [here, there] = in_both(|it| &it.source_sha256);
        let [answers_here, answers_there] = in_both(|it| &it.journal_sha256);
        let is_comparable = self.source_digests == other.source_digests;
        here == there || (!is_comparable && answers_here.is_some() && answers_here == answers_there)
    }

    /// Whether the breaks of the rules were published: a run of some stages may leave the rules out, and what was judged
    /// of a night that is held back describes nothing that is there.
    pub fn is_judged(&self) -> bool {
        self.status != RunStatus::Failed
            && self.stages.iter().any(|stage| stage.is(Stage::Reconcile) && stage.status == StageStatus::Complete)
    }

    /// The manifest as JSON.
    pub fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Writes the manifest into `folder`, after its checksum; returns its path.
    pub fn write(&self, folder: &Path) -> io::Result<PathBuf> {
        durable::create_folder(folder)?;
        let text = self.to_bytes()?;
        let checksum = checksum_line(&text);
        let checksum_path = folder.join(CHECKSUM_FILE);
        durable::write_file(&checksum_path, &folder.join("checksum.staged"), checksum.as_bytes())?;
        let path = folder.join(MANIFEST_FILE);
        durable::write_file(&path, &folder.join("manifest.staged"), &text)?;
        Ok(path)
    }
}

/// The content of `CHECKSUM_FILE` for a manifest of these bytes.
pub(super) fn checksum_line(manifest: &[u8]) -> String {
    format!("{}  {MANIFEST_FILE}\n", sha256_of(manifest))
}

#[cfg(test)]
impl Manifest {
    /// The manifest of a complete run `r1` that published `files`.
    pub(crate) fn for_tests(job: &str, date: NaiveDate, files: Vec<StagedFile>) -> Manifest {
        let manifest = serde_json::json!({
            "manifest_version": MANIFEST_VERSION, "code_version": "0", "job": job, "business_date": date,
            "run_id": "r1", "sequence": 1, "generation": 1, "started_at": "2026-11-19T00:00:00Z",
            "finished_at": "2026-11-19T00:00:00Z", "status": "complete", "exit_code": 0, "stages": [],
            "files": files, "read_partitions": [], "inputs_sha256": "", "rules_sha256": "",
            "unjudged_rules": {}, "stale_dates": [], "footing": []
        });
        serde_json::from_value(manifest).expect("the fields of a manifest")
    }
}
