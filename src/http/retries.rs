//! Counts retries per caller rather than per API: several stages share a client, and the stage that made the call should see
//! its retries.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static RETRIES: Arc<AtomicU64>;
}

/// Runs `calls` and adds each attempt beyond the first of a call to `counter`.
pub async fn counting_retries<F: Future>(counter: &Arc<AtomicU64>, calls: F) -> F::Output {
    RETRIES.scope(Arc::clone(counter), calls).await
}

/// Counts another attempt.
pub fn count_retry() {
    // Not counted in `check`, `api` and messages.
    let _ = RETRIES.try_with(|counter| counter.fetch_add(1, Ordering::Relaxed));
}
