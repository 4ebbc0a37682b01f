//! The remote APIs of WeChat Pay (v3, v2) and the official account platform: every endpoint typed,
//! every answer judged. Nothing here walks pages, keeps answers or decides what to ask.

pub mod answer;
pub mod endpoint;
pub mod error;
mod judgement;
pub mod lenient;
pub mod mp;
pub mod pay_v2;
pub mod pay_v3;
pub mod request;
pub mod time;
pub(crate) mod wording;

pub use answer::{Answer, Evidence};
pub use endpoint::{ENDPOINTS, Endpoint};
pub use error::{ApiError, FailureKind, Problem, SetupError};
pub use request::{ParseError, Request};
pub use time::parse_time;

#[cfg(test)]
mod tests;
