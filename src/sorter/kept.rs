//! Sorted rows written once and readable any number of times, one window in memory at a time. Rows that take the place of
//! some of them are kept beside them, so that a few new rows cost no second copy of the others.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::Arc;

use super::buffer::{Buffer, pack};
use super::merge::{Merge, Reading};
use super::row::{Packed, PackedRow};
use super::run::RunPlace;
use super::{Room, Sorted, WINDOW_BYTES};

const WRITE_BUFFER: usize = 256 << 10;

/// Writes rows in sorted order.
#[derive(Debug)]
pub struct Keeper {
    folder: PathBuf,
    file: Option<BufWriter<File>>,
    packed: Vec<u8>,
    bytes: u64,
    rows: u64,
}

impl Keeper {
    /// Empty; there is no file before the first row.
    pub fn new(room: &Room) -> Keeper {
        Keeper { folder: room.folder.clone(), file: None, packed: Vec::new(), bytes: 0, rows: 0 }
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
        self.bytes += self.packed.len() as u64;
        self.rows += 1;
        Ok(())
    }

    /// The rows.
    ///
    /// # Errors
    /// The scratch folder is full.
    pub fn finish(self) -> io::Result<Kept> {
        let Some(file) = self.file else { return Ok(Kept::default()) };
        let file = Arc::new(file.into_inner().map_err(io::IntoInnerError::into_error)?);
        Ok(Kept { layers: vec![Layer { file, bytes: self.bytes }], rows: self.rows })
    }
}

/// Sorted rows in unnamed files that vanish with the process.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The rows of a later layer take the place of those with the same key.
    layers: Vec<Layer>,
    /// How many remain of all layers.
    rows: u64,
}

/// Sorted rows of a file.
#[derive(Debug, Clone)]
struct Layer {
    file: Arc<File>,
    bytes: u64,
}

impl Kept {
    /// The rows from the start.
    ///
    /// # Errors
    /// A scratch file cannot be read back.
    pub fn rows(&self) -> io::Result<Sorted> {
        let mut layers = self.layers.iter().map(Layer::merge);
        let first = layers.next().unwrap_or_else(|| Ok(Merge::default()))?;
        let merge = layers.try_fold(first, |merge, layer| Ok::<_, io::Error>(merge.and(layer?)))?;
        let rows = Sorted::new(merge);
        if self.layers.len() > 1 { rows.superseding() } else { Ok(rows) }
    }

    /// These rows, with those of `later` in place of the ones with the same key, which are passed to `replaced`. Both must
    /// have one row per key. Neither is copied.
    ///
    /// # Errors
    /// A scratch file cannot be read back.
    pub fn replaced_by(&self, later: &Kept, mut replaced: impl FnMut(PackedRow<'_>)) -> io::Result<Kept> {
        let (mut mine, mut rows) = (self.rows()?, self.rows + later.rows);
        later.rows()?.each(|row| {
            while mine.peek().is_some_and(|earlier| earlier.key() < row.key()) {
                mine.advance()?;
            }
            if let Some(earlier) = mine.peek().filter(|earlier| earlier.key() == row.key()) {
                replaced(earlier);
                rows -= 1;
            }
            Ok(())
        })?;
        Ok(Kept { layers: [&self.layers[..], &later.layers].concat(), rows })
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

impl Layer {
    fn merge(&self) -> io::Result<Merge> {
        let place = RunPlace { bytes: 0..self.bytes, is_loose: true, shared: 0 };
        let reading = Reading { window_bytes: WINDOW_BYTES, is_once: false };
        Merge::open(Some(self.file.clone()), &[place], Buffer::default(), reading)
    }
}
