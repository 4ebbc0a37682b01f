//! Runs rules over reduced tables: tells `reduction` what the engine knows about tables, and plans a
//! query over the reduced tables.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Date32Type, Int64Type, TimestampMicrosecondType};
use polars::prelude::LazyFrame;
use polars::sql::SQLContext;
use serde::de::DeserializeOwned;

use super::tables::{self, RowBatches};
use super::{Engine, ResultColumn, collected, dialect, names_in};
use crate::contract;
use crate::reconcile::basis::parameters::days;
use crate::reconcile::error::ReconcileError;
use crate::reconcile::ledger::observed;
use crate::reconcile::ledger::order_book;
use crate::reconcile::reduction::rename::with_names;
use crate::reconcile::reduction::{self, Factor, Limits, Meaning, Reduced, Reduction, Shape, Source, Sources, Term};
use crate::reconcile::rules::Rule;

/// What is left for a rule, and the files it is in.
#[derive(Clone, Copy)]
struct Left<'a> {
    reduced: &'a Reduced,
    reduction: &'a Reduction,
}

impl Engine<'_> {
    /// Finds for each rule the rows that can affect it. Rules that cannot be reduced are omitted.
    pub(in crate::reconcile) fn reduce<'r>(
        &mut self,
        rules: impl Iterator<Item = &'r Rule>,
        limits: Limits,
    ) -> Reduction {
        let (mut sources, mut shapes, mut words) = (Sources::new(), Vec::new(), BTreeSet::new());
        words.extend(self.basis.rules.views().flat_map(|(_, sql)| names_in(sql)).map(str::to_owned));
        for rule in rules {
            let shape = Shape::parse(&dialect::with_intervals(&rule.sql), &mut |name| self.meaning(name, &mut sources));
            shapes.extend(shape.map(|shape| (rule.id.clone(), shape)));
            words.extend(names_in(&rule.sql).into_iter().map(str::to_owned));
        }
        reduction::reduce(shapes, &sources, &words, limits, self.scratch.folder()).unwrap_or_default()
    }

    /// The result of a rule's query over the reduced tables; over whole tables where that is not
    /// possible.
    pub(in crate::reconcile) fn rows_of<'c, T: DeserializeOwned + 'c>(
        &mut self,
        rule: &Rule,
        reduction: &Reduction,
        columns: &'c [ResultColumn<'c>],
    ) -> Result<RowBatches<'c, T>, ReconcileError> {
        match self.reduced_rows(rule, reduction, columns) {
            Some(Ok(rows)) => Ok(rows),
            _ => self.row_batches(&rule.id, &rule.sql, columns),
        }
    }

    /// The result of a rule's query over the reduced tables; `None` if nothing was reduced.
    pub(in crate::reconcile) fn reduced_rows<'c, T: DeserializeOwned + 'c>(
        &mut self,
        rule: &Rule,
        reduction: &Reduction,
        columns: &'c [ResultColumn<'c>],
    ) -> Option<Result<RowBatches<'c, T>, ReconcileError>> {
        let reduced = reduction.of(&rule.id)?;
        let query = self.reduced_query(&rule.id, &rule.sql, &reduced.factors, Left { reduced, reduction });
        Some(query.and_then(|query| collected(&rule.id, query, columns)))
    }

    fn reduced_query(
        &mut self,
        what: &str,
        sql: &str,
        factors: &[Factor],
        left: Left<'_>,
    ) -> Result<LazyFrame, ReconcileError> {
        let mut context = SQLContext::new();
        for (place, factor) in factors.iter().enumerate() {
            let table = match factor {
                Factor::View(name, sql, inside) if left.reduced.reads_less(factor) => {
                    Some(self.reduced_query(name, sql, inside, left)?)
                }
                Factor::Mention(mention) if left.reduced.reads_less(factor) => {
                    let table = &left.reduced.tables[*mention];
                    let rows = tables::rows_of(left.reduction.files(table), &left.reduced.rows[mention]);
                    Some(rows.map_err(ReconcileError::query(table))?)
                }
                Factor::View(name, ..) | Factor::Plain(name) => self.table(name)?,
                Factor::Mention(mention) => self.table(&left.reduced.tables[*mention])?,
            };
            table.into_iter().for_each(|table| context.register(&name_of(place), table));
        }
        let renamed = with_names(sql, name_of).unwrap_or_default();
        dialect::planned(&mut context, &renamed).map_err(ReconcileError::query(what))
    }

    /// The meaning of a name in a FROM.
    fn meaning(&mut self, name: &str, sources: &mut Sources) -> Option<Meaning> {
        if name == "params" {
            return self.params().map(Meaning::OneRow);
        }
        let is_a_table = order_book::VIEWS.contains(&name) || name == observed::VIEW;
        if let Some(sql) = self.basis.rules.view(name).filter(|_| !is_a_table) {
            return Some(Meaning::View(dialect::with_intervals(sql).into_owned()));
        }
        if !sources.contains_key(name) {
            let source = self.source(name);
            sources.extend(source.map(|source| (name.to_owned(), source)));
        }
        let columns = match sources.get(name) {
            Some(source) => source.schema.fields().iter().map(|field| field.name().clone()).collect(),
            None => {
                let schema = self.table(name).ok()??.collect_schema().ok()?;
                schema.iter_names().map(|name| name.to_string()).collect()
            }
        };
        Some(Meaning::Table(columns))
    }

    /// The rows of a base table; `None` if they cannot be scanned.
    fn source(&mut self, name: &str) -> Option<Source> {
        if order_book::VIEWS.contains(&name) {
            let unique = match name {
                "order_totals" => Some("out_trade_no"),
                "bill_payments" | "bill_refunds" => Some("transaction_id"),
                "bill_merchants" => Some("merchant"),
                _ => None,
            };
            return Source::of_table(&self.order_table(name).ok()?, unique).ok();
        }
        if name == observed::VIEW {
            return Source::of_table(&self.observed_coupons().ok()?, None).ok();
        }
        if let Some(contract) = contract::find(name) {
            return Source::of_day(contract, self.basis.files.of_day(name)).ok();
        }
        if let Some(contract) = name.strip_suffix("_history").and_then(contract::find) {
            let days_of = self.basis.history(&contract.name);
            return Source::of_history(contract, days_of.into_iter().map(|(date, path)| (days(date), path))).ok();
        }
        self.tables.contains_key(name).then(|| self.in_memory(name)).flatten()
    }

    fn in_memory(&mut self, name: &str) -> Option<Source> {
        let frame = self.table(name).ok()??.collect().ok()?;
        let (schema, batches) = tables::to_arrow_with_schema(frame).ok()?;
        Source::of_batches(schema, &batches).ok()
    }

    /// The values of `params`, a table with one row.
    fn params(&mut self) -> Option<Vec<(String, Term)>> {
        let frame = self.table("params").ok()??.collect().ok()?;
        let batches = tables::to_arrow(frame).ok()?;
        let [row] = batches.as_slice() else { return None };
        let schema = row.schema();
        (row.num_rows() == 1).then(|| {
            let values = schema.fields().iter().zip(row.columns());
            values.map(|(field, array)| (field.name().clone(), constant(array.as_ref()))).collect()
        })
    }
}

/// The value of an array with one row.
fn constant(array: &dyn Array) -> Term {
    match array.data_type() {
        _ if array.is_null(0) => Term::Unknown,
        DataType::Int64 => Term::Integer(array.as_primitive::<Int64Type>().value(0)),
        DataType::Date32 => Term::Day(array.as_primitive::<Date32Type>().value(0)),
        DataType::Timestamp(..) => Term::Instant(array.as_primitive::<TimestampMicrosecondType>().value(0)),
        _ => Term::Unknown,
    }
}

fn name_of(place: usize) -> String {
    format!("__table_{place}")
}
