//! The tables of the pack as data: one constant per file with the name, titles and kind of every
//! column. Headers, formula guards, number formats and totals are derived from it, and so are the
//! Table Schemas of `dictionary`.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};

use crate::contract::{Words, contract};
use crate::money::Fen;

/// A table of the pack: a CSV file and a sheet of the workbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Name of the CSV without `.csv`.
    pub name: &'static str,
    /// Chinese title, at most 31 characters: the name of the sheet.
    pub zh: &'static str,
    /// English title.
    pub en: &'static str,
    /// The dataset whose contract says what columns of the same name mean; its amounts are in fen.
    pub dataset: &'static str,
    /// In display order.
    pub columns: &'static [Column],
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Machine-readable name: the header of the CSV with `language = "en"`.
    pub name: &'static str,
    /// Chinese title: the header of CSV and sheet with `language = "zh"`.
    pub zh: &'static str,
    /// English title: the header of the sheet with `language = "en"`.
    pub en: &'static str,
    /// The kind of its values.
    pub kind: Kind,
    /// Whether the last line has its sum; not for amounts that repeat on several rows.
    pub is_summed: bool,
    /// Where it is said what it means.
    pub meaning: Meaning,
}

/// Where it is said what a column means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// In the contract of the table's dataset, under the column's own name.
    Same,
    /// In the contract of a dataset, under the name of another column.
    Of(&'static str, &'static str),
    /// Here, in Chinese and in English.
    Said(&'static str, &'static str),
}

impl Table {
    /// What a column means, in Chinese and in English.
    pub fn meaning(&self, column: &Column) -> (&'static str, &'static str) {
        let words = match column.meaning {
            Meaning::Said(zh, en) => return (zh, en),
            Meaning::Of(dataset, name) => meaning_of(dataset, name),
            Meaning::Same => meaning_of(self.dataset, &column.name.replace("_yuan", "_fen")),
        };
        (&words.zh, &words.en)
    }
}

/// The meaning of a column of a dataset, as its contract has it. Panics on an unknown name, since names are compiled in.
fn meaning_of(dataset: &str, name: &str) -> &'static Words {
    let column = contract(dataset).columns.iter().find(|column| column.name == name);
    &column.unwrap_or_else(|| panic!("`{dataset}` has no column {name}")).meaning
}

impl Column {
    pub(super) const fn of(self, dataset: &'static str, name: &'static str) -> Column {
        Column { meaning: Meaning::Of(dataset, name), ..self }
    }

    pub(super) const fn says(self, zh: &'static str, en: &'static str) -> Column {
        Column { meaning: Meaning::Said(zh, en), ..self }
    }
}

/// The kind of values in a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An id, kept as text however long it is.
    Id,
    /// A code of a small set, translated into the language of the report.
    Word,
    /// Free text, possibly external.
    Text,
    /// Yuan with two decimals.
    Yuan,
    /// A whole number.
    Count,
    /// A day, `2026-11-18`.
    Date,
    /// An instant, `2026-11-18 09:30:00` in Asia/Shanghai.
    Time,
}

/// A cell of a row. Absent values are empty cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Id(Option<Cow<'a, str>>),
    Text(Cow<'a, str>),
    Yuan(Option<Fen>),
    Count(Option<i64>),
    Date(Option<NaiveDate>),
    Time(Option<DateTime<Utc>>),
}

impl Cell<'_> {
    /// An empty cell, for a column of any kind.
    pub(super) const EMPTY: Cell<'static> = Cell::Text(Cow::Borrowed(""));

    /// Whether the cell fits a column of `kind`.
    pub(super) fn fits(&self, kind: Kind) -> bool {
        match self {
            Cell::Id(_) => kind == Kind::Id,
            Cell::Text(text) => matches!(kind, Kind::Word | Kind::Text) || text.is_empty(),
            Cell::Yuan(_) => kind == Kind::Yuan,
            Cell::Count(_) => kind == Kind::Count,
            Cell::Date(_) => kind == Kind::Date,
            Cell::Time(_) => kind == Kind::Time,
        }
    }
}

impl<'a> Cell<'a> {
    pub(super) fn id(id: &'a str) -> Cell<'a> {
        Cell::Id(Some(Cow::Borrowed(id)))
    }

    pub(super) fn maybe_id(id: Option<&'a str>) -> Cell<'a> {
        Cell::Id(id.map(Cow::Borrowed))
    }

    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Cell<'a> {
        Cell::Text(text.into())
    }

    pub(super) fn maybe_text(text: &'a Option<String>) -> Cell<'a> {
        Cell::Text(Cow::Borrowed(text.as_deref().unwrap_or_default()))
    }
}

pub(super) const fn column(name: &'static str, zh: &'static str, en: &'static str, kind: Kind) -> Column {
    Column { name, zh, en, kind, is_summed: false, meaning: Meaning::Same }
}

/// A column with a sum on the last line.
pub(super) const fn summed(name: &'static str, zh: &'static str, en: &'static str, kind: Kind) -> Column {
    Column { name, zh, en, kind, is_summed: true, meaning: Meaning::Same }
}
