//! Units that are held, of all keys of a request or of none.

use std::borrow::Cow;

use smallvec::SmallVec;

use super::Memory;
use super::standing::{Place, Standing, Wish};
use crate::algorithm::{Ask, Outcome, Policy};
use crate::clock::Micros;
use crate::decision::Which;
use crate::store::Request;

/// After how long it is worth asking again where a key has no room for a hold, and nobody knows when it will.
const ASK_AGAIN: Micros = Micros::from_millis(1_000);

impl Memory {
    /// Holds `units` of each key for `ttl`.
    pub(super) fn hold(&self, request: &Request, units: u64, ttl: Micros, which: Which) -> SmallVec<[Outcome; 1]> {
        struct Part<'a> {
            policy: &'a Policy,
            key: Cow<'a, [u8]>,
            hash: u64,
            standing: Standing,
            jumped: bool,
        }
        let keys = request.parts().map(|(limit, key)| {
            let key = limit.in_memory(key.as_bytes());
            (which(limit), self.hash(&key), key)
        });
        let keys: SmallVec<[_; 4]> = keys.collect();
        let mut shards = self.lock_all(keys.iter().map(|(_, hash, _)| self.shard_index(*hash)));
        let now = self.present(request.when);
        let mut parts: SmallVec<[Part<'_>; 4]> = SmallVec::new();
        let mut looks: SmallVec<[Outcome; 1]> = SmallVec::new();
        for (policy, hash, key) in keys {
            let shard = shards.of(self.shard_index(hash));
            let mut standing = self.standing(shard, policy, hash, &key, now, Wish::Take(Ask::all(units)));
            let jumped = now < policy.seen(&standing.state);
            looks.push(look(&mut standing, policy, now, units));
            parts.push(Part { policy, key, hash, standing, jumped });
        }
        let is_refused = looks.iter().any(|look| !look.allowed);
        let mut ends = now + ttl;
        loop {
            let free = parts.iter_mut().fold(ends, |ends, part| part.standing.state.free_end(ends));
            if free == ends {
                break;
            }
            ends = free;
        }
        let act = |(part, look): (Part<'_>, Outcome)| {
            let Part { policy, key, hash, mut standing, jumped } = part;
            let shard = shards.of(self.shard_index(hash));
            let outcome = if is_refused { look } else { policy.hold(&mut standing.state, now, units, ends) };
            // A refusal keeps what a clock that jumped back has mended, as that of a decision does.
            if !is_refused || jumped {
                self.keep(shard, hash, &key, now, &outcome, standing);
            } else {
                Self::release(shard, &standing.place);
            }
            outcome
        };
        parts.into_iter().zip(looks).map(act).collect()
    }
}

/// Whether units of a key can be held, as far as there is a place for that: what is held of a key cannot be noted.
fn look(standing: &mut Standing, policy: &Policy, now: Micros, units: u64) -> Outcome {
    let look = policy.look_to_hold(&mut standing.state, now, units);
    if !matches!(standing.place, Place::Overflow { .. }) {
        return look;
    }
    let retry_after = look.retry_after.max(look.reset_at - now).max(ASK_AGAIN);
    Outcome { allowed: false, retry_after, delay: Micros::ZERO, ..look }
}
