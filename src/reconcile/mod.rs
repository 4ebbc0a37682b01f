//! Match, coupon ledger, rules and the life of a break.
