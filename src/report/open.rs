//! Which breaks count as open.

use crate::record::Break;

/// The statuses that count as open (design §7).
pub const OPEN_STATUSES: [&str; 3] = ["new", "open", "reopened"];

/// Whether a break is open.
pub fn is_open(it: &Break) -> bool {
    OPEN_STATUSES.contains(&it.status.as_str())
}
