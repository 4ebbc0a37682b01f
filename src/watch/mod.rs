//! What others are told of a night: OpenLineage events, Prometheus metrics, a digest for a chat robot.
//! Makes texts of what is known and posts them; decides nothing, publishes nothing, and what goes
//! wrong here is for a log, never for an exit code.

mod caller;
mod digest;
mod lineage;
mod metrics;
mod post;

pub use caller::Caller;
pub use digest::{Digest, Told};
pub use lineage::{Lineage, NightEnd, event_time};
pub use metrics::{Gauges, RuleInForce};
pub use post::{PostError, post_digest, post_event};
