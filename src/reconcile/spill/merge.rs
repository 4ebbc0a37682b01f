//! The runs of a sort merged into one. Holds the next row of each, and never looks behind it.

use std::io;

use super::Packed;
use super::run::{Batch, Run};
use crate::reconcile::blocks::Opener;
use crate::reconcile::coupon_key::prefix;
use crate::reconcile::text_hash::TextMap;
use crate::tournament::Tournament;

/// Bytes of rows in a batch.
const BATCH_BYTES: usize = 256 << 10;

/// Sorted runs and the next row of each.
#[derive(Default)]
pub(super) struct Merge {
    runs: Vec<Run>,
    /// Of each run.
    heads: Vec<Head>,
    tournament: Tournament,
    /// Numbers of stocks that sort as the stocks do.
    ranks: TextMap<String, u32>,
    opener: Opener,
}

/// The row of a run that comes next.
#[derive(Default)]
struct Head {
    /// The rank of the stock and the beginning of the code, enough to compare most rows without looking into them; `None`
    /// once the run has ended.
    key: Option<(u32, u128)>,
    row: Packed,
}

impl Head {
    /// By coupon, then by the rest so that the order never depends on the order of arrival.
    #[inline]
    fn precedes(&self, other: &Head) -> bool {
        match (self.key, other.key) {
            (Some(one), Some(two)) => one < two || (one == two && self.row.behind_stock() < other.row.behind_stock()),
            (one, _) => one.is_some(),
        }
    }
}

impl Merge {
    /// Merges sorted runs with rows of these stocks.
    pub(super) fn of(runs: Vec<Run>, ranks: TextMap<String, u32>) -> io::Result<Merge> {
        let heads = runs.iter().map(|_| Head::default()).collect();
        let mut merge = Merge { runs, heads, ranks, ..Merge::default() };
        for run in 0..merge.runs.len() {
            merge.read(run, &Packed::default())?;
        }
        let heads = &merge.heads;
        merge.tournament = Tournament::of(heads.len(), |one, other| heads[one].precedes(&heads[other]));
        Ok(merge)
    }

    /// Reads the next head of a run, after `before`.
    fn read(&mut self, run: usize, before: &Packed) -> io::Result<()> {
        let Head { key, row } = &mut self.heads[run];
        let is_more = self.runs[run].next(&mut row.0, &mut self.opener)?;
        *key = is_more.then(|| {
            let [stock_id, coupon_code] = row.coupon_bytes();
            let rank = match *key {
                Some((rank, _)) if before.coupon_bytes()[0] == stock_id => rank,
                _ => self.ranks[row.cells().text()],
            };
            (rank, prefix(coupon_code))
        });
        Ok(())
    }

    /// Puts the next row into `row`; `false` at the end.
    pub(super) fn next(&mut self, row: &mut Packed) -> io::Result<bool> {
        let Some(run) = self.tournament.winner().filter(|run| self.heads[*run].key.is_some()) else { return Ok(false) };
        std::mem::swap(&mut self.heads[run].row, row);
        self.read(run, row)?;
        let heads = &self.heads;
        self.tournament.replay(|one, other| heads[one].precedes(&heads[other]));
        Ok(true)
    }

    fn next_batch(&mut self, row: &mut Packed) -> io::Result<Option<Batch>> {
        let mut batch = Batch::with_capacity(BATCH_BYTES + BATCH_BYTES / 16);
        while batch.bytes().len() < BATCH_BYTES && self.next(row)? {
            batch.push(&row.0);
        }
        Ok((!batch.bytes().is_empty()).then_some(batch))
    }

    /// All rows, batch by batch.
    pub(super) fn batches(mut self) -> impl Iterator<Item = io::Result<Batch>> {
        let mut row = Packed::default();
        std::iter::from_fn(move || self.next_batch(&mut row).transpose())
    }
}
