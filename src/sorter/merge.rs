//! Merges sorted runs: the smallest of their next rows comes first; of equal ones, that of the run that was
//! written first.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::blocks::Opener;
use super::buffer::{Buffer, beginning, shared};
use super::loser_tree::{LoserTree, precedes};
use super::row::PackedRow;
use super::run::{DiskRun, Run, RunPlace, Section};

/// The runs, and which has the next row.
#[derive(Debug, Default)]
pub(super) struct Merge {
    runs: Vec<Run>,
    /// The beginning of the key of each run's next row, after the common prefix. `None` at the end of the run.
    beginnings: Vec<Option<u128>>,
    /// Length of the common prefix of all keys.
    shared: usize,
    tree: LoserTree,
    opener: Opener,
}

/// How a file of runs is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Read buffer per run.
    pub(super) window_bytes: usize,
    /// The file is not read again: the disk space of what was read is freed.
    pub(super) is_once: bool,
}

impl Merge {
    /// The runs of a file, and the last one in memory.
    pub(super) fn open(
        file: Option<Arc<File>>,
        places: &[RunPlace],
        last: Buffer,
        reading: Reading,
    ) -> io::Result<Merge> {
        let mut opener = Opener::default();
        let mut runs = Vec::with_capacity(places.len() + 1);
        for place in places {
            let (file, bytes) = (file.clone().expect("runs lie in a file"), place.bytes.clone());
            let section = if reading.is_once { Section::read_once(file, bytes) } else { Section::new(file, bytes) };
            runs.push(Run::Disk(DiskRun::open(section, place, reading.window_bytes, &mut opener)?));
        }
        runs.push(Run::Memory { buffer: last, next: 0 });
        Ok(Merge::new(runs, opener))
    }

    fn new(runs: Vec<Run>, opener: Opener) -> Merge {
        let shared = shared_by(&runs);
        let beginnings: Vec<_> = runs.iter().map(|run| beginning_of(run, shared)).collect();
        let tree = LoserTree::new(runs.len(), |one, other| precedes(&beginnings, |run| key(&runs, run), one, other));
        Merge { runs, beginnings, shared, tree, opener }
    }

    /// These runs and those of `later`, which were written after them.
    pub(super) fn and(mut self, later: Merge) -> Merge {
        self.runs.extend(later.runs);
        Merge::new(self.runs, self.opener)
    }

    /// The number of runs on disk.
    #[cfg(test)]
    pub(super) fn runs_on_disk(&self) -> usize {
        self.runs.iter().filter(|run| matches!(run, Run::Disk(_))).count()
    }

    /// The next row; unchanged until `advance`.
    #[inline]
    pub(super) fn peek(&self) -> Option<PackedRow<'_>> {
        self.tree.winner().and_then(|run| self.runs[run].peek())
    }

    /// Whether the next row of another run has the key of the next row.
    #[inline]
    pub(super) fn is_followed_by_its_key(&self) -> bool {
        let Some(first) = self.tree.winner().filter(|run| self.beginnings[*run].is_some()) else { return false };
        let beginning = self.beginnings[first];
        let mut others = (0..self.runs.len()).filter(|run| *run != first && self.beginnings[*run] == beginning);
        others.any(|run| key(&self.runs, run) == key(&self.runs, first))
    }

    /// Advances to the row after it.
    #[inline]
    pub(super) fn advance(&mut self) -> io::Result<()> {
        let Some(run) = self.tree.winner() else { return Ok(()) };
        self.runs[run].advance(&mut self.opener)?;
        self.beginnings[run] = beginning_of(&self.runs[run], self.shared);
        self.tree.replay(|one, other| precedes(&self.beginnings, |run| key(&self.runs, run), one, other));
        Ok(())
    }
}

fn beginning_of(run: &Run, shared: usize) -> Option<u128> {
    run.peek().map(|row| beginning(&row.key[shared..]))
}

/// The length of the common prefix of all keys of all runs.
fn shared_by(runs: &[Run]) -> usize {
    let mut keys = runs.iter().filter_map(|run| Some((run.peek()?.key, run.shared())));
    let Some((first, of_first)) = keys.next() else { return 0 };
    keys.fold(of_first, |least, (key, of_run)| least.min(of_run).min(shared(first, key)))
}

fn key(runs: &[Run], run: usize) -> Option<&[u8]> {
    runs[run].peek().map(|row| row.key)
}
