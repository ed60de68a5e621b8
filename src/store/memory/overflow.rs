//! Keys without a state of their own: a table of fingerprints, four bytes a key.
//!
//! A key has two buckets of its own, each a line of the processor's cache with 15 slots. A slot says: a key with this
//! fingerprint has used so many units, the last of them at this moment. It is taken in whichever bucket has more room, and kept
//! until a key that used as much would be as good as new; then whoever needs it takes it. So keys that come once leave nothing
//! behind, and no key inherits what others have used, but for two cases, in which it is decided too strictly:
//!
//! - **Two keys of one bucket have one fingerprint**, one pair in 4,096. They share a slot, which counts what both have used: a
//!   newcomer in a table that is nearly full meets one with odds of 28 in 4,096, or 0.7 %.
//! - **Both buckets are full.** Each has a counter of its own for all that find no slot, the *spill*. Who has spilled is counted
//!   in both, so the lesser of them is no less than what it has used; and who takes a slot beside a spill starts from it, since
//!   somebody with the same fingerprint may have spilled.
//!
//! A slot is never given up for less than its time, nor lowered, nor when its key gets a state of its own: another key may share
//! it. Only a reset clears it, as the application has asked for.
//!
//! Limits share the table. What a slot says of units that come back depends on the limit, so each slot names one of 15; a slot
//! that keys under different limits share, and a spill, is *common*: it is counted up, and lasts as long as any limit does.
//!
//! Times are ticks, a thousandth of what the limit needs to be as good as new, rounded up, and wrap after four times that: before
//! it does, what is over is cleared. A slot that was missed may be taken for younger than it is, which is only stricter.
//!
//! (Two choices: Azar, Broder, Karlin, Upfal, "Balanced allocations". Fingerprints in buckets: Fan, Andersen, Kaminsky,
//! Mitzenmacher, "Cuckoo filter", whose moves from bucket to bucket are not needed here.)

use super::bound::Bound;
use super::bucket::{Bucket, MOST, MOST_SPILLED, Slot, Spill};
use super::pace::{COMMON, Kinds, Pace};
use super::shard::prefetch;
use crate::algorithm::{Policy, State};
use crate::clock::Micros;

/// Buckets that are cleared at a time of what is over, and one more for so many microseconds since the last time: a thousand times what
/// one takes.
const LEAST_CLEARED: u64 = 64;
const MICROS_TO_CLEAR: u64 = 30;

/// Where a key may stand.
#[derive(Clone, Copy)]
struct Spot {
    buckets: [usize; 2],
    mark: u32,
}

/// Where a key stands, or would.
#[derive(Clone, Copy)]
enum Place {
    /// In a slot, which says this.
    Slot(usize, usize, Slot),
    /// In the spills of both buckets.
    Spill,
}

/// What is known of a key.
pub(super) struct Note {
    /// It has used no more than so many units, none later than this.
    pub(super) units: u64,
    pub(super) at: Micros,
    /// Whether that was noted of the key, and not of all that have spilled.
    pub(super) is_own: bool,
    /// Its limit, or that it is one of several.
    kind: usize,
    place: Place,
}

impl Note {
    /// How many more units could be noted.
    pub(super) fn room(&self, base: u64) -> u64 {
        match self.place {
            Place::Slot(..) => MOST.saturating_sub(base),
            Place::Spill => MOST_SPILLED.saturating_sub(base),
        }
    }

    /// Whether no slot was left.
    pub(super) fn is_spilled(&self) -> bool {
        matches!(self.place, Place::Spill)
    }

    /// Whether units are only ever added to it until all have expired, since they may be several keys'.
    pub(super) fn is_common(&self) -> bool {
        self.kind == COMMON
    }
}

/// The table of one shard.
pub(super) struct Overflow {
    buckets: Vec<Bucket>,
    kinds: Kinds,
    /// The latest that the clock has shown, but for a long jump back.
    now: u64,
    /// The bucket that is cleared next of what is over, and until when that has been done.
    hand: usize,
    cleared_until: u64,
    /// Which bits of a fingerprint count.
    marks: u32,
}

/// Units and the moment of the last of them, as ticks are told.
#[derive(Clone, Copy, Default)]
struct Used {
    units: u64,
    at: u64,
}

impl Used {
    /// Of both, whichever counts for more and for longer.
    fn or(self, other: Self) -> Self {
        Self { units: self.units.max(other.units), at: self.at.max(other.at) }
    }
}

impl Overflow {
    pub(super) fn new(bound: &Bound, now: Micros) -> Self {
        let buckets = vec![Bucket::default(); bound.buckets.max(1)];
        Self { buckets, kinds: Kinds::default(), now: now.0, hand: 0, cleared_until: now.0, marks: bound.marks }
    }

    pub(super) fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }

    /// What is known of the key with this hash.
    pub(super) fn look(&mut self, policy: &Policy, hash: u64, now: Micros) -> Note {
        self.see(now);
        let kind = self.kind(policy);
        let spot = self.spot(hash);
        let (used, kind, place) = self.find(spot, kind);
        let is_own = matches!(place, Place::Slot(_, _, slot) if slot.is_of(spot.mark));
        Note { units: used.units, at: Micros(used.at).min(now), is_own, kind, place }
    }

    /// Writes down what a key has used that was looked up before, up to now.
    pub(super) fn write(&mut self, note: &Note, hash: u64, units: u64) {
        let used = Used { units, at: self.now };
        let spot = self.spot(hash);
        match note.place {
            // Nobody has touched the slot meanwhile.
            Place::Slot(bucket, slot, before) if self.buckets[bucket].slots[slot] == before && units <= MOST => {
                self.set(bucket, slot, spot.mark, note.kind, used);
            }
            _ => {
                if !self.merge(spot, note.kind, used) {
                    self.spill(spot, used);
                    // Beside a spill of its own a slot says the most that it can, so that both are looked at, and for as long.
                    if let (.., Place::Slot(bucket, index, _)) = self.find(spot, note.kind) {
                        self.set(bucket, index, spot.mark, COMMON, Used { units: MOST, at: self.now });
                    }
                }
            }
        }
    }

    /// Writes down a key that has lost its own state, if there is a slot for it. `kind` is one that [`Self::kind_like`] told: where that
    /// does not say how windows lie, all counts from now on.
    pub(super) fn demote(&mut self, kind: usize, hash: u64, units: u64, at: Micros, now: Micros) -> bool {
        // While time stands still here, what was used lately must not look as if it were long ago.
        let ahead = self.now.saturating_sub(now.0);
        let at = if kind == COMMON { self.now } else { (at.0 + ahead).min(self.now) };
        self.merge(self.spot(hash), kind, Used { units, at })
    }

    /// The limit of a state that may be taken for one of `policy`, the only one of its algorithm that is known, if it lasts as
    /// long; else it is one of several.
    pub(super) fn kind_like(&mut self, state: &State, lasts: Micros) -> usize {
        if let Some(kind) = self.kinds.only_like(state, lasts) {
            return kind;
        }
        self.stretch(lasts.0);
        COMMON
    }

    /// Forgets a key. Its spill stays, which is others' too.
    pub(super) fn forget(&mut self, hash: u64) {
        let spot = self.spot(hash);
        for bucket in spot.buckets {
            for slot in &mut self.buckets[bucket].slots {
                if slot.is_of(spot.mark) {
                    *slot = Slot::default();
                }
            }
        }
    }

    /// Brings time here up to the clock. After a jump back it stands still until the clock has caught up; for a long one that
    /// would keep everybody waiting, so then all that counts is brought to the present, as the algorithms do with a state.
    fn see(&mut self, now: Micros) {
        let length = self.kinds.common.length();
        if now.0 + length >= self.now {
            let was = self.now;
            self.now = was.max(now.0);
            if self.now - was > 2 * length {
                // All of it is over, the limits too that it was of.
                self.buckets.fill(Bucket::default());
                self.kinds = Kinds::default();
                self.cleared_until = self.now;
            } else {
                self.clear();
            }
            return;
        }
        let mut buckets = std::mem::take(&mut self.buckets);
        for bucket in &mut buckets {
            for slot in bucket.slots.iter_mut().filter(|slot| slot.units() > 0) {
                let (kind, units) = (slot.kind(), slot.units());
                let tick = self.kinds.pace(kind).tick(now.0);
                *slot = self.used(*slot).map_or_else(Slot::default, |_| Slot::new(slot.mark(), kind, tick, units));
            }
            bucket.spill = match self.spilled(bucket.spill) {
                Some(_) => Spill { tick: self.kinds.common.wrapped(now.0), ..bucket.spill },
                None => Spill::default(),
            };
        }
        self.buckets = buckets;
        (self.now, self.cleared_until) = (now.0, now.0);
    }

    /// Clears what is over, bucket by bucket: all of them within two windows of the shortest limit, since in four what a slot says of
    /// time begins anew. So many at a time that it takes a thousandth of the time, and then it is late for windows of a tenth of a
    /// second: what is not cleared may count again, and is only stricter.
    fn clear(&mut self) {
        let since = self.now - self.cleared_until;
        let buckets = self.buckets.len() as u64;
        let due = buckets.saturating_mul(since) / (2 * self.kinds.shortest());
        if due == 0 {
            return;
        }
        self.cleared_until = self.now;
        for _ in 0..due.min(buckets).min(LEAST_CLEARED + since / MICROS_TO_CLEAR) {
            let Bucket { slots, spill } = self.buckets[self.hand];
            let over = slots.map(|slot| slot.units() > 0 && self.used(slot).is_none());
            let is_over = spill.units > 0 && self.spilled(spill).is_none();
            let bucket = &mut self.buckets[self.hand];
            for (slot, _) in bucket.slots.iter_mut().zip(over).filter(|(_, is_over)| *is_over) {
                *slot = Slot::default();
            }
            if is_over {
                bucket.spill = Spill::default();
            }
            self.hand = (self.hand + 1) % self.buckets.len();
        }
    }

    fn kind(&mut self, policy: &Policy) -> usize {
        if let Some(kind) = self.kinds.find(policy) {
            return kind;
        }
        self.stretch(policy.lasts(u64::MAX).0);
        self.kinds.add(policy)
    }

    /// Has all that is common last at least so long.
    fn stretch(&mut self, length: u64) {
        if length <= self.kinds.common.length() {
            return;
        }
        let (old, new) = (self.kinds.common, Pace::of_all(length));
        self.kinds.common = new;
        for bucket in &mut self.buckets {
            for slot in bucket.slots.iter_mut().filter(|slot| slot.units() > 0 && slot.kind() == COMMON) {
                let at = old.at(slot.tick(), slot.units(), self.now);
                *slot = at.map_or_else(Slot::default, |at| Slot::new(slot.mark(), COMMON, new.tick(at), slot.units()));
            }
            if bucket.spill.units > 0 {
                let at = old.at(u64::from(bucket.spill.tick), MOST, self.now);
                bucket.spill = at.map_or_else(Spill::default, |at| Spill { tick: new.wrapped(at), ..bucket.spill });
            }
        }
    }

    /// Two buckets and a fingerprint, each by bits of its own. The hash is keyed: nobody can aim at a bucket.
    fn spot(&self, hash: u64) -> Spot {
        let bits = mix(hash);
        let within = |bits: u64| (((bits & 0x3FF_FFFF) * self.buckets.len() as u64) >> 26) as usize;
        Spot { buckets: [within(bits), within(bits >> 26)], mark: (bits >> 52) as u32 & self.marks }
    }

    /// What a slot says, if that is not over.
    #[inline]
    fn used(&self, slot: Slot) -> Option<Used> {
        let units = slot.units();
        let at = self.kinds.pace(slot.kind()).at(slot.tick(), units, self.now)?;
        Some(Used { units, at })
    }

    fn spilled(&self, Spill { tick, units }: Spill) -> Option<Used> {
        let at = self.kinds.common.at(u64::from(tick), MOST, self.now).filter(|_| units > 0)?;
        Some(Used { units: u64::from(units), at })
    }

    /// Who has spilled has done so in both buckets, so the lesser spill is no less than what it has used.
    fn spilled_in_both(&self, spot: Spot) -> Used {
        let [one, other] = spot.buckets.map(|bucket| self.spilled(self.buckets[bucket].spill).unwrap_or_default());
        if one.units <= other.units { one } else { other }
    }

    /// What is known of a key under a limit, whose limit that is, and where the key stands or would.
    fn find(&self, spot: Spot, own: usize) -> (Used, usize, Place) {
        let mut found = Used::default();
        let mut kind = own;
        let mut place = None;
        for bucket in spot.buckets {
            prefetch(&self.buckets[bucket]);
        }
        for bucket in spot.buckets {
            for (index, slot) in self.buckets[bucket].slots.iter().enumerate().filter(|(_, slot)| slot.is_of(spot.mark))
            {
                if let Some(used) = self.used(*slot) {
                    found = found.or(used);
                    if slot.kind() != own {
                        kind = COMMON;
                    }
                }
                place.get_or_insert(Place::Slot(bucket, index, *slot));
            }
        }
        if let Some(place) = place {
            if found.units == MOST {
                found = found.or(self.spilled_in_both(spot));
            }
            return (found, kind, place);
        }
        let Some((bucket, index)) = self.free(spot) else {
            return (self.spilled_in_both(spot), COMMON, Place::Spill);
        };
        let place = Place::Slot(bucket, index, self.buckets[bucket].slots[index]);
        match self.spilled(self.buckets[bucket].spill) {
            Some(used) if used.units > MOST => (used, COMMON, Place::Spill),
            Some(used) => (used, COMMON, place),
            None => (found, own, place),
        }
    }

    /// A free slot in whichever of a key's buckets has more of them; where none has any, one whose time is over.
    fn free(&self, spot: Spot) -> Option<(usize, usize)> {
        let empty = |bucket: usize| {
            let slots = &self.buckets[bucket].slots;
            let count = slots.iter().filter(|slot| slot.units() == 0).count();
            (count, bucket)
        };
        let [one, other] = spot.buckets.map(empty);
        let (count, bucket) = if other.0 > one.0 { other } else { one };
        if count > 0 {
            let index = self.buckets[bucket].slots.iter().position(|slot| slot.units() == 0)?;
            return Some((bucket, index));
        }
        let over = |bucket: usize| {
            let index = self.buckets[bucket].slots.iter().position(|slot| self.used(*slot).is_none())?;
            Some((bucket, index))
        };
        spot.buckets.into_iter().find_map(over)
    }

    /// Has a slot say at least this much, beside what it says of others. Answers whether there is one.
    fn merge(&mut self, spot: Spot, own: usize, used: Used) -> bool {
        let (found, kind, place) = self.find(spot, own);
        let both = if found.units > 0 { found.or(used) } else { used };
        match place {
            Place::Slot(bucket, index, _) if both.units <= MOST => {
                self.set(bucket, index, spot.mark, kind, both);
                true
            }
            _ => false,
        }
    }

    fn set(&mut self, bucket: usize, index: usize, mark: u32, kind: usize, used: Used) {
        let tick = self.kinds.pace(kind).tick(used.at);
        self.buckets[bucket].slots[index] = Slot::new(mark, kind, tick, used.units);
    }

    fn spill(&mut self, spot: Spot, used: Used) {
        for bucket in spot.buckets {
            let both = used.or(self.spilled(self.buckets[bucket].spill).unwrap_or_default());
            let units = u16::try_from(both.units).unwrap_or(u16::MAX);
            self.buckets[bucket].spill = Spill { tick: self.kinds.common.wrapped(both.at), units };
        }
    }
}

/// The finalizer of SplitMix64: the table and the choice of a shard have used some of the bits.
fn mix(hash: u64) -> u64 {
    let mut bits = hash.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The fingerprint of a key with this hash.
#[cfg(test)]
pub(super) fn mark(hash: u64, marks: u32) -> u32 {
    (mix(hash) >> 52) as u32 & marks
}
