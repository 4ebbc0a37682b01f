//! Drives the real program against the simulator, as a user would.

mod api;
mod books;
mod controller;
mod conversations;
mod corpus;
mod endpoints;
mod failures;
mod mutual_tls;
mod nights;
mod pack;
mod schemas;
mod support;
mod survival;
mod tidy;
