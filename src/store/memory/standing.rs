//! What a key is decided by, and where it stands: in a place of its own, or in the overflow.

use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::Memory;
use super::bound::growth;
use super::overflow::{Note, Overflow};
use super::shard::{Entry, Shard, heap_of};
use crate::algorithm::{Ask, Outcome, Policy, State};
use crate::clock::Micros;

/// Places that each newcomer looks at for something expired: more than one, so that clearing outruns growing.
const SWEEP: usize = 4;

/// Keys that may be demoted for one that is promoted, where each holds less than it needs.
const TRIES: usize = 4;

/// What a key without an entry is decided by.
pub(super) struct Standing {
    pub(super) state: State,
    pub(super) place: Place,
}

/// Where a state goes that has changed.
pub(super) enum Place {
    /// Back to the key's entry.
    Entry,
    /// Into the place that it was promised, with so many bytes beside it.
    Promised(usize),
    /// Nowhere: it was only looked at.
    None,
    /// Into the overflow, where it has so many units already and may have no more than so many besides.
    Overflow { note: Note, base: u64, room: u64 },
}

/// What is wanted for a key without an entry.
#[derive(Clone, Copy)]
pub(super) enum Wish {
    /// To be told what would be.
    Look,
    /// A place for what such a call takes.
    Take(Ask),
    /// A place for what was noted of it, if anything was.
    Own,
    /// A place, whatever the bound is.
    Anyway,
}

impl Standing {
    /// Decides as the policy does, within the room that there is.
    #[inline]
    pub(super) fn step(&mut self, policy: &Policy, now: Micros, ask: Ask) -> Outcome {
        let Place::Overflow { room, .. } = self.place else { return policy.step(&mut self.state, now, ask) };
        let within = Ask { cost: ask.cost.min(room), ..ask };
        if ask.least <= room {
            let outcome = policy.step(&mut self.state, now, within);
            return Outcome { remaining: outcome.remaining.min(room - outcome.granted), ..outcome };
        }
        // There will be room when nothing counts any more, if not before.
        let look = policy.step(&mut self.state.clone(), now, Ask { cost: 0, least: 0 });
        let retry_after = (look.reset_at - now).max(policy.lasts(1));
        let remaining = look.remaining.min(room);
        Outcome { allowed: false, granted: 0, remaining, retry_after, delay: Micros::ZERO, ..look }
    }
}

/// A state that begins from what was noted: a window of its own must not begin before the one that has ended.
#[inline]
pub(super) fn own(policy: &Policy, state: State, units: u64, now: Micros) -> State {
    if units > 0 && policy.begins_with_a_call() { policy.spent(units, now) } else { state }
}

impl Memory {
    /// What `key` is decided by: its own state, or a newcomer's.
    pub(super) fn standing(
        &self,
        shard: &mut Shard,
        policy: &Policy,
        hash: u64,
        key: &[u8],
        present: Micros,
        wish: Wish,
    ) -> Standing {
        match shard.entry_mut(hash, key) {
            Some(entry) => Standing { state: entry.state.clone(), place: Place::Entry },
            None => self.newcomer(shard, policy, hash, key, present, wish),
        }
    }

    /// What a key without an entry is decided by: what was noted of it, and where its state will go.
    pub(super) fn newcomer(
        &self,
        shard: &mut Shard,
        policy: &Policy,
        hash: u64,
        key: &[u8],
        now: Micros,
        wish: Wish,
    ) -> Standing {
        self.len.fetch_sub(shard.sweep(SWEEP, now), Ordering::Relaxed);
        let note = shard.overflow.as_mut().map(|overflow| overflow.look(policy, hash, now));
        let state = note.as_ref().map_or_else(|| policy.fresh(), |note| policy.spent(note.units, note.at));
        let units = note.as_ref().map_or(0, |note| note.units);
        let place = match (wish, note) {
            (Wish::Look, None) => Place::None,
            (Wish::Look, Some(note)) => {
                // It may be that another would make room for it.
                let has_room = shard.has_room(self.bytes_for(policy, key), &self.bound);
                match self.noted(policy, &state, note, now) {
                    Place::Overflow { note, base, .. } if has_room => Place::Overflow { note, base, room: u64::MAX },
                    noted => noted,
                }
            }
            (Wish::Own, note) => match note.filter(|note| note.units > 0) {
                None => Place::None,
                Some(note) => {
                    let bytes = self.promise(shard, policy, key, false);
                    match bytes.or_else(|| self.promote(shard, policy, key, now, note.units)) {
                        Some(bytes) => Place::Promised(bytes),
                        // Whoever was demoted in vain may have been taken for this one.
                        None => return self.noted_anew(shard, policy, hash, now),
                    }
                }
            },
            (Wish::Anyway, _) => Place::Promised(self.promise_anyway(shard, policy, key, now)),
            (Wish::Take(ask), note) => match self.promise(shard, policy, key, false) {
                Some(bytes) => Place::Promised(bytes),
                None => {
                    let note = note.unwrap_or_else(|| self.look(shard, policy, hash, now));
                    let comes_again = note.is_own && note.units > 0;
                    let wants_place = comes_again || note.is_spilled() || note.units + ask.cost > note.room(0);
                    if wants_place && policy.step(&mut state.clone(), now, Ask::look(ask.least)).allowed {
                        match self.promote(shard, policy, key, now, note.units + ask.cost) {
                            Some(bytes) => Place::Promised(bytes),
                            None => return self.noted_anew(shard, policy, hash, now),
                        }
                    } else {
                        self.noted(policy, &state, note, now)
                    }
                }
            },
        };
        let state = if matches!(place, Place::Promised(_)) { own(policy, state, units, now) } else { state };
        Standing { state, place }
    }

    /// What a key is decided by that stays in the overflow, which may have changed since it was looked up.
    fn noted_anew(&self, shard: &mut Shard, policy: &Policy, hash: u64, now: Micros) -> Standing {
        let note = self.look(shard, policy, hash, now);
        let state = policy.spent(note.units, note.at);
        let place = self.noted(policy, &state, note, now);
        Standing { state, place }
    }

    /// What is known of a key in the overflow, which there is from now on.
    fn look(&self, shard: &mut Shard, policy: &Policy, hash: u64, now: Micros) -> Note {
        let overflow = shard.overflow.get_or_insert_with(|| Box::new(Overflow::new(&self.bound, now)));
        overflow.look(policy, hash, now)
    }

    /// The place of a key that stays in the overflow.
    fn noted(&self, policy: &Policy, state: &State, note: Note, now: Micros) -> Place {
        let used = policy.used(state, now);
        // What has waned is given back last: were it forgotten here, what is given back would be taken from what counts.
        let base = if note.is_common() || (used > 0 && policy.wanes()) { note.units } else { used };
        // Units of a burst are for those who have a state of their own.
        let room = note.room(base).min(policy.regular().saturating_sub(used));
        Place::Overflow { note, base, room }
    }

    /// Promises a place to a key that will have used so many units, in the place of one that can do without. Who comes for the
    /// second time only takes that of one who has not: or a flood of keys that come twice would take everybody's.
    fn promote(&self, shard: &mut Shard, policy: &Policy, key: &[u8], now: Micros, units: u64) -> Option<usize> {
        let bytes = self.bytes_for(policy, key);
        if !shard.could_have(bytes, &self.bound) {
            return None;
        }
        for _ in 0..TRIES {
            let wants_bytes = !shard.has_bytes(bytes + growth(policy), &self.bound);
            if !shard.demote(now, units > 2, wants_bytes, |entry| self.hash(&entry.key)) {
                return None;
            }
            self.len.fetch_sub(1, Ordering::Relaxed);
            if let Some(bytes) = self.promise(shard, policy, key, false) {
                return Some(bytes);
            }
        }
        None
    }

    /// Promises a place within the bound, in that of one that can do without, or else beyond the bound.
    pub(super) fn promise_anyway(&self, shard: &mut Shard, policy: &Policy, key: &[u8], now: Micros) -> usize {
        let within = self.promise(shard, policy, key, false);
        let instead = within.or_else(|| self.promote(shard, policy, key, now, u64::MAX));
        let beyond = instead.or_else(|| self.promise(shard, policy, key, true));
        beyond.expect("beyond the bound there is room for all")
    }

    /// Promises a place within the bound, or `anyway`; answers the bytes that are promised with it.
    fn promise(&self, shard: &mut Shard, policy: &Policy, key: &[u8], anyway: bool) -> Option<usize> {
        let bytes = self.bytes_for(policy, key);
        let promised = shard.promise(bytes, growth(policy), &self.bound, anyway, |entry| self.hash(&entry.key));
        promised.then_some(bytes)
    }

    /// What a key takes beside its place.
    #[inline]
    fn bytes_for(&self, policy: &Policy, key: &[u8]) -> usize {
        heap_of(key) + policy.fresh().heap()
    }

    /// Keeps a state that has changed, wherever its key has a place.
    pub(super) fn keep(
        &self,
        shard: &mut Shard,
        hash: u64,
        key: &[u8],
        now: Micros,
        outcome: &Outcome,
        standing: Standing,
    ) {
        let Standing { state, place } = standing;
        let expires_at = outcome.reset_at;
        let bytes = match place {
            Place::Entry => match shard.entry_mut(hash, key) {
                Some(entry) => {
                    let before = entry.state.heap();
                    (entry.state, entry.expires_at) = (state, expires_at);
                    shard.settle(hash, key, before, &self.bound);
                    return;
                }
                // Another key of the same request has taken its place.
                None => {
                    shard.promise(heap_of(key), 0, &self.bound, true, |entry| self.hash(&entry.key));
                    heap_of(key)
                }
            },
            Place::Promised(bytes) => bytes,
            Place::None => return,
            Place::Overflow { note, base, .. } => {
                shard.note(|overflow| overflow.write(&note, hash, base + outcome.granted));
                return;
            }
        };
        if expires_at <= now {
            shard.release(bytes);
            return;
        }
        let entry = Entry { key: SmallVec::from_slice(key), expires_at, state };
        shard.insert(hash, entry, bytes, &self.bound, |entry| self.hash(&entry.key));
        self.len.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives up the place that a key was promised, where it was.
    pub(super) fn release(shard: &mut Shard, place: &Place) {
        if let Place::Promised(bytes) = place {
            shard.release(*bytes);
        }
    }
}
