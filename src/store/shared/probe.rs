//! For tests: what stands in a file, and deaths at a chosen moment.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use smallvec::SmallVec;

use super::Shared;
use super::cells::CELLS;
use super::geometry::{Form, WAYS};
use super::lock::Held;
use crate::clock::Micros;

/// Shards that this process has made whole.
pub(crate) static REPAIRS: AtomicUsize = AtomicUsize::new(0);

impl Shared {
    /// Is killed at the write after so many others: it panics, and leaves what it has locked as it is.
    pub(crate) fn kill_after(&self, writes: i64) {
        self.mapping.mortality.after(writes);
    }

    /// Every key with its state, and until when it is kept, after it was looked whether all that follows from them is as it says.
    pub(crate) fn states(&self) -> BTreeMap<[u8; 16], (Micros, Vec<u8>)> {
        let mut all = BTreeMap::new();
        for shard in 0..self.geometry.shards {
            let held = self.lock(shard).unwrap();
            let before = all.len();
            let cells = states_of(&held, &mut all);
            assert_eq!(held.keys(), (all.len() - before) as u64, "keys that are counted and that are there");
            assert_eq!(held.word(CELLS), cells as u64, "cells that are counted and that are a state's");
            assert_eq!(held.free_cells() + cells, self.geometry.cells, "cells that are free or a state's");
        }
        all
    }

    /// Holds the lock of every shard until it is dropped.
    pub(crate) fn hold(&self) -> Vec<impl Sized> {
        (0..self.geometry.shards).map(|shard| self.lock(shard).unwrap()).collect()
    }

    /// Entries that there are.
    pub(crate) fn places(&self) -> usize {
        self.geometry.shards * self.geometry.buckets * WAYS
    }

    pub(crate) fn repaired() -> usize {
        REPAIRS.load(Relaxed)
    }
}

fn states_of(held: &Held<'_>, all: &mut BTreeMap<[u8; 16], (Micros, Vec<u8>)>) -> usize {
    let mut cells = 0;
    for bucket in 0..held.geometry.buckets {
        for way in 0..WAYS {
            let word = held.entry_word(bucket, way);
            let Some(form) = word.form().filter(|form| *form != Form::Free) else { continue };
            let (id, kept, place) = held.raw(bucket, way);
            let mut state = SmallVec::new();
            match form {
                Form::Cells(first) => {
                    let chain = held.chain(first, word.length()).unwrap();
                    held.read_chain(&chain, word.length(), &mut state);
                    cells += chain.len();
                }
                _ => state.extend_from_slice(&place),
            }
            assert!(all.insert(id, (kept, state.to_vec())).is_none(), "a key that is there twice");
        }
    }
    cells
}
