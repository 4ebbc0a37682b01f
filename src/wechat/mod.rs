//! The remote APIs: WeChat Pay v3 and v2 and the official account platform. Every endpoint is typed
//! and every answer is judged. Does not page through lists, keep answers or decide what to request.

pub mod answer;
pub mod endpoint;
pub mod error;
mod judgement;
pub mod lenient;
pub mod mp;
pub mod oddity;
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
