//! How a store is reached that is somewhere else: by a connection of ours, or through a client of the application's.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};

use super::{Request, Store};
use crate::adaptive::{Share, Sum};
use crate::decision::Source;
use crate::error::Error;
use crate::fleet::Announcement;
use crate::metrics::Counter;

/// A way to a store. Deadlines, the circuit and the fallback are the dispatcher's affair, whatever the way.
pub trait Reach: Send + Sync + 'static {
    /// What is had when the store has answered.
    type Link: Link;

    /// Who has decided what comes back over it.
    const SOURCE: Source;

    /// Reaches for the store. The link is only good if the store's first answer takes no longer than `patience`.
    fn open(&self, patience: Duration) -> impl Future<Output = Result<Self::Link, Error>> + Send;

    /// Where it is counted how many calls have travelled merged with another on their key.
    fn merged(&self) -> Arc<Counter> {
        Arc::default()
    }

    /// Refuses what cannot be done over it. A value of its own, since it is asked where the calls are made.
    fn gate(&self) -> Gate {
        Box::new(|_| Ok(()))
    }
}

/// Whether a request may be sent at all.
pub type Gate = Box<dyn Fn(&Request) -> Result<(), Error> + Send>;

/// An announcement under way: how many instances there are.
pub type Announcing = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;

/// A level on its way: what those of all instances add up to.
pub type Levelling = Pin<Box<dyn Future<Output = Result<Sum, Error>> + Send>>;

/// A question under way: by which policy keys are evicted, where any are.
pub type Surveying = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// Policies on their way: what is stored, as `lua/policies.lua` says it.
pub type Exchanging = Pin<Box<dyn Future<Output = Result<Vec<String>, Error>> + Send>>;

/// What is heard of the keys of a store, for as long as it can be.
pub type Listening = Pin<Box<dyn Stream<Item = Heard> + Send>>;

/// What is heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// From now on every change is.
    Begins,
    /// Somebody has given back to the key of this name when it had nothing left, or has forgotten or blocked it.
    Changed {
        /// What the key is called.
        name: Vec<u8>,
        /// Whether nothing that was leased of it is worth anything.
        voids_leases: bool,
    },
}

/// A store that has answered. Dropping it leaves the store.
pub trait Link: Send + 'static {
    /// What decides over it.
    type Store: Store;

    /// What decides over it.
    fn store(&self) -> &Self::Store;

    /// Resolves when it has ended from the other side.
    fn closed(&mut self) -> impl Future<Output = ()> + Send;

    /// Says that an instance is there, or goes. Settings that want it of a store that cannot do it are refused.
    fn announce(&self, _announcement: &Announcement) -> Announcing {
        Box::pin(ready(Err(Error::Unsupported("this store keeps no list of instances".into()))))
    }

    /// Says at what level an instance is, or takes that away. Settings that want it of a store that cannot do it are refused.
    fn level(&self, _announcement: &Announcement, _level: Share) -> Levelling {
        Box::pin(ready(Err(Error::Unsupported("this store keeps no levels of instances".into()))))
    }

    /// Asks whether keys may be evicted. `None` also where that cannot be known.
    fn survey(&self) -> Surveying {
        Box::pin(ready(None))
    }

    /// Asks what policies a fleet shares under `key`, or stores some, as `lua/policies.lua` is asked. Settings that want it of a store that
    /// cannot do it are refused.
    fn exchange(&self, _key: &str, _asked: &str) -> Exchanging {
        Box::pin(ready(Err(Error::Unsupported("this store keeps no policies".into()))))
    }

    /// Listens for the keys that are freed, among those whose names begin so. Ends where that cannot be had, or not any more.
    fn listen(&self, _prefix: &str) -> Listening {
        Box::pin(stream::empty())
    }
}
