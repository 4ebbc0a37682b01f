//! An error together with what caused it. Judges neither.

use std::error::Error;

/// An error and its causes in one line, outermost first.
pub fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |told, cause| format!("{told}: {cause}"))
}
