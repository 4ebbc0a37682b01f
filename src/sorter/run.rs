//! Reads a sorted run: from memory, from disk, or from compressed blocks on disk. An end of the file before the end of
//! the run is an error.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::blocks::Opener;
use super::buffer::{Buffer, row_at};
use super::head::{HEAD_BYTES, lengths};
use super::row::PackedRow;

/// The amount read before disk space is freed.
const GIVEN_BACK_BYTES: u64 = 1 << 20;

/// The position of a run in the file, and its format.
#[derive(Debug, Clone)]
pub(super) struct RunPlace {
    pub(super) bytes: Range<u64>,
    /// Whether it is uncompressed.
    pub(super) is_loose: bool,
    /// Length of the common prefix of its keys, as far as known.
    pub(super) shared: usize,
}

/// Sorted rows in memory or on disk.
#[derive(Debug)]
pub(super) enum Run {
    Disk(DiskRun),
    Memory { buffer: Buffer, next: usize },
}

impl Run {
    /// The next row.
    #[inline]
    pub(super) fn peek(&self) -> Option<PackedRow<'_>> {
        match self {
            Run::Disk(run) => run.peek(),
            Run::Memory { buffer, next } => buffer.row(*next),
        }
    }

    /// Advances to the row after it.
    #[inline]
    pub(super) fn advance(&mut self, opener: &mut Opener) -> io::Result<()> {
        match self {
            Run::Disk(run) => run.advance(opener),
            Run::Memory { buffer, next } => {
                *next = (*next + 1).min(buffer.len());
                Ok(())
            }
        }
    }

    /// Length of the common prefix of all keys.
    pub(super) fn shared(&self) -> usize {
        match self {
            Run::Disk(run) => run.shared,
            Run::Memory { buffer, .. } => buffer.shared(),
        }
    }
}

/// A run on disk, read through a window.
#[derive(Debug)]
pub(super) struct DiskRun {
    section: Section,
    is_loose: bool,
    shared: usize,
    window: Vec<u8>,
    /// The offset of the next row in the window.
    at: usize,
    window_bytes: usize,
}

impl DiskRun {
    pub(super) fn open(
        section: Section,
        place: &RunPlace,
        window_bytes: usize,
        opener: &mut Opener,
    ) -> io::Result<DiskRun> {
        let RunPlace { is_loose, shared, .. } = *place;
        let mut run = DiskRun { section, is_loose, shared, window: Vec::new(), at: 0, window_bytes };
        run.fill(opener)?;
        Ok(run)
    }

    #[inline]
    fn peek(&self) -> Option<PackedRow<'_>> {
        (self.at < self.window.len()).then(|| row_at(&self.window, self.at))
    }

    fn advance(&mut self, opener: &mut Opener) -> io::Result<()> {
        if let Some(row) = self.peek() {
            self.at += row.length();
            self.fill(opener)?;
        }
        Ok(())
    }

    /// Ensures that the next row is completely in the window.
    #[inline]
    fn fill(&mut self, opener: &mut Opener) -> io::Result<()> {
        match self.is_loose {
            true if self.has(HEAD_BYTES) && self.has(self.next_bytes()) => Ok(()),
            true => self.fill_loose(),
            // A block ends at the end of a row.
            false if self.at < self.window.len() => Ok(()),
            false => self.fill_block(opener),
        }
    }

    fn fill_loose(&mut self) -> io::Result<()> {
        self.window.drain(..self.at);
        self.at = 0;
        self.read_up_to(self.window_bytes)?;
        if self.has(HEAD_BYTES) {
            self.read_up_to(self.next_bytes())?;
        }
        Ok(())
    }

    fn fill_block(&mut self, opener: &mut Opener) -> io::Result<()> {
        self.at = 0;
        opener.open(&mut self.section, &mut self.window).map(drop)
    }

    fn has(&self, bytes: usize) -> bool {
        self.window.len() - self.at >= bytes
    }

    fn next_bytes(&self) -> usize {
        let head = &self.window[self.at..self.at + HEAD_BYTES];
        let (key, cells) = lengths(head.try_into().expect("eight bytes"));
        HEAD_BYTES + key + cells
    }

    /// Reads until the window has this many bytes or the run ends.
    fn read_up_to(&mut self, bytes: usize) -> io::Result<()> {
        let left = usize::try_from(self.section.left()).unwrap_or(usize::MAX);
        let (old, more) = (self.window.len(), bytes.saturating_sub(self.window.len()).min(left));
        self.window.resize(old + more, 0);
        self.section.read_exact(&mut self.window[old..])
    }
}

/// A part of a file, read from start to end.
#[derive(Debug)]
pub(super) struct Section {
    file: Arc<File>,
    /// What remains to be read.
    place: Range<u64>,
    /// Start of what was read but not freed yet; `None` if the file is to be kept.
    unfreed_from: Option<u64>,
}

impl Section {
    /// A part that is kept.
    pub(super) fn new(file: Arc<File>, place: Range<u64>) -> Section {
        Section { file, unfreed_from: None, place }
    }

    /// A part that is read only once: the disk space of what was read is freed.
    pub(super) fn read_once(file: Arc<File>, place: Range<u64>) -> Section {
        Section { file, unfreed_from: Some(place.start), place }
    }

    fn left(&self) -> u64 {
        self.place.end - self.place.start
    }

    /// Frees the disk space of what was read, once it is enough. A file system without holes keeps it until the file is
    /// closed.
    fn give_back(&mut self) {
        let Some(start) = self.unfreed_from else { return };
        let bytes = self.place.start - start;
        if bytes >= GIVEN_BACK_BYTES {
            punch_hole(&self.file, start, bytes);
            self.unfreed_from = Some(self.place.start);
        }
    }
}

#[cfg(target_os = "linux")]
fn punch_hole(file: &File, start: u64, bytes: u64) {
    use rustix::fs::{FallocateFlags, fallocate};
    let _ = fallocate(file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, start, bytes);
}

#[cfg(not(target_os = "linux"))]
fn punch_hole(_: &File, _: u64, _: u64) {}

impl Read for Section {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = bytes.len().min(usize::try_from(self.left()).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut bytes[..wanted], self.place.start)?;
        if read == 0 && wanted > 0 {
            // The end of the file is not the end of the run: rows would be lost.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a scratch file was cut off"));
        }
        self.place.start += read as u64;
        self.give_back();
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::super::blocks::Press;
    use super::super::jotting::Jotting;
    use super::super::packed_rows::PackedRows;
    use super::*;

    /// Whether a run gives an error before its end.
    fn fails(section: Section, is_loose: bool) -> bool {
        let mut opener = Opener::default();
        let place = RunPlace { bytes: 0..0, is_loose, shared: 0 };
        let Ok(mut run) = DiskRun::open(section, &place, 8, &mut opener) else { return true };
        while run.peek().is_some() {
            if run.advance(&mut opener).is_err() {
                return true;
            }
        }
        false
    }

    #[test]
    fn a_run_whose_file_was_cut_off_anywhere_is_an_error_and_no_end() {
        let mut rows = PackedRows::default();
        ["one", "another", ""].iter().for_each(|text| rows.push(&Jotting::of(&[text]).marked(true)));
        let pressed = Press::new().unwrap().press(rows.as_bytes()).unwrap().to_vec();
        for (bytes, is_loose) in [(rows.as_bytes(), true), (pressed.as_slice(), false)] {
            let file = Arc::new(tempfile::tempfile().unwrap());
            file.write_all_at(bytes, 0).unwrap();
            let whole = bytes.len() as u64;
            let section = || Section::read_once(file.clone(), 0..whole);
            assert!(!fails(section(), is_loose));
            for left in (0..whole).rev() {
                file.set_len(left).unwrap();
                assert!(fails(section(), is_loose), "{left} of {whole} bytes");
            }
        }
    }
}
