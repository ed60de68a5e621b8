//! The parts of the store that one call holds.

use std::sync::{MutexGuard, PoisonError};

use smallvec::SmallVec;

use super::Memory;
use super::shard::Shard;

/// Shards that are held together, by their index.
pub(super) struct Locked<'a>(SmallVec<[(usize, MutexGuard<'a, Shard>); 4]>);

impl Locked<'_> {
    pub(super) fn of(&mut self, index: usize) -> &mut Shard {
        let held = self.0.iter_mut().find(|(held, _)| *held == index);
        &mut held.expect("every shard that is used was locked").1
    }
}

impl Memory {
    pub(super) fn shard_index(&self, hash: u64) -> usize {
        // The table uses the lowest and the highest bits.
        ((hash >> 32) & (self.shards.len() as u64 - 1)) as usize
    }

    /// Locked by a standard mutex: it is held for one step and never across an await.
    #[inline]
    pub(super) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        self.shards[self.shard_index(hash)].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks several shards, in their own order: two that lock the same ones never wait for each other.
    pub(super) fn lock_all(&self, indexes: impl Iterator<Item = usize>) -> Locked<'_> {
        let mut indexes: SmallVec<[usize; 4]> = indexes.collect();
        indexes.sort_unstable();
        indexes.dedup();
        let lock = |index: usize| (index, self.shards[index].lock().unwrap_or_else(PoisonError::into_inner));
        Locked(indexes.into_iter().map(lock).collect())
    }
}
