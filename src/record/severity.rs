//! How bad a break is, as its rule says.

use serde::Deserialize;

use super::word::word;

/// The severity of a break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub enum Severity {
    /// Money is lost or likely to be.
    High,
    /// Somebody should look at it.
    Medium,
    /// Good to know.
    Low,
}

impl Severity {
    /// From most to least severe.
    pub const ALL: [Severity; 3] = [Severity::High, Severity::Medium, Severity::Low];

    /// The name in the header of a rule and in the dataset.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
        }
    }

    /// The severity of that name.
    pub fn find(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == name)
    }

    /// Parses the name in the dataset. One that the contract does not have counts as the least.
    pub fn of(text: &str) -> Severity {
        Severity::find(text).unwrap_or(Severity::Low)
    }
}

word!(Severity);
