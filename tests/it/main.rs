//! Drives the real program against the simulator, as a user would.

mod api;
mod books;
mod conversations;
mod corpus;
mod endpoints;
mod failures;
mod nights;
mod operations;
mod support;
mod survival;
mod tidy;
mod watching;
