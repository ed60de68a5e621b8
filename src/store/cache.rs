//! A cache that servers share and that can do no more than get, set, and count up and down by one: a sliding counter of two
//! windows, counted by atomic increments.
//!
//! A call counts itself first and is told the count, so no two calls are told the same. It is admitted where that count, with
//! the share of the window before, is within the limit; otherwise it takes itself back. A count is never less than what was
//! admitted before it, whatever runs beside it, so the limit is never passed. While refused calls are about to take themselves
//! back, others may be refused that need not have been.
//!
//! An entry lives for three windows, and nothing is taken back once its window is over: an entry that is gone by then would
//! begin anew at -1, and might stay for ever. What is not taken back makes the next window's start a little stricter.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use sha2::{Digest, Sha256};

use super::client::{Job, Reply, Work, words};
use super::{Answering, Gate, Link, Reach, Request, Store, Verb, When};
use crate::algorithm::{Algorithm, Ask, Outcome, Policy, SlidingCounter};
use crate::clock::Clock;
use crate::decision::Source;
use crate::error::Error;
use crate::key;
use crate::limits::Limit;
use crate::runtime::timeout;

/// Longer names are replaced by a digest: caches take 250 bytes, of which the window's number and a client's prefix are some.
const LONGEST_NAME: usize = 200;

/// From here on a count is nonsense: more than the largest limit, and what products stay exact with.
const LARGEST_COUNT: i64 = 1 << 40;

/// A cache behind somebody else's client.
pub struct Cache<W> {
    work: Arc<W>,
    clock: Arc<dyn Clock>,
    /// What is asked for to see whether the cache answers.
    probe: String,
}

impl<W: Work> Cache<W> {
    /// A store over a client that does `work`; windows begin by `clock`. Names begin with `prefix`.
    pub fn new(work: W, prefix: &str, clock: Arc<dyn Clock>) -> Self {
        Self { work: Arc::new(work), clock, probe: name_of(&format!("{prefix}:probe").into_bytes()) }
    }

    /// Another hand on the same client.
    fn share(&self) -> Self {
        Self { work: self.work.clone(), clock: self.clock.clone(), probe: self.probe.clone() }
    }

    fn answer(&self, request: &Request) -> impl Future<Output = Result<Outcome, Error>> + Send + use<W> {
        let (work, clock) = (self.work.clone(), self.clock.clone());
        let question = Question::read(request);
        async move { question?.ask(&*work, &*clock).await }
    }
}

impl<W: Work> Reach for Cache<W> {
    type Link = Self;

    const SOURCE: Source = Source::Client;

    async fn open(&self, patience: Duration) -> Result<Self, Error> {
        let probing = self.work.perform(Job::Get(self.probe.clone()));
        let late = |_| Err("the client does not answer".to_owned());
        read_count(timeout(patience, probing).await.unwrap_or_else(late))?;
        Ok(self.share())
    }

    fn gate(&self) -> Gate {
        Box::new(|request| Question::read(request).map(drop))
    }
}

impl<W: Work> Link for Cache<W> {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    /// Never: how a cache is doing shows in what it answers.
    async fn closed(&mut self) {
        std::future::pending::<()>().await;
    }
}

impl<W: Work> Store for Cache<W> {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let all: Vec<_> = batch.map(|request| self.answer(request)).collect();
        Box::pin(async move { Ok(join_all(all).await) })
    }
}

/// Refuses a limit that cannot be counted by increments.
pub fn accepts(limit: &Limit) -> Result<&SlidingCounter, Error> {
    match &limit.policy {
        Policy::SlidingCounter(counter) if counter.window().0 % 1_000 == 0 => Ok(counter),
        Policy::SlidingCounter(_) => Err(Error::Unsupported(
            "a cache counts time in whole milliseconds: with `cacheClient`, give a `window` of 1 ms or more without a fraction"
                .into(),
        )),
        Policy::SlidingCounterBurst(_) => Err(beyond("`burst`")),
        other => Err(beyond(&format!("`algorithm: '{}'`", other.name()))),
    }
}

/// What a cache cannot do.
pub fn beyond(what: &str) -> Error {
    Error::Unsupported(format!(
        "{what} cannot be had with `cacheClient`, whose operations are not atomic together: leave it out, or use `redisUrl` or `redisClient`"
    ))
}

/// A request that can be answered.
struct Question {
    counter: SlidingCounter,
    /// What the key's entries begin with.
    name: String,
    ask: Ask,
}

impl Question {
    fn read(request: &Request) -> Result<Self, Error> {
        let mut parts = request.parts();
        let (Some((limit, key)), None) = (parts.next(), parts.next()) else {
            return Err(beyond("a call under several limits"));
        };
        let ask = match request.verb {
            Verb::Decide(ask @ (Ask { cost: 0, .. } | Ask { cost: 1, least: 1 })) => ask,
            Verb::Reserve { cost: 1, .. } => Ask::all(1),
            // Its settings refuse leases.
            Verb::Lease(_) | Verb::GiveBack { .. } => return Err(beyond("`lease`")),
            Verb::Hold { .. } | Verb::Settle { .. } | Verb::Renew { .. } => return Err(beyond("`reserve`")),
            Verb::Decide(_) | Verb::Reserve { .. } => return Err(beyond("a `cost` or an `upTo` above 1")),
            Verb::Refund(_) => return Err(beyond("`refund`")),
            Verb::Penalize(_) => return Err(beyond("`penalty`")),
            Verb::Block(_) => return Err(beyond("`block`")),
            Verb::Unblock => return Err(beyond("`unblock`")),
            // What calls under way took back from zero would be given to others on top of the limit.
            Verb::Reset => return Err(beyond("`reset`")),
        };
        if request.when != When::Now {
            return Err(beyond("`timestamp`"));
        }
        let counter = *accepts(limit)?;
        let mut name = Vec::new();
        limit.append_name(&mut name, key.as_bytes());
        Ok(Self { counter, name: name_of(&name), ask })
    }

    async fn ask<W: Work>(self, work: &W, clock: &dyn Clock) -> Result<Outcome, Error> {
        let Self { counter, name, ask } = self;
        let now = clock.now();
        let window = counter.index(now);
        let entry = format!("{name}:{window}");
        let takes = ask.cost > 0;
        let counting = if takes {
            let expiry_ms = 3 * (counter.window().0 / 1_000);
            work.perform(Job::Increment(entry.clone(), expiry_ms))
        } else {
            work.perform(Job::Get(entry.clone()))
        };
        let before = work.perform(Job::Get(format!("{name}:{}", window.saturating_sub(1))));
        let (count, before) = join(counting, before).await;
        let (count, before) = (read_count(count)?, read_count(before)?);
        let others = if takes { count.checked_sub(1).ok_or_else(nonsense)? } else { count };
        let outcome = counter.step(&mut counter.counters(now, before, others), now, ask);
        if takes && !outcome.allowed && counter.index(clock.now()) == window {
            // Nobody waits for it: where it fails, the entry is stricter until its window ends.
            drop(work.perform(Job::Decrement(entry)));
        }
        Ok(outcome)
    }
}

/// Bytes as a cache's key may have them: what is not visible ASCII is written as `%` and two digits, which no escaped key has.
fn name_of(bytes: &[u8]) -> String {
    let mut name = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%{byte:02X}"));
        }
    }
    if name.len() <= LONGEST_NAME {
        return name;
    }
    key::digest_name(&Sha256::digest(&name))
}

/// A count as the client gave it: a number, or its digits. There may be none yet.
fn read_count(reply: Result<Reply, String>) -> Result<u64, Error> {
    let count = match reply.map_err(|reason| Error::StoreUnavailable(words(&reason)))? {
        Reply::Nothing => Some(0),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "the guard leaves whole numbers"
        )]
        Reply::Number(number) if number.fract() == 0.0 && number.abs() < LARGEST_COUNT as f64 => Some(number as i64),
        Reply::Text(digits) => digits.trim().parse().ok(),
        Reply::Bytes(digits) => std::str::from_utf8(&digits).ok().and_then(|digits| digits.trim().parse().ok()),
        _ => None,
    };
    let count = count.filter(|count| *count < LARGEST_COUNT).ok_or_else(nonsense)?;
    // Less than nothing is what a late decrement of somebody else's has left.
    Ok(u64::try_from(count).unwrap_or(0))
}

fn nonsense() -> Error {
    Error::StoreUnavailable("the cache client did not answer with a count".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Micros;

    #[test]
    fn counts_are_numbers_or_their_digits() {
        for (reply, count) in [
            (Reply::Nothing, 0),
            (Reply::Number(7.0), 7),
            (Reply::Text("12 ".into()), 12),
            (Reply::Bytes(b"3".to_vec()), 3),
            (Reply::Number(-1.0), 0),
        ] {
            assert_eq!(read_count(Ok(reply)), Ok(count));
        }
        for reply in [
            Reply::Number(1.5),
            Reply::Number(f64::NAN),
            Reply::Number(1e300),
            Reply::Text("seven".into()),
            Reply::Text(String::new()),
            Reply::Bytes(vec![0xFF]),
            Reply::List(vec![Reply::Number(1.0)]),
            Reply::Other,
        ] {
            assert_eq!(read_count(Ok(reply.clone())), Err(nonsense()), "{reply:?}");
        }
    }

    #[test]
    fn names_are_visible_ascii_and_bounded() {
        assert_eq!(name_of(b"rl:default:a b\n"), "rl:default:a%20b%0A");
        assert_eq!(name_of("ü".as_bytes()), "%C3%BC");
        let long = name_of(&[b'x'; 201]);
        assert!(long.starts_with("%sha256:") && long.len() == 72, "{long}");
        assert_ne!(long, name_of(&[b'x'; 202]));
    }

    #[test]
    fn micros_are_whole_milliseconds_or_refused() {
        for (window, fits) in [(1_000, true), (1_001, false), (999, false), (60_000_000, true)] {
            let policy = Policy::SlidingCounter(SlidingCounter::new(1, Micros(window)));
            assert_eq!(accepts(&Limit::in_namespace("rl:", policy)).is_ok(), fits, "{window} µs");
        }
    }
}
