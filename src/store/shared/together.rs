//! Several keys together: from all of them is taken, or from none.

use smallvec::SmallVec;

use super::geometry::Id;
use super::lock::Held;
use super::shard::{Entry, Room};
use super::{Shared, no_room, read, write};
use crate::algorithm::{Ask, Outcome, State};
use crate::clock::Micros;
use crate::error::Error;
use crate::limits::{Limit, Role};
use crate::newcomers::Newcomers;
use crate::store::Request;
use crate::store::memory::moment;

/// A limit's key, and what is to be taken from it.
struct Part<'a> {
    limit: &'a Limit,
    id: Id,
    /// Of a newcomer without room none.
    entry: Option<Entry>,
    state: State,
    now: Micros,
    jumped: bool,
    counts_new: bool,
}

/// Shards that are held together, by their index.
struct Locked<'a>(SmallVec<[(usize, Held<'a>); 4]>);

impl<'a> Locked<'a> {
    fn of(&mut self, index: usize) -> &mut Held<'a> {
        let held = self.0.iter_mut().find(|(held, _)| *held == index);
        &mut held.expect("every shard that is used was locked").1
    }
}

impl Shared {
    /// Locks several shards, in their own order: two that lock the same ones never wait for each other.
    fn lock_all(&self, indexes: impl Iterator<Item = usize>) -> Result<Locked<'_>, Error> {
        let mut indexes: SmallVec<[usize; 4]> = indexes.collect();
        indexes.sort_unstable();
        indexes.dedup();
        let locked: Result<_, Error> = indexes.into_iter().map(|index| Ok((index, self.lock(index)?))).collect();
        locked.map(Locked)
    }

    /// Takes from all keys of a request or from none. Of a limit on new keys, which comes last, it takes what the others' keys tell.
    /// Whoever is killed between two of them leaves what was taken from the first: stricter, and told to nobody.
    pub(super) fn decide_together(&self, request: &Request, ask: Ask) -> Result<SmallVec<[Outcome; 1]>, Error> {
        let keys: SmallVec<[(&Limit, Id); 4]> =
            request.parts().map(|(limit, key)| (limit, self.id(limit, key.as_bytes()))).collect();
        let shard = |id: Id| id.shard(&self.geometry);
        let mut shards = self.lock_all(keys.iter().map(|(_, id)| shard(*id)))?;
        let present = self.present(request.when);
        let mut parts: SmallVec<[Part<'_>; 4]> = SmallVec::new();
        let mut looks: SmallVec<[Outcome; 1]> = SmallVec::new();
        // Of each shard the entries that are promised; an entry of another shard that stands alike is only passed over.
        let mut taken: SmallVec<[Entry; 4]> = SmallVec::new();
        let (mut granted, mut newcomers) = (ask.cost, Newcomers::default());
        let guarded = request.limits.has_new_keys();
        for (limit, id) in keys {
            let held = shards.of(shard(id));
            let policy = &limit.policy;
            let counts_new = guarded && limit.role == Role::NewKeys;
            let own = if counts_new { Ask::all(newcomers.units()) } else { ask };
            let found = held.find(id);
            let mut state = found.map_or_else(|| Ok(policy.fresh()), |entry| read(held, policy, entry))?;
            let room = found.map_or_else(|| held.room(id, present, &taken), Room::Here);
            let now = moment(policy, &state, request.when, present);
            let jumped = now < policy.seen(&state);
            let look = policy.step(&mut state, now, Ask::look(own.least));
            let (entry, look) = match room {
                Room::Here(entry) => (Some(entry), look),
                // A limit on new keys has nothing to keep for a call that brings nobody.
                Room::NotUntil(_) if own.least == 0 => (None, look),
                Room::NotUntil(until) => (None, no_room(look, present, until)),
            };
            taken.extend(entry);
            if counts_new {
                looks.push(newcomers.told(look));
            } else {
                newcomers.see(limit, found.is_none() || look.reset_at <= now);
                granted = granted.min(look.remaining);
                looks.push(look);
            }
            parts.push(Part { limit, id, entry, state, now, jumped, counts_new });
        }
        let is_refused = granted == 0 || looks.iter().any(|outcome| !outcome.allowed);
        let mut outcomes = SmallVec::new();
        for (Part { limit, id, entry, mut state, now, jumped, counts_new }, look) in parts.into_iter().zip(looks) {
            let units = match (is_refused, counts_new) {
                (true, _) => 0,
                (false, true) => newcomers.units(),
                (false, false) => granted,
            };
            let outcome = if units > 0 { limit.policy.step(&mut state, now, Ask::all(units)) } else { look };
            // As one key's refusal does, it keeps what a clock that jumped back has mended: waits go on from there.
            let mends = is_refused && jumped && ask.cost > 0;
            if let Some(entry) = entry.filter(|_| units > 0 || mends) {
                write(shards.of(shard(id)), id, entry, state, outcome.reset_at, present)?;
            }
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}
