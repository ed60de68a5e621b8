//! Work beside the calls, which ends with whoever began it.

use tokio::task::JoinHandle;

/// A task of the runtime. Dropping it ends it.
pub(super) struct Task(JoinHandle<()>);

impl Task {
    /// Begins it.
    pub(super) fn begin(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }

    /// Resolves when it has ended by itself, however.
    pub(super) async fn ended(&mut self) {
        let _ = (&mut self.0).await;
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
