//! The night on a cluster: the same SQL over the same files, run by Spark. Names are declared when a query
//! first speaks of them; results come back in the declared types.

mod catalog;
mod gather;
mod ledger;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{Field, Schema};
use serde::de::DeserializeOwned;
use sqlparser::ast::visit_relations;
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::engine::ResultColumn;
use super::error::ReconcileError;
use super::files::{DayFiles, Scratch};
use super::parameters;
use super::rules::Rules;
use super::site::Place;
use super::terms::Terms;
use crate::contract::ColumnKind;
use crate::job::SparkSettings;
use crate::spark::Session;
use catalog::{Catalog, Table};

pub(super) use gather::parts_of;

/// A session of the night, and what was declared in it.
#[derive(Debug)]
pub struct Cluster {
    session: Session,
    place: Place,
    declared: BTreeSet<String>,
}

impl Cluster {
    /// Opens a session. Declares nothing yet.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub fn open(settings: &SparkSettings, place: Place) -> Result<Cluster, ReconcileError> {
        Ok(Cluster { session: Session::open(settings)?, place, declared: BTreeSet::new() })
    }

    /// The night as the cluster sees it.
    pub(super) fn night<'a>(
        &'a mut self,
        (terms, rules): (&'a Terms, &'a Rules),
        files: &'a DayFiles,
        scratch: &'a Scratch,
    ) -> ClusterNight<'a> {
        ClusterNight { cluster: self, terms, rules, files, scratch }
    }
}

/// A cluster at work on a night.
pub(super) struct ClusterNight<'a> {
    cluster: &'a mut Cluster,
    terms: &'a Terms,
    rules: &'a Rules,
    files: &'a DayFiles,
    scratch: &'a Scratch,
}

impl ClusterNight<'_> {
    /// Runs a query and reads its rows into `T`, whose fields are among `columns`; a column the query
    /// does not give is null, one that is not listed is an error.
    pub(super) fn rows<T: DeserializeOwned>(
        &mut self,
        what: &str,
        sql: &str,
        columns: &[ResultColumn<'_>],
    ) -> Result<Vec<T>, ReconcileError> {
        self.declare_names(sql)?;
        let mut rows = Vec::new();
        for batch in self.cluster.session.rows(what, sql)? {
            let batch = typed(what, &batch, columns)?;
            let part: Vec<T> = serde_arrow::from_record_batch(&batch).map_err(ReconcileError::shape(what))?;
            rows.extend(part);
        }
        Ok(rows)
    }

    /// Declares every table and view a query speaks of.
    fn declare_names(&mut self, sql: &str) -> Result<(), ReconcileError> {
        relations_in(sql).iter().try_for_each(|name| self.declare(name))
    }

    fn declare(&mut self, name: &str) -> Result<(), ReconcileError> {
        if !self.cluster.declared.insert(name.to_owned()) {
            return Ok(());
        }
        let table = self.catalog().table(name)?;
        match table {
            None => Ok(()),
            Some(Table::File(path, columns)) => self.name_file(name, &path, &columns),
            Some(Table::Rows(rows)) => Ok(self.cluster.session.name_rows(name, &rows)?),
            Some(Table::WechatChannels) => {
                let rows = self.wechat_channels()?;
                Ok(self.cluster.session.name_rows(name, &rows)?)
            }
            Some(Table::Query(sql)) => {
                self.declare_names(&sql)?;
                Ok(self.cluster.session.name_query(name, &sql)?)
            }
            Some(Table::Shared(sql)) => {
                self.declare_names(&sql)?;
                self.store(name, &sql)
            }
        }
    }

    fn name_file(&mut self, name: &str, path: &Path, columns: &str) -> Result<(), ReconcileError> {
        let Cluster { session, place, .. } = &*self.cluster;
        place.show(path)?;
        Ok(session.name_file(name, &place.uri(path)?, columns)?)
    }

    /// What a name stood for is over: it is declared anew when a query next speaks of it.
    fn forget(&mut self, name: &str) {
        self.cluster.declared.remove(name);
    }

    /// Has the cluster write a query that sorts its rows; gives the folder of the parts.
    fn store_sorted(&mut self, name: &str, sql: &str) -> Result<PathBuf, ReconcileError> {
        self.declare_names(sql)?;
        let folder = self.folder(&format!("{name}_sorted"));
        let Cluster { session, place, .. } = &*self.cluster;
        session.store(name, sql, &place.uri(&folder)?)?;
        place.bring(&folder)?;
        Ok(folder)
    }

    /// Has the cluster compute a query once, and names what it wrote.
    fn store(&mut self, name: &str, sql: &str) -> Result<(), ReconcileError> {
        let folder = self.folder(name);
        let Cluster { session, place, .. } = &*self.cluster;
        let uri = place.uri(&folder)?;
        let columns = session.store(name, sql, &uri)?;
        match place.has_parts(&folder)? {
            true => Ok(session.name_file(name, &uri, &columns)?),
            false => Ok(session.name_nothing(name, &columns)?),
        }
    }

    /// Where the cluster writes what a name stands for.
    fn folder(&self, name: &str) -> PathBuf {
        self.scratch.folder().join("cluster").join(name)
    }

    fn catalog(&self) -> Catalog<'_> {
        Catalog { terms: self.terms, rules: self.rules, files: self.files }
    }

    fn wechat_channels(&mut self) -> Result<Vec<RecordBatch>, ReconcileError> {
        let sql = "SELECT DISTINCT source_file AS source_file FROM orders_history";
        self.declare_names(sql)?;
        let found = self.cluster.session.rows("orders_history", sql)?;
        let mut files = Vec::new();
        for batch in found {
            let batch = typed("orders_history", &batch, &[("source_file", ColumnKind::Text)])?;
            files.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        let channels = parameters::wechat_channels(self.terms, &files);
        catalog::rows("wechat_channels", channels.map_err(ReconcileError::query("wechat_channels"))?)
    }
}

/// The names a query reads from. What does not parse names nothing, and the cluster says what is wrong.
fn relations_in(sql: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap_or_default();
    let _ = visit_relations(&statements, |name| {
        names.insert(name.to_string());
        ControlFlow::<()>::Continue(())
    });
    names
}

/// Rows in the given columns and types: a missing one is null, one that is not listed is refused.
fn typed(what: &str, batch: &RecordBatch, columns: &[ResultColumn<'_>]) -> Result<RecordBatch, ReconcileError> {
    let schema = batch.schema();
    let is_known = |name: &str| columns.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = schema.fields().iter().find(|field| !is_known(field.name())) {
        return Err(ReconcileError::UnknownColumn { what: what.to_owned(), column: unknown.name().clone() });
    }
    let fields = columns.iter().map(|(name, kind)| Field::new(*name, kind.arrow(), true)).collect::<Vec<_>>();
    let cells = columns.iter().map(|(name, kind)| cast_column(batch, name, *kind));
    let cells = cells.collect::<Result<Vec<_>, _>>().map_err(ReconcileError::shape(what))?;
    RecordBatch::try_new(Arc::new(Schema::new(fields)), cells).map_err(ReconcileError::shape(what))
}

fn cast_column(batch: &RecordBatch, name: &str, kind: ColumnKind) -> Result<ArrayRef, arrow::error::ArrowError> {
    let strictly = CastOptions { safe: false, ..Default::default() };
    match batch.column_by_name(name) {
        Some(column) => cast_with_options(column, &kind.arrow(), &strictly),
        None => Ok(new_null_array(&kind.arrow(), batch.num_rows())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ledger_sql;
    use super::super::rules::Rules;
    use super::*;

    #[test]
    fn every_view_and_rule_names_what_it_reads() {
        let rules = Rules::built_in();
        let texts = rules.views().map(|(_, sql)| sql).chain(rules.iter().map(|rule| rule.sql.as_str()));
        for sql in texts.chain(ledger_sql::views().iter().map(|view| view.sql)) {
            assert!(!relations_in(sql).is_empty(), "{sql}");
        }
        let names =
            relations_in("-- of claims\nSELECT a FROM orders_history o JOIN (SELECT 1 AS a FROM params) p ON TRUE");
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["orders_history", "params"]);
    }
}
