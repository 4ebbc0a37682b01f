//! The order lines of the look-back, as far as requests depend on them: six columns of the published days and of tonight,
//! with published openids, sorted in bounded memory.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use chrono::NaiveDate;

use super::{Issue, Night};
use crate::dataset::columns::row_type;
use crate::dataset::partition::each_row;
use crate::record::{OrderLine, Record};
use crate::sorter::{CellPacker, Jotting, Keeper, Kept, KeyPacker, Packed, PackedRow, Room, Sorter};

row_type! {
    /// A coupon claim of an order line, with the published openid. Stock and code are empty if the line claims no
    /// coupon.
    LookbackLine of LookbackColumns {
        out_trade_no: text,
        stock_id: text,
        coupon_code: text,
        openid: maybe_text,
        paid_at: maybe_instant,
        business_date: date,
    }
}

/// The order lines of the look-back; of each line the version of the latest day.
#[derive(Debug, Default)]
pub struct Lookback {
    /// Lines that name a coupon, by stock, code and order number: `Claim`s.
    pub(super) claims: Kept,
    /// Numbers of paid orders, sorted.
    pub(super) paid: Kept,
}

/// A line that names a coupon.
#[derive(Debug)]
pub(super) struct Claim<'r> {
    pub(super) stock_id: Cow<'r, str>,
    pub(super) coupon_code: Cow<'r, str>,
    pub(super) out_trade_no: Cow<'r, str>,
    pub(super) is_paid: bool,
    pub(super) openid: Option<&'r str>,
    /// The day of the export it stands in.
    pub(super) listed_on: NaiveDate,
}

impl<'r> Claim<'r> {
    /// Unpacks a row of `claims`.
    pub(super) fn unpack(row: PackedRow<'r>) -> Claim<'r> {
        let mut cells = row.unpack();
        Claim {
            stock_id: cells.key_text(),
            coupon_code: cells.key_text(),
            out_trade_no: cells.key_text(),
            is_paid: cells.integer() == 1,
            openid: cells.maybe_text(),
            listed_on: cells.date(),
        }
    }
}

impl Night<'_> {
    /// The order lines of the look-back; `tonight` is the partition of D, if there is one.
    ///
    /// # Errors
    /// A published day cannot be read, or the scratch folder is full.
    pub fn lookback(&self, tonight: Option<&Path>) -> Result<Lookback, Issue> {
        let mut lines = self.earlier_lines()?;
        if let Some(tonight) = tonight {
            lines.add_partition(tonight)?;
        }
        lines.settle()
    }

    /// The lines of earlier days, oldest day first, to which tonight's are added.
    pub(super) fn earlier_lines(&self) -> Result<Lines, Issue> {
        let from = self.job.rules.lookback_start(self.date);
        let partitions = self.lake.partitions(OrderLine::DATASET, from, self.date);
        let mut lines = Lines::new(&self.corner());
        for partition in partitions.map_err(|error| Issue::io(self.lake.root(), &error))? {
            lines.add_partition(&partition.path)?;
        }
        Ok(lines)
    }
}

/// Collects lines for a look-back, oldest day first.
pub(super) struct Lines {
    room: Room,
    lines: Sorter,
}

impl Lines {
    pub(super) fn new(room: &Room) -> Lines {
        Lines { room: room.clone(), lines: Sorter::new(room) }
    }

    fn add_partition(&mut self, orders: &Path) -> Result<(), Issue> {
        each_row::<LookbackColumns, Issue>(orders, OrderLine::DATASET, |line| self.add(&line))
    }

    pub(super) fn add(&mut self, line: &LookbackLine<'_>) -> Result<(), Issue> {
        self.lines.push(line).map_err(Issue::unsorted)
    }

    /// Keeps the version of each line that was added last.
    pub(super) fn settle(self) -> Result<Lookback, Issue> {
        self.sort().map_err(Issue::unsorted)
    }

    fn sort(self) -> io::Result<Lookback> {
        let (mut claims, mut paid) = (Sorter::new(&self.room), Sorter::new(&self.room));
        let divide = |row: PackedRow<'_>| {
            let mut cells = row.unpack();
            let (out_trade_no, stock_id, coupon_code) = (cells.key_text(), cells.key_text(), cells.key_text());
            let (is_paid, openid, listed_on) = (cells.integer() == 1, cells.maybe_text(), cells.date());
            if is_paid {
                paid.push(&Jotting::of(&[&out_trade_no]))?;
            }
            match coupon_code.is_empty() {
                true => Ok(()),
                false => claims.push(&Claim { stock_id, coupon_code, out_trade_no, is_paid, openid, listed_on }),
            }
        };
        self.lines.finish()?.last_of_each(|_| {}, divide)?;
        Ok(Lookback { claims: keep(claims, &self.room)?, paid: keep(paid, &self.room)? })
    }
}

/// The sorted rows, one per key.
pub(super) fn keep(rows: Sorter, room: &Room) -> io::Result<Kept> {
    let mut keeper = Keeper::new(room);
    rows.finish()?.last_of_each(|_| {}, |row| keeper.push(&row))?;
    keeper.finish()
}

impl Packed for LookbackLine<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        [self.out_trade_no, self.stock_id, self.coupon_code].into_iter().for_each(|text| key.text(text));
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.integer(i64::from(self.paid_at.is_some()));
        cells.maybe_text(self.openid);
        cells.epoch_days(self.business_date);
    }
}

impl Packed for Claim<'_> {
    fn pack_key(&self, key: &mut KeyPacker<'_>) {
        [&self.stock_id, &self.coupon_code, &self.out_trade_no].into_iter().for_each(|text| key.text(text));
    }

    fn pack_cells(&self, cells: &mut CellPacker<'_>) {
        cells.integer(i64::from(self.is_paid));
        cells.maybe_text(self.openid);
        cells.date(self.listed_on);
    }
}
