//! Drives the real program against the simulator, as a user would.

#![expect(clippy::disallowed_methods, reason = "tests look at the real clock and at what their caller asks for")]

mod api;
mod asked_again;
mod books;
mod circles;
mod controller;
mod conversations;
mod corpus;
mod corruptions;
mod crashes;
mod endpoints;
mod failures;
mod intake;
mod lies;
mod mutual_tls;
mod nights;
mod nonsense;
mod older_lakes;
mod operations;
mod owners;
mod pack;
mod parts;
mod remedies;
mod schemas;
mod script;
mod selections;
mod support;
mod survival;
mod tidy;
mod tls;
mod untrusted;
mod watching;
