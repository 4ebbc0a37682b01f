//! Stage `orders`: reads the merchant's order exports of the day and merges their lines. Openids are raw.

use std::borrow::Cow;

use super::issue::IssueKind;
use super::{Harvest, Issue, Night};
use crate::dataset::manifest::Intake;
use crate::exports::orders::read;
use crate::exports::{BadRow, Export, ExportError, ExportFile, ExportRow, Settled};
use crate::record::{OrderLine, Record};
use crate::sorter::{PackedRow, Room};
use crate::stage::Stage;

/// The exports of the day, one per source, before their lines are merged.
#[derive(Debug)]
pub struct OrderExports {
    sources: Vec<Export<OrderLine>>,
}

/// The totals of the exports after all lines were passed on.
#[derive(Debug)]
pub struct SettledOrders {
    /// The control totals.
    pub intake: Intake,
    /// Lines that repeat another line of their source.
    pub collapsed: u64,
    /// Quarantined rows whose amount could not be parsed, so that the totals lack it.
    pub unreadable: u64,
    /// Rows quarantined by `on_bad_row = "quarantine"`, in the order of sources, files and lines.
    pub quarantined: Vec<BadRow>,
}

/// Reads every `[[orders]]` source.
pub fn extract(night: &Night<'_>) -> Result<Harvest<OrderExports>, Issue> {
    night.require_ready(Stage::Orders)?;
    let mut harvest = Harvest::complete(OrderExports { sources: Vec::new() });
    let memory_bytes = night.room.memory_bytes / night.job.orders.len().max(1);
    let room = Room { memory_bytes, ..night.room.clone() };
    for source in &night.job.orders {
        let export = read(source, night.date, &room).or_else(|error| {
            // A fault of an earlier source takes precedence.
            harvest.rows.sources.drain(..).try_for_each(|earlier| earlier.finish().map(drop)).and(Err(error))
        });
        let export = export.map_err(|error| from_export("orders", error))?;
        harvest.inputs.extend(digests("orders", &export.files));
        harvest.rows.sources.push(export);
    }
    Ok(harvest)
}

impl OrderExports {
    /// Passes on every line once, in key order; openids are raw. The lines only count if this succeeds.
    ///
    /// # Errors
    /// Bad rows in a source that may have none; two sources that contradict each other; errors of `take`.
    pub fn settle(mut self, mut take: impl FnMut(PackedRow<'_>) -> Result<(), Issue>) -> Result<SettledOrders, Issue> {
        let mut told = Told::default();
        while let Some(source) = self.next_source() {
            let row = self.sources[source].peek().expect("a source that is next has a row");
            if self.sources.len() == 1 || told.is_new(source, row) {
                take(row)?;
            }
            self.sources[source].advance().map_err(|error| from_export("orders", error))?;
        }
        self.finish(told)
    }

    /// The source with the smallest next key; the first of several.
    fn next_source(&self) -> Option<usize> {
        let heads = self.sources.iter().enumerate().filter_map(|(index, it)| Some((index, it.peek()?)));
        heads.min_by(|one, other| one.1.key().cmp(other.1.key())).map(|(index, _)| index)
    }

    fn finish(self, told: Told) -> Result<SettledOrders, Issue> {
        let mut settled = SettledOrders { intake: told.intake, collapsed: 0, unreadable: 0, quarantined: Vec::new() };
        for source in self.sources {
            settled.intake.pages += source.files.len() as u64;
            settled.intake.read += source.read;
            settled.add(source.finish().map_err(|error| from_export("orders", error))?);
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

/// Merges the lines of several sources: two sources may repeat a line but not contradict each other.
#[derive(Debug)]
struct Told {
    /// The line passed on last: its key and its cells.
    last: Option<(Vec<u8>, Vec<u8>)>,
    intake: Intake,
    /// The first contradiction, by the order of the sources and then by key.
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
    /// Whether this line was not passed on yet.
    fn is_new(&mut self, source: usize, row: PackedRow<'_>) -> bool {
        let Some((key, cells)) = self.last.take().filter(|(key, _)| key == row.key()) else {
            self.last = Some((row.key().to_vec(), row.cells().to_vec()));
            return true;
        };
        let earlier = unpacked(PackedRow::of_parts(&key, &cells));
        let line = unpacked(row);
        self.intake.repeat(line.discount_fen);
        let is_first = self.contradiction.as_ref().is_none_or(|known| source < known.source);
        if let Some(column) = OrderLine::difference(&earlier, &line).filter(|_| is_first) {
            self.contradiction = Some(Contradiction { source, issue: contradicting(column, &earlier, &line) });
        }
        self.last = Some((key, cells));
        false
    }
}

fn contradicting(column: &str, earlier: &OrderLine<Cow<'_, str>>, line: &OrderLine<Cow<'_, str>>) -> Issue {
    let place = |line: &OrderLine<Cow<'_, str>>| format!("`{}` line {}", line.source_file, line.source_line);
    let (order, one, other) = (&line.out_trade_no, place(earlier), place(line));
    let what = format!("order `{order}` differs between {one} and {other}, in `{column}`");
    Issue::new(IssueKind::Malformed, what).hinting("export each order line once, or identically")
}

/// Unpacks a line.
pub fn unpacked(row: PackedRow<'_>) -> OrderLine<Cow<'_, str>> {
    OrderLine::unpack(&mut row.unpack())
}

/// The digests of export files, for `inputs_sha256`.
pub(super) fn digests(source: &str, files: &[ExportFile]) -> Vec<(String, String)> {
    files.iter().map(|file| (format!("{source}/{}", file.name), file.sha256.clone())).collect()
}

/// A missing file has not arrived yet; any other fault is in the file.
pub(super) fn from_export(source: &str, error: ExportError) -> Issue {
    match error {
        ExportError::Missing { .. } => Issue::new(IssueKind::NotReady, error.to_string())
            .hinting(format!("put the file there and run again; the path of `{source}` in the job file names it")),
        ExportError::Scratch(error) => Issue::unsorted(error),
        ExportError::Read { source: ref cause, .. } => {
            Issue::new(IssueKind::Malformed, format!("{error}: {cause}"))
                .hinting(format!("it must be a file that the user of this program may read; the path of `{source}` in the job file names it"))
        }
        _ => Issue::new(IssueKind::Malformed, error.to_string())
            .hinting(format!("{}, and run again; nothing of it was used", remedy(source, &error))),
    }
}

/// What helps against an export that cannot be used; some say so themselves.
fn remedy(source: &str, error: &ExportError) -> &'static str {
    match error {
        ExportError::MissingColumns { .. } if source == "orders" => {
            "name the headers of the file in `orders.columns`, or export it with those"
        }
        ExportError::MissingColumns { .. } => "export it with the columns that it lacks",
        ExportError::BadRows { .. } if source == "orders" => {
            "correct these rows, or have them set apart by `on_bad_row = \"quarantine\"`"
        }
        ExportError::BadRows { .. } => "correct these rows",
        ExportError::Encoding { .. } | ExportError::Format { .. } | ExportError::OtherKind { .. } => {
            "export it again, or follow the advice above"
        }
        _ => "correct the file",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use chrono::NaiveDate;

    use super::*;
    use crate::job::{AmountUnit, FileFormat, OnBadRow, OrderColumns, OrderSource, PathPattern};
    use crate::money::Fen;

    const HEADER: &str = "no,paid_at,goods,discount,paid,stock,code\n";

    fn source(folder: &Path, name: &str) -> OrderSource {
        OrderSource {
            path: PathPattern::new(folder, name),
            format: FileFormat::Csv,
            encoding: encoding_rs::UTF_8,
            delimiter: b',',
            amount_unit: AmountUnit::Yuan,
            thousands_separators: false,
            time_format: "%Y-%m-%d %H:%M:%S".into(),
            on_bad_row: OnBadRow::Fail,
            wechat_channels: Vec::new(),
            columns: OrderColumns {
                out_trade_no: "no".into(),
                transaction_id: None,
                merchant: None,
                openid: None,
                paid_at: "paid_at".into(),
                goods: "goods".into(),
                discount: "discount".into(),
                paid: "paid".into(),
                refund: None,
                stock_id: "stock".into(),
                coupon_code: "code".into(),
                channel: None,
                product: None,
                remark: None,
            },
        }
    }

    /// The order numbers passed on, for lines given as (number, yuan paid), one list per source.
    fn settle(sources: &[&[(&str, u32)]], memory_bytes: usize) -> Result<(Vec<String>, SettledOrders), Issue> {
        let folder = tempfile::tempdir().unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes };
        let mut exports = OrderExports { sources: Vec::new() };
        for (index, lines) in sources.iter().enumerate() {
            let name = format!("{}.csv", ["a", "b", "c"][index]);
            let line = |(number, paid): &(&str, u32)| format!("{number},2026-11-18 08:00:00,9,1,{paid},128,C1\n");
            let text: String = std::iter::once(HEADER.to_owned()).chain(lines.iter().map(line)).collect();
            std::fs::write(folder.path().join(&name), text).unwrap();
            let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
            exports.sources.push(read(&source(folder.path(), &name), date, &room).unwrap());
        }
        let mut numbers = Vec::new();
        let settled = exports.settle(|row| {
            numbers.push(unpacked(row).out_trade_no.into_owned());
            Ok(())
        })?;
        Ok((numbers, settled))
    }

    #[test]
    fn a_line_that_several_sources_repeat_is_handed_over_once_and_foots() {
        let sources: [&[_]; 3] = [&[("M3", 8), ("M1", 8)], &[("M1", 8), ("M2", 8), ("M1", 8)], &[("M1", 8), ("M3", 8)]];
        for memory_bytes in [1, 1 << 20] {
            let (numbers, settled) = settle(&sources, memory_bytes).unwrap();
            assert_eq!(numbers, ["M1", "M2", "M3"]);
            let Intake { pages, read, repeated, read_fen, repeated_fen, .. } = settled.intake;
            assert_eq!((pages, read, repeated, settled.collapsed), (3, 7, 4, 1));
            assert_eq!((read_fen, repeated_fen), (Fen(700), Fen(400)));
        }
    }

    #[test]
    fn a_line_told_differently_is_refused_the_earlier_source_first() {
        let sources: [&[_]; 3] = [&[("M1", 8), ("M2", 8)], &[("M2", 7)], &[("M1", 7)]];
        let issue = settle(&sources, 1).unwrap_err();
        assert_eq!(
            (issue.kind, issue.what.as_str()),
            (IssueKind::Malformed, "order `M2` differs between `a.csv` line 3 and `b.csv` line 2, in `paid`",)
        );
    }

    #[test]
    fn what_a_source_has_against_itself_is_said_before_what_another_has_against_it() {
        let issue = settle(&[&[("M1", 8), ("M9", 8), ("M9", 7)], &[("M1", 7)]], 1).unwrap_err();
        assert!(issue.what.contains("2 malformed rows") && issue.what.contains("another `paid`"), "{}", issue.what);
    }

    #[test]
    fn a_file_that_the_system_keeps_back_is_told_with_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        let date = NaiveDate::from_ymd_opt(2026, 11, 18).unwrap();
        let room = Room { folder: folder.path().to_owned(), memory_bytes: 1 };
        std::fs::create_dir(folder.path().join("a.csv")).unwrap();
        let issue = from_export("orders", read(&source(folder.path(), "a.csv"), date, &room).unwrap_err());
        assert_eq!(issue.kind, IssueKind::Malformed);
        assert!(issue.what.ends_with("a.csv` cannot be read: is a directory"), "{}", issue.what);
        assert!(issue.hint.unwrap().contains("`orders`"));
    }

    #[test]
    fn what_to_do_about_an_export_depends_on_what_is_wrong_with_it() {
        let file = || "a.csv".to_owned();
        let hint = |source, error| from_export(source, error).hint.unwrap();
        let lacking = || ExportError::MissingColumns {
            file: file(),
            columns: Vec::new(),
            found: Vec::new(),
            worksheets: Vec::new(),
        };
        assert!(hint("orders", lacking()).contains("`orders.columns`"));
        assert!(hint("wallets.roster_file", lacking()).starts_with("export it with the columns that it lacks"));
        let rows = || ExportError::BadRows { rows: Vec::new(), total: 1 };
        assert!(hint("orders", rows()).contains("`on_bad_row = \"quarantine\"`"));
        assert!(hint("subsidy_ledger", rows()).starts_with("correct these rows, and run again"));
        let empty = ExportError::Format { file: file(), why: "is empty".to_owned() };
        assert_eq!(
            hint("orders", empty),
            "export it again, or follow the advice above, and run again; nothing of it was used"
        );
    }

    #[test]
    fn a_scratch_folder_without_room_is_of_the_disk_and_not_of_the_file() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        let issue = from_export("orders", ExportError::Scratch(full()));
        assert_eq!(issue.kind, IssueKind::Storage);
        assert!(issue.what.contains("cannot be sorted on disk"), "{}", issue.what);
    }
}
