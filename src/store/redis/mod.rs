//! The store that servers share: a batch is one call of one Lua script on Redis.

mod address;
mod cluster;
mod connection;
pub mod eviction;
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
pub use remote::{Link, Remote};
pub use servers::{Servers, Topology};
pub use sockets::{Sockets, TurnedSockets};
pub use tls::{Certificates, Tls};

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value};

use super::{Announcing, Answering, Request, Store, Surveying};
use crate::error::Error;
use crate::fleet::Announcement;
use script::Script;

/// States in one Redis, reached through one connection.
#[derive(Clone)]
pub struct Redis {
    connection: MultiplexedConnection,
    script: &'static Script,
}

impl Redis {
    /// A store over a connection that is open.
    pub fn new(connection: MultiplexedConnection, script: &'static Script) -> Self {
        Self { connection, script }
    }

    /// Asks for nothing, so that the script is loaded and known to be permitted. The answer is read all the same: whoever gives
    /// another than the script's is no Redis.
    pub async fn probe(&self) -> Result<(), Error> {
        let call = script::Packed::of(&mut std::iter::empty());
        let reply = evaluate(&mut self.connection.clone(), self.script, &call).await;
        script::read_answers(reply.map_err(|error| unavailable(&error))?, call.expected()).map(drop)
    }

    /// Says that an instance is there, or goes.
    pub fn announce(&self, announcement: &Announcement) -> Announcing {
        let (mut connection, call) = (self.connection.clone(), roll::pack(announcement));
        Box::pin(async move {
            let reply = evaluate(&mut connection, &roll::ROLL, &call).await.map_err(|error| unavailable(&error))?;
            roll::read(&reply)
        })
    }

    /// Asks whether keys may be evicted.
    pub fn survey(&self) -> Surveying {
        let mut connection = self.connection.clone();
        Box::pin(async move {
            let reply = evaluate(&mut connection, &eviction::EVICTION, &eviction::pack()).await.ok()?;
            eviction::read(&reply)
        })
    }
}

impl Store for Redis {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let (mut connection, script, call) = (self.connection.clone(), self.script, script::Packed::of(batch));
        Box::pin(async move {
            let reply = evaluate(&mut connection, script, &call).await.map_err(|error| unavailable(&error))?;
            script::read_answers(reply, call.expected())
        })
    }
}

/// Runs the script by its digest, and by its text where Redis does not know it: after a restart, a flush, a failover. That is
/// sent twice, since Redis has then said that it did nothing.
async fn evaluate(
    connection: &mut MultiplexedConnection,
    script: &Script,
    call: &script::Packed,
) -> RedisResult<Value> {
    match send(connection, &call.command("EVALSHA", script.digest())).await {
        Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
            send(connection, &call.command("EVAL", script.text())).await
        }
        reply => reply,
    }
}

/// Sends a command. An error that Redis replies is one of this side's too.
async fn send(connection: &mut MultiplexedConnection, command: &Cmd) -> RedisResult<Value> {
    match connection.send_packed_command(command).await? {
        Value::ServerError(error) => Err(error.into()),
        value => Ok(value),
    }
}

/// What Redis or the connection says, as this library's error.
pub(crate) fn unavailable(error: &RedisError) -> Error {
    // What is no Redis at all may answer with pages.
    let reason: String = error.to_string().lines().next().unwrap_or_default().chars().take(200).collect();
    Error::StoreUnavailable(reason)
}
