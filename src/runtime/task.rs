//! Work beside the calls, which ends with whoever began it.

use futures_util::future::{AbortHandle, abortable};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::turned;

/// A task of the runtime. Dropping it ends it.
pub struct Task(Kind);

enum Kind {
    Tokio(JoinHandle<()>),
    /// `ended` is told by being dropped, however the work ends.
    Turned {
        abort: AbortHandle,
        ended: oneshot::Receiver<()>,
    },
}

impl Task {
    /// Begins it.
    pub fn begin(work: impl Future<Output = ()> + Send + 'static) -> Self {
        let Some(turned) = turned::current() else {
            return Self(Kind::Tokio(tokio::spawn(work)));
        };
        let (work, abort) = abortable(work);
        let (tell, ended) = oneshot::channel();
        turned.spawn(Box::pin(async move {
            let _told_when_dropped = tell;
            let _ = work.await;
        }));
        Self(Kind::Turned { abort, ended })
    }

    /// Resolves when it has ended by itself, however.
    pub async fn ended(&mut self) {
        match &mut self.0 {
            Kind::Tokio(handle) => drop(handle.await),
            Kind::Turned { ended, .. } => drop(ended.await),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        match &self.0 {
            Kind::Tokio(handle) => handle.abort(),
            Kind::Turned { abort, .. } => abort.abort(),
        }
    }
}
