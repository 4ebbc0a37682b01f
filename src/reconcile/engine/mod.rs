//! Polars over the partitions of a night. Tables and shared views are created when a query first names them; a
//! view is computed once. Together with `tables`, the only file that uses Polars as the engine of the rules.

mod dialect;
mod reduced;
pub(super) mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use polars::prelude::*;
use polars::sql::SQLContext;
use regex::Regex;
use serde::de::DeserializeOwned;

use super::basis::Basis;
use super::basis::files::Scratch;
use super::basis::parameters;
use super::error::ReconcileError;
use super::ledger::observed;
use super::ledger::order_book;
use super::rows::scratch_table;
use super::rules::place::{Conditions, conditions_of};
use super::rules::{Reads, Rule};
use crate::contract::{self, Contract};
use tables::{ResultColumn, RowBatches};

/// The views that are computed while the ledger is built.
pub(super) const COMPUTED_VIEWS: [&str; 6] = {
    let [lines, totals, payments, refunds, merchants] = order_book::VIEWS;
    [lines, totals, payments, refunds, merchants, observed::VIEW]
};

/// Everything that a rule of a night may read.
pub(super) struct Engine<'a> {
    basis: Basis<'a>,
    scratch: &'a Scratch,
    tables: BTreeMap<String, LazyFrame>,
}

impl<'a> Engine<'a> {
    /// An engine over the files of a night; opens none yet.
    pub(super) fn open(basis: Basis<'a>, scratch: &'a Scratch) -> Result<Engine<'a>, ReconcileError> {
        // What Polars deprecates concerns the program, not whoever reads stderr.
        polars::error::set_warning_function(|text, _| tracing::debug!("{text}"));
        let small = parameters::tables(basis.terms, basis.files).map_err(ReconcileError::query("params"))?;
        let tables = small.into_iter().map(|(name, table)| (name.to_owned(), table)).collect();
        Ok(Engine { basis, scratch, tables })
    }

    /// Runs a query and reads its rows into `T`, whose fields are among `columns`, a batch at a time; a missing column is
    /// null, an unlisted one is an error.
    pub(super) fn row_batches<'c, T: DeserializeOwned + 'c>(
        &mut self,
        what: &str,
        sql: &str,
        columns: &'c [ResultColumn<'c>],
    ) -> Result<RowBatches<'c, T>, ReconcileError> {
        collected(what, self.query(what, sql)?, columns)
    }

    /// As `row_batches`, all of them at once.
    #[cfg(test)]
    pub(super) fn rows<T: DeserializeOwned>(
        &mut self,
        what: &str,
        sql: &str,
        columns: &[ResultColumn<'_>],
    ) -> Result<Vec<T>, ReconcileError> {
        Ok(self.row_batches(what, sql, columns)?.collect::<Result<Vec<Vec<T>>, _>>()?.into_iter().flatten().collect())
    }

    /// The first column of a rule's key that its query does not give.
    pub(super) fn lacking_key(&mut self, rule: &Rule) -> Result<Option<&'static str>, ReconcileError> {
        let given = self.query(&rule.id, &rule.sql)?.collect_schema().map_err(ReconcileError::query(&rule.id))?;
        // A figure of the datacube need not be of a card: it may be the account's.
        let mut needed = rule.keys.iter().flat_map(|key| key.columns()).filter(|column| **column != "card_id");
        Ok(needed.find(|column| !given.contains(column)).copied())
    }

    /// The line of the condition that fails on its own where a rule's query fails, and not without its WHERE.
    pub(super) fn line_of_condition(&mut self, rule: &Rule) -> Option<usize> {
        let Conditions { without, alone } = conditions_of(&rule.sql)?;
        let mut fails = |sql: &str| match self.query(&rule.id, sql) {
            Ok(query) => computed(query).is_err(),
            Err(_) => true,
        };
        let is_of_another_part = fails(&without);
        alone.iter().find(|(_, sql)| !is_of_another_part && fails(sql)).map(|(line, _)| *line)
    }

    /// The rows of a query in these columns, sorted by all of them.
    #[cfg(test)]
    pub(super) fn sorted(&mut self, sql: &str, columns: &[ResultColumn<'_>]) -> Result<DataFrame, ReconcileError> {
        let query = self.query("a test", sql)?;
        let names: Vec<_> = columns.iter().map(|(name, _)| col(*name)).collect();
        let fitting = tables::fitting(query, columns).and_then(|query| tables::typed(query, columns));
        let sorted = fitting.map(|query| query.sort_by_exprs(names, Default::default()));
        sorted.and_then(LazyFrame::collect).map_err(ReconcileError::query("a test"))
    }

    /// Adds a table, for tests.
    #[cfg(test)]
    pub(super) fn put(&mut self, name: &str, table: LazyFrame) {
        self.tables.insert(name.to_owned(), table);
    }

    /// Adds a view and computes it, for tests.
    #[cfg(test)]
    pub(super) fn define(&mut self, name: &str, sql: &str) -> Result<(), ReconcileError> {
        let frame = self.query(name, sql)?.collect().map_err(ReconcileError::query(name))?;
        self.put(name, frame.lazy());
        Ok(())
    }

    /// Plans a query in a context of its own: Polars leaves the aliases of a query behind as tables.
    fn query(&mut self, what: &str, sql: &str) -> Result<LazyFrame, ReconcileError> {
        let mut context = SQLContext::new();
        for name in names_in(sql) {
            if let Some(table) = self.table(name)? {
                context.register(name, table);
            }
        }
        guarded(|| dialect::planned(&mut context, sql)).map_err(ReconcileError::query(what))
    }

    /// The table with a name, created at first use; `None` if the word is not a table name.
    fn table(&mut self, name: &str) -> Result<Option<LazyFrame>, ReconcileError> {
        if let Some(table) = self.tables.get(name) {
            return Ok(Some(table.clone()));
        }
        let made = self.make(name)?;
        self.tables.extend(made.iter().map(|table| (name.to_owned(), table.clone())));
        Ok(made)
    }

    fn make(&mut self, name: &str) -> Result<Option<LazyFrame>, ReconcileError> {
        if order_book::VIEWS.contains(&name) {
            let path = Engine::as_parquet(name, &self.order_table(name)?)?;
            return tables::scan_view(&path).map(Some).map_err(ReconcileError::query(name));
        }
        if name == observed::VIEW {
            let path = Engine::as_parquet(name, &self.observed_coupons()?)?;
            return tables::scan_view(&path).map(Some).map_err(ReconcileError::query(name));
        }
        if let Some(sql) = self.basis.rules.view(name) {
            let plan = self.query(name, sql)?;
            if is_projection(sql) {
                return Ok(Some(plan));
            }
            let frame = computed(plan).map_err(ReconcileError::query(name))?;
            return Ok(Some(frame.lazy()));
        }
        if name == "wechat_channels" {
            return self.wechat_channels().map(Some);
        }
        self.dataset(name).transpose().map_err(ReconcileError::query(name))
    }

    /// The scratch table of a view of the order book; written now if the ledger was not built in this run.
    fn order_table(&self, view: &str) -> Result<PathBuf, ReconcileError> {
        let path = order_book::path_of(self.scratch.folder(), view);
        if !path.exists() {
            order_book::build(self.basis.files, self.basis.lookback_start(), self.scratch.folder(), &self.reads())?;
        }
        Ok(path)
    }

    /// A scratch table of a view as a Parquet file, written at first use.
    fn as_parquet(view: &str, table: &Path) -> Result<PathBuf, ReconcileError> {
        let path = table.with_extension("parquet");
        if !path.exists() {
            scratch_table::write_parquet(table, &path).map_err(ReconcileError::shape(view))?;
        }
        Ok(path)
    }

    fn reads(&self) -> Reads {
        self.basis.rules.reads(&COMPUTED_VIEWS)
    }

    /// The scratch table of the view `observed_coupons`; written now if the ledger was not built in this run.
    fn observed_coupons(&self) -> Result<PathBuf, ReconcileError> {
        let path = observed::path_of(self.scratch.folder(), self.basis.files.date);
        if !path.exists() {
            observed::write(self.basis.files, &self.reads(), self.scratch.folder())?;
        }
        Ok(path)
    }

    /// A dataset as a view of D, its history, or the breaks of the last night.
    fn dataset(&self, name: &str) -> Option<PolarsResult<LazyFrame>> {
        let day_or_empty = |contract: &Contract, path| match path {
            Some(path) => tables::scan(contract, path),
            None => tables::empty(contract),
        };
        if let Some(contract) = contract::find(name) {
            return Some(day_or_empty(contract, self.basis.files.of_day(name)));
        }
        if name == "breaks_yesterday" {
            return Some(day_or_empty(contract::find("breaks")?, self.basis.files.latest_before("breaks")));
        }
        let contract = contract::find(name.strip_suffix("_history")?)?;
        Some(tables::history(contract, &self.basis.history(&contract.name)))
    }

    fn wechat_channels(&self) -> Result<LazyFrame, ReconcileError> {
        let order_files = order_book::source_files(self.basis.files, self.basis.lookback_start())?;
        parameters::wechat_channels(self.basis.terms, &order_files).map_err(ReconcileError::query("wechat_channels"))
    }
}

/// The rows of a planned query.
fn collected<'c, T: DeserializeOwned + 'c>(
    what: &str,
    query: LazyFrame,
    columns: &'c [ResultColumn<'c>],
) -> Result<RowBatches<'c, T>, ReconcileError> {
    let frame = tables::fitting(query, columns).and_then(computed).map_err(ReconcileError::query(what))?;
    Ok(tables::read(what, frame, columns))
}

/// The rows of a plan.
fn computed(query: LazyFrame) -> PolarsResult<DataFrame> {
    guarded(|| query.collect())
}

/// What Polars makes of a rule. Where it panics over one that is the rule's error, which names its file.
fn guarded<T>(work: impl FnOnce() -> PolarsResult<T>) -> PolarsResult<T> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        polars_bail!(ComputeError: "Polars cannot run it: {}", words.unwrap_or("it stopped"))
    })
}

/// Whether a view only computes columns of one table: it then stays a plan, so that each rule reads only the
/// columns it needs. Any other view is computed once.
pub(super) fn is_projection(sql: &str) -> bool {
    !["JOIN", "GROUP BY", "OVER (", "UNION"].iter().any(|word| sql.contains(word))
}

/// The words of a query that may be names of tables.
fn names_in(sql: &str) -> BTreeSet<&str> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[a-z][a-z0-9_]*\b").expect("well-formed"));
    let code = sql.lines().filter(|line| !line.starts_with("--"));
    code.flat_map(|line| NAME.find_iter(line)).map(|word| word.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_over_a_rule_is_its_error() {
        let rows = df!("x" => [1i64]).unwrap().lazy();
        let broken = rows.map(|_| panic!("two heights"), AllowedOptimizations::default(), None, None);
        assert_eq!(computed(broken).unwrap_err().to_string(), "Polars cannot run it: two heights");
    }
}
