//! A part of the store: a table of exact states, and the fingerprints of keys for whom it has no room.

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::bound::Bound;
use super::bucket::MOST;
use super::overflow::Overflow;
use crate::algorithm::{State, block};
use crate::clock::Micros;

/// Places looked at for a key that may be demoted.
const CANDIDATES: usize = 8;

/// See the module. The default is empty.
#[derive(Default)]
pub(super) struct Shard {
    table: HashTable<Entry>,
    /// None until the table is full for the first time.
    pub(super) overflow: Option<Box<Overflow>>,
    /// Bytes that states and long keys take beside the table, and those of keys that were promised a place.
    heap: usize,
    /// Places that newcomers have been promised and not yet taken.
    promised: usize,
    /// The place of the table that is looked at next for what has expired.
    hand: usize,
    /// The same for who may be demoted.
    second_hand: usize,
    /// Nothing expires before this, as the hand's last round and all that came later tell.
    earliest: Micros,
    /// The same for the round under way.
    in_this_round: Micros,
}

const _: () = assert!(size_of::<Entry>() == 64, "one more line of the cache for each call");

/// One line of the processor's cache, so that a look at it waits for memory once.
#[repr(align(64))]
pub(super) struct Entry {
    /// Short keys stand in the table itself: no allocation, and no second place to look at.
    pub(super) key: SmallVec<[u8; 16]>,
    pub(super) expires_at: Micros,
    pub(super) state: State,
}

impl Entry {
    fn heap(&self) -> usize {
        heap_of(&self.key) + self.state.heap()
    }

    /// Charges what the state has grown by. Where there is no room it becomes smaller instead: as small as it can be, it takes a
    /// few words.
    #[inline]
    fn settle(&mut self, heap: &mut usize, before: usize, most: usize) {
        *heap -= before;
        while *heap + self.state.heap() > most && self.state.compact() {}
        *heap += self.state.heap();
    }
}

/// What a key takes beside its place in the table.
pub(super) fn heap_of(key: &[u8]) -> usize {
    if key.len() <= 16 { 0 } else { block(key.len()) }
}

impl Shard {
    /// Has the entry fetched that is looked at next, while the clock is read, which takes about as long.
    pub(super) fn foresee(&self, hash: u64) {
        self.table.find(hash, |entry| {
            prefetch(entry);
            true
        });
    }

    #[inline]
    pub(super) fn entry_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Entry> {
        self.table.find_mut(hash, |entry| entry.key.as_slice() == key)
    }

    /// Whether there is a place for one more key, as far as can be told without taking it.
    #[inline]
    pub(super) fn has_room(&self, bytes: usize, bound: &Bound) -> bool {
        self.keys() < self.most(bound) && self.has_bytes(bytes, bound) && self.keys() < self.table.capacity()
    }

    /// Whether so many bytes beside the table are left for newcomers.
    pub(super) fn has_bytes(&self, bytes: usize, bound: &Bound) -> bool {
        self.table.allocation_size() + self.heap + bytes <= bound.newcomers
    }

    /// Whether there could be a place, and so many bytes beside it, in that of others.
    pub(super) fn could_have(&self, bytes: usize, bound: &Bound) -> bool {
        self.table.allocation_size() + bytes <= bound.newcomers
    }

    /// Promises a place, and so many bytes beside it, to a key whose state is expected to grow by so much. `anyway` goes beyond
    /// the bound.
    pub(super) fn promise(
        &mut self,
        bytes: usize,
        growth: usize,
        bound: &Bound,
        anyway: bool,
        hasher: impl Fn(&Entry) -> u64,
    ) -> bool {
        let has_place = self.has_room(bytes, bound) || (anyway && self.keys() < self.table.capacity());
        let has_place = has_place || self.grow(bytes, growth, bound, anyway, hasher);
        if has_place {
            self.promised += 1;
            self.heap += bytes;
        }
        has_place
    }

    /// Gives up a place that was promised.
    pub(super) fn release(&mut self, bytes: usize) {
        self.promised -= 1;
        self.heap -= bytes;
    }

    /// Takes a place that was promised with so many bytes.
    pub(super) fn insert(
        &mut self,
        hash: u64,
        entry: Entry,
        bytes: usize,
        bound: &Bound,
        hasher: impl Fn(&Entry) -> u64,
    ) {
        self.release(bytes);
        self.heap += heap_of(&entry.key);
        self.earliest = self.earliest.min(entry.expires_at);
        self.in_this_round = self.in_this_round.min(entry.expires_at);
        let most = self.most_beside(bound);
        self.table.insert_unique(hash, entry, hasher).into_mut().settle(&mut self.heap, 0, most);
    }

    /// Pays for what a state has grown by since it took `before` bytes beside its place.
    #[cold]
    pub(super) fn settle(&mut self, hash: u64, key: &[u8], before: usize, bound: &Bound) {
        let most = self.most_beside(bound);
        if let Some(entry) = self.table.find_mut(hash, |entry| entry.key.as_slice() == key) {
            entry.settle(&mut self.heap, before, most);
        }
    }

    /// Removes a key; answers whether it was there.
    pub(super) fn remove(&mut self, hash: u64, key: &[u8]) -> bool {
        let Ok(entry) = self.table.find_entry(hash, |entry| entry.key.as_slice() == key) else { return false };
        self.heap -= entry.remove().0.heap();
        true
    }

    /// Looks at the next `places` of the table and clears what has expired, unless it is known that nothing has. Answers how many
    /// keys that were.
    pub(super) fn sweep(&mut self, places: usize, now: Micros) -> usize {
        if now < self.earliest {
            return 0;
        }
        let mut cleared = 0;
        for _ in 0..places.min(self.table.num_buckets()) {
            self.step();
            let Ok(entry) = self.table.get_bucket_entry(self.hand) else { continue };
            if entry.get().expires_at <= now {
                self.heap -= entry.remove().0.heap();
                cleared += 1;
            } else {
                self.in_this_round = self.in_this_round.min(entry.get().expires_at);
            }
        }
        cleared
    }

    /// Takes its place from the key that can best do without: of a few that are looked at, one that has expired, else one that
    /// has used one unit and so loses nothing, else whichever expires first; where bytes are wanted, of those that hold some. One
    /// that has used more than one unit only for `whoever`, and none that has used more than can be noted. Answers whether there
    /// was one.
    pub(super) fn demote(
        &mut self,
        now: Micros,
        whoever: bool,
        wants_bytes: bool,
        hasher: impl Fn(&Entry) -> u64,
    ) -> bool {
        let Some(overflow) = &mut self.overflow else { return false };
        let mut best: Option<(bool, Micros, usize)> = None;
        for _ in 0..CANDIDATES.min(self.table.num_buckets()) {
            self.second_hand = (self.second_hand + 1) % self.table.num_buckets();
            let Ok(entry) = self.table.get_bucket_entry(self.second_hand) else { continue };
            let entry = entry.get();
            let rank = match entry.state.units() {
                _ if entry.expires_at <= now => (false, Micros::ZERO, self.second_hand),
                Some((_, units))
                    if (units <= 1 || (whoever && units <= MOST)) && (!wants_bytes || entry.heap() > 0) =>
                {
                    (units > 1, entry.expires_at, self.second_hand)
                }
                _ => continue,
            };
            if best.is_none_or(|best| rank < best) {
                best = Some(rank);
            }
        }
        let Some((.., index)) = best else { return false };
        let Ok(found) = self.table.get_bucket_entry(index) else { return false };
        let entry = found.get();
        if entry.expires_at > now {
            let Some((at, units)) = entry.state.units() else { return false };
            if units > 0 {
                let kind = overflow.kind_like(&entry.state, entry.expires_at - at);
                if !overflow.demote(kind, hasher(entry), units, at, now) {
                    return false;
                }
            }
        }
        self.heap -= found.remove().0.heap();
        true
    }

    /// Does something to the overflow, if there is one.
    pub(super) fn note(&mut self, deed: impl FnOnce(&mut Overflow)) {
        if let Some(overflow) = &mut self.overflow {
            deed(overflow);
        }
    }

    /// Bytes that are held, as they are reckoned.
    pub(super) fn bytes(&self) -> usize {
        let overflow = self.overflow.as_ref().map_or(0, |overflow| overflow.bytes());
        self.table.allocation_size() + overflow + self.heap
    }

    /// The same, and as they are counted one by one.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let counted: usize = self.table.iter().map(Entry::heap).sum();
        (self.bytes(), self.bytes() - self.heap + counted)
    }

    /// What states and long keys may take beside the table.
    fn most_beside(&self, bound: &Bound) -> usize {
        bound.exact.saturating_sub(self.table.allocation_size())
    }

    /// How many keys the table as large as it is may have.
    fn most(&self, bound: &Bound) -> usize {
        let places = full_capacity(self.table.num_buckets());
        bound.places.min(in_use(places))
    }

    fn keys(&self) -> usize {
        self.table.len() + self.promised
    }

    fn step(&mut self) {
        self.hand += 1;
        if self.hand >= self.table.num_buckets() {
            self.hand = 0;
            self.earliest = self.in_this_round;
            self.in_this_round = Micros(u64::MAX);
        }
    }

    /// Has the table grow, or tidied up after many removals.
    fn grow(
        &mut self,
        bytes: usize,
        growth: usize,
        bound: &Bound,
        anyway: bool,
        hasher: impl Fn(&Entry) -> u64,
    ) -> bool {
        let (old, places) = (self.table.allocation_size(), full_capacity(self.table.num_buckets()));
        let half = full_capacity(self.table.num_buckets() / 2);
        // One that has grown beyond the bound becomes what it was as soon as that is enough.
        let shrinks = !self.could_have(0, bound) && self.keys() < in_use(half);
        let tidies = shrinks || self.keys() < if anyway { places } else { self.most(bound) };
        // A larger table is of use only where there is room for what twice as many entries will hold beside it.
        let fits = if tidies {
            let new = if shrinks { old / 2 } else { old };
            new + self.heap + bytes <= bound.newcomers
        } else {
            let new = (2 * old).max(512);
            let beside = 2 * self.heap.max(growth * self.keys()) + bytes;
            new + self.heap + bytes <= bound.newcomers && new + beside <= bound.exact
        };
        if !(anyway || (fits && self.keys() < bound.places)) {
            return false;
        }
        let capacity = if shrinks {
            half
        } else if tidies {
            places
        } else {
            (self.keys() + 1).max(places + 1)
        };
        let mut table = HashTable::with_capacity(capacity);
        for entry in self.table.drain() {
            table.insert_unique(hasher(&entry), entry, &hasher);
        }
        self.table = table;
        (self.hand, self.earliest, self.in_this_round) = (0, Micros::ZERO, Micros(u64::MAX));
        true
    }
}

/// How many entries a table of so many places holds before it grows.
fn full_capacity(buckets: usize) -> usize {
    if buckets < 8 { buckets.saturating_sub(1) } else { buckets / 8 * 7 }
}

/// How many of so many places are used: a sixteenth stays free, or the table would have to be tidied up after each removal.
fn in_use(places: usize) -> usize {
    places - places / 16
}

/// Has the processor bring a place near without waiting for it. Does nothing where that takes more than one stable instruction.
pub(super) fn prefetch<T>(place: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 has the instruction, and it touches no memory as far as the program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}
