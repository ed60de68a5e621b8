//! Looks up a host's addresses, which may block for long, on threads of their own: one a name, however many ask for it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use tokio::sync::oneshot::{Sender, channel};

/// What is found, or why nothing is.
type Found = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// Who waits for which host. Of the whole process, since a name server that hangs is everybody's.
static UNDER_WAY: LazyLock<Mutex<HashMap<String, Vec<Sender<Found>>>>> = LazyLock::new(Mutex::default);

fn under_way() -> MutexGuard<'static, HashMap<String, Vec<Sender<Found>>>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The addresses of a host, which may be one itself.
pub(super) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (tell, found) = channel();
    let is_first = {
        let mut under_way = under_way();
        let waiting = under_way.entry(host.to_owned()).or_default();
        waiting.push(tell);
        waiting.len() == 1
    };
    if is_first {
        let name = host.to_owned();
        let begun = Builder::new().name("rate-limiter-dns".into()).spawn(move || tell_all(&name));
        if let Err(error) = begun {
            under_way().remove(host);
            return Err(error);
        }
    }
    let ended = |_| Err((io::ErrorKind::Other, "the name could not be looked up".to_owned()));
    let found = found.await.unwrap_or_else(ended).map_err(|(kind, reason)| io::Error::new(kind, reason))?;
    Ok(found.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect())
}

fn tell_all(host: &str) {
    let found = (host, 0).to_socket_addrs();
    let found = found.map(Iterator::collect).map_err(|error| (error.kind(), error.to_string()));
    for waiting in under_way().remove(host).unwrap_or_default() {
        // Whoever has given up is gone.
        let _ = waiting.send(Found::clone(&found));
    }
}
