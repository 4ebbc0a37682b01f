//! Drives the real program against the simulator, as a user would.

mod books;
mod failures;
mod nights;
mod support;
mod survival;
mod tidy;
