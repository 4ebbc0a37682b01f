//! One run of a date: its id, unique among the runs of that date, and its start.

use chrono::{DateTime, Utc};

use crate::clock::World;

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    /// `20261119T020304Z-1f9a0c3e`.
    pub(super) id: String,
    pub(super) started_at: DateTime<Utc>,
}

impl Run {
    /// A run that starts now.
    pub(super) fn begin(world: &World) -> Run {
        let started_at = world.clock.now();
        let mut bytes = [0u8; 4];
        world.random.fill(&mut bytes);
        Run { id: format!("{}-{}", started_at.format("%Y%m%dT%H%M%SZ"), hex::encode(bytes)), started_at }
    }
}
