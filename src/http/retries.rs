//! What a caller wants of the retries of its calls: several stages share a client, and the stage that made a call should see
//! its retries, or may not want to wait for them.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static RETRIES: Arc<AtomicU64>;
    static BRIEFLY: ();
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

/// Runs `calls`, each of which is retried no longer than a single attempt may take.
pub async fn retrying_briefly<F: Future>(calls: F) -> F::Output {
    BRIEFLY.scope((), calls).await
}

/// Whether the caller does not want to wait for its calls.
pub(super) fn is_brief() -> bool {
    BRIEFLY.try_with(|()| ()).is_ok()
}
