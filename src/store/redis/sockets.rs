//! Where streams come from: of the tokio runtime, or of one that a loop turns, whichever runs who asks.

use std::io;

use tokio::net::TcpStream;
use tokio_util::either::Either;

use super::address::Endpoint;
use super::connection::Connect;
use crate::runtime;

/// Opens sockets of the runtime that it is asked in.
#[derive(Debug)]
pub struct Sockets;

#[cfg(unix)]
type OfTokio = Either<TcpStream, tokio::net::UnixStream>;
#[cfg(not(unix))]
type OfTokio = TcpStream;

impl Connect for Sockets {
    // One type for both runtimes: what speaks over it is large, and would be there twice.
    type Stream = Either<runtime::Stream, OfTokio>;

    async fn connect(&self, endpoint: &Endpoint) -> io::Result<Self::Stream> {
        Ok(if runtime::is_turned() {
            Either::Left(turned(endpoint).await?)
        } else {
            Either::Right(of_tokio(endpoint).await?)
        })
    }
}

async fn turned(endpoint: &Endpoint) -> io::Result<runtime::Stream> {
    match endpoint {
        Endpoint::Tcp { host, port } => runtime::connect_tcp(host, *port).await,
        #[cfg(unix)]
        Endpoint::Unix(path) => runtime::connect_unix(path).await,
        #[cfg(not(unix))]
        Endpoint::Unix(_) => Err(nothing_of_the_kind()),
    }
}

#[cfg(unix)]
async fn of_tokio(endpoint: &Endpoint) -> io::Result<OfTokio> {
    Ok(match endpoint {
        Endpoint::Tcp { host, port } => Either::Left(tcp(host, *port).await?),
        Endpoint::Unix(path) => Either::Right(tokio::net::UnixStream::connect(path).await?),
    })
}

#[cfg(not(unix))]
async fn of_tokio(endpoint: &Endpoint) -> io::Result<OfTokio> {
    match endpoint {
        Endpoint::Tcp { host, port } => tcp(host, *port).await,
        Endpoint::Unix(_) => Err(nothing_of_the_kind()),
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
