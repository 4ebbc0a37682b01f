//! A construct of a rule that Polars would not read as the rule means it.

/// Found in a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Misread {
    pub(super) construct: &'static str,
    /// The replacement.
    pub(super) advice: &'static str,
}
