//! A shard's table: each key in one of two buckets, found by words that stand side by side.
//!
//! A state is never overwritten. The new one goes to the place beside it, or into free cells, and the key's word, written last,
//! says where it is: whoever is killed before that has changed nothing, and afterwards all of it. A key is there when its word is.

use smallvec::SmallVec;

use super::geometry::{BUCKET, ENTRY, Form, HEAD, ID, Id, KEPT, MOST_BYTES, PLACE, WAYS, Word, kept};
use super::lock::Held;
use crate::algorithm::{Policy, State};
use crate::clock::Micros;

/// Where a shard says how many keys it has.
pub(super) const KEYS: usize = 80;

/// Where it says at which bucket it is looked next for keys that have expired.
const HAND: usize = 88;

/// Buckets in which is looked for them when cells are wanted.
const SWEEP: usize = 8;

/// Where a key's entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    bucket: usize,
    way: usize,
}

/// What a newcomer finds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Room {
    /// An entry that is free, or whose key has expired.
    Here(Entry),
    /// None; the first of them expires then.
    NotUntil(Micros),
}

impl Held<'_> {
    fn word_at(bucket: usize, way: usize) -> usize {
        HEAD + bucket * BUCKET + 8 * way
    }

    fn entry_at(entry: Entry) -> usize {
        HEAD + entry.bucket * BUCKET + 8 * (WAYS + 1) + ENTRY * entry.way
    }

    fn place_at(entry: Entry, place: usize) -> usize {
        Self::entry_at(entry) + ID + place * PLACE
    }

    pub(super) fn entry_word(&self, bucket: usize, way: usize) -> Word {
        Word(self.word(Self::word_at(bucket, way)))
    }

    fn word_of(&self, entry: Entry) -> Word {
        self.entry_word(entry.bucket, entry.way)
    }

    /// There is no key from now on, and its cells are nobody's.
    pub(super) fn clear_word(&mut self, bucket: usize, way: usize) {
        self.set_word(Self::word_at(bucket, way), Word::default().0);
    }

    fn commit(&mut self, entry: Entry, word: Word) {
        self.set_word(Self::word_at(entry.bucket, entry.way), word.0);
    }

    /// How many keys there are, expired ones among them.
    pub(super) fn keys(&self) -> u64 {
        self.word(KEYS)
    }

    pub(super) fn set_keys(&mut self, keys: u64) {
        self.set_word(KEYS, keys);
    }

    /// The entry of a key.
    pub(super) fn find(&self, id: Id) -> Option<Entry> {
        for bucket in id.buckets(self.geometry) {
            let words = self.bytes(Self::word_at(bucket, 0), 8 * WAYS).chunks_exact(8);
            for (way, word) in words.enumerate() {
                let word = Word(u64::from_ne_bytes(word.try_into().expect("a word has eight bytes")));
                let entry = Entry { bucket, way };
                if word.may_be_of(id) && self.bytes(Self::entry_at(entry), ID) == id.bytes() {
                    return Some(entry);
                }
            }
        }
        None
    }

    /// The state of a key. `None` where it is none: nobody who keeps to the rules has written it.
    pub(super) fn state(&self, policy: &Policy, entry: Entry) -> Option<State> {
        let word = self.word_of(entry);
        match word.form()? {
            Form::Free => None,
            Form::Place(place) if word.length() <= PLACE => {
                policy.restore(self.bytes(Self::place_at(entry, place), word.length()))
            }
            Form::Place(_) => None,
            Form::Cells(first) => {
                let chain = self.chain(first, word.length())?;
                let mut state = SmallVec::new();
                self.read_chain(&chain, word.length(), &mut state);
                policy.restore(&state)
            }
        }
    }

    /// Where a newcomer may go, and not to those entries.
    pub(super) fn room(&self, id: Id, now: Micros, taken: &[Entry]) -> Room {
        let mut best: Option<(usize, Entry)> = None;
        for bucket in id.buckets(self.geometry) {
            let free = (0..WAYS).map(|way| Entry { bucket, way }).filter(|entry| self.word_of(*entry).is_free());
            let free: SmallVec<[Entry; WAYS]> = free.filter(|entry| !taken.contains(entry)).collect();
            // The emptier one of both: so nearly all of them are in use before a newcomer finds none.
            if free.len() > best.map_or(0, |(free, _)| free) {
                best = Some((free.len(), free[0]));
            }
        }
        if let Some((_, entry)) = best {
            return Room::Here(entry);
        }
        let mut first = Micros(u64::MAX);
        for bucket in id.buckets(self.geometry) {
            for entry in (0..WAYS).map(|way| Entry { bucket, way }).filter(|entry| !taken.contains(entry)) {
                match self.kept(entry) {
                    kept if kept <= now => return Room::Here(entry),
                    kept => first = first.min(kept),
                }
            }
        }
        Room::NotUntil(first)
    }

    /// Until when the key of an entry is kept. What cannot be read has been kept long enough.
    fn kept(&self, entry: Entry) -> Micros {
        let word = self.word_of(entry);
        let start = match word.form() {
            Some(Form::Place(place)) => Some(self.bytes(Self::place_at(entry, place), KEPT)),
            Some(Form::Cells(first)) => self.chain(first, 1).map(|chain| self.part(chain[0], KEPT)),
            Some(Form::Free) | None => None,
        };
        start.and_then(kept).unwrap_or(Micros::ZERO)
    }

    /// Whether that entry is the key's.
    fn is_of(&self, entry: Entry, id: Id) -> bool {
        self.word_of(entry).may_be_of(id) && self.bytes(Self::entry_at(entry), ID) == id.bytes()
    }

    /// Keeps a key's state until `expires_at`, in its own entry or in that where it found room. Where cells are short the state is made
    /// smaller, hence stricter, until it does without. Answers whether it could be kept, as every state can.
    pub(super) fn keep(&mut self, id: Id, entry: Entry, mut state: State, expires_at: Micros, now: Micros) -> bool {
        // Of one call another limit may have kept the same key meanwhile.
        let own = if self.is_of(entry, id) { Some(entry) } else { self.find(id) };
        let (entry, is_new) = (own.unwrap_or(entry), own.is_none());
        if is_new {
            self.forget(entry);
            self.write(Self::entry_at(entry), &id.bytes());
        }
        let before = self.word_of(entry);
        let word = loop {
            if let Some(word) = self.write_beside(id, entry, &state.encode(expires_at)) {
                break word;
            }
            if !self.sweep(now, entry) && !state.compact() {
                return false;
            }
        };
        self.commit(entry, word);
        self.free(before);
        if is_new {
            self.set_keys(self.keys() + 1);
        }
        true
    }

    /// Writes a state where none stands that counts, and answers the word that will say so. `None` where there are too few cells.
    fn write_beside(&mut self, id: Id, entry: Entry, state: &[u8]) -> Option<Word> {
        let form = if state.len() <= PLACE {
            let place = usize::from(self.word_of(entry).form() == Some(Form::Place(0)));
            self.write(Self::place_at(entry, place), state);
            Form::Place(place)
        } else if state.len() <= MOST_BYTES {
            Form::Cells(self.write_chain(state)?[0] as usize)
        } else {
            return None;
        };
        Some(Word::new(id, form, state.len()))
    }

    /// Forgets whoever has that entry, if anybody has.
    pub(super) fn forget(&mut self, entry: Entry) {
        let before = self.word_of(entry);
        if !before.is_free() {
            self.clear_word(entry.bucket, entry.way);
            self.free(before);
            self.set_keys(self.keys().saturating_sub(1));
        }
    }

    /// Forgets that key, if the entry is its own.
    pub(super) fn forget_own(&mut self, id: Id, entry: Entry) {
        if self.is_of(entry, id) {
            self.forget(entry);
        }
    }

    /// An entry's fingerprint, until when it is kept, and the state in its place.
    #[cfg(test)]
    pub(super) fn raw(&self, bucket: usize, way: usize) -> ([u8; ID], Micros, Vec<u8>) {
        let entry = Entry { bucket, way };
        let word = self.word_of(entry);
        let place = match word.form() {
            Some(Form::Place(place)) => self.bytes(Self::place_at(entry, place), word.length()).to_vec(),
            _ => Vec::new(),
        };
        (self.bytes(Self::entry_at(entry), ID).try_into().unwrap(), self.kept(entry), place)
    }

    /// Frees the cells of a state that is no longer any key's.
    fn free(&mut self, before: Word) {
        if let Some(Form::Cells(first)) = before.form()
            && let Some(chain) = self.chain(first, before.length())
        {
            self.free_chain(&chain);
        }
    }

    /// Forgets what has expired in the next buckets, but for that entry. Answers whether there was anything.
    fn sweep(&mut self, now: Micros, spared: Entry) -> bool {
        let buckets = self.geometry.buckets;
        let mut found = false;
        for _ in 0..SWEEP.min(buckets) {
            let bucket = usize::try_from(self.word(HAND)).unwrap_or(0) % buckets;
            self.set_word(HAND, (bucket + 1) as u64);
            for entry in (0..WAYS).map(|way| Entry { bucket, way }) {
                if entry != spared && !self.word_of(entry).is_free() && self.kept(entry) <= now {
                    self.forget(entry);
                    found = true;
                }
            }
        }
        found
    }
}
