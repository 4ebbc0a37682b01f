//! Sorted rows written once and readable any number of times, one window in memory at a time.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::buffer::{Buffer, pack};
use super::merge::{Merge, Reading};
use super::row::Packed;
use super::run::RunPlace;
use super::{Room, Sorted, WINDOW_BYTES};

const WRITE_BUFFER: usize = 256 << 10;

/// Writes rows in sorted order.
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    file: Option<BufWriter<File>>,
    packed: Vec<u8>,
    kept: Kept,
}

impl Keeper {
    /// Empty; there is no file before the first row.
    pub fn new(room: &Room) -> Keeper {
        Keeper { folder: room.folder.clone(), file: None, packed: Vec::new(), kept: Kept::default() }
    }

    /// Appends a row that is not smaller than those before.
    ///
    /// # Errors
    /// The scratch folder is full.
    pub fn push(&mut self, row: &impl Packed) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = tempfile::tempfile_in(&self.folder)?;
                self.file.insert(BufWriter::with_capacity(WRITE_BUFFER, file))
            }
        };
        self.packed.clear();
        pack(row, &mut self.packed);
        file.write_all(&self.packed)?;
        self.kept.bytes += self.packed.len() as u64;
        self.kept.rows += 1;
        Ok(())
    }

    /// The rows.
    ///
    /// # Errors
    /// The scratch folder is full.
    pub fn finish(self) -> io::Result<Kept> {
        let file = self.file.map(|file| file.into_inner().map_err(io::IntoInnerError::into_error)).transpose()?;
        Ok(Kept { file: file.map(Arc::new), ..self.kept })
    }
}

/// Sorted rows in an unnamed file that vanishes with the process.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    file: Option<Arc<File>>,
    bytes: u64,
    rows: u64,
}

impl Kept {
    /// The rows from the start.
    ///
    /// # Errors
    /// The scratch file cannot be read back.
    pub fn rows(&self) -> io::Result<Sorted> {
        let place = RunPlace { bytes: 0..self.bytes, is_loose: true, shared: 0 };
        let places = if self.file.is_some() { std::slice::from_ref(&place) } else { &[] };
        let reading = Reading { window_bytes: WINDOW_BYTES, is_once: false };
        Ok(Sorted::new(Merge::open(self.file.clone(), places, Buffer::default(), reading)?))
    }

    /// The number of rows.
    pub fn len(&self) -> u64 {
        self.rows
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }
}
