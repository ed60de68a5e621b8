//! Where a Redis is and how one logs in. Never shows a password.

use std::fmt;
use std::path::{Path, PathBuf};

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo};

use crate::error::Error;
use crate::input::Given;

/// A server, as a URL names it.
#[derive(Clone)]
pub struct Address {
    endpoint: Endpoint,
    login: RedisConnectionInfo,
    is_secure: bool,
}

/// What a stream is opened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A port of a host, which is a name or an address.
    Tcp {
        /// The host, an IPv6 address without its brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// A socket in the file system.
    Unix(PathBuf),
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/database]`; `rediss://` for TLS, `unix:///path[?db=database]` for a socket.
    pub fn parse(option: &str, given: &Given) -> Result<Self, Error> {
        let refuse = |what: &str| {
            Error::Url(format!("`{option}` must be a URL like 'redis://user:password@host:6379/0', but {what}"))
        };
        let Given::Text(url) = given else {
            return Err(refuse(&format!("{given} was given")));
        };
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(refuse("the given string has no scheme"));
        };
        // TLS is this library's affair, so the parser need not know of it.
        let (scheme, is_secure) = match scheme {
            "redis" | "valkey" => ("redis", false),
            "rediss" | "valkeys" => ("redis", true),
            "unix" | "redis+unix" | "valkey+unix" => ("redis+unix", false),
            other if other.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') => {
                return Err(refuse(&format!("the scheme '{other}' was given")));
            }
            _ => return Err(refuse("the given string has no scheme")),
        };
        // The parser's own message may quote the URL, and with it the password.
        let info: ConnectionInfo = format!("{scheme}://{rest}")
            .into_connection_info()
            .map_err(|_| refuse("the rest of the given URL cannot be read"))?;
        let endpoint = match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                Endpoint::Tcp { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port: *port }
            }
            ConnectionAddr::Unix(path) => Endpoint::Unix(path.clone()),
            _ => return Err(refuse("the given URL names no host")),
        };
        if endpoint.is_nowhere() {
            return Err(refuse("the given URL names no host"));
        }
        if info.redis_settings().db() < 0 {
            return Err(refuse("the given URL names a database below 0"));
        }
        Ok(Self { endpoint, login: info.redis_settings().clone(), is_secure })
    }

    /// Another server, where one logs in in the same way.
    pub fn elsewhere(&self, host: &str, port: u16) -> Self {
        Self { endpoint: Endpoint::Tcp { host: host.to_owned(), port }, ..self.clone() }
    }

    /// What a stream is opened to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// User, password and database, for the connection's first words.
    pub fn login(&self) -> &RedisConnectionInfo {
        &self.login
    }

    /// The same server, where one logs in as somebody else.
    pub fn logging_in(self, login: RedisConnectionInfo) -> Self {
        Self { login, ..self }
    }

    /// The same server, spoken to in this protocol.
    pub fn speaking(self, protocol: ProtocolVersion) -> Self {
        Self { login: self.login.set_protocol(protocol), ..self }
    }

    /// Whether TLS is spoken.
    pub fn is_secure(&self) -> bool {
        self.is_secure
    }
}

impl Endpoint {
    /// The host, where it has one.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }

    fn is_nowhere(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => host.is_empty(),
            Self::Unix(path) => path == Path::new(""),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
