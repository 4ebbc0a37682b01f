//! What the rules find tonight becomes breaks, which live from night to night. Holds the result of one query at a time,
//! and never writes a partition: each break is passed on.

pub(super) mod candidate;
pub(super) mod figures;
pub(super) mod judge;
mod lifecycle;
mod outlook;
