//! Where streams come from: of the tokio runtime, and of one that a loop turns.

use std::io;

use tokio::net::TcpStream;

use super::address::Endpoint;
use super::connection::Connect;
use crate::runtime;

/// Opens sockets of the tokio runtime.
#[derive(Debug)]
pub struct Sockets;

/// Opens sockets of the [runtime that a loop turns](runtime::Turned).
#[derive(Debug)]
pub struct TurnedSockets;

impl Connect for TurnedSockets {
    type Stream = runtime::Stream;

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<runtime::Stream> {
        match endpoint {
            Endpoint::Tcp { host, port } => runtime::connect_tcp(host, *port).await,
            #[cfg(unix)]
            Endpoint::Unix(path) => runtime::connect_unix(path).await,
            #[cfg(not(unix))]
            Endpoint::Unix(_) => Err(nothing_of_the_kind()),
        }
    }
}

#[cfg(unix)]
impl Connect for Sockets {
    type Stream = tokio_util::either::Either<TcpStream, tokio::net::UnixStream>;

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(match endpoint {
            Endpoint::Tcp { host, port } => Self::Stream::Left(tcp(host, *port).await?),
            Endpoint::Unix(path) => Self::Stream::Right(tokio::net::UnixStream::connect(path).await?),
        })
    }
}

#[cfg(not(unix))]
impl Connect for Sockets {
    type Stream = TcpStream;

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<TcpStream> {
        match endpoint {
            Endpoint::Tcp { host, port } => tcp(host, *port).await,
            Endpoint::Unix(_) => Err(nothing_of_the_kind()),
        }
    }
}

#[cfg(not(unix))]
fn nothing_of_the_kind() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "this system has no unix sockets")
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // A batch is one write: waiting for more to send would only add latency.
    stream.set_nodelay(true)?;
    Ok(stream)
}
