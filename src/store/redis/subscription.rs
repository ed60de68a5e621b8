//! What others say of keys that they have freed.
//!
//! The script publishes such a key's name on a channel of the same name, so who may use keys that begin with a prefix needs a
//! right to channels that begin so, and to no other. Any server of a cluster passes it on to all others.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, Either};
use futures_util::stream::{self, Stream, StreamExt};
use redis::{AsyncConnectionConfig, ProtocolVersion, PushInfo, PushKind, Value};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::address::Address;
use super::connection::{Connect, Connection, Dialer};
use super::unavailable;
use crate::error::Error;
use crate::runtime::timeout;
use crate::store::Heard;

/// How often the connection is asked whether it is still there: while nobody frees a key nothing comes of itself. And how long it
/// has to answer, here and at the beginning.
const PERIOD: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(1);

/// What the script says of a key of which no lease is worth anything; of any other, nothing.
const VOID: &[u8] = b"-";

/// What may wait to be taken in. What comes beyond it is lost, and so is a name that none of ours can have.
const MOST_WAITING: usize = 65_536;
const LONGEST_NAME: usize = 16_384;

/// Hears on a connection of its own, until that is lost, of the keys whose names begin with `prefix`.
pub(super) fn listen<C: Connect>(
    dialer: Arc<Dialer<C>>,
    address: Address,
    prefix: &str,
) -> impl Stream<Item = Heard> + Send + use<C> {
    let pattern = pattern(prefix);
    let begun = async move {
        let subscribed = timeout(PATIENCE, Subscription::open(&dialer, &address, &pattern)).await;
        subscribed.ok().and_then(Result::ok)
    };
    stream::once(begun).flat_map(|begun| match begun {
        Some(subscription) => {
            let freed = stream::unfold(subscription, async |mut subscription| {
                subscription.next().await.map(|heard| (heard, subscription))
            });
            Either::Left(stream::once(future::ready(Heard::Begins)).chain(freed))
        }
        None => Either::Right(stream::empty()),
    })
}

struct Subscription {
    connection: Connection,
    news: Receiver<Heard>,
}

impl Subscription {
    async fn open<C: Connect>(dialer: &Dialer<C>, address: &Address, pattern: &[u8]) -> Result<Self, Error> {
        let (tell, news) = channel(MOST_WAITING);
        let config = AsyncConnectionConfig::new().set_push_sender(move |push| hand_over(&tell, push));
        // In the older protocol such a connection could do nothing else, not even be given a name.
        let address = address.clone().speaking(ProtocolVersion::RESP3);
        let connection = dialer.call_by(&address, config).await?;
        connection.handle().psubscribe(pattern).await.map_err(|error| unavailable(&error))?;
        Ok(Self { connection, news })
    }

    /// What is heard next; none when the connection has ended, or answers nothing.
    async fn next(&mut self) -> Option<Heard> {
        loop {
            match timeout(PERIOD, self.news.recv()).await {
                Ok(heard) => return heard,
                // Whatever it says to that: who is not permitted to ask is answered, too.
                Err(_) => drop(timeout(PATIENCE, self.connection.send(&redis::cmd("TIME"))).await.ok()?),
            }
        }
    }
}

/// Takes the name and the news out of a message. An error where it is lost.
fn hand_over(tell: &Sender<Heard>, push: PushInfo) -> Result<(), ()> {
    let PushInfo { kind: PushKind::PMessage, data } = push else { return Ok(()) };
    let mut data = data.into_iter().skip(1);
    match (data.next(), data.next()) {
        (Some(Value::BulkString(name)), Some(Value::BulkString(news))) if name.len() <= LONGEST_NAME => {
            tell.try_send(Heard::Changed { name, voids_leases: news == VOID }).map_err(|_| ())
        }
        _ => Ok(()),
    }
}

/// What matches everything that begins with `prefix`, and nothing else.
fn pattern(prefix: &str) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for byte in prefix.bytes() {
        if matches!(byte, b'*' | b'?' | b'[' | b']' | b'\\') {
            pattern.push(b'\\');
        }
        pattern.push(byte);
    }
    pattern.push(b'*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_matched_as_it_is() {
        assert_eq!(pattern("rl:"), b"rl:*");
        assert_eq!(pattern(r"a*b?[c]\d:"), br"a\*b\?\[c\]\\d:*");
    }
}
