//! A merge join of two sorted sides: the rows of one that belong to a row of the other.

use std::cmp::Ordering;
use std::io;

use super::packed_rows::{PackedRows, Rows};
use super::row::KeyPacker;
use super::sorted::Sorted;

/// Finds rows by the first strings of their keys, in ascending order of requests. Memory is that of the
/// rows of one key.
#[derive(Debug)]
pub struct JoinSide {
    rows: Sorted,
    texts: usize,
    key: Option<Vec<u8>>,
    found: PackedRows,
}

impl JoinSide {
    /// Finds rows by the first `texts` strings of their keys.
    pub fn new(rows: Sorted, texts: usize) -> JoinSide {
        JoinSide { rows, texts, key: None, found: PackedRows::default() }
    }

    /// The rows with a key; keys must be requested in ascending order.
    ///
    /// # Errors
    /// The scratch file cannot be read back.
    pub fn find(&mut self, key: &[u8]) -> io::Result<Rows<'_>> {
        if self.key.as_deref() != Some(key) {
            key.clone_into(self.key.get_or_insert_default());
            self.found.clear();
            while let Some(row) = self.rows.peek() {
                match row.beginning(self.texts).cmp(key) {
                    Ordering::Less => {}
                    Ordering::Equal => self.found.push(&row),
                    Ordering::Greater => break,
                }
                self.rows.advance()?;
            }
        }
        Ok(self.found.iter())
    }

    /// The rows with a key of these strings.
    ///
    /// # Errors
    /// As `find`.
    pub fn find_texts(&mut self, texts: &[&str]) -> io::Result<Rows<'_>> {
        let mut key = Vec::new();
        let mut packer = KeyPacker(&mut key);
        texts.iter().for_each(|text| packer.text(text));
        self.find(&key)
    }
}
