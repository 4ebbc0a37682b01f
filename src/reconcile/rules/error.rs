//! The errors of rules, for the person who wrote them.

use std::path::PathBuf;

use super::portable::Finding;

/// What is wrong with a rule file.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The folder or file could not be read.
    #[error("cannot read rules from `{path}`", path = .path.display())]
    Read {
        /// Folder or file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The comment header lacks a key or has an invalid value.
    #[error("rule file `{file}`: {why}")]
    Header {
        /// Name of the file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// The engine of this program would read the query as another one.
    #[error("rule file `{file}`: {finding}")]
    Misread {
        /// Name of the file.
        file: String,
        /// Where and what, and what to write instead.
        finding: Finding,
    },
    /// Two files have the same id.
    #[error("rule `{id}` is defined in two files: `{one}` and `{other}`")]
    Twice {
        /// The id.
        id: String,
        /// A file.
        one: String,
        /// Another.
        other: String,
    },
    /// The job names a rule that does not exist.
    #[error("{}", .0.join("; "))]
    Unknown(
        /// A sentence for each.
        Vec<String>,
    ),
}
