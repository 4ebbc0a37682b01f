//! An external sorter: rows packed into bytes and sorted by key in bounded memory. Sorted runs that do not fit go to
//! one unnamed file per sort in a scratch folder, which vanishes with the process, so neither memory nor the number of
//! open files grows with the rows. Reading merges the runs. The sort is stable. Knows no dataset and no meaning of a
//! cell.

mod blocks;
mod buffer;
mod head;
mod join_side;
mod jotting;
mod kept;
mod loser_tree;
mod merge;
mod packed_rows;
mod row;
mod run;
mod sorted;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

pub(crate) use blocks::ZSTD_LEVEL;
use buffer::Buffer;
pub use buffer::beginning;
pub use join_side::JoinSide;
pub use jotting::{Jotting, Mark};
pub use kept::{Keeper, Kept};
pub(crate) use loser_tree::{LoserTree, precedes};
use merge::{Merge, Reading};
pub use packed_rows::{PackedRows, Rows};
pub use row::{CellPacker, HeldRow, KeyPacker, Packed, PackedRow, Unpacker};
use run::RunPlace;
pub use sorted::{Sorted, SortedAhead};

/// Read buffer per run, if memory allows.
const WINDOW_BYTES: usize = 256 << 10;
/// Minimum read buffer, however many runs there are.
const SMALLEST_WINDOW: usize = 4 << 10;

/// Where rows are sorted, and how much memory that may take.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// A folder on a real disk.
    pub folder: PathBuf,
    /// Bytes of rows that one sorter may hold.
    pub memory_bytes: usize,
}

/// Collects rows in any order.
///
/// One half of its memory is filled while a thread sorts and writes the other half. Where a run ends depends on the
/// rows only, and the result does not depend on it.
#[derive(Debug, Default)]
pub struct Sorter {
    room: Room,
    filling: Buffer,
    spare: Buffer,
    spilling: Option<JoinHandle<io::Result<Spilled>>>,
    /// Holds all runs, one after the other.
    file: Option<Arc<File>>,
    runs: Vec<RunPlace>,
    /// The number of uncompressed bytes, if not all: later runs are compressed.
    loose_bytes: Option<u64>,
    rows: u64,
}

/// A run on disk, and the buffer it came from.
#[derive(Debug)]
struct Spilled {
    run: RunPlace,
    emptied: Buffer,
}

impl Sorter {
    /// An empty sorter; nothing is written to disk until necessary.
    pub fn new(room: &Room) -> Sorter {
        Sorter {
            room: room.clone(),
            filling: Buffer::default(),
            spare: Buffer::default(),
            spilling: None,
            file: None,
            runs: Vec::new(),
            loose_bytes: None,
            rows: 0,
        }
    }

    /// Compresses what is written beyond this many bytes on disk, which the page cache would not hold anyway.
    #[must_use]
    pub fn compressing_from(self, loose_bytes: u64) -> Sorter {
        Sorter { loose_bytes: Some(loose_bytes), ..self }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// The scratch folder is full.
    pub fn push(&mut self, row: &impl Packed) -> io::Result<()> {
        if self.filling.bytes() >= self.room.memory_bytes / 2 && !self.filling.is_empty() {
            self.spill()?;
        }
        self.filling.push(row);
        self.rows += 1;
        Ok(())
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes what is in memory to disk, for rows that have to wait.
    ///
    /// # Errors
    /// The scratch folder is full.
    pub fn set_aside(&mut self) -> io::Result<()> {
        if !self.filling.is_empty() {
            self.spill()?;
        }
        self.settle()?;
        self.filling = Buffer::default();
        self.spare = Buffer::default();
        Ok(())
    }

    /// The sorted rows.
    ///
    /// # Errors
    /// The scratch folder is full, or cannot be read back.
    pub fn finish(mut self) -> io::Result<Sorted> {
        self.settle()?;
        self.filling.sort();
        drop(self.spare);
        let window_bytes = self.room.memory_bytes / 2 / self.runs.len().max(1);
        let reading = Reading { window_bytes: window_bytes.clamp(SMALLEST_WINDOW, WINDOW_BYTES), is_once: true };
        Ok(Sorted::new(Merge::open(self.file, &self.runs, self.filling, reading)?))
    }

    /// Passes the full buffer to a thread.
    fn spill(&mut self) -> io::Result<()> {
        self.settle()?;
        let file = self.file()?;
        let start = self.runs.last().map_or(0, |run| run.bytes.end);
        let is_loose = self.loose_bytes.is_none_or(|bytes| start < bytes);
        let mut full = std::mem::replace(&mut self.filling, std::mem::take(&mut self.spare));
        self.spilling = Some(std::thread::spawn(move || {
            full.sort();
            let end = start + full.write(&file, is_loose)?;
            let run = RunPlace { bytes: start..end, is_loose, shared: full.shared() };
            full.clear();
            Ok(Spilled { run, emptied: full })
        }));
        Ok(())
    }

    /// Waits for the run that is being written.
    fn settle(&mut self) -> io::Result<()> {
        let Some(thread) = self.spilling.take() else { return Ok(()) };
        let spilled = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        self.runs.push(spilled.run);
        self.spare = spilled.emptied;
        Ok(())
    }

    /// One file for all runs, so that their number is not limited by that of open files.
    fn file(&mut self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(file.clone());
        }
        let file = Arc::new(tempfile::tempfile_in(&self.room.folder)?);
        self.file = Some(file.clone());
        Ok(file)
    }
}

#[cfg(test)]
mod tests;
