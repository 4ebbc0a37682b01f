//! A generated merchant: all its records, and the breaks that follow from them.

use chrono::NaiveDate;

use super::books::{BillRow, Books};
use super::calendar::Calendar;
use super::recipe::Recipe;
use super::truth::Planted;
use crate::clock::business_date_of;
use crate::simulator::world::World;

/// A merchant: all its records, and the breaks that follow from them.
#[derive(Debug)]
pub struct Merchant {
    pub(super) recipe: Recipe,
    pub(super) calendar: Calendar,
    pub(super) users: Vec<String>,
    pub(super) books: Books,
    pub(super) breaks: Vec<Planted>,
}

impl Merchant {
    /// Every planted break that some night lists, sorted by rule and key.
    pub fn breaks(&self) -> &[Planted] {
        &self.breaks
    }

    /// The world of the simulated WeChat; without its account until it is written.
    pub fn world(&self) -> &World {
        &self.books.world
    }

    /// The business dates to run, oldest first.
    pub fn dates(&self) -> impl Iterator<Item = NaiveDate> + use<> {
        self.calendar.dates()
    }

    /// The rows of a day's bill.
    pub(super) fn bill_rows(&self, date: NaiveDate) -> impl Iterator<Item = &BillRow> {
        self.books.bill.iter().filter(move |row| business_date_of(row.time) == date)
    }
}
