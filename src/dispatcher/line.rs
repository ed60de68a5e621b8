//! The connection to the store, in whichever state it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::store::redis::script::Script;
use crate::store::redis::{Address, Connect, Link};

/// The time that connecting and logging in may take: longer than any `timeout` should be, and no call waits for it.
const TIME_TO_CONNECT: Duration = Duration::from_secs(1);

/// Where the store is and what is said to it.
pub struct Remote<C> {
    /// How streams are opened.
    pub connect: C,
    /// The server.
    pub address: Address,
    /// The engine.
    pub script: &'static Script,
}

/// See the module.
pub(super) enum Line {
    None,
    Opening(Pin<Box<dyn Future<Output = Result<Link, Error>> + Send>>),
    Up(Link),
}

/// What became of a line.
pub(super) enum Change {
    Opened(Link),
    Failed(Error),
}

impl Line {
    /// Begins to open one. It is only good if the store's first answer takes no longer than `patience`.
    pub(super) fn open<C: Connect>(remote: &Arc<Remote<C>>, patience: Duration) -> Self {
        let remote = remote.clone();
        Self::Opening(Box::pin(async move {
            let opening = Link::open(&remote.connect, &remote.address, remote.script, patience);
            let late = || Error::StoreUnavailable(format!("{}: it does not answer", remote.address));
            tokio::time::timeout(TIME_TO_CONNECT, opening).await.unwrap_or_else(|_| Err(late()))
        }))
    }

    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// Resolves when it has been opened or lost.
    pub(super) async fn changed(&mut self) -> Change {
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
