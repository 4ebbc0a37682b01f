//! The night in a session on a cluster: names are declared when a query first uses them, and what several queries
//! use is computed once.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow::array::{AsArray, RecordBatch};
use arrow::error::ArrowError;

use super::catalog::{self, ORDER_FILES, Table};
use super::gather::{self, parts_of};
use super::place::Place;
use super::{CONFIGURATION, Replies, SORTED_LEDGER, typed};
use crate::contract::ColumnKind;
use crate::dataset::parts;
use crate::job::SparkSettings;
use crate::reconcile::basis::Basis;
use crate::reconcile::basis::files::Scratch;
use crate::reconcile::error::{ReconcileError, scratched};
use crate::record::{LedgerRow, Record};
use crate::spark::Session;

/// Rows that the cluster writes first, to check that we see what it writes.
const WRITTEN_ROWS: i64 = 64;
const WRITTEN: &str = "SELECT id FROM RANGE(0, 64, 1, 16)";

/// A session of the night, and the names declared in it.
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
        Ok(Cluster { session: Session::open(settings, &CONFIGURATION)?, place, declared: BTreeSet::new() })
    }

    /// The night in this session.
    pub(in crate::reconcile) fn night<'a>(&'a mut self, basis: Basis<'a>, scratch: &'a Scratch) -> ClusterNight<'a> {
        ClusterNight { cluster: self, basis, scratch }
    }
}

/// A cluster that works on a night.
pub(in crate::reconcile) struct ClusterNight<'a> {
    cluster: &'a mut Cluster,
    basis: Basis<'a>,
    scratch: &'a Scratch,
}

impl Replies for ClusterNight<'_> {
    fn reply(&mut self, name: &str, sql: &str) -> Result<Vec<RecordBatch>, ReconcileError> {
        self.declare_names(sql)?;
        Ok(self.cluster.session.rows(name, sql)?)
    }

    fn sorted_ledger(&mut self) -> Result<PathBuf, ReconcileError> {
        self.declare_names(SORTED_LEDGER)?;
        let folder = self.folder("ledger_sorted");
        let Cluster { session, place, .. } = &*self.cluster;
        session.store(LedgerRow::DATASET, SORTED_LEDGER, &place.uri(&folder)?)?;
        place.bring(&folder)?;
        Ok(folder)
    }
}

impl ClusterNight<'_> {
    /// Refuses a cluster whose output we do not see: every stored view would seem to be empty.
    pub(in crate::reconcile) fn refuse_elsewhere(&mut self) -> Result<(), ReconcileError> {
        let folder = self.folder("probe");
        let Cluster { session, place, .. } = &*self.cluster;
        session.store("a probe of the staging folder", WRITTEN, &place.uri(&folder)?)?;
        place.bring(&folder)?;
        let rows_of = |part: &PathBuf| Ok(gather::open(part)?.metadata().file_metadata().num_rows());
        let seen = parts_of(&folder)?.iter().map(rows_of).sum::<Result<i64, ArrowError>>();
        let seen = seen.map_err(ReconcileError::shape("probe"))?;
        if seen == WRITTEN_ROWS {
            return Ok(());
        }
        Err(ReconcileError::WritesElsewhere { folder, written: WRITTEN_ROWS, seen })
    }

    /// Forgets the ledger: the next query that uses it declares it again, as the staged file.
    pub(in crate::reconcile) fn forget_ledger(&mut self) {
        self.cluster.declared.remove(LedgerRow::DATASET);
    }

    /// Declares every table and view that a query uses.
    fn declare_names(&mut self, sql: &str) -> Result<(), ReconcileError> {
        let undeclared = self.basis.undeclared(sql, &mut self.cluster.declared)?;
        undeclared.iter().try_for_each(|(name, table)| self.declare(name, table))
    }

    fn declare(&mut self, name: &str, table: &Table) -> Result<(), ReconcileError> {
        let session = &self.cluster.session;
        match table {
            Table::File(first, columns) => self.name_parts(name, first, columns),
            Table::Query(sql) => Ok(session.name_query(name, sql)?),
            Table::Shared(sql) => self.store(name, sql),
            Table::Rows(rows) => Ok(session.name_rows(name, rows)?),
            Table::Nothing(columns) => Ok(session.name_nothing(name, columns)?),
            Table::WechatChannels => Ok(session.name_rows(name, &self.wechat_channels()?)?),
        }
    }

    /// Names a partition: its file, or the union of its parts, as a client reads one path at a time.
    fn name_parts(&self, name: &str, first: &Path, columns: &str) -> Result<(), ReconcileError> {
        let paths = parts::of(first).map_err(scratched)?;
        if let [path] = paths.as_slice() {
            return self.name_file(name, path, columns);
        }
        let mut parts = Vec::new();
        for (number, path) in paths.iter().enumerate() {
            let part = format!("{name}__part_{number}");
            self.name_file(&part, path, columns)?;
            parts.push(format!("SELECT * FROM {part}"));
        }
        Ok(self.cluster.session.name_query(name, &parts.join("\nUNION ALL "))?)
    }

    fn name_file(&self, name: &str, path: &Path, columns: &str) -> Result<(), ReconcileError> {
        let Cluster { session, place, .. } = &*self.cluster;
        place.show(path)?;
        Ok(session.name_file(name, &place.uri(path)?, columns)?)
    }

    /// Has the cluster compute a query once, and names its output.
    fn store(&self, name: &str, sql: &str) -> Result<(), ReconcileError> {
        let folder = self.folder(name);
        let Cluster { session, place, .. } = &*self.cluster;
        let uri = place.uri(&folder)?;
        let columns = session.store(name, sql, &uri)?;
        match place.has_parts(&folder)? {
            true => Ok(session.name_file(name, &uri, &columns)?),
            // The client cannot read every type that the cluster returns, e.g. `DECIMAL`.
            false => Ok(session.name_query(name, &format!("SELECT * FROM (\n{sql}\n) n LIMIT 0"))?),
        }
    }

    /// Where the cluster writes the data of a name.
    fn folder(&self, name: &str) -> PathBuf {
        self.scratch.folder().join("cluster").join(name)
    }

    fn wechat_channels(&self) -> Result<Vec<RecordBatch>, ReconcileError> {
        let (what, sql) = ORDER_FILES;
        let mut order_files = BTreeSet::new();
        for batch in self.cluster.session.rows(what, sql)? {
            let batch = typed(what, &batch, &[("source_file", ColumnKind::Text)])?;
            order_files.extend(batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned));
        }
        catalog::wechat_channels(self.basis.terms, &order_files)
    }
}
