//! A sorted run as it is read: from the disk as it lies, from the disk in compressed blocks, or from memory. Never ends
//! before all that was written of it was read.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::{Buffer, Place, length_of};
use crate::reconcile::blocks::Opener;

/// What is read of a run before it is given back to the disk.
const GIVEN_BACK_BYTES: u64 = 1 << 20;

/// Rows that lie sorted somewhere.
pub(super) enum Run {
    Loose(BufReader<Section>),
    Compressed(Blocks),
    Buffer { bytes: Vec<u8>, rows: std::vec::IntoIter<Place> },
}

/// A part of a file, read once, from its start to its end.
pub(super) struct Section {
    file: Arc<File>,
    /// What is yet to be read.
    place: Range<u64>,
    /// What was read and not given back yet begins here.
    kept: u64,
}

impl Section {
    pub(super) fn of(file: Arc<File>, place: Range<u64>) -> Section {
        Section { file, kept: place.start, place }
    }

    /// Where in the file what is yet to be read begins.
    pub(super) fn start(&self) -> u64 {
        self.place.start
    }

    /// Gives what was read back to the disk. A file system without holes keeps it until the file is closed.
    #[cfg(target_os = "linux")]
    fn give_back(&mut self) {
        use rustix::fs::{FallocateFlags, fallocate};
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let _ = fallocate(&*self.file, hole, self.kept, self.place.start - self.kept);
        self.kept = self.place.start;
    }

    #[cfg(not(target_os = "linux"))]
    fn give_back(&mut self) {
        self.kept = self.place.start;
    }
}

impl Read for Section {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.place.end - self.place.start).unwrap_or(usize::MAX);
        let wanted = bytes.len().min(left);
        let read = self.file.read_at(&mut bytes[..wanted], self.place.start)?;
        if read == 0 && wanted > 0 {
            // An end of the file is none of the run: rows would be lost.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a scratch file was cut off"));
        }
        self.place.start += read as u64;
        if self.place.start - self.kept >= GIVEN_BACK_BYTES {
            self.give_back();
        }
        Ok(read)
    }
}

/// Rows that lie in memory, each after its length.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    /// Where the next row stands.
    at: usize,
}

impl Batch {
    pub(super) fn with_capacity(bytes: usize) -> Batch {
        Batch { bytes: Vec::with_capacity(bytes), at: 0 }
    }

    pub(super) fn push(&mut self, row: &[u8]) {
        self.bytes.extend_from_slice(&length_of(row));
        self.bytes.extend_from_slice(row);
    }

    /// All rows, taken or not, and their lengths.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.at = 0;
    }

    /// Puts the next row behind what `row` has; `false` at the end.
    pub(super) fn next(&mut self, row: &mut Vec<u8>) -> bool {
        let Some((length, rest)) = self.bytes[self.at..].split_first_chunk() else { return false };
        let length = u32::from_le_bytes(*length) as usize;
        row.extend_from_slice(&rest[..length]);
        self.at += 4 + length;
        true
    }
}

/// A compressed run: its rows come block by block.
pub(super) struct Blocks {
    section: Section,
    block: Batch,
}

impl Blocks {
    fn next(&mut self, row: &mut Vec<u8>, opener: &mut Opener) -> io::Result<bool> {
        while !self.block.next(row) {
            self.block.clear();
            if !opener.open(&mut self.section, &mut self.block.bytes)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Run {
    /// A run that lies as it is, of which `window` bytes are read at once.
    pub(super) fn loose(section: Section, window: usize) -> Run {
        Run::Loose(BufReader::with_capacity(window, section))
    }

    pub(super) fn compressed(section: Section) -> Run {
        Run::Compressed(Blocks { section, block: Batch::default() })
    }

    /// The sorted rows of a buffer.
    pub(super) fn buffer(buffer: Buffer) -> Run {
        Run::Buffer { bytes: buffer.bytes, rows: buffer.rows.into_iter() }
    }

    /// Reads the next row into `row`; `false` at the end.
    pub(super) fn next(&mut self, row: &mut Vec<u8>, opener: &mut Opener) -> io::Result<bool> {
        row.clear();
        match self {
            Run::Buffer { bytes, rows } => {
                let Some(place) = rows.next() else { return Ok(false) };
                row.extend_from_slice(place.of(bytes));
            }
            Run::Compressed(blocks) => return blocks.next(row, opener),
            Run::Loose(file) => {
                let mut length = [0; 4];
                match file.read_exact(&mut length) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                    read => read?,
                }
                row.resize(u32::from_le_bytes(length) as usize, 0);
                file.read_exact(row)?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::blocks::Press;

    /// Whether a run gives an error before its end.
    fn fails(mut run: Run) -> bool {
        let mut opener = Opener::default();
        loop {
            match run.next(&mut Vec::new(), &mut opener) {
                Ok(true) => {}
                Ok(false) => return false,
                Err(_) => return true,
            }
        }
    }

    #[test]
    fn a_run_whose_file_was_cut_off_anywhere_is_an_error_and_no_end() {
        let mut rows = Batch::default();
        ["one", "another", ""].iter().for_each(|row| rows.push(row.as_bytes()));
        let pressed = Press::new().unwrap().press(rows.bytes()).unwrap().to_vec();
        let openings: [fn(Section) -> Run; 2] = [|section| Run::loose(section, 8), Run::compressed];
        for (bytes, open) in [rows.bytes(), pressed.as_slice()].into_iter().zip(openings) {
            let file = Arc::new(tempfile::tempfile().unwrap());
            file.write_all_at(bytes, 0).unwrap();
            let whole = bytes.len() as u64;
            let run = || open(Section::of(file.clone(), 0..whole));
            assert!(!fails(run()));
            for left in (0..whole).rev() {
                file.set_len(left).unwrap();
                assert!(fails(run()), "{left} of {whole} bytes");
            }
        }
    }
}
