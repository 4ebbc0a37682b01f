//! Counts retries per caller rather than per API: several stages share a client, and the stage that made the call should see
//! its retries.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static RETRIES: Arc<AtomicU64>;
}

/// Runs `calls`; every attempt beyond the first of a call in it adds one to `counter`.
pub async fn counting_retries<F: Future>(counter: &Arc<AtomicU64>, calls: F) -> F::Output {
    RETRIES.scope(Arc::clone(counter), calls).await
}

/// Another attempt begins.
pub(super) fn count_retry() {
    // Nobody counts: `check`, `api`, messages.
    let _ = RETRIES.try_with(|counter| counter.fetch_add(1, Ordering::Relaxed));
}
