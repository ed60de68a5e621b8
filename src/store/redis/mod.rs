//! The store that servers share: a batch is one call of one Lua function, or script, on Redis.

mod address;
mod cluster;
mod connection;
pub mod eviction;
mod hand;
pub mod levels;
pub mod policies;
mod remote;
pub mod roll;
pub mod script;
mod sentinel;
mod servers;
mod sockets;
mod subscription;
mod tls;

pub use address::{Address, Endpoint};
pub use connection::{Connect, Connection, Dialer};
pub use hand::Hand;
pub use remote::{Link, Remote};
pub use servers::{Servers, Topology};
pub use sockets::Sockets;
pub use tls::{Certificates, Tls};

use std::sync::Arc;

use ::redis::RedisError;

use super::{Announcing, Answering, Exchanging, Levelling, Request, Store, Surveying};
use crate::adaptive::Share;
use crate::error::Error;
use crate::fleet::Announcement;
use crate::metrics::Counter;
use script::Script;

/// States in one Redis, reached through one connection.
#[derive(Clone)]
pub struct Redis {
    hand: Hand,
    script: &'static Script,
    merged: Arc<Counter>,
}

impl Redis {
    /// A store over a connection that is open.
    pub fn new(hand: Hand, script: &'static Script) -> Self {
        Self { hand, script, merged: Arc::default() }
    }

    /// The same, which counts there how many calls are merged.
    pub fn counting(self, merged: &Arc<Counter>) -> Self {
        Self { merged: merged.clone(), ..self }
    }

    /// Asks for nothing, so that the script is loaded and known to be permitted. The answer is read all the same: whoever gives
    /// another than the script's is no Redis.
    pub async fn probe(&self) -> Result<(), Error> {
        let call = script::Packed::of(&mut std::iter::empty(), self.script.clock());
        let reply = self.hand.clone().evaluate(self.script, &call).await;
        script::read_answers(reply.map_err(|error| unavailable(&error))?, call.expected()).map(drop)
    }

    /// Says that an instance is there, or goes.
    pub fn announce(&self, announcement: &Announcement) -> Announcing {
        let (mut hand, call) = (self.hand.clone(), roll::pack(announcement));
        Box::pin(async move {
            let reply = hand.evaluate(&roll::ROLL, &call).await.map_err(|error| unavailable(&error))?;
            roll::read(&reply)
        })
    }

    /// Says at what level an instance is, or takes that away.
    pub fn level(&self, announcement: &Announcement, level: Share) -> Levelling {
        let (mut hand, call) = (self.hand.clone(), levels::pack(announcement, level));
        Box::pin(async move {
            let reply = hand.evaluate(&levels::LEVELS, &call).await.map_err(|error| unavailable(&error))?;
            levels::read(&reply)
        })
    }

    /// Asks what policies are shared, or stores some.
    pub fn exchange(&self, key: &str, asked: &str) -> Exchanging {
        let (mut hand, call) = (self.hand.clone(), policies::pack(key, asked));
        Box::pin(async move {
            let reply = hand.evaluate(&policies::POLICIES, &call).await.map_err(|error| unavailable(&error))?;
            policies::read(reply)
        })
    }

    /// Asks whether keys may be evicted.
    pub fn survey(&self) -> Surveying {
        let mut hand = self.hand.clone();
        Box::pin(async move {
            let reply = hand.evaluate(&eviction::EVICTION, &eviction::pack()).await.ok()?;
            eviction::read(&reply)
        })
    }
}

impl Store for Redis {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let (mut hand, script) = (self.hand.clone(), self.script);
        let call = script::Packed::of(batch, script.clock());
        self.merged.add(call.merged());
        Box::pin(async move {
            let reply = hand.evaluate(script, &call).await.map_err(|error| unavailable(&error))?;
            script::read_answers(reply, call.expected())
        })
    }
}

/// What Redis or the connection says, as this library's error.
pub(crate) fn unavailable(error: &RedisError) -> Error {
    // What is no Redis at all may answer with pages.
    let reason: String = error.to_string().lines().next().unwrap_or_default().chars().take(200).collect();
    Error::StoreUnavailable(reason)
}
