//! The threads on which the requests of a store run, so that it does not matter whether a caller is asynchronous.

use std::future::Future;
use std::sync::mpsc;

use tokio::runtime::Runtime;

/// Threads for the requests, separate from those of the callers.
pub(super) struct Threads(Option<Runtime>);

impl Threads {
    pub(super) fn start() -> Threads {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        Threads(Some(runtime.expect("the system gives threads")))
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.0.as_ref().expect("there until dropped")
    }

    /// Blocks until `task` has ended.
    pub(super) fn wait<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        let (done, wait) = mpsc::sync_channel(1);
        self.runtime().spawn(async move {
            // The caller is waiting below.
            let _ = done.send(task.await);
        });
        wait.recv().expect("a task ends and does not panic")
    }
}

impl Drop for Threads {
    /// Without blocking: a runtime may not be dropped normally inside another one.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
