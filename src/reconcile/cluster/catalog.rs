//! The meaning of table names in a rule on a cluster: files with the schema of their contract, queries over
//! other names, small tables that we upload. Text only: opens no file, contacts nothing.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use arrow::array::RecordBatch;
use chrono::NaiveDate;
use polars::prelude::LazyFrame;
use sqlparser::ast::visit_relations;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use crate::contract::{self, ColumnKind, Contract};
use crate::reconcile::basis::Basis;
use crate::reconcile::basis::parameters;
use crate::reconcile::basis::terms::Terms;
use crate::reconcile::engine::is_projection;
use crate::reconcile::engine::tables;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::ledger_sql::{self, View};
use crate::record::{LedgerRow, Record};

/// The query for the names of order files, from which their WeChat channels are derived.
pub(super) const ORDER_FILES: (&str, &str) =
    ("orders_history", "SELECT DISTINCT source_file AS source_file FROM orders_history");

/// Which wallets the night requested is known only to the program: in SQL these tables are empty.
const NOBODY: [(&str, &str); 2] =
    [("asked_wallets", "openid STRING"), ("unknown_coupons", "openid STRING, coupon_code STRING")];

/// The meaning of a name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Table {
    /// A partition, by its first file, and the columns to read.
    File(PathBuf, String),
    /// A query over other names.
    Query(String),
    /// A query that several others use: computed once.
    Shared(String),
    /// Rows that we upload: at least one batch, which may be empty.
    Rows(Vec<RecordBatch>),
    /// An empty table with these columns.
    Nothing(&'static str),
    /// The order files per WeChat channel: needs the names of the order files first.
    WechatChannels,
}

impl Basis<'_> {
    /// The names that a query uses and `declared` lacks, each after those it depends on; they are added to
    /// `declared`.
    pub(super) fn undeclared(
        &self,
        sql: &str,
        declared: &mut BTreeSet<String>,
    ) -> Result<Vec<(String, Table)>, ReconcileError> {
        let mut found = Vec::new();
        self.collect(sql, declared, &mut found)?;
        Ok(found)
    }

    fn collect(
        &self,
        sql: &str,
        declared: &mut BTreeSet<String>,
        found: &mut Vec<(String, Table)>,
    ) -> Result<(), ReconcileError> {
        for name in relations_in(sql) {
            if !declared.insert(name.clone()) {
                continue;
            }
            let Some(table) = self.table(&name)? else { continue };
            match &table {
                Table::Query(sql) | Table::Shared(sql) => self.collect(sql, declared, found)?,
                Table::WechatChannels => self.collect(ORDER_FILES.1, declared, found)?,
                Table::File(..) | Table::Rows(_) | Table::Nothing(_) => {}
            }
            found.push((name, table));
        }
        Ok(())
    }

    /// The meaning of a name; `None` if the word is not a table name.
    fn table(&self, name: &str) -> Result<Option<Table>, ReconcileError> {
        if let Some(view) = self.ledger_view(name) {
            let meaning = if view.is_shared { Table::Shared } else { Table::Query };
            return Ok(Some(meaning(view.sql.to_owned())));
        }
        if let Some(sql) = self.rules.view(name) {
            let meaning = if is_projection(sql) { Table::Query } else { Table::Shared };
            return Ok(Some(meaning(sql.to_owned())));
        }
        if name == "wechat_channels" {
            return Ok(Some(Table::WechatChannels));
        }
        if let Some((_, columns)) = NOBODY.iter().find(|(nobody, _)| *nobody == name) {
            return Ok(Some(Table::Nothing(columns)));
        }
        let small = parameters::tables(self.terms, self.files).map_err(ReconcileError::query("params"))?;
        if let Some((_, table)) = small.into_iter().find(|(known, _)| *known == name) {
            return rows(name, table).map(|rows| Some(Table::Rows(rows)));
        }
        Ok(self.dataset(name))
    }

    /// A view that leads to the ledger, or the ledger itself until it is staged.
    fn ledger_view(&self, name: &str) -> Option<&'static View> {
        let is_staged = name == LedgerRow::DATASET && self.files.of_day(name).is_some();
        ledger_sql::views().iter().find(|view| view.name == name && !is_staged)
    }

    /// A dataset as a view of D, its history, the breaks of the last night, or one day of a dataset.
    fn dataset(&self, name: &str) -> Option<Table> {
        if let Some(contract) = contract::find(name) {
            let day = self.files.of_day(name).map(|_| self.files.date);
            return Some(Table::Query(one_day(contract, day)));
        }
        if let Some((dataset, date)) = self.memory(name) {
            return Some(Table::Query(one_day(contract::contract(dataset), date)));
        }
        if let Some(contract) = name.strip_suffix("_history").and_then(contract::find) {
            let days: Vec<_> = self.history(&contract.name).into_iter().map(|(date, _)| date).collect();
            return Some(Table::Query(all_days(contract, &days)));
        }
        self.day(name)
    }

    /// The latest day of a dataset before D, and its date.
    fn memory(&self, name: &str) -> Option<(&'static str, Option<NaiveDate>)> {
        let before = |dataset| self.files.latest_day_before(dataset);
        match name {
            "breaks_yesterday" => Some(("breaks", before("breaks"))),
            "coupon_ledger_yesterday" => Some(("coupon_ledger", before("coupon_ledger"))),
            "latest_stocks" => {
                let today = self.files.of_day("stocks").map(|_| self.files.date);
                Some(("stocks", today.or_else(|| before("stocks"))))
            }
            _ => None,
        }
    }

    /// `orders__20261118`: one day of a dataset.
    fn day(&self, name: &str) -> Option<Table> {
        let (dataset, day) = name.rsplit_once("__")?;
        let contract = contract::find(dataset)?;
        let date = NaiveDate::parse_from_str(day, "%Y%m%d").ok()?;
        let today = self.files.of_day(dataset).filter(|_| date == self.files.date);
        let earlier =
            || self.files.history.get(dataset)?.iter().find(|(day, _)| *day == date).map(|(_, path)| path.as_path());
        let path = today.or_else(earlier)?;
        Some(Table::File(path.to_owned(), ddl(contract)))
    }
}

/// The table `wechat_channels`, from the names of the order files.
pub(super) fn wechat_channels(
    terms: &Terms,
    order_files: &BTreeSet<String>,
) -> Result<Vec<RecordBatch>, ReconcileError> {
    let name = "wechat_channels";
    rows(name, parameters::wechat_channels(terms, order_files).map_err(ReconcileError::query(name))?)
}

fn rows(name: &str, table: LazyFrame) -> Result<Vec<RecordBatch>, ReconcileError> {
    let frame = table.collect().map_err(ReconcileError::query(name))?;
    let (schema, mut batches) = tables::to_arrow_with_schema(frame).map_err(ReconcileError::shape(name))?;
    if batches.is_empty() {
        batches.push(RecordBatch::new_empty(schema));
    }
    Ok(batches)
}

/// The names a query reads from. A query that does not parse has none; the cluster reports the error.
fn relations_in(sql: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_default();
    let _ = visit_relations(&statements, |name| {
        names.insert(name.to_string());
        ControlFlow::<()>::Continue(())
    });
    names
}

/// The view of one day; empty without a day.
fn one_day(contract: &Contract, date: Option<NaiveDate>) -> String {
    match date {
        Some(date) => format!("SELECT {} FROM {}", names(contract), name_of_day(&contract.name, date)),
        None => format!("SELECT {} FROM (SELECT 1 AS nothing) t WHERE nothing = 0", nulls(contract)),
    }
}

/// All days, one after the other, with the day in `dt`.
fn all_days(contract: &Contract, days: &[NaiveDate]) -> String {
    if days.is_empty() {
        let nulls = nulls(contract);
        return format!("SELECT {nulls}, CAST(NULL AS DATE) AS dt FROM (SELECT 1 AS nothing) t WHERE nothing = 0");
    }
    let names = names(contract);
    let day =
        |date: &NaiveDate| format!("SELECT {names}, DATE '{date}' AS dt FROM {}", name_of_day(&contract.name, *date));
    days.iter().map(day).collect::<Vec<_>>().join("\nUNION ALL ")
}

/// The SQL name of one day of a dataset.
pub(in crate::reconcile) fn name_of_day(dataset: &str, date: NaiveDate) -> String {
    format!("{dataset}__{}", date.format("%Y%m%d"))
}

fn names(contract: &Contract) -> String {
    contract.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}

fn nulls(contract: &Contract) -> String {
    let null = |column: &contract::Column| format!("CAST(NULL AS {}) AS {}", sql_type(column.kind), column.name);
    contract.columns.iter().map(null).collect::<Vec<_>>().join(", ")
}

pub(super) fn ddl(contract: &Contract) -> String {
    let column = |column: &contract::Column| format!("{} {}", column.name, sql_type(column.kind));
    contract.columns.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn sql_type(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Text => "STRING",
        ColumnKind::Integer => "BIGINT",
        ColumnKind::Boolean => "BOOLEAN",
        ColumnKind::Date => "DATE",
        ColumnKind::Instant => "TIMESTAMP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::basis::files::DayFiles;
    use crate::reconcile::rules::Rules;

    #[test]
    fn every_view_and_rule_names_what_it_reads() {
        let rules = Rules::built_in();
        let texts = rules.views().map(|(_, sql)| sql).chain(rules.iter().map(|rule| rule.sql.as_str()));
        for sql in texts.chain(ledger_sql::views().iter().map(|view| view.sql)) {
            assert!(!relations_in(sql).is_empty() || !sql.contains("FROM"), "{sql}");
        }
        let names =
            relations_in("-- of claims\nSELECT a FROM orders_history o JOIN (SELECT 1 AS a FROM params) p ON TRUE");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["orders_history", "params"]);
    }

    #[test]
    fn a_name_comes_after_those_it_needs_and_once() {
        let (terms, rules) = (Terms::default(), Rules::built_in());
        let files = DayFiles::new(NaiveDate::from_ymd_opt(2026, 11, 20).unwrap());
        let basis = Basis { terms: &terms, rules: &rules, files: &files };
        let mut declared = BTreeSet::new();
        let found = basis.undeclared("SELECT * FROM footing", &mut declared).unwrap();
        let place = |name: &str| found.iter().position(|(found, _)| found == name).unwrap();
        assert!(place("order_lines") < place("order_totals") && place("coupon_ledger") < place("footing"));
        assert!(place("asked_wallets") < place("coupon_ledger"));
        let names: BTreeSet<_> = found.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), found.len());
        assert!(basis.undeclared("SELECT * FROM footing JOIN params ON TRUE", &mut declared).unwrap().is_empty());
    }
}
