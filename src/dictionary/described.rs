//! A generated file of the repository, before it is written.

/// A generated file of the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its path from the root of the repository.
    pub path: String,
    /// Its text.
    pub text: String,
}
