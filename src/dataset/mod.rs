//! Layout of the lake, Parquet, manifest, atomic publish: the only place that writes datasets.

pub mod partition;
