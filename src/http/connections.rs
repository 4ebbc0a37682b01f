//! The pooled connections of a client, which can all be given up at once. Sends nothing.

use std::sync::{PoisonError, RwLock};

use reqwest::Client;

type Build = Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>;

/// Connections to the hosts of one API.
pub(super) struct Connections {
    build: Build,
    current: RwLock<Pool>,
}

/// The connections between two times at which all were given up.
#[derive(Clone)]
pub(super) struct Pool {
    pub(super) client: Client,
    number: u64,
}

impl Connections {
    /// Connections of clients that `build` makes.
    pub(super) fn new(build: Build) -> reqwest::Result<Connections> {
        let current = RwLock::new(Pool { client: build()?, number: 0 });
        Ok(Connections { build, current })
    }

    /// Those that a new request uses.
    pub(super) fn current(&self) -> Pool {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the connections of `pool` were given up.
    pub(super) fn are_given_up(&self, pool: &Pool) -> bool {
        self.current.read().unwrap_or_else(PoisonError::into_inner).number != pool.number
    }

    /// Gives up all connections: none is used for another request.
    pub(super) fn give_up(&self) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        // Was built before from the same settings.
        match (self.build)() {
            Ok(client) => *current = Pool { client, number: current.number + 1 },
            Err(error) => tracing::warn!(%error, "the connections cannot be replaced"),
        }
    }
}
