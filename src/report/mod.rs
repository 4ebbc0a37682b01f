//! The finance pack (design §8): breaks as bytes for people. Pure: gives bytes, touches no file.

mod discrepancies;
mod gate;
mod quarantine;
mod summary;
mod table;

use std::collections::BTreeMap;

use chrono::NaiveDate;

use crate::exports::BadRow;
use crate::job::{Language, ReportSettings};
use crate::record::Break;

pub use gate::{Gate, GateError};
pub use summary::AgeBucket;

/// A file of the pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// File name in `reports/dt=D/`.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Titles of a rule, as its file's header gives them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleTitle {
    /// Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

/// Everything the pack is made of.
#[derive(Debug)]
pub struct PackInput<'a> {
    /// Language, id guard, trailer.
    pub settings: ReportSettings,
    /// Business date.
    pub date: NaiveDate,
    /// Breaks of the day, any order.
    pub breaks: &'a [Break],
    /// Rows put aside; none where the job has no quarantine.
    pub quarantined: Option<&'a [BadRow]>,
    /// Titles by rule id.
    pub titles: &'a BTreeMap<String, RuleTitle>,
}

/// The statuses that count as open (design §7).
pub const OPEN_STATUSES: [&str; 3] = ["new", "open", "reopened"];

/// Whether a break is open.
pub fn is_open(it: &Break) -> bool {
    OPEN_STATUSES.contains(&it.status.as_str())
}

/// Renders every file of the pack, `SHA256SUMS` last.
pub fn render(input: &PackInput<'_>) -> Vec<ReportFile> {
    let mut files = vec![discrepancies::render(input), summary::render(input)];
    files.extend(input.quarantined.map(|rows| quarantine::render(input, rows)));
    files.push(checksums(&files));
    files
}

impl PackInput<'_> {
    fn title(&self, rule_id: &str) -> String {
        let title = self.titles.get(rule_id);
        title.map_or_else(String::new, |title| self.pick(&title.zh, &title.en).to_owned())
    }

    fn pick<'t>(&self, zh: &'t str, en: &'t str) -> &'t str {
        match self.settings.language {
            Language::Zh => zh,
            Language::En => en,
        }
    }
}

/// The format of `sha256sum`: digest, two blanks, name.
fn checksums(files: &[ReportFile]) -> ReportFile {
    let line = |file: &ReportFile| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &file.bytes);
        format!("{}  {}\n", hex::encode(digest), file.name)
    };
    let text: String = files.iter().map(line).collect();
    ReportFile { name: "SHA256SUMS".into(), bytes: text.into_bytes() }
}
