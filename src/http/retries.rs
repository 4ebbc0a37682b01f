//! What a caller wants of the retries of its calls: several stages share a client, and the stage that made a call should see
//! its retries, or may want none.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

tokio::task_local! {
    static RETRIES: Arc<AtomicU64>;
    static ONCE: ();
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

/// Runs `calls` with a single attempt each.
pub async fn without_retries<F: Future>(calls: F) -> F::Output {
    ONCE.scope((), calls).await
}

/// Whether the caller wants its calls to be retried.
pub(super) fn may_retry() -> bool {
    ONCE.try_with(|()| ()).is_err()
}
