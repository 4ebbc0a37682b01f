//! A batch of packed rows in the order in which they came.

use super::buffer::{pack, row_at};
use super::row::{Packed, PackedRow};

/// Rows in their order of arrival, packed on another thread.
#[derive(Debug, Default)]
pub struct PackedRows {
    bytes: Vec<u8>,
}

/// Rows, one after the other.
#[derive(Debug, Clone)]
pub struct Rows<'r> {
    bytes: &'r [u8],
}

impl PackedRows {
    /// Empty, with a capacity in bytes.
    pub(super) fn with_capacity(bytes: usize) -> PackedRows {
        PackedRows { bytes: Vec::with_capacity(bytes) }
    }

    /// Appends a row.
    pub fn push(&mut self, row: &impl Packed) {
        pack(row, &mut self.bytes);
    }

    /// Removes the rows and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The size of the rows in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    #[cfg(test)]
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The row at an offset; `None` at the end.
    #[inline]
    pub(super) fn at(&self, start: usize) -> Option<PackedRow<'_>> {
        (start < self.bytes.len()).then(|| row_at(&self.bytes, start))
    }

    /// The rows.
    pub fn iter(&self) -> Rows<'_> {
        Rows { bytes: &self.bytes }
    }
}

impl<'r> IntoIterator for &'r PackedRows {
    type Item = PackedRow<'r>;
    type IntoIter = Rows<'r>;

    fn into_iter(self) -> Rows<'r> {
        self.iter()
    }
}

impl<'r> Iterator for Rows<'r> {
    type Item = PackedRow<'r>;

    fn next(&mut self) -> Option<PackedRow<'r>> {
        let row = (!self.bytes.is_empty()).then(|| row_at(self.bytes, 0))?;
        self.bytes = &self.bytes[row.length()..];
        Some(row)
    }
}
