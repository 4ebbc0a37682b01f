//! Stage `orders`: the merchant's order exports of the day.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::issue::IssueKind;
use super::{Harvest, Issue, Night};
use crate::dataset::manifest::Intake;
use crate::exports::orders::read;
use crate::exports::{BadRow, Export, ExportError, ExportFile, Kind, Settled};
use crate::record::{OrderLine, Record};
use crate::sorter::{PackedRow, Room};

/// The exports of the day, one per source, before their rows are put together.
#[derive(Debug)]
pub struct OrderExports {
    sources: Vec<Export<OrderLine>>,
}

/// What became of the exports once every line was handed over.
#[derive(Debug)]
pub struct SettledOrders {
    /// The control totals.
    pub intake: Intake,
    /// Lines that repeated another one of their source.
    pub collapsed: u64,
    /// Rows put aside whose amount could not be read, so that the totals lack it.
    pub unreadable: u64,
    /// Rows put aside by `on_bad_row = "quarantine"`, in the order of the sources, files and lines.
    pub quarantined: Vec<BadRow>,
}

/// Reads every `[[orders]]` source.
pub fn extract(night: &Night<'_>) -> Result<Harvest<OrderExports>, Issue> {
    night.require_ready("orders")?;
    let mut harvest = Harvest::complete(OrderExports { sources: Vec::new() });
    let memory_bytes = night.room.memory_bytes / night.job.orders.len().max(1);
    let room = Room { memory_bytes, ..night.room.clone() };
    for source in &night.job.orders {
        let export = read(source, night.date, &room).or_else(|error| {
            // What is wrong with an earlier source is said first.
            harvest.rows.sources.drain(..).try_for_each(|earlier| earlier.finish().map(drop)).and(Err(error))
        });
        let export = export.map_err(|error| from_export("orders", &error))?;
        harvest.inputs.extend(digests("orders", &export.files));
        harvest.rows.sources.push(export);
    }
    Ok(harvest)
}

impl OrderExports {
    /// Hands over every line once, in key order; openids are raw. The lines count only if this succeeds.
    ///
    /// # Errors
    /// A source with bad rows that may have none; two sources that tell a line differently; what `take` says.
    pub fn settle(
        mut self,
        mut take: impl FnMut(PackedRow<'_>) -> Result<(), Issue>,
    ) -> Result<SettledOrders, Issue> {
        let mut told = Told::default();
        while let Some(source) = self.next_source() {
            let row = self.sources[source].peek().expect("a source that is next has a row");
            if self.sources.len() == 1 || told.is_new(source, row) {
                take(row)?;
            }
            self.sources[source].advance().map_err(|error| from_export("orders", &error))?;
        }
        self.finish(told)
    }

    /// The source whose line has the least key, the first of several.
    fn next_source(&self) -> Option<usize> {
        let heads = self.sources.iter().enumerate().filter_map(|(index, it)| Some((index, it.peek()?)));
        heads.min_by(|one, other| one.1.key().cmp(other.1.key())).map(|(index, _)| index)
    }

    fn finish(self, told: Told) -> Result<SettledOrders, Issue> {
        let mut settled = SettledOrders { intake: told.intake, collapsed: 0, unreadable: 0, quarantined: Vec::new() };
        for source in self.sources {
            settled.intake.pages += source.files.len() as u64;
            settled.intake.read += source.read;
            settled.add(source.finish().map_err(|error| from_export("orders", &error))?);
        }
        told.contradiction.map_or(Ok(settled), |contradiction| Err(contradiction.issue))
    }
}

impl SettledOrders {
    fn add(&mut self, source: Settled) {
        self.intake.read_fen += source.amounts.read;
        self.intake.repeated += source.collapsed;
        self.intake.repeated_fen += source.amounts.collapsed;
        self.intake.quarantined += source.quarantined.len() as u64;
        self.intake.quarantined_fen += source.amounts.quarantined;
        self.collapsed += source.collapsed;
        self.unreadable += source.amounts.unreadable;
        self.quarantined.extend(source.quarantined);
    }
}

/// Lines of several sources as they meet: two sources may repeat a line, but not tell it differently.
#[derive(Debug)]
struct Told {
    /// The line handed over last: its key and its cells.
    last: Option<(Vec<u8>, Vec<u8>)>,
    intake: Intake,
    /// The first one, by the order of the sources and then by key.
    contradiction: Option<Contradiction>,
}

#[derive(Debug)]
struct Contradiction {
    source: usize,
    issue: Issue,
}

impl Default for Told {
    fn default() -> Told {
        Told { last: None, intake: Intake::of(OrderLine::DATASET), contradiction: None }
    }
}

impl Told {
    /// Whether nobody has told this line yet.
    fn is_new(&mut self, source: usize, row: PackedRow<'_>) -> bool {
        let Some((key, cells)) = self.last.take().filter(|(key, _)| key == row.key()) else {
            self.last = Some((row.key().to_vec(), row.cells().to_vec()));
            return true;
        };
        let earlier = unpacked(PackedRow::of_parts(&key, &cells));
        let line = unpacked(row);
        self.intake.repeat(line.discount_fen);
        let is_first = self.contradiction.as_ref().is_none_or(|known| source.cmp(&known.source) == Ordering::Less);
        if is_first && OrderLine::difference(&earlier, &line).is_some() {
            self.contradiction = Some(Contradiction { source, issue: contradicting(&earlier, &line) });
        }
        self.last = Some((key, cells));
        false
    }
}

fn contradicting(earlier: &OrderLine<Cow<'_, str>>, line: &OrderLine<Cow<'_, str>>) -> Issue {
    let place = |line: &OrderLine<Cow<'_, str>>| format!("`{}` line {}", line.source_file, line.source_line);
    let what = format!("order `{}` stands differently in {} and {}", line.out_trade_no, place(earlier), place(line));
    Issue::new(IssueKind::Malformed, what).hinting("export each order line once, or identically")
}

/// A line as it lies packed.
pub fn unpacked(row: PackedRow<'_>) -> OrderLine<Cow<'_, str>> {
    OrderLine::unpack(&mut row.unpack())
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
        ExportError::Scratch(error) => Issue::unsorted(error),
        _ => Issue::new(IssueKind::Malformed, error.to_string())
            .hinting("correct the file and run again; nothing of it was used"),
    }
}
