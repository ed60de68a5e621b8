//! A master that changes: where it is, and when it is no longer there.
//!
//! The sentinels are asked before each connection, and twice a second from then on. A subscription would tell the same a
//! little earlier, but what was published while its own connection was lost would never be heard of.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Value;

use super::address::Address;
use super::connection::{Connect, Connection, Dialer};
use super::unavailable;
use crate::error::Error;
use crate::runtime::{Task, sleep_until, timeout};

/// How often the sentinels are asked, and how long one has to answer.
const PERIOD: Duration = Duration::from_millis(500);

/// A connection to the master, and a task that ends when the sentinels name another.
pub(super) async fn open_master<C: Connect>(
    dialer: &Arc<Dialer<C>>,
    name: &str,
    sentinels: &[Address],
    master: &Address,
    patience: Duration,
) -> Result<(Connection, Task), Error> {
    let (mut sentinel, place) = ask_all(dialer, name, sentinels).await?;
    let address = master.elsewhere(&place.0, place.1);
    let mut connection = dialer.open(&address, patience).await?;
    // Sentinels name a server for a while before it has become the master.
    let role = connection.send(&redis::cmd("ROLE")).await.map_err(|error| unavailable(&error))?;
    if !is_master(&role) {
        return Err(Error::StoreUnavailable(format!("{address}: the sentinels name it, and it is no master yet")));
    }
    let (dialer, name, sentinels) = (dialer.clone(), name.to_owned(), sentinels.to_vec());
    let watch = Task::begin(async move {
        loop {
            let next = Instant::now() + PERIOD;
            // Where no sentinel answers, the master that is known is as good as any.
            let now = match ask(&mut sentinel, &name).await {
                Ok(now) => Ok(now),
                Err(_) => ask_all(&dialer, &name, &sentinels).await.map(|(other, now)| {
                    sentinel = other;
                    now
                }),
            };
            if now.is_ok_and(|now| now != place) {
                break;
            }
            sleep_until(next).await;
        }
    });
    Ok((connection, watch))
}

/// The first of the sentinels that knows the master, and where that is.
async fn ask_all<C: Connect>(
    dialer: &Dialer<C>,
    name: &str,
    sentinels: &[Address],
) -> Result<(Connection, (String, u16)), Error> {
    let mut last = Error::StoreUnavailable("there are no sentinels".into());
    for address in sentinels {
        let asked = async {
            let mut sentinel = dialer.call(address).await?;
            let place = ask(&mut sentinel, name).await?;
            Ok((sentinel, place))
        };
        match timeout(PERIOD, asked).await {
            Ok(Ok(found)) => return Ok(found),
            Ok(Err(error)) => last = error,
            Err(_) => last = Error::StoreUnavailable(format!("{address}: it does not answer")),
        }
    }
    Err(last)
}

/// Where a sentinel says that the master is.
async fn ask(sentinel: &mut Connection, name: &str) -> Result<(String, u16), Error> {
    let mut command = redis::cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
    let asked = timeout(PERIOD, sentinel.send(&command)).await;
    let late = || Error::StoreUnavailable("the sentinel does not answer".into());
    let reply = asked.map_err(|_| late())?.map_err(|error| unavailable(&error))?;
    match redis::from_redis_value::<Option<(String, u16)>>(reply) {
        Ok(Some(place)) => Ok(place),
        Ok(None) => Err(Error::StoreUnavailable(format!("the sentinels know no master that is called '{name}'"))),
        Err(_) => Err(Error::StoreUnavailable("the sentinel's reply has an unknown form".into())),
    }
}

fn is_master(role: &Value) -> bool {
    matches!(role, Value::Array(parts) if matches!(parts.first(), Some(Value::BulkString(word)) if word == b"master"))
}
