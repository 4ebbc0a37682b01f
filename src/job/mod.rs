//! The job file: as written (`file`), checked (`settings`), every problem at once.

mod settings;

pub use settings::*;
