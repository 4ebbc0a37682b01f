//! Sorted runs read as one: the least of their first rows comes next, and of equal ones that of the run
//! that was written first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::buffer::{Buffer, HEAD_BYTES, lengths, row_at};
use super::row::{HeldRow, PackedRow};
use crate::tournament::Tournament;

/// What is read of a run at once, where memory allows.
const WINDOW_BYTES: usize = 256 << 10;
/// What a window has at least, however many runs there are.
const SMALLEST_WINDOW: usize = 4 << 10;

/// Rows in order, looked at one by one.
#[derive(Debug, Default)]
pub struct Sorted {
    runs: Vec<Run>,
    /// Whose row is next.
    tournament: Tournament,
}

impl Sorted {
    pub(super) fn open(
        file: Option<Arc<File>>,
        run_bytes: &[u64],
        last: Buffer,
        memory_bytes: usize,
    ) -> io::Result<Sorted> {
        let window = (memory_bytes / run_bytes.len().max(1)).clamp(SMALLEST_WINDOW, WINDOW_BYTES);
        let mut runs = Vec::with_capacity(run_bytes.len() + 1);
        let mut start = 0;
        for bytes in run_bytes {
            let file = file.clone().expect("runs lie in a file");
            runs.push(Run::File(FileRun::open(file, start, start + bytes, window)?));
            start += bytes;
        }
        runs.push(Run::Memory { buffer: last, next: 0 });
        Ok(Sorted::of_runs(runs))
    }

    fn of_runs(runs: Vec<Run>) -> Sorted {
        let tournament = Tournament::of(runs.len(), |one, other| precedes(&runs, one, other));
        Sorted { runs, tournament }
    }

    /// These rows and those of `later` in one order; of one key, those of `later` come last.
    pub fn and(mut self, later: Sorted) -> Sorted {
        self.runs.extend(later.runs);
        Sorted::of_runs(self.runs)
    }

    /// The next row; it stays the next one until `advance`.
    pub fn peek(&self) -> Option<PackedRow<'_>> {
        self.tournament.winner().and_then(|run| self.runs[run].head())
    }

    /// Goes on to the row after it.
    ///
    /// # Errors
    /// The scratch file does not give back what was written.
    pub fn advance(&mut self) -> io::Result<()> {
        let Some(run) = self.tournament.winner() else { return Ok(()) };
        self.runs[run].advance()?;
        self.tournament.replay(|one, other| precedes(&self.runs, one, other));
        Ok(())
    }

    /// Hands over every row.
    ///
    /// # Errors
    /// As `advance`; what `take` says.
    pub fn each(mut self, mut take: impl FnMut(PackedRow<'_>) -> io::Result<()>) -> io::Result<()> {
        while let Some(row) = self.peek() {
            take(row)?;
            self.advance()?;
        }
        Ok(())
    }

    /// Hands over the last row of every key to `last`, and those before it to `earlier`.
    ///
    /// # Errors
    /// As `advance`; what `last` says.
    pub fn last_of_each(
        mut self,
        mut earlier: impl FnMut(PackedRow<'_>),
        mut last: impl FnMut(PackedRow<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut held = HeldRow::default();
        let Some(first) = self.peek() else { return Ok(()) };
        held.hold(first);
        self.advance()?;
        while let Some(row) = self.peek() {
            match row.key() == held.row().key() {
                true => earlier(held.row()),
                false => last(held.row())?,
            }
            held.hold(row);
            self.advance()?;
        }
        last(held.row())
    }

    /// Hands over the rows that agree with the next one in the first `texts` texts of their keys; whether there
    /// were any.
    ///
    /// # Errors
    /// As `advance`.
    pub fn next_group(&mut self, texts: usize, mut take: impl FnMut(PackedRow<'_>)) -> io::Result<bool> {
        let Some(first) = self.peek() else { return Ok(false) };
        let beginning = first.beginning(texts).to_vec();
        while let Some(row) = self.peek().filter(|row| row.beginning(texts) == beginning) {
            take(row);
            self.advance()?;
        }
        Ok(true)
    }

    /// What `own` makes of every row, one by one.
    pub fn map<T>(mut self, mut own: impl FnMut(PackedRow<'_>) -> T) -> impl Iterator<Item = io::Result<T>> {
        std::iter::from_fn(move || {
            let made = own(self.peek()?);
            Some(self.advance().map(|()| made))
        })
    }

    /// Runs that had to be written to the disk.
    #[cfg(test)]
    pub(super) fn runs_on_disk(&self) -> usize {
        self.runs.iter().filter(|run| matches!(run, Run::File(_))).count()
    }
}

/// Whether a run is to be read before another: by its next row, of equal ones the run that was written first.
fn precedes(runs: &[Run], one: usize, other: usize) -> bool {
    match (runs[one].head(), runs[other].head()) {
        (Some(row), Some(its)) => (row.key, one) < (its.key, other),
        (row, _) => row.is_some(),
    }
}

/// Rows that lie sorted somewhere.
#[derive(Debug)]
enum Run {
    File(FileRun),
    Memory { buffer: Buffer, next: usize },
}

impl Run {
    fn head(&self) -> Option<PackedRow<'_>> {
        match self {
            Run::File(run) => run.head(),
            Run::Memory { buffer, next } => buffer.row(*next),
        }
    }

    fn advance(&mut self) -> io::Result<()> {
        match self {
            Run::File(run) => run.advance(),
            Run::Memory { buffer, next } => {
                *next = (*next + 1).min(buffer.len());
                Ok(())
            }
        }
    }
}

/// A part of the scratch file, seen through a window.
#[derive(Debug)]
struct FileRun {
    file: Arc<File>,
    /// What of the file is yet to be read.
    unread: std::ops::Range<u64>,
    window: Vec<u8>,
    /// Where in the window the next row stands.
    at: usize,
    window_bytes: usize,
}

impl FileRun {
    fn open(file: Arc<File>, start: u64, end: u64, window_bytes: usize) -> io::Result<FileRun> {
        let mut run = FileRun { file, unread: start..end, window: Vec::new(), at: 0, window_bytes };
        run.fill()?;
        Ok(run)
    }

    fn head(&self) -> Option<PackedRow<'_>> {
        (self.at < self.window.len()).then(|| row_at(&self.window, self.at))
    }

    fn advance(&mut self) -> io::Result<()> {
        if let Some(row) = self.head() {
            self.at += HEAD_BYTES + row.key.len() + row.cells.len();
            self.fill()?;
        }
        Ok(())
    }

    /// Sees to it that the next row lies in the window as a whole.
    fn fill(&mut self) -> io::Result<()> {
        if self.has(HEAD_BYTES) && self.has(self.next_bytes()) {
            return Ok(());
        }
        self.window.drain(..self.at);
        self.at = 0;
        self.read_up_to(self.window_bytes)?;
        if self.has(HEAD_BYTES) {
            self.read_up_to(self.next_bytes())?;
        }
        Ok(())
    }

    fn has(&self, bytes: usize) -> bool {
        self.window.len() - self.at >= bytes
    }

    fn next_bytes(&self) -> usize {
        let head = &self.window[self.at..self.at + HEAD_BYTES];
        let (key, cells) = lengths(head.try_into().expect("eight bytes"));
        HEAD_BYTES + key + cells
    }

    /// Reads until the window has so many bytes or the run is at its end.
    fn read_up_to(&mut self, bytes: usize) -> io::Result<()> {
        let left = usize::try_from(self.unread.end - self.unread.start).unwrap_or(usize::MAX);
        let (old, more) = (self.window.len(), bytes.saturating_sub(self.window.len()).min(left));
        self.window.resize(old + more, 0);
        self.file.read_exact_at(&mut self.window[old..], self.unread.start)?;
        self.unread.start += more as u64;
        Ok(())
    }
}
