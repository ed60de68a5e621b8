//! The link to the store, in whichever state it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::store::{Link, Reach};

/// See the module.
pub(super) enum Line<L> {
    None,
    Opening(Pin<Box<dyn Future<Output = Result<L, Error>> + Send>>),
    Up(L),
}

/// What became of a line.
pub(super) enum Change<L> {
    Opened(L),
    Failed(Error),
}

impl<L: Link> Line<L> {
    /// Begins to open one. It is only good if the store's first answer takes no longer than `patience`.
    pub(super) fn open<R: Reach<Link = L>>(reach: &Arc<R>, patience: Duration) -> Self {
        let reach = reach.clone();
        Self::Opening(Box::pin(async move { reach.open(patience).await }))
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// Resolves when it has been opened or lost.
    pub(super) async fn changed(&mut self) -> Change<L> {
        match self {
            Self::None => std::future::pending().await,
            Self::Opening(opening) => opening.await.map_or_else(Change::Failed, Change::Opened),
            Self::Up(link) => {
                link.closed().await;
                Change::Failed(Error::StoreUnavailable("the connection was lost".into()))
            }
        }
    }
}
