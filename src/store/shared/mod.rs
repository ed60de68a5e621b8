//! The store that the processes of one machine share: a file of fixed size in their memory, without a server.
//!
//! A shard of it is locked, a step is taken, and the new state is committed by one word (`shard.rs`). Whoever is killed at any
//! instant leaves the old state or the new one, and the next one to lock the shard is told and makes it whole (`lock.rs`,
//! `repair.rs`). Keys stand in the file as 128 bits of a keyed hash. Times are those of one clock (`time.rs`).
//!
//! **At the bound** a key that still counts is never forgotten in favour of a new one. Entries that have expired make room; where
//! there are none in the two buckets in which a key may be, a newcomer is refused until the first of them expires. That
//! happens when about nine of ten entries are in use. A block and a penalty say so by an error: an application asks for them by
//! name. Cells for long states may run out as well: then states are made coarser, and hence stricter, and nobody is refused for it.

mod cells;
mod file;
mod geometry;
mod header;
mod lock;
mod mapping;
#[cfg(test)]
mod mortality;
#[cfg(test)]
mod probe;
mod repair;
mod shard;
mod time;
mod together;
mod verbs;

pub(crate) use file::Site;

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::{SmallVec, smallvec};

use self::cells::CELLS;
use self::geometry::{CELL, ENTRY, Geometry, HEAD, HEADER, Id, WORD};
use self::lock::{Held, Trouble};
use self::mapping::Mapping;
use self::shard::{Entry, KEYS, Room};
use self::time::BootClock;
use super::{Request, Verb, When};
use crate::algorithm::{Ask, Outcome, Policy, State};
use crate::clock::{Clock, Micros};
use crate::error::Error;
use crate::limits::Limit;

/// The smallest file.
pub(super) const LEAST_BYTES: usize = 64 << 10;

/// The size of a file where nobody says any: half of what a container has of shared memory by default, since all of it is taken
/// at once.
const DEFAULT_BYTES: usize = 32 << 20;

/// States of many keys, in all processes that have the file.
pub struct Shared {
    mapping: Mapping,
    geometry: Geometry,
    hasher: SipHasher13,
    clock: Arc<dyn Clock>,
    patience: Duration,
    /// Shards whose owner was waited for in vain. Nobody waits for it again until it goes on.
    is_stuck: Box<[AtomicBool]>,
}

impl Shared {
    /// The store of that name on this machine, of so many bytes where anybody says how many. A call waits for another process for so
    /// long at most.
    pub fn open(name: &str, bytes: Option<usize>, patience: Micros) -> Result<Self, Error> {
        Self::open_at(&Site::here()?, name, bytes, patience, None)
    }

    /// The same somewhere, on a clock of the caller's where one is given.
    pub(crate) fn open_at(
        site: &Site,
        name: &str,
        bytes: Option<usize>,
        patience: Micros,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Self, Error> {
        let (mapping, header) = file::open(site, name, bytes, DEFAULT_BYTES, BootClock::offset_now())?;
        Ok(Self {
            mapping,
            geometry: header.geometry,
            hasher: SipHasher13::new_with_key(&header.secret),
            clock: clock.unwrap_or_else(|| Arc::new(BootClock { offset: header.offset })),
            patience: patience.as_duration(),
            is_stuck: (0..header.geometry.shards).map(|_| AtomicBool::new(false)).collect(),
        })
    }

    /// Keys that are in the file, expired ones among them until their room is wanted.
    pub fn len(&self) -> usize {
        self.sum(KEYS)
    }

    /// Bytes that are in use in the file: what cannot be a key's or a state's, the keys, and the cells of long states.
    pub fn bytes(&self) -> usize {
        let fixed = HEADER + self.geometry.shards * HEAD;
        let bytes = self.len().saturating_mul(ENTRY + WORD) + self.sum(CELLS).saturating_mul(CELL);
        self.geometry.bytes.min(fixed + bytes)
    }

    /// Of a figure that each shard has. Without the locks: nobody is to wait for it.
    fn sum(&self, at: usize) -> usize {
        let each = (0..self.geometry.shards).map(|shard| self.mapping.word(self.geometry.shard(shard) + at));
        usize::try_from(each.sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Decides one key's call now; an `ask` without cost changes nothing. What most calls come down to.
    ///
    /// Never inlined: whoever decides in its own memory would set up the stack frame for both.
    #[inline(never)]
    pub fn decide(&self, limit: &Limit, key: &[u8], ask: Ask) -> Result<Outcome, Error> {
        let id = self.id(limit, key);
        let policy = &limit.policy;
        let mut held = self.lock(id.shard(&self.geometry))?;
        // Read under the lock, so that time never runs backwards for a key.
        let now = self.clock.now();
        let Some(entry) = held.find(id) else { return Self::decide_newcomer(&mut held, policy, id, now, ask) };
        let mut state = read(&held, policy, entry)?;
        let jumped = now < policy.seen(&state);
        let outcome = policy.step(&mut state, now, ask);
        // A refusal is kept only where the clock jumped back.
        if outcome.granted > 0 || (jumped && ask.cost > 0) {
            write(&mut held, id, entry, state, outcome.reset_at, now)?;
        }
        Ok(outcome)
    }

    /// The same for a key that is not there.
    fn decide_newcomer(held: &mut Held<'_>, policy: &Policy, id: Id, now: Micros, ask: Ask) -> Result<Outcome, Error> {
        let mut state = policy.fresh();
        match held.room(id, now, &[]) {
            Room::NotUntil(moment) => Ok(no_room(policy.step(&mut state, now, Ask { cost: 0, ..ask }), now, moment)),
            Room::Here(entry) => {
                let outcome = policy.step(&mut state, now, ask);
                if outcome.granted > 0 {
                    write(held, id, entry, state, outcome.reset_at, now)?;
                }
                Ok(outcome)
            }
        }
    }

    /// Does what `request` asks, and answers for each of its keys.
    pub fn answer(&self, request: &Request) -> Result<SmallVec<[Outcome; 1]>, Error> {
        if matches!(request.verb, Verb::Hold { .. } | Verb::Settle { .. } | Verb::Renew { .. }) {
            return Err(Error::Unsupported(
                "`reserve` cannot be had with `shared`, whose keys have no room for holds: leave `shared` out, or use `redisUrl`"
                    .into(),
            ));
        }
        match (request.verb, request.when, request.limits.only(), request.keys.first()) {
            (Verb::Decide(ask), When::Now, Some(limit), Some(key)) => {
                Ok(smallvec![self.decide(limit, key.as_bytes(), ask)?])
            }
            (Verb::Decide(ask), ..) if request.limits.only().is_none() => self.decide_together(request, ask),
            (verb, when, ..) => {
                let parts = request.parts();
                parts.map(|(limit, key)| self.act(limit, key.as_bytes(), verb, when)).collect()
            }
        }
    }

    fn lock(&self, shard: usize) -> Result<Held<'_>, Error> {
        let is_stuck = &self.is_stuck[shard];
        let patience = if is_stuck.load(Relaxed) { Duration::ZERO } else { self.patience };
        match Held::of(&self.mapping, &self.geometry, shard, patience) {
            Ok(held) => {
                is_stuck.store(false, Relaxed);
                Ok(held)
            }
            Err(Trouble::Busy) => {
                is_stuck.store(true, Relaxed);
                Err(Error::SharedTimeout {
                    after: Micros(u64::try_from(self.patience.as_micros()).unwrap_or(u64::MAX)),
                })
            }
            Err(Trouble::Lost) => Err(Error::SharedFormat("a lock in it is damaged".into())),
        }
    }

    /// What a key is called, by the limit's place and its algorithm: states of different kinds never meet.
    fn id(&self, limit: &Limit, key: &[u8]) -> Id {
        let mut hasher = self.hasher;
        hasher.write(limit.namespace().as_bytes());
        // No text has the first of these bytes.
        hasher.write(&[0xFF, limit.policy.id()]);
        hasher.write(key);
        let hash = hasher.finish128();
        Id { high: hash.h1, low: hash.h2 }
    }

    /// The store's own time of a request.
    fn present(&self, when: When) -> Micros {
        match when {
            When::Replayed(moment) => moment,
            When::Now | When::Dated(_) => self.clock.now(),
        }
    }
}

/// What a newcomer without room is told: that there will be some.
fn no_room(look: Outcome, now: Micros, moment: Micros) -> Outcome {
    let retry_after = (moment - now).max(Micros(1));
    Outcome {
        allowed: false,
        granted: 0,
        remaining: 0,
        retry_after,
        reset_at: look.reset_at.max(now + retry_after),
        delay: Micros::ZERO,
        booked: Micros::ZERO,
    }
}

fn read(held: &Held<'_>, policy: &Policy, entry: Entry) -> Result<State, Error> {
    held.state(policy, entry).ok_or_else(|| Error::SharedFormat("the state of this key in it is damaged".into()))
}

/// Keeps a state, or forgets the key where it is as good as new.
fn write(
    held: &mut Held<'_>,
    id: Id,
    entry: Entry,
    state: State,
    expires_at: Micros,
    now: Micros,
) -> Result<(), Error> {
    if expires_at <= now {
        held.forget_own(id, entry);
        Ok(())
    } else if held.keep(id, entry, state, expires_at, now) {
        Ok(())
    } else {
        Err(Error::Internal("a state found no room in shared memory".into()))
    }
}
