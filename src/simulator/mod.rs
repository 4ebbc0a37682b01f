//! An independent WeChat: verifies signatures with its own code, answers from a world on disk.

pub mod generate;
pub mod world;
