//! States that are too long for a key's own places: each in a chain of cells of its shard.
//!
//! A cell is free, or one of the chain of one state. Free ones are a list, and those that were never used come after all others.
//! A new state is written into free cells, committed by the key's word, and only then the old one's cells are free. What a
//! death in between leaves of the list is of no matter: the repair makes it anew of what the words say.

use smallvec::SmallVec;

use super::geometry::{BUCKET, CELL, HEAD, PART};
use super::lock::Held;

/// Where a shard says which free cell is the first: its number and one, or 0 for none.
const FIRST_FREE: usize = 64;

/// Where it says how many have ever been used.
const EVER_USED: usize = 72;

/// Where it says how many are in a chain.
pub(super) const CELLS: usize = 96;

/// The numbers of a chain.
pub(super) type Chain = SmallVec<[u32; 4]>;

impl Held<'_> {
    fn cell(&self, number: u32) -> usize {
        HEAD + self.geometry.buckets * BUCKET + number as usize * CELL
    }

    /// The number that a cell names as the next one's, `None` where there is no such cell.
    fn after(&self, number: u32) -> Option<u32> {
        let next = self.bytes(self.cell(number), 4).try_into().map(u32::from_ne_bytes).ok()?;
        self.is_cell(next as usize).then_some(next)
    }

    fn is_cell(&self, number: usize) -> bool {
        number < self.geometry.cells
    }

    /// The cells of a state of so many bytes. `None` where it is none.
    pub(super) fn chain(&self, first: usize, length: usize) -> Option<Chain> {
        let mut next = u32::try_from(first).ok().filter(|_| self.is_cell(first))?;
        let mut chain = Chain::new();
        for left in (0..length.div_ceil(PART)).rev() {
            chain.push(next);
            if left > 0 {
                next = self.after(next)?;
            }
        }
        Some(chain)
    }

    /// The first bytes of a state's part in a cell.
    pub(super) fn part(&self, number: u32, length: usize) -> &[u8] {
        self.bytes(self.cell(number) + 4, length)
    }

    /// Appends what stands in a chain, up to so many bytes.
    pub(super) fn read_chain(&self, chain: &[u32], length: usize, out: &mut SmallVec<[u8; 512]>) {
        let mut left = length;
        for number in chain {
            let part = left.min(PART);
            out.extend_from_slice(self.part(*number, part));
            left -= part;
        }
    }

    /// Writes a state into free cells, which are then no longer free. `None` where there are too few.
    pub(super) fn write_chain(&mut self, state: &[u8]) -> Option<Chain> {
        let chain = self.take(state.len().div_ceil(PART))?;
        for (index, part) in state.chunks(PART).enumerate() {
            let mut cell = [0; CELL];
            let next = chain.get(index + 1).copied().unwrap_or(u32::MAX);
            cell[..4].copy_from_slice(&next.to_ne_bytes());
            cell[4..4 + part.len()].copy_from_slice(part);
            self.write(self.cell(chain[index]), &cell[..4 + part.len()]);
        }
        Some(chain)
    }

    /// Takes so many cells from the free ones, then from those that were never used.
    fn take(&mut self, wanted: usize) -> Option<Chain> {
        let mut chain = Chain::new();
        let mut free = self.word(FIRST_FREE);
        let mut used = self.word(EVER_USED);
        while chain.len() < wanted {
            if let Some(number) = free.checked_sub(1) {
                let number = u32::try_from(number).ok().filter(|number| self.is_cell(*number as usize))?;
                chain.push(number);
                free = self.after(number).map_or(0, |next| u64::from(next) + 1);
            } else if self.is_cell(usize::try_from(used).ok()?) {
                chain.push(u32::try_from(used).ok()?);
                used += 1;
            } else {
                return None;
            }
        }
        self.set_word(FIRST_FREE, free);
        self.set_word(EVER_USED, used);
        self.set_word(CELLS, self.word(CELLS) + wanted as u64);
        Some(chain)
    }

    /// The cells of a chain are free from now on.
    pub(super) fn free_chain(&mut self, chain: &[u32]) {
        self.set_word(CELLS, self.word(CELLS).saturating_sub(chain.len() as u64));
        self.list_as_free(chain);
    }

    fn list_as_free(&mut self, chain: &[u32]) {
        if let (Some(first), Some(last)) = (chain.first(), chain.last()) {
            let next =
                self.word(FIRST_FREE).checked_sub(1).and_then(|next| u32::try_from(next).ok()).unwrap_or(u32::MAX);
            self.write(self.cell(*last), &next.to_ne_bytes());
            self.set_word(FIRST_FREE, u64::from(*first) + 1);
        }
    }

    /// Makes the list of free cells of all that are in no chain, as `is_used` says of each.
    pub(super) fn free_all_but(&mut self, is_used: &[bool]) {
        let used = is_used.iter().rposition(|is_used| *is_used).map_or(0, |last| last + 1);
        self.set_word(FIRST_FREE, 0);
        self.set_word(EVER_USED, used as u64);
        for (number, _) in (0..).zip(&is_used[..used]).filter(|(_, is_used)| !**is_used) {
            self.list_as_free(&[number]);
        }
        self.set_word(CELLS, is_used.iter().filter(|is_used| **is_used).count() as u64);
    }

    /// How many are free, whichever way.
    #[cfg(test)]
    pub(super) fn free_cells(&self) -> usize {
        let mut free = self.geometry.cells - usize::try_from(self.word(EVER_USED)).unwrap();
        let mut next = self.word(FIRST_FREE).checked_sub(1).map(|number| u32::try_from(number).unwrap());
        while let Some(number) = next {
            free += 1;
            assert!(free <= self.geometry.cells, "a ring");
            next = self.after(number);
        }
        free
    }
}
