//! Stage `orders`: the merchant's order exports of the day.

use std::collections::BTreeMap;

use super::issue::IssueKind;
use super::{Harvest, Issue, Night};
use crate::dataset::manifest::Intake;
use crate::exports::orders::read;
use crate::exports::{BadRow, ExportError, ExportFile};
use crate::record::{OrderLine, Record};

/// What the exports of the day gave.
#[derive(Debug, Default)]
pub struct OrderExports {
    /// Order lines, sorted by key; openids stay raw.
    pub lines: Vec<OrderLine>,
    /// Rows put aside by `on_bad_row = "quarantine"`, in the order of the sources, files and lines.
    pub quarantined: Vec<BadRow>,
}

/// Reads every `[[orders]]` source.
pub fn extract(night: &Night<'_>) -> Result<Harvest<OrderExports>, Issue> {
    night.require_ready("orders")?;
    let mut harvest = Harvest::complete(OrderExports::default());
    let mut intake = Intake::of(OrderLine::DATASET);
    let mut collapsed = 0;
    let OrderExports { lines, quarantined } = &mut harvest.rows;
    for source in &night.job.orders {
        let export = read(source, night.date).map_err(|error| from_export("orders", &error))?;
        intake.pages += export.files.len() as u64;
        intake.read += export.read as u64;
        intake.read_fen += export.amounts.read;
        intake.repeated_fen += export.amounts.collapsed;
        intake.quarantined_fen += export.amounts.quarantined;
        collapsed += export.collapsed;
        harvest.inputs.extend(digests("orders", &export.files));
        lines.extend(export.rows);
        quarantined.extend(export.quarantined);
    }
    refuse_contradictions(lines)?;
    lines.sort_by(|a, b| key(a).cmp(&key(b)));
    intake.repeated = collapsed as u64;
    lines.dedup_by(|a, b| {
        let is_told = key(a) == key(b);
        if is_told {
            intake.repeat(a.amount());
        }
        is_told
    });
    let put_aside = quarantined.len();
    intake.quarantined = put_aside as u64;
    harvest.intake.push(intake);
    Ok(harvest.noting("collapsed", collapsed).noting("quarantined", put_aside))
}

fn key(line: &OrderLine) -> (&str, &str, &str) {
    (&line.out_trade_no, &line.stock_id, &line.coupon_code)
}

/// Two sources may repeat a line, but not tell it differently.
fn refuse_contradictions(lines: &[OrderLine]) -> Result<(), Issue> {
    let mut seen: BTreeMap<_, &OrderLine> = BTreeMap::new();
    for line in lines {
        let earlier = *seen.entry(key(line)).or_insert(line);
        let mut same_place = line.clone();
        same_place.source_file.clone_from(&earlier.source_file);
        same_place.source_line = earlier.source_line;
        if same_place != *earlier {
            let place = |line: &OrderLine| format!("`{}` line {}", line.source_file, line.source_line);
            let what =
                format!("order `{}` stands differently in {} and {}", line.out_trade_no, place(earlier), place(line));
            return Err(Issue::new(IssueKind::Malformed, what).hinting("export each order line once, or identically"));
        }
    }
    Ok(())
}

/// The digests of export files, for `inputs_sha256`.
pub(super) fn digests(source: &str, files: &[ExportFile]) -> Vec<(String, String)> {
    files.iter().map(|file| (format!("{source}/{}", file.name), file.sha256.clone())).collect()
}

/// A file that is not there has not arrived yet; any other fault is in the file.
pub(super) fn from_export(source: &str, error: &ExportError) -> Issue {
    match error {
        ExportError::Missing { .. } => Issue::new(IssueKind::NotReady, error.to_string())
            .hinting(format!("put the file there and run again; the path of `{source}` in the job file names it")),
        _ => Issue::new(IssueKind::Malformed, error.to_string())
            .hinting("correct the file and run again; nothing of it was used"),
    }
}
