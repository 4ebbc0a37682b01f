//! Ad-hoc rows: what is sorted or joined for a moment and is no row of a dataset.

use super::row::{CellPacker, KeyPacker, Packed};

/// The strings it is sorted by, a mark, further strings.
#[derive(Debug, Clone, Copy)]
pub struct Jotting<'t, M = ()> {
    key: &'t [&'t str],
    mark: M,
    texts: &'t [&'t str],
}

/// What tells apart the rows of one key.
pub trait Mark: Copy {
    /// Appends it as the first cell.
    fn pack(self, cells: &mut CellPacker<'_>);
}

impl<'t> Jotting<'t> {
    /// A row that is nothing but its key.
    pub fn of(key: &'t [&'t str]) -> Jotting<'t> {
        Jotting { key, mark: (), texts: &[] }
    }
}

impl<'t, M> Jotting<'t, M> {
    /// The same with a mark.
    pub fn marked<N: Mark>(self, mark: N) -> Jotting<'t, N> {
        Jotting { key: self.key, mark, texts: self.texts }
    }

    /// The same with strings behind the mark.
    #[must_use]
    pub fn with(self, texts: &'t [&'t str]) -> Jotting<'t, M> {
        Jotting { texts, ..self }
    }
}

impl Mark for () {
    fn pack(self, _: &mut CellPacker<'_>) {}
}

impl Mark for bool {
    fn pack(self, cells: &mut CellPacker<'_>) {
        cells.flag(self);
    }
}

impl<M: Mark> Packed for Jotting<'_, M> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        self.key.iter().for_each(|text| key.text(text));
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        self.mark.pack(cells);
        self.texts.iter().for_each(|text| cells.text(text));
    }
}
