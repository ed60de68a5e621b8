//! The options that say where the states are: `redisUrl`, `cluster`, `sentinel`, `tls` and `clientName`.

use redis::RedisConnectionInfo;

use crate::error::Error;
use crate::input::{self, Given, field};
use crate::store::redis::{Address, Certificates, Servers, Tls, Topology};

/// Those options' names.
pub(super) const NAMES: [&str; 5] = ["redisUrl", "cluster", "sentinel", "tls", "clientName"];

/// Seeds and sentinels that are worth naming.
const MOST: usize = 100;

/// The servers that the options name; none where they name no servers.
pub(super) fn read(options: &[(String, Given)]) -> Result<Option<Servers>, Error> {
    let topology = match (field(options, "redisUrl"), field(options, "sentinel")) {
        (Given::Missing, Given::Missing) => None,
        (url, Given::Missing) => Some(by_url(url, field(options, "cluster"))?),
        (_, sentinel) => Some(by_sentinel(sentinel)?),
    };
    let Some(topology) = topology else {
        return match NAMES.iter().find(|name| *field(options, name) != Given::Missing) {
            None => Ok(None),
            Some(name) => Err(input::contradiction(format!(
                "`{name}` is for a limiter with `redisUrl` or `sentinel`: leave it out"
            ))),
        };
    };
    if *field(options, "sentinel") != Given::Missing && *field(options, "cluster") != Given::Missing {
        return Err(input::contradiction("`cluster` and `sentinel` were both given: leave one of them out".into()));
    }
    let tls = read_tls(field(options, "tls"), &topology)?;
    let client_name = input::or_default(field(options, "clientName"), None, |given| {
        let expected = "a string of 1 to 64 visible ASCII characters without spaces";
        let name = input::text("clientName", given, 64, expected, |character| character.is_ascii_graphic())?;
        Ok(Some(name.to_owned()))
    })?;
    Ok(Some(Servers { topology, tls, client_name }))
}

fn by_url(url: &Given, cluster: &Given) -> Result<Topology, Error> {
    let is_cluster = input::or_default(cluster, matches!(url, Given::List(_)), |given| input::flag("cluster", given))?;
    let addresses = match url {
        Given::List(_) => addresses("redisUrl", url)?,
        one => vec![Address::parse("redisUrl", one)?],
    };
    if !is_cluster {
        return match <[Address; 1]>::try_from(addresses) {
            Ok([address]) => Ok(Topology::One(address)),
            Err(_) => Err(input::contradiction(
                "`redisUrl` names several servers, which are a cluster: leave `cluster: false` out, or give one URL"
                    .into(),
            )),
        };
    }
    if addresses.iter().any(|address| address.endpoint().host().is_none()) {
        return Err(Error::Url(
            "`redisUrl` must name hosts where they are a cluster, but a unix socket was given".into(),
        ));
    }
    if addresses.iter().any(|address| address.login().db() != 0) {
        return Err(Error::Url(
            "`redisUrl` must name no database where it is a cluster, which has only database 0".into(),
        ));
    }
    Ok(Topology::Cluster(addresses))
}

fn by_sentinel(given: &Given) -> Result<Topology, Error> {
    let expected = "an object such as { name: 'mymaster', urls: ['redis://sentinel1:26379'] }";
    let sentinel = input::record("sentinel", given, expected)?;
    input::only_known("sentinel", sentinel, &["name", "urls", "username", "password", "database"])?;
    let expected = "the name by which the sentinels know the master";
    let name = input::text("sentinel.name", field(sentinel, "name"), 256, expected, |_| true)?.to_owned();
    let sentinels = addresses("sentinel.urls", field(sentinel, "urls"))?;
    if sentinels.iter().any(|address| address.login().db() != 0) {
        return Err(Error::Url(
            "`sentinel.urls` must name no database, which sentinels have none of: `sentinel.database` is that of Redis"
                .into(),
        ));
    }
    let mut login = RedisConnectionInfo::default();
    if let Some(user) = discreet("sentinel", sentinel, "username")? {
        login = login.set_username(user);
    }
    if let Some(password) = discreet("sentinel", sentinel, "password")? {
        login = login.set_password(password);
    }
    let database = input::or_default(field(sentinel, "database"), 0, |given| {
        input::whole("sentinel.database", given, 0..=1_000_000).map_err(Error::Option)
    })?;
    login = login.set_db(i64::try_from(database).unwrap_or(0));
    let master = sentinels[0].clone().logging_in(login);
    Ok(Topology::Sentinel { name, sentinels, master })
}

fn addresses(option: &str, given: &Given) -> Result<Vec<Address>, Error> {
    match given {
        Given::List(urls) if (1..=MOST).contains(&urls.len()) => {
            urls.iter().enumerate().map(|(index, url)| Address::parse(&format!("{option}[{index}]"), url)).collect()
        }
        _ => Err(input::contradiction(format!("`{option}` must be an array of 1 to {MOST} URLs"))),
    }
}

/// A text that may be left out, and that no error quotes: it may be a secret.
fn discreet(place: &str, record: &[(String, Given)], option: &str) -> Result<Option<String>, Error> {
    match field(record, option) {
        Given::Missing => Ok(None),
        Given::Text(text) if !text.is_empty() => Ok(Some(text.clone())),
        _ => Err(input::contradiction(format!("`{place}.{option}` must be a non-empty string"))),
    }
}

/// Those that speak TLS have it, and where nobody does its options are for nothing.
fn read_tls(given: &Given, topology: &Topology) -> Result<Option<Tls>, Error> {
    let is_secure = match topology {
        Topology::One(address) => address.is_secure(),
        Topology::Cluster(addresses) | Topology::Sentinel { sentinels: addresses, .. } => {
            addresses.iter().any(Address::is_secure)
        }
    };
    if *given == Given::Missing {
        return if is_secure { Tls::new(&Certificates::default()).map(Some) } else { Ok(None) };
    }
    let options = input::record("tls", given, "an object such as { ca: '-----BEGIN CERTIFICATE…' }")?;
    input::only_known("tls", options, &["ca", "cert", "key", "serverName"])?;
    if !is_secure {
        return Err(input::contradiction(
            "`tls` was given, but no URL begins with 'rediss://': with 'redis://' nothing is encrypted".into(),
        ));
    }
    let text = |option| discreet("tls", options, option);
    let certificates =
        Certificates { ca: text("ca")?, cert: text("cert")?, key: text("key")?, server_name: text("serverName")? };
    Tls::new(&certificates).map(Some)
}
