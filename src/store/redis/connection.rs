//! One connection: how it is made, and that its task ends with it. Keeping one up is the dispatcher's affair.

use std::future::Future;
use std::io;
use std::time::Duration;

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::script::Script;
use super::{Address, Redis, unavailable};
use crate::decision::Source;
use crate::error::Error;
use crate::store::{self, Reach};

/// The time that connecting and logging in may take: longer than any `timeout` should be, and no call waits for it.
const TIME_TO_CONNECT: Duration = Duration::from_secs(1);

/// Where streams come from. A driver that turns sockets in another loop brings its own.
pub trait Connect: Send + Sync + 'static {
    /// A byte stream in both directions.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Opens one.
    fn connect(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Sockets of the tokio runtime.
pub struct Tcp;

impl Connect for Tcp {
    type Stream = TcpStream;

    async fn connect(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((host, port)).await?;
        // A batch is one write: waiting for more to send would only add latency.
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Where a Redis is and what is said to it.
pub struct Remote<C> {
    /// How streams are opened.
    pub connect: C,
    /// The server.
    pub address: Address,
    /// The engine.
    pub script: &'static Script,
}

impl<C: Connect> Reach for Remote<C> {
    type Link = Link;

    const SOURCE: Source = Source::Redis;

    async fn open(&self, patience: Duration) -> Result<Link, Error> {
        let opening = Link::open(&self.connect, &self.address, self.script, patience);
        let late = || Error::StoreUnavailable(format!("{}: it does not answer", self.address));
        tokio::time::timeout(TIME_TO_CONNECT, opening).await.unwrap_or_else(|_| Err(late()))
    }
}

/// An open connection. Dropping it closes it, also while Redis owes replies.
pub struct Link {
    store: Redis,
    task: JoinHandle<()>,
}

impl Link {
    /// Connects, logs in, and makes sure that the script can be run, with its answer within `patience`.
    pub async fn open<C: Connect>(
        connect: &C,
        address: &Address,
        script: &'static Script,
        patience: Duration,
    ) -> Result<Self, Error> {
        let stream = connect
            .connect(address.host(), address.port())
            .await
            .map_err(|error| Error::StoreUnavailable(format!("{address}: {error}")))?;
        // No response timeout here: the dispatcher's deadline covers what this one does not, queueing and reconnecting.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) = MultiplexedConnection::new_with_config(address.login(), stream, config)
            .await
            .map_err(|error| unavailable(&error))?;
        let link = Self { store: Redis::new(connection, script), task: tokio::spawn(driver) };
        let late = |_| Err(Error::StoreUnavailable(format!("{address}: it answers too slowly")));
        tokio::time::timeout(patience, link.store.probe()).await.unwrap_or_else(late)?;
        Ok(link)
    }
}

impl store::Link for Link {
    type Store = Redis;

    fn store(&self) -> &Redis {
        &self.store
    }

    async fn closed(&mut self) {
        // However the task ended, the connection is gone.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}
