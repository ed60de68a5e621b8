//! Where a Redis is and how one logs in. Never shows a password.

use std::fmt;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};

use crate::error::Error;
use crate::input::Given;

/// The server of a `redis://` URL.
#[derive(Clone)]
pub struct Address {
    host: String,
    port: u16,
    login: RedisConnectionInfo,
}

impl Address {
    /// Reads `redis://[user:password@]host[:port][/database]`.
    pub fn parse(given: &Given) -> Result<Self, Error> {
        let Given::Text(url) = given else {
            return Err(refuse(&format!("{given} was given")));
        };
        match url.split_once("://") {
            Some(("redis" | "valkey", _)) => {}
            Some((scheme @ ("rediss" | "valkeys"), _)) => {
                return Err(refuse(&format!("the scheme '{scheme}' was given, and this version does not speak TLS")));
            }
            Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') => {
                return Err(refuse(&format!("the scheme '{scheme}' was given")));
            }
            _ => return Err(refuse("the given string has no scheme")),
        }
        // The parser's own message may quote the URL, and with it the password.
        let info: ConnectionInfo =
            url.as_str().into_connection_info().map_err(|_| refuse("the rest of the given URL cannot be read"))?;
        let ConnectionAddr::Tcp(host, port) = info.addr() else {
            return Err(refuse("the given URL names no host"));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(refuse("the given URL names no host"));
        }
        if info.redis_settings().db() < 0 {
            return Err(refuse("the given URL names a database below 0"));
        }
        Ok(Self { host: host.to_owned(), port: *port, login: info.redis_settings().clone() })
    }

    /// The host's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// User, password and database, for the connection's first words.
    pub fn login(&self) -> &RedisConnectionInfo {
        &self.login
    }
}

fn refuse(given: &str) -> Error {
    Error::Url(format!("`redisUrl` must be a URL like 'redis://user:password@host:6379/0', but {given}"))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
