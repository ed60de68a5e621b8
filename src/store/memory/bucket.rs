//! Fingerprints as they stand in memory: 15 of four bytes and a spill in 64 bytes.

use super::pace::TICKS;

/// Slots of a bucket: with the spill they are a line of the processor's cache.
const SLOTS: usize = 15;

/// The most units that a slot counts.
pub(super) const MOST: u64 = 15;

/// The most units that a spill counts.
pub(super) const MOST_SPILLED: u64 = 0xFFFF;

/// Bytes of a bucket.
pub(super) const BUCKET: usize = size_of::<Bucket>();

/// Four bits of units, which are 0 where it is free, twelve of time, four of the limit, twelve of fingerprint.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slot(u32);

impl Slot {
    #[expect(clippy::cast_possible_truncation, reason = "none has more bits than its place")]
    pub(super) fn new(mark: u32, kind: usize, tick: u64, units: u64) -> Self {
        Self(mark << 20 | (kind as u32) << 16 | ((tick % TICKS) as u32) << 4 | units as u32)
    }

    pub(super) fn units(self) -> u64 {
        u64::from(self.0 & 15)
    }

    pub(super) fn tick(self) -> u64 {
        u64::from(self.0 >> 4 & 0xFFF)
    }

    pub(super) fn kind(self) -> usize {
        (self.0 >> 16 & 15) as usize
    }

    pub(super) fn mark(self) -> u32 {
        self.0 >> 20
    }

    pub(super) fn is_of(self, mark: u32) -> bool {
        self.mark() == mark && self.units() > 0
    }
}

/// What those have used that found no slot.
#[derive(Clone, Copy, Default)]
pub(super) struct Spill {
    pub(super) tick: u16,
    pub(super) units: u16,
}

/// A line of the processor's cache.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Bucket {
    pub(super) slots: [Slot; SLOTS],
    pub(super) spill: Spill,
}
