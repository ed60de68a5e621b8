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
use crate::error::Error;

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

    /// What decides over this connection.
    pub fn store(&self) -> &Redis {
        &self.store
    }

    /// Resolves when the connection has ended from the other side.
    pub async fn closed(&mut self) {
        // However the task ended, the connection is gone.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}
