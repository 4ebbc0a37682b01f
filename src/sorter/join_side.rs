//! A merge join of two sorted sides: the rows of one that belong to a row of the other.

use std::cmp::Ordering;
use std::io;

use super::row::{HeldRow, KeyPacker, PackedRow};
use super::sorted::Sorted;

/// Finds rows by the first strings of their keys, in ascending order of requests. Memory is that of the
/// rows of one key.
#[derive(Debug)]
pub struct JoinSide {
    rows: Sorted,
    texts: usize,
    key: Option<Vec<u8>>,
    found: Vec<HeldRow>,
}

impl JoinSide {
    /// Finds rows by the first `texts` strings of their keys.
    pub fn new(rows: Sorted, texts: usize) -> JoinSide {
        JoinSide { rows, texts, key: None, found: Vec::new() }
    }

    /// The rows with a key; keys must be requested in ascending order.
    ///
    /// # Errors
    /// The scratch file cannot be read back.
    pub fn find(&mut self, key: &[u8]) -> io::Result<impl Iterator<Item = PackedRow<'_>> + use<'_>> {
        if self.key.as_deref() != Some(key) {
            self.key = Some(key.to_vec());
            self.found.clear();
            while let Some(row) = self.rows.peek() {
                match row.beginning(self.texts).cmp(key) {
                    Ordering::Less => {}
                    Ordering::Equal => {
                        let mut held = HeldRow::default();
                        held.hold(row);
                        self.found.push(held);
                    }
                    Ordering::Greater => break,
                }
                self.rows.advance()?;
            }
        }
        Ok(self.found.iter().map(HeldRow::row))
    }

    /// The rows with a key of these strings.
    ///
    /// # Errors
    /// As `find`.
    pub fn find_texts(&mut self, texts: &[&str]) -> io::Result<impl Iterator<Item = PackedRow<'_>> + use<'_>> {
        let mut key = Vec::new();
        let mut packer = KeyPacker(&mut key);
        texts.iter().for_each(|text| packer.text(text));
        self.find(&key)
    }
}
