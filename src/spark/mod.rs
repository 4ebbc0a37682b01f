//! A session on a Spark cluster, over Spark Connect: declares views, runs queries, receives rows as Arrow.
//! Every call has a time limit. Knows no dataset and no rule; writes only where it is told to.

#![expect(clippy::result_large_err, reason = "the large error is the client's own, and its calls give it")]

mod error;
mod local;
mod probe;
mod watch;

use std::io::Cursor;

use arrow::array::RecordBatch;
use arrow::ipc::reader::FileReader;
use spark_connect::types::DataType;

use crate::job::SparkSettings;
use local::local_relation;
use watch::Watched;

pub use error::SparkError;

/// An open session. Dropping it ends it and frees its resources on the cluster.
pub struct Session {
    watched: Watched,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.watched.remote().shown())
    }
}

/// Asks the server for its version, such as `4.3.0`.
///
/// # Errors
/// There is no server, or it refuses access.
pub fn greet(settings: &SparkSettings) -> Result<String, SparkError> {
    let watched = Watched::connect(settings)?;
    let version = watched.call("version", |session| session.version())?;
    watched.end();
    Ok(version)
}

impl Session {
    /// Opens a session and applies settings to it.
    ///
    /// # Errors
    /// There is no server, or it refuses access.
    pub fn open(
        settings: &SparkSettings,
        configuration: &'static [(&'static str, &'static str)],
    ) -> Result<Session, SparkError> {
        let watched = Watched::connect(settings)?;
        for (key, value) in configuration {
            watched.call(key, move |session| session.conf().set(key, value))?;
        }
        Ok(Session { watched })
    }

    /// Names a Parquet file, read with these columns (`name TYPE, …`): a column that the file lacks is
    /// null.
    pub fn name_file(&self, name: &str, uri: &str, columns: &str) -> Result<(), SparkError> {
        let (view, uri, columns) = (name.to_owned(), uri.to_owned(), columns.to_owned());
        self.watched
            .call(name, move |session| session.read().schema(columns).parquet(&uri).create_or_replace_temp_view(&view))
    }

    /// Names a query.
    pub fn name_query(&self, name: &str, sql: &str) -> Result<(), SparkError> {
        let (view, sql) = (name.to_owned(), sql.to_owned());
        self.watched.call(name, move |session| session.sql(&sql)?.create_or_replace_temp_view(&view))
    }

    /// Has the cluster compute a query once and write its rows as Parquet files to a folder; returns their
    /// columns, in the form that `name_file` expects.
    pub fn store(&self, what: &str, sql: &str, uri: &str) -> Result<String, SparkError> {
        let (sql, uri) = (sql.to_owned(), uri.to_owned());
        self.watched.call(what, move |session| {
            let frame = session.sql(&sql)?;
            let columns = frame.schema()?.to_ddl()?;
            frame.write().mode("overwrite").parquet(&uri)?;
            Ok(columns)
        })
    }

    /// Names an empty table with these columns.
    pub fn name_nothing(&self, name: &str, columns: &str) -> Result<(), SparkError> {
        let (view, columns) = (name.to_owned(), columns.to_owned());
        self.watched.call(name, move |session| {
            let columns = DataType::from_ddl(&columns)?;
            session.create_dataframe(Vec::new(), columns)?.create_or_replace_temp_view(&view)
        })
    }

    /// Names rows that we upload. They are sent as values, never as SQL text.
    pub fn name_rows(&self, name: &str, rows: &[RecordBatch]) -> Result<(), SparkError> {
        let (fields, rows) = local_relation(rows);
        let view = name.to_owned();
        self.watched
            .call(name, move |session| session.create_dataframe(rows, fields)?.create_or_replace_temp_view(&view))
    }

    /// The rows of a query, which must fit into memory. `what` is its name in errors.
    pub fn rows(&self, what: &str, sql: &str) -> Result<Vec<RecordBatch>, SparkError> {
        let asked = sql.to_owned();
        // The client uses another version of Arrow: the IPC format is the same.
        let bytes = self.watched.call(what, move |session| session.sql(&asked)?.to_arrow())?;
        let unreadable = |error| SparkError::Unreadable { what: what.to_owned(), source: error };
        FileReader::try_new(Cursor::new(bytes), None).and_then(Iterator::collect).map_err(unreadable)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.watched.end();
    }
}
