//! Writes the files of the pack. The ledger is read once: both lists of coupons, their sheets and the flow are filled
//! on the way, and no row is kept.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use arrow::array::RecordBatch;

use super::coupon::{Coupon, CouponColumns};
use super::coupon_breaks::{BreakIndex, CouponBreaks};
use super::csv_file::CsvFile;
use super::error::ReportError;
use super::figures::Summary;
use super::files::{FIGURES, PAGE, SUMS, WORKBOOK};
use super::flow::Flow;
use super::input::PackInput;
use super::open_breaks::OpenBreaks;
use super::shared_amounts::{Share, SharedAmounts};
use super::subsidies::{Line, Receipts};
use super::table::{Cell, Table};
use super::verdict::Tonight;
use super::workbook::{Book, OpenTable};
use super::{Shelf, associated_orders, discrepancies, html, quarantine, subsidies, summary};
use crate::clock::end_of;
use crate::dataset::columns::Columns;
use crate::dataset::partition::PartitionError;
use crate::money::Fen;
use crate::record::{Break, SubsidyPayment};
use crate::threads::prefetch;

/// Batches of the ledger prepared while rows are written.
const BATCHES_AHEAD: usize = 1;

/// The rows for the lists of breaks and coupons.
#[derive(Debug)]
pub struct Books<B, L, P> {
    /// The breaks of the day, in any order.
    pub breaks: B,
    /// The coupon ledger of the day, in key order; one batch is in memory at a time.
    pub ledger: L,
    /// The subsidy receipts of the day, in any order.
    pub receipts: P,
}

/// Writes every file of the pack to the shelf, `SHA256SUMS` last.
///
/// # Errors
/// Rows that cannot be read, files that cannot be written.
pub fn write<S, B, L, P>(input: &PackInput<'_>, books: Books<B, L, P>, shelf: &mut S) -> Result<(), ReportError>
where
    S: Shelf,
    B: Iterator<Item = Result<Break, PartitionError>>,
    L: Iterator<Item = Result<RecordBatch, PartitionError>> + Send,
    P: Iterator<Item = Result<SubsidyPayment, PartitionError>>,
{
    let book = Book::new(input.settings.language, input.date, input.scratch)?;
    let mut pack = Pack { input, shelf, book, rows: BTreeMap::new(), sums: BTreeMap::new(), order: Vec::new() };
    let (index, first) = pack.write_discrepancies(books.breaks)?;
    let flow = pack.write_coupons(&index, books.ledger, books.receipts)?;
    pack.write_quarantine()?;
    pack.write_summary()?;
    let summary = Summary::new(input, flow.lines(), pack.rows.clone());
    pack.write_json(&summary)?;
    pack.write_page(&summary, &first)?;
    let (shelf, mut sums) = (pack.shelf, pack.sums);
    let sum = write_workbook(pack.book, &pack.order, shelf)?;
    sums.insert(WORKBOOK.to_owned(), sum);
    write_sums(&sums, shelf)
}

/// Writes the workbook, its sheets in this order; returns its digest.
fn write_workbook<S: Shelf>(book: Book, order: &[usize], shelf: &mut S) -> Result<String, ReportError> {
    let mut file = shelf.open(WORKBOOK).map_err(ReportError::unwritten(WORKBOOK))?;
    book.finish(order, &mut file)?;
    shelf.keep(WORKBOOK, file).map_err(ReportError::unwritten(WORKBOOK))
}

/// Writes the digests of the other files, by name.
fn write_sums<S: Shelf>(sums: &BTreeMap<String, String>, shelf: &mut S) -> Result<(), ReportError> {
    let lines: String = sums.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect();
    let kept = shelf.open(SUMS).and_then(|mut file| {
        file.write_all(lines.as_bytes())?;
        shelf.keep(SUMS, file)
    });
    kept.map(drop).map_err(ReportError::unwritten(SUMS))
}

/// The pack that is being written.
struct Pack<'a, S> {
    input: &'a PackInput<'a>,
    shelf: &'a mut S,
    book: Book,
    rows: BTreeMap<&'static str, i64>,
    /// SHA-256 by file name.
    sums: BTreeMap<String, String>,
    /// The order of the sheets in the workbook.
    order: Vec<usize>,
}

/// A table that is written to its CSV and its sheet at once.
struct Twin<W: Write> {
    table: &'static Table,
    csv: CsvFile<W>,
    sheet: usize,
}

impl<W: Write> Twin<W> {
    fn line(&mut self, book: &mut Book, cells: &[Cell<'_>]) -> Result<(), ReportError> {
        self.line_of_csv(cells)?;
        Ok(book.table(self.sheet).line(cells)?)
    }

    fn line_of_csv(&mut self, cells: &[Cell<'_>]) -> Result<(), ReportError> {
        self.csv.line(cells).map_err(|error| ReportError::unwritten(&csv_name(self.table))(error))
    }
}

/// The name of the CSV of a table.
fn csv_name(table: &Table) -> String {
    format!("{}.csv", table.name)
}

/// Some coupons of the ledger with their derived data.
struct Batch<'a> {
    coupons: CouponColumns,
    /// One per coupon, in order.
    told: Vec<Told<'a>>,
}

/// The derived data of a coupon.
struct Told<'a> {
    broken: CouponBreaks<'a>,
    receipts: Vec<SubsidyPayment>,
    share: Share,
    /// Money at risk of the breaks of its order and payment that the subsidies list under it.
    owed_at_risk: Fen,
}

impl<'a> Batch<'a> {
    fn coupons(&self) -> impl Iterator<Item = (Coupon<'_>, &Told<'a>)> {
        (0..).zip(&self.told).map(|(place, told)| (self.coupons.row(place), told))
    }

    /// Its rows in the associated orders.
    fn each_order<E>(&self, tonight: Tonight, mut take: impl FnMut(&[Cell<'_>]) -> Result<(), E>) -> Result<(), E> {
        self.coupons()
            .filter(|(row, _)| associated_orders::lists(row))
            .try_for_each(|(row, told)| take(&associated_orders::row(tonight, &row, &told.broken, told.share)))
    }

    /// Its rows in the subsidies.
    fn each_owed<E>(&self, tonight: Tonight, mut take: impl FnMut(&[Cell<'_>]) -> Result<(), E>) -> Result<(), E> {
        self.coupons()
            .flat_map(|(row, told)| told.owed(&row))
            .try_for_each(|(row, line, broken)| take(&subsidies::row(tonight, &row, &line, &broken)))
    }
}

/// What the data of coupons are looked up in, coupon by coupon in order.
struct Known<'a> {
    breaks: &'a BreakIndex,
    receipts: Receipts,
    /// Each table adds up alone, so each has its own first coupon of an order.
    shared_by_orders: SharedAmounts<'a>,
    shared_by_owed: SharedAmounts<'a>,
}

impl<'a> Known<'a> {
    fn new(breaks: &'a BreakIndex, receipts: Receipts) -> Known<'a> {
        let [shared_by_orders, shared_by_owed] = [SharedAmounts::default(), SharedAmounts::default()];
        Known { breaks, receipts, shared_by_orders, shared_by_owed }
    }

    fn of(&mut self, row: &Coupon<'_>) -> Result<Told<'a>, ReportError> {
        let (broken, receipts) = (self.breaks.of_coupon(row), self.receipts.of(row)?);
        let is_associated = associated_orders::lists(row);
        let share = if is_associated { self.shared_by_orders.of(row, &broken) } else { Share::default() };
        let is_owed = subsidies::lists(row, &receipts, &broken);
        let owed_at_risk = if is_owed { self.shared_by_owed.at_risk_of_order(&broken) } else { Fen::default() };
        Ok(Told { broken, receipts, share, owed_at_risk })
    }
}

impl<'a> Told<'a> {
    /// The rows of its coupon in the subsidies: one per receipt, or one if there is none, each with the breaks shown on
    /// it.
    fn owed<'t>(
        &'t self,
        row: &Coupon<'t>,
    ) -> impl Iterator<Item = (Coupon<'t>, Line<'t>, CouponBreaks<'a>)> + use<'t, 'a> {
        let row = *row;
        let is_listed = subsidies::lists(&row, &self.receipts, &self.broken);
        let is_broken = self.broken.any(|it| it.out_subsidy_no.is_none());
        let rows = if is_listed { self.receipts.len().max(1) } else { 0 };
        (0..rows).map(move |place| {
            let broken = subsidies::broken_of(&self.broken, &self.receipts, place);
            let (is_broken, is_first) = (is_broken || !broken.is_empty(), place == 0);
            let order_at_risk = if is_first { self.owed_at_risk } else { Fen::default() };
            (row, Line { receipt: self.receipts.get(place), is_first, is_broken, order_at_risk }, broken)
        })
    }
}

/// Fills the sheets of associated orders and of subsidies, each on its own thread.
fn fill_sheets<'a>(
    batches: impl Iterator<Item = Result<Batch<'a>, ReportError>> + Send,
    tonight: Tonight,
    [mut orders, mut owed]: [OpenTable<'_>; 2],
) -> Result<(), ReportError> {
    std::thread::scope(|threads| {
        let (sender, shared) = sync_channel::<Arc<Batch<'_>>>(BATCHES_AHEAD);
        let filling =
            threads.spawn(move || shared.iter().try_for_each(|batch| batch.each_owed(tonight, |it| owed.line(it))));
        let filled = prefetch::for_each(batches, BATCHES_AHEAD, |batch| {
            let batch = Arc::new(batch.map_err(Some)?);
            // If the receiver is gone, its thread has failed and tells why.
            sender.send(batch.clone()).map_err(|_| None)?;
            batch.each_order(tonight, |it| orders.line(it)).map_err(|error| Some(error.into()))
        });
        drop(sender);
        filling.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        filled.or_else(|error| error.map_or(Ok(()), Err))
    })
}

impl<S: Shelf> Pack<'_, S> {
    /// Returns what the lists of coupons need of the breaks, and the first of them, for the page.
    fn write_discrepancies<B>(&mut self, breaks: B) -> Result<(BreakIndex, Vec<Break>), ReportError>
    where
        B: Iterator<Item = Result<Break, PartitionError>>,
    {
        let (mut open, mut index) = (OpenBreaks::sorting_in(self.input.scratch), BreakIndex::default());
        for it in breaks.filter(|it| it.as_ref().map_or(true, Break::is_open)) {
            let it = it?;
            index.add(&it);
            open.add(&it).map_err(ReportError::Sort)?;
        }
        let mut twin = self.begin(&discrepancies::TABLE, &[])?;
        let mut first = Vec::new();
        for it in open.by_risk().map_err(ReportError::Sort)? {
            let it = it.map_err(ReportError::Sort)?;
            twin.line(&mut self.book, &discrepancies::row(self.input, &it))?;
            if first.len() < html::MOST_ROWS {
                first.push(it);
            }
        }
        self.finish(twin)?;
        Ok((index, first))
    }

    /// Reads the ledger once: a thread looks up derived data and writes the CSVs, a batch ahead of the sheets.
    fn write_coupons<L, P>(&mut self, breaks: &BreakIndex, ledger: L, receipts: P) -> Result<Flow, ReportError>
    where
        L: Iterator<Item = Result<RecordBatch, PartitionError>> + Send,
        P: Iterator<Item = Result<SubsidyPayment, PartitionError>>,
    {
        let receipts = Receipts::collect(receipts, end_of(self.input.date), self.input.scratch)?;
        let mut known = Known::new(breaks, receipts);
        let mut orders = self.begin(&associated_orders::TABLE, &[])?;
        let mut owed = self.begin(&subsidies::TABLE, &[])?;
        let (tonight, sheets) = (Tonight::of(self.input), [orders.sheet, owed.sheet]);
        let mut flow = Flow::default();
        let batches = ledger.map(|batch| {
            let batch = batch?;
            let coupons = CouponColumns::of(&batch)?;
            let rows = (0..batch.num_rows()).map(|place| coupons.row(place));
            let told = rows.map(|row| known.of(&row)).collect::<Result<_, _>>()?;
            let batch = Batch { coupons, told };
            batch.coupons().for_each(|(row, told)| flow.add(&row, &told.broken, told.share.has_line));
            batch.each_order(tonight, |cells| orders.line_of_csv(cells))?;
            batch.each_owed(tonight, |cells| owed.line_of_csv(cells))?;
            Ok::<_, ReportError>(batch)
        });
        fill_sheets(batches, tonight, self.book.tables(sheets))?;
        self.finish(orders)?;
        self.finish(owed)?;
        Ok(flow)
    }

    /// An empty quarantine still gets its header, so that a rerun replaces an older file.
    fn write_quarantine(&mut self) -> Result<(), ReportError> {
        let Some(rows) = self.input.quarantined else { return Ok(()) };
        let mut twin = self.begin(&quarantine::TABLE, &[])?;
        for it in rows {
            twin.line(&mut self.book, &quarantine::row(it))?;
        }
        self.finish(twin)
    }

    /// Written last, as it states the sizes of the other sheets, but the first sheet of the workbook.
    fn write_summary(&mut self) -> Result<(), ReportError> {
        let front = self.front();
        let mut twin = self.begin(&summary::TABLE, &front)?;
        self.order.rotate_right(1);
        for cells in summary::rows(self.input) {
            twin.line(&mut self.book, &cells)?;
        }
        self.finish(twin)
    }

    /// The lines above the summary in the workbook.
    fn front(&self) -> Vec<(String, Cell<'static>)> {
        let pick = |zh: &str, en: &str| self.input.pick(zh, en).to_owned();
        let open = self.input.breaks.open();
        let title = format!("{} · {} {}", self.input.job, pick("优惠券对账", "coupon reconciliation"), self.input.date);
        let mut front = vec![
            (title, Cell::EMPTY),
            (pick("未结差异(笔)", "Open breaks"), Cell::Count(Some(open.rows))),
            (pick("风险金额(元)", "At risk (yuan)"), Cell::Yuan(Some(open.at_risk_fen))),
        ];
        for number in &self.order {
            let (table, rows, pages) = self.book.extent(*number);
            let several =
                if pages == 1 { String::new() } else { format!("{}{pages}", pick("，分表数 ", ", sheets: ")) };
            let name = self.input.pick(table.zh, table.en);
            front.push((format!("{name} {}{several}", pick("行数", "rows")), Cell::Count(Some(rows))));
        }
        front
    }

    fn write_json(&mut self, summary: &Summary<'_>) -> Result<(), ReportError> {
        self.put(FIGURES, |out| {
            serde_json::to_writer_pretty(&mut *out, summary)?;
            out.write_all(b"\n")
        })
    }

    fn write_page(&mut self, summary: &Summary<'_>, first: &[Break]) -> Result<(), ReportError> {
        let page = html::page(self.input, summary, first);
        self.put(PAGE, |out| out.write_all(page.as_bytes()))
    }

    fn begin(&mut self, table: &'static Table, front: &[(String, Cell<'_>)]) -> Result<Twin<S::File>, ReportError> {
        let name = csv_name(table);
        let csv = self.shelf.open(&name).and_then(|file| CsvFile::begin(file, table, self.input.settings));
        let csv = csv.map_err(ReportError::unwritten(&name))?;
        let sheet = self.book.begin(table, front)?;
        self.order.push(sheet);
        Ok(Twin { table, csv, sheet })
    }

    fn finish(&mut self, twin: Twin<S::File>) -> Result<(), ReportError> {
        let Twin { table, csv, .. } = twin;
        let name = csv_name(table);
        let kept = csv.finish().and_then(|(file, rows)| Ok((self.shelf.keep(&name, file)?, rows)));
        let (sum, rows) = kept.map_err(ReportError::unwritten(&name))?;
        self.rows.insert(table.name, rows);
        self.sums.insert(name, sum);
        Ok(())
    }

    fn put(
        &mut self,
        name: &'static str,
        write: impl FnOnce(&mut S::File) -> io::Result<()>,
    ) -> Result<(), ReportError> {
        let written = self.shelf.open(name).and_then(|mut file| {
            write(&mut file)?;
            self.shelf.keep(name, file)
        });
        let sum = written.map_err(ReportError::unwritten(name))?;
        self.sums.insert(name.to_owned(), sum);
        Ok(())
    }
}
