//! Rows, whatever they are of: how they are read, sorted, merged and written in bounded memory. Knows no coupon's life
//! and no rule; what it writes is deleted with the night.

pub(super) mod builders;
pub(super) mod coupon_key;
pub(super) mod cursor;
pub(super) mod grouped;
pub(super) mod merge;
pub(super) mod scratch_table;
pub(super) mod text_hash;
