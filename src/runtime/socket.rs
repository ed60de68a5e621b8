//! Sockets that never block, and are told by somebody else's loop when there is something for them.
//!
//! Each read and write is tried at once. Only what would block waits, and what is then wanted of the loop is put up for it to see.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
#[cfg(unix)]
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use mio::net::TcpStream;
#[cfg(unix)]
use mio::net::UnixStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::lookup;
use super::turned::{self, Shared};

/// Reads that fill their whole buffer, one after the other, before the loop has its turn: who sends faster than it is read
/// must not keep everybody else waiting.
const MOST_FULL_READS: u32 = 16;

/// A byte stream in both directions. Dropping it closes it, as soon as the loop no longer looks at it.
pub struct Stream(Arc<Source>);

/// A socket as the loop sees it.
pub struct Source {
    id: u64,
    io: Io,
    state: Mutex<State>,
    turned: Arc<Shared>,
}

/// What the loop is to look for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bytes, or the other end's end.
    pub readable: bool,
    /// Room for bytes.
    pub writable: bool,
}

/// What becomes of a socket's place in the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// It stays as it is.
    Same,
    /// The loop looks for this from now on.
    For(Interest),
    /// The loop lets go of it.
    Ended,
}

struct State {
    /// As far as is known; wrong until the next attempt.
    readable: bool,
    writable: bool,
    full_reads: u32,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// What the loop looks for.
    watched: Interest,
    /// Whether the loop is to see that it is to look for something else.
    is_put_up: bool,
    is_closed: bool,
}

impl State {
    fn wants(&self) -> Interest {
        // Also while nobody reads, so that the end is seen; what is there already need not be looked for.
        Interest { readable: !self.readable, writable: !self.writable && self.writer.is_some() }
    }
}

enum Io {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Io {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => (&*stream).read(buffer),
        }
    }

    fn write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, parts) {
            (Self::Tcp(stream), [only]) => (&*stream).write(only),
            (Self::Tcp(stream), _) => (&*stream).write_vectored(parts),
            #[cfg(unix)]
            (Self::Unix(stream), _) => (&*stream).write_vectored(parts),
        }
    }

    fn shut_down(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            #[cfg(unix)]
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        }
    }

    /// Why it could not be connected, if it could not.
    fn take_error(&self) -> io::Result<()> {
        let error = match self {
            Self::Tcp(stream) => stream.take_error(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.take_error(),
        };
        error?.map_or(Ok(()), Err)
    }
}

/// Connects to a host's port. Of several addresses the first is taken that can be reached.
pub async fn connect_tcp(host: &str, port: u16) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup::addresses(host, port).await? {
        match tcp(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connects to a socket in the file system.
#[cfg(unix)]
pub async fn connect_unix(path: &Path) -> io::Result<Stream> {
    Stream::connecting(Io::Unix(UnixStream::connect(path)?)).await
}

async fn tcp(address: SocketAddr) -> io::Result<Stream> {
    let stream = TcpStream::connect(address)?;
    // A batch is one write: waiting for more to send would only add latency.
    stream.set_nodelay(true)?;
    Stream::connecting(Io::Tcp(stream)).await
}

impl Stream {
    async fn connecting(io: Io) -> io::Result<Self> {
        let turned = turned::current().ok_or_else(|| io::Error::other("no loop turns this"))?;
        let state = State {
            readable: false,
            writable: false,
            full_reads: 0,
            reader: None,
            writer: None,
            watched: Interest::default(),
            is_put_up: false,
            is_closed: false,
        };
        let stream = Self(Arc::new(Source { id: turned.next_source(), io, state: Mutex::new(state), turned }));
        poll_fn(|context| stream.0.poll_writable(context)).await;
        stream.0.io.take_error()?;
        Ok(stream)
    }
}

impl Source {
    /// Its name, among all sockets of its runtime.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// What the loop is to do with it.
    pub fn watch(&self) -> Watch {
        let mut state = self.state();
        state.is_put_up = false;
        let wants = state.wants();
        if state.is_closed {
            Watch::Ended
        } else if std::mem::replace(&mut state.watched, wants) == wants {
            Watch::Same
        } else {
            Watch::For(wants)
        }
    }

    /// The loop has seen something.
    pub fn tell(self: &Arc<Self>, seen: Interest) {
        let woken = {
            let mut state = self.state();
            // Most is read in this very turn, and then there is nothing to change.
            let is_unread = state.readable && seen.readable;
            state.readable |= seen.readable;
            state.writable |= seen.writable;
            state.full_reads = 0;
            if is_unread || seen.writable {
                self.put_up(&mut state);
            }
            let reader = if seen.readable { state.reader.take() } else { None };
            let writer = if seen.writable { state.writer.take() } else { None };
            [reader, writer]
        };
        woken.into_iter().flatten().for_each(Waker::wake);
    }

    /// The loop cannot look at it, or no longer does. Whoever tries to read or to write learns why.
    pub fn forsake(self: &Arc<Self>) {
        self.state().watched = Interest::default();
        self.tell(Interest { readable: true, writable: true });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the loop see what is wanted, where that is something else than what it looks for.
    fn put_up(self: &Arc<Self>, state: &mut State) {
        if !state.is_put_up && (state.is_closed || state.wants() != state.watched) {
            state.is_put_up = true;
            self.turned.change(self.clone());
        }
    }

    fn poll_writable(self: &Arc<Self>, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.writable {
            return Poll::Ready(());
        }
        state.writer = Some(context.waker().clone());
        self.put_up(&mut state);
        Poll::Pending
    }

    fn poll_readable(self: &Arc<Self>, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.readable {
            return Poll::Ready(());
        }
        match &mut state.reader {
            Some(reader) => reader.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        self.put_up(&mut state);
        Poll::Pending
    }

    fn poll_write(self: &Arc<Self>, context: &Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            if self.poll_writable(context).is_pending() {
                return Poll::Pending;
            }
            match self.io.write(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.state().writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_closed = true;
        self.0.put_up(&mut state);
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let source = &self.0;
        loop {
            if source.poll_readable(context).is_pending() {
                return Poll::Pending;
            }
            let room = buffer.initialize_unfilled();
            let (size, read) = (room.len(), source.io.read(room));
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => source.state().readable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(count) => {
                    let mut state = source.state();
                    state.full_reads += 1;
                    // Less than there was room for is all that there was. The loop tells of what comes after it.
                    if (0 < count && count < size) || state.full_reads >= MOST_FULL_READS {
                        state.readable = false;
                        source.put_up(&mut state);
                    }
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_write(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.io.shut_down())
    }
}

#[cfg(unix)]
impl std::os::fd::AsRawFd for Source {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        match &self.io {
            Io::Tcp(stream) => stream.as_raw_fd(),
            Io::Unix(stream) => stream.as_raw_fd(),
        }
    }
}

#[cfg(windows)]
impl std::os::windows::io::AsRawSocket for Source {
    fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
        match &self.io {
            Io::Tcp(stream) => stream.as_raw_socket(),
        }
    }
}
