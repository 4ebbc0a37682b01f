//! The statuses of a subsidy receipt, and of its return (reference v3 §2.18–2.22), without the prefix that some versions of
//! the API add. One that this version does not know is kept as it came.

/// Accepted; no money has moved yet.
pub const ACCEPTED: &str = "ACCEPTED";
/// Paid; of a return: done.
pub const SUCCESS: &str = "SUCCESS";
/// No money was paid.
pub const FAIL: &str = "FAIL";
/// Paid; a return is on its way.
pub const RETURNING: &str = "RETURNING";
/// Paid, and returned in part.
pub const PARTIAL_RETURN: &str = "PARTIAL_RETURN";
/// Paid, and returned as a whole.
pub const FULL_RETURN: &str = "FULL_RETURN";

/// Whether money was paid, be it returned since or not (design §12).
pub fn is_paid(status: &str) -> bool {
    matches!(status, SUCCESS | RETURNING | PARTIAL_RETURN | FULL_RETURN)
}

/// Whether the receipt stands: it neither failed nor was returned as a whole. An unknown status does: money may have moved.
pub fn is_live(status: &str) -> bool {
    !matches!(status, FAIL | FULL_RETURN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_returned_was_paid_and_what_nobody_knows_may_have_been() {
        let all = [ACCEPTED, SUCCESS, FAIL, RETURNING, PARTIAL_RETURN, FULL_RETURN, "SOMETHING_NEW"];
        let of = |is: fn(&str) -> bool| all.into_iter().filter(|status| is(status)).collect::<Vec<_>>();
        assert_eq!(of(is_paid), [SUCCESS, RETURNING, PARTIAL_RETURN, FULL_RETURN]);
        assert_eq!(of(is_live), [ACCEPTED, SUCCESS, RETURNING, PARTIAL_RETURN, "SOMETHING_NEW"]);
    }
}
