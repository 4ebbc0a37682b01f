//! Telemetry of a night: OpenLineage events, Prometheus metrics, a digest for a chat robot, the lines of its log. Only
//! formats, keeps and posts what is known; decides nothing, publishes nothing, and its failures go to the log, never into an
//! exit code.

mod caller;
mod digest;
mod lineage;
pub mod logbook;
mod metrics;
mod post;

pub use caller::Caller;
pub use digest::{Digest, Told};
pub use lineage::{Lineage, NightBooks, event_time};
pub use metrics::Gauges;
pub use post::{PostError, post_digest, post_event};
