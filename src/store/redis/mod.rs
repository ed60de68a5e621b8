//! The store that servers share: a batch is one call of one Lua script on Redis.

mod address;
mod connection;
pub mod script;

pub use address::Address;
pub use connection::{Connect, Link, Remote, Tcp};

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, RedisError, RedisResult, ServerErrorKind, Value};

use super::{Answering, Request, Store};
use crate::error::Error;
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
        let call = script::Call::default().pack();
        let reply = run(self.connection.clone(), self.script, call).await?;
        script::read_answers(reply, 0).map(drop)
    }
}

impl Store for Redis {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let mut call = script::Call::default();
        for request in batch {
            call.add(request);
        }
        let (connection, script, keys) = (self.connection.clone(), self.script, call.len());
        let call = call.pack();
        Box::pin(async move {
            let reply = run(connection, script, call).await?;
            script::read_answers(reply, keys)
        })
    }
}

/// Runs the script by its digest, and by its text where Redis does not know it: after a restart, a flush, a failover. That is
/// the only thing that is ever sent twice, since Redis has then said that it did nothing.
async fn run(mut connection: MultiplexedConnection, script: &Script, call: script::Packed) -> Result<Value, Error> {
    let by_digest = send(&mut connection, &call.command("EVALSHA", script.digest())).await;
    let reply = match by_digest {
        Err(error) if error.kind() == ServerErrorKind::NoScript.into() => {
            send(&mut connection, &call.command("EVAL", script.text())).await
        }
        reply => reply,
    };
    reply.map_err(|error| unavailable(&error))
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
