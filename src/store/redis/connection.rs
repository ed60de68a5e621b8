//! One connection: how it is made, and that its task ends with it. Keeping one up is somebody else's affair.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisResult, Value};
use tokio::io::{AsyncRead, AsyncWrite};

use super::address::{Address, Endpoint};
use super::script::Script;
use super::tls::Tls;
use super::{Hand, Redis, unavailable};
use crate::error::Error;
use crate::metrics::Counter;
use crate::runtime::{Task, timeout};

/// The time that connecting and logging in may take: longer than any `timeout` should be, and no call waits for it.
const TIME_TO_CONNECT: Duration = Duration::from_secs(1);

/// Where streams come from.
pub trait Connect: Send + Sync + 'static {
    /// A byte stream in both directions.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens one.
    fn connect(&self, endpoint: &Endpoint) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// An open stream of any kind, so that what speaks over it is compiled once.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Makes connections that are alike.
pub struct Dialer<C> {
    /// How streams are opened.
    pub connect: C,
    /// How TLS is spoken, where an address says so.
    pub tls: Option<Tls>,
    /// What the connections are called, for whoever looks at Redis.
    pub client_name: Option<String>,
    /// The engine.
    pub script: &'static Script,
    /// Where it is counted how many calls are merged.
    pub merged: Arc<Counter>,
}

impl<C: Connect> Dialer<C> {
    /// Connects, logs in, and makes sure that the script can be run, with its answer within `patience`.
    pub async fn open(&self, address: &Address, patience: Duration) -> Result<Connection, Error> {
        let connection = self.call(address).await?;
        let late = |_| Err(Error::StoreUnavailable(format!("{address}: it answers too slowly")));
        timeout(patience, connection.store(self.script).probe()).await.unwrap_or_else(late)?;
        Ok(connection)
    }

    /// Connects and logs in, to whatever answers there.
    pub async fn call(&self, address: &Address) -> Result<Connection, Error> {
        self.call_by(address, AsyncConnectionConfig::new()).await
    }

    /// The same with what else is to become of the connection.
    pub(super) async fn call_by(&self, address: &Address, config: AsyncConnectionConfig) -> Result<Connection, Error> {
        let late = |_| Err(Error::StoreUnavailable(format!("{address}: it does not answer")));
        timeout(TIME_TO_CONNECT, self.connect(address, config)).await.unwrap_or_else(late)
    }

    async fn connect(&self, address: &Address, config: AsyncConnectionConfig) -> Result<Connection, Error> {
        let failed = |error: io::Error| Error::StoreUnavailable(format!("{address}: {error}"));
        let stream = self.connect.connect(address.endpoint()).await.map_err(failed)?;
        let stream: Box<dyn Stream> = match (&self.tls, address.is_secure()) {
            (Some(tls), true) => Box::new(tls.over(address.endpoint().host(), stream).await.map_err(failed)?),
            (_, false) => Box::new(stream),
            (None, true) => return Err(Error::Internal("there is no TLS for an address that wants it".into())),
        };
        let mut connection = Connection::over(stream, address, config).await?;
        if let Some(name) = &self.client_name {
            let mut command = redis::cmd("CLIENT");
            command.arg("SETNAME").arg(name);
            connection.send(&command).await.map_err(|error| unavailable(&error))?;
        }
        Ok(connection)
    }
}

/// An open connection. Dropping it closes it, also while Redis owes replies.
pub struct Connection {
    hand: Hand,
    task: Task,
    address: Address,
}

impl Connection {
    async fn over(stream: Box<dyn Stream>, address: &Address, config: AsyncConnectionConfig) -> Result<Self, Error> {
        // No response timeout here: the dispatcher's deadline covers what this one does not, queueing and reconnecting.
        let config = config.set_response_timeout(None);
        let (multiplexed, driver) = MultiplexedConnection::new_with_config(address.login(), stream, config)
            .await
            .map_err(|error| unavailable(&error))?;
        Ok(Self { hand: Hand::new(multiplexed), task: Task::begin(driver), address: address.clone() })
    }

    /// Another hand on it, which does not keep it open.
    pub fn handle(&self) -> Hand {
        self.hand.clone()
    }

    /// Where it leads.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The states behind it.
    pub fn store(&self, script: &'static Script) -> Redis {
        Redis::new(self.handle(), script)
    }

    /// Sends a command. An error that Redis replies is one of this side's too.
    pub async fn send(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.hand.send(command).await
    }

    /// Resolves when it has ended from the other side.
    pub async fn closed(&mut self) {
        self.task.ended().await;
    }
}
