//! The lake: its layout, Parquet partitions, the manifest of a run, and atomic publishing. The only
//! module that writes datasets and reports. Computes no row.

pub mod assembly;
pub mod assembly_line;
pub mod batches;
pub mod bucket;
pub(crate) mod columns;
pub mod encoder;
mod error;
mod key_order;
pub mod inspect;
pub mod lake;
pub mod lock;
pub mod manifest;
mod never_negative;
pub mod owner;
pub mod partial_days;
pub mod partition;
pub mod parts;
pub mod publication;
pub mod publish;
mod properties;
mod replacement;
pub mod runs;
pub mod staged;
pub mod status;

pub use lake::Lake;
