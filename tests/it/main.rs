//! Drives the real program against the simulator, as a user would.

mod failures;
mod nights;
mod support;
mod survival;
mod tidy;
