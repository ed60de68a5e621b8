//! Sockets that a loop looks at: here one that tells all of them, again and again, that they may be ready.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Count, count_one, read, turned};
use crate::runtime::{self, Interest, Source, Stream, Turned, Watch, connect_tcp};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a loop knows of its sockets.
#[derive(Default)]
struct Watched(HashMap<u64, (Arc<Source>, Interest)>);

impl Watched {
    /// One round of a loop: tells of what is looked for, as if it had been seen, and turns.
    fn round(&mut self, turned: &Turned) {
        self.round_that_sees(turned, |interest| interest);
    }

    fn round_that_sees(&mut self, turned: &Turned, see: impl Fn(Interest) -> Interest) {
        for (source, interest) in self.0.values() {
            source.tell(see(*interest));
        }
        if turned.turn(Instant::now(), false).wants_look {
            turned.turn(Instant::now(), true);
        }
        for source in turned.changed() {
            match source.watch() {
                Watch::Same => {}
                Watch::For(interest) => drop(self.0.insert(source.id(), (source.clone(), interest))),
                Watch::Ended => drop(self.0.remove(&source.id())),
            }
        }
    }

    fn until(&mut self, turned: &Turned, what: &str, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done() {
            assert!(Instant::now() < end, "waited in vain until {what}");
            self.round(turned);
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Reads what there is, and waits where there is nothing; 0 is the end.
async fn take(stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
    let mut buffer = ReadBuf::new(buffer);
    poll_fn(|context| Pin::new(&mut *stream).poll_read(context, &mut buffer)).await?;
    Ok(buffer.filled().len())
}

/// A server for one connection.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || serve(listener.accept().unwrap().0));
    port
}

/// More than fits into what the system holds for a socket, so that both reads and writes have to wait.
#[test]
fn what_is_written_arrives_however_often_it_must_wait() {
    const SIZE: usize = 8 << 20;
    let port = server(|mut stream| {
        let mut taken = vec![0; SIZE];
        stream.read_exact(&mut taken).unwrap();
        // Slow, and in its own pieces.
        for piece in taken.chunks(300_001) {
            stream.write_all(piece).unwrap();
        }
    });
    let (turned, _) = turned();
    let result = Arc::new(Mutex::new(None));
    let told = result.clone();
    turned.spawn(async move {
        let mut stream = connect_tcp("127.0.0.1", port).await.unwrap();
        let sent: Vec<u8> = (0..SIZE).map(|byte| u8::try_from(byte * 31 % 251).unwrap()).collect();
        let mut written = 0;
        while written < SIZE {
            written += poll_fn(|context| Pin::new(&mut stream).poll_write(context, &sent[written..])).await.unwrap();
        }
        let (mut taken, mut count) = (vec![0; SIZE + 1], 0);
        loop {
            match take(&mut stream, &mut taken[count..]).await.unwrap() {
                0 => break,
                more => count += more,
            }
        }
        *told.lock().unwrap() = Some(taken[..count] == sent);
    });
    let mut watched = Watched::default();
    watched.until(&turned, "all has come back", || result.lock().unwrap().is_some());
    assert_eq!(*result.lock().unwrap(), Some(true), "the same bytes, and then the end");
    assert!(watched.0.is_empty(), "the loop has let go of the socket");
}

#[test]
fn whoever_cannot_be_reached_is_an_error_and_not_silence() {
    // A port that nobody has: it was just given back.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (turned, _) = turned();
    let result = Arc::new(Mutex::new(Vec::new()));
    for host in ["127.0.0.1", "localhost", "nobody.invalid"] {
        let told = result.clone();
        turned.spawn(async move {
            let kind = connect_tcp(host, port).await.err().map(|error| error.kind());
            told.lock().unwrap().push((host, kind));
        });
    }
    Watched::default().until(&turned, "all have been tried", || result.lock().unwrap().len() == 3);
    let result = result.lock().unwrap();
    let kind_of = |name| result.iter().find(|(host, _)| *host == name).and_then(|(_, kind)| *kind);
    assert_eq!(kind_of("127.0.0.1"), Some(io::ErrorKind::ConnectionRefused));
    assert_eq!(kind_of("localhost"), Some(io::ErrorKind::ConnectionRefused));
    assert!(kind_of("nobody.invalid").is_some());
}

#[test]
fn a_name_is_looked_up_elsewhere_and_whoever_waits_is_woken() {
    let (turned, rings) = turned();
    let found = Count::default();
    let port = server(|stream| drop(stream.shutdown(Shutdown::Both)));
    let counted = found.clone();
    turned.spawn(async move {
        connect_tcp("localhost", port).await.unwrap();
        count_one(&counted);
    });
    turned.turn(Instant::now(), false);
    let before = rings.count();
    let end = Instant::now() + PATIENCE;
    while rings.count() == before {
        assert!(Instant::now() < end, "the bell was not rung");
        thread::yield_now();
    }
    Watched::default().until(&turned, "it is connected", || read(&found) == 1);
}

/// Who sends without end, faster than it is read, would otherwise keep the loop for itself.
#[test]
fn one_who_sends_without_end_gives_the_loop_its_turn() {
    let port = server(|mut stream| while stream.write_all(&[0; 1 << 16]).is_ok() {});
    let (turned, _) = turned();
    let reads = Count::default();
    let counted = reads.clone();
    turned.spawn(async move {
        let mut stream = connect_tcp("127.0.0.1", port).await.unwrap();
        // Small, so that each is full whatever the system has gathered.
        while take(&mut stream, &mut [0; 64]).await.is_ok_and(|count| count > 0) {
            count_one(&counted);
        }
    });
    let mut watched = Watched::default();
    watched.until(&turned, "much has come", || read(&reads) > 100);
    for _ in 0..100 {
        let before = read(&reads);
        watched.round(&turned);
        assert!(read(&reads) - before <= 16, "{} reads in one turn", read(&reads) - before);
    }
}

/// The loop tells again and again of what is there. While nobody reads it, it is not to look for more.
#[test]
fn what_nobody_reads_is_not_looked_for() {
    let port = server(|mut stream| {
        stream.write_all(b"unread").unwrap();
        let _ = stream.read(&mut [0; 8]);
    });
    let (turned, _) = turned();
    let connected = Count::default();
    let counted = connected.clone();
    turned.spawn(async move {
        let _stream = connect_tcp("127.0.0.1", port).await.unwrap();
        count_one(&counted);
        runtime::sleep(PATIENCE * 2).await;
    });
    let mut watched = Watched::default();
    let interests = |watched: &Watched| watched.0.values().map(|(_, interest)| *interest).collect::<Vec<_>>();
    let end = Instant::now() + PATIENCE;
    while read(&connected) == 0 {
        assert!(Instant::now() < end, "it is not connected");
        watched.round_that_sees(&turned, |interest| Interest { readable: false, ..interest });
        thread::sleep(Duration::from_micros(200));
    }
    for expected in [true, false, false] {
        watched.round(&turned);
        // Told once, it is read in the same turn as a rule: then there is nothing to change.
        assert_eq!(interests(&watched), [Interest { readable: expected, writable: false }]);
    }
}
