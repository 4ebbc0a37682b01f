//! Sorted runs read as one: the least of their first rows comes next, and of equal ones that of the run
//! that was written first.

use std::fs::File;
use std::io;
use std::sync::Arc;

use super::blocks::Opener;
use super::buffer::{Buffer, beginning, shared};
use super::loser_tree::LoserTree;
use super::row::PackedRow;
use super::run::{DiskRun, Run, RunPlace, Section};

/// Runs, and whose row is next.
#[derive(Debug, Default)]
pub(super) struct Merge {
    runs: Vec<Run>,
    /// How the key of each run's next row goes on behind what all keys begin with: decides nearly every comparison
    /// without looking there. `None` at the run's end.
    heads: Vec<Option<u128>>,
    /// Bytes all keys begin with.
    shared: usize,
    tree: LoserTree,
    opener: Opener,
}

/// How a file of runs is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// What is read of a run at once.
    pub(super) window_bytes: usize,
    /// Nobody reads the file again: what was read is given back to the disk.
    pub(super) is_once: bool,
}

impl Merge {
    /// Runs of a file, and the last one, which lies in memory.
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
            let section = if reading.is_once { Section::read_once(file, bytes) } else { Section::of(file, bytes) };
            runs.push(Run::Disk(DiskRun::open(section, place, reading.window_bytes, &mut opener)?));
        }
        runs.push(Run::Memory { buffer: last, next: 0 });
        Ok(Merge::of(runs, opener))
    }

    fn of(runs: Vec<Run>, opener: Opener) -> Merge {
        let shared = shared_by(&runs);
        let heads: Vec<_> = runs.iter().map(|run| head(run, shared)).collect();
        let tree = LoserTree::of(runs.len(), |one, other| precedes(&runs, &heads, one, other));
        Merge { runs, heads, shared, tree, opener }
    }

    /// These runs and those of `later`, which were written after them.
    pub(super) fn and(mut self, later: Merge) -> Merge {
        self.runs.extend(later.runs);
        Merge::of(self.runs, self.opener)
    }

    /// Runs that had to be written to the disk.
    #[cfg(test)]
    pub(super) fn runs_on_disk(&self) -> usize {
        self.runs.iter().filter(|run| matches!(run, Run::Disk(_))).count()
    }

    /// The next row; it stays the next one until `advance`.
    #[inline]
    pub(super) fn peek(&self) -> Option<PackedRow<'_>> {
        self.tree.winner().and_then(|run| self.runs[run].head())
    }

    /// Goes on to the row after it.
    #[inline]
    pub(super) fn advance(&mut self) -> io::Result<()> {
        let Some(run) = self.tree.winner() else { return Ok(()) };
        self.runs[run].advance(&mut self.opener)?;
        self.heads[run] = head(&self.runs[run], self.shared);
        self.tree.replay(|one, other| precedes(&self.runs, &self.heads, one, other));
        Ok(())
    }
}

fn head(run: &Run, shared: usize) -> Option<u128> {
    run.head().map(|row| beginning(&row.key[shared..]))
}

/// How many bytes all keys of all runs begin with.
fn shared_by(runs: &[Run]) -> usize {
    let mut heads = runs.iter().filter_map(|run| Some((run.head()?.key, run.shared())));
    let Some((first, of_first)) = heads.next() else { return 0 };
    heads.fold(of_first, |least, (key, of_run)| least.min(of_run).min(shared(first, key)))
}

/// Whether a run is to be read before another: by its next row, of equal ones the run that was written first.
#[inline]
fn precedes(runs: &[Run], heads: &[Option<u128>], one: usize, other: usize) -> bool {
    match (heads[one], heads[other]) {
        (Some(head), Some(of_other)) if head == of_other => (key(runs, one), one) < (key(runs, other), other),
        (Some(head), Some(of_other)) => head < of_other,
        (head, _) => head.is_some(),
    }
}

fn key(runs: &[Run], run: usize) -> Option<&[u8]> {
    runs[run].head().map(|row| row.key)
}
