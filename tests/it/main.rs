//! Drives the real program against the simulator, as a user would.

mod api;
mod books;
mod conversations;
mod corpus;
mod corruptions;
mod crashes;
mod endpoints;
mod failures;
mod lies;
mod nights;
mod nonsense;
mod support;
mod survival;
mod tidy;
