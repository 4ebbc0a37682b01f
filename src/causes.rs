//! Formats an error together with its chain of sources. Does not classify or change either.

use std::error::Error;

/// An error and its causes on one line, outermost first.
pub fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
