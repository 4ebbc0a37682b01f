//! The names of the files of the pack that are no table; each table has a CSV of its own name.

/// What a person opens first.
pub const PAGE: &str = "report.html";
/// The tables as sheets.
pub(super) const WORKBOOK: &str = "reconciliation.xlsx";
/// The figures of the night, for programs.
pub(super) const FIGURES: &str = "summary.json";
/// The digests of all other files, as `sha256sum` writes them.
pub(super) const SUMS: &str = "SHA256SUMS";
