//! What a store may hold, shared out between its shards and what they are made of.

use super::bucket::BUCKET;
use crate::algorithm::Policy;

/// Bytes where nobody says otherwise: 64 MiB.
pub const DEFAULT_BYTES: usize = 64 << 20;

/// Many shards keep the pause short when one of the tables grows, and threads out of each other's way.
const MAX_SHARDS: usize = 64;

/// A shard has at least so many bytes of the bound, if there are as many.
const SHARD_BYTES: usize = 1 << 20;

/// Sixty-fourths of the bytes that are for fingerprints: at the default bound 11.3 million of them.
const OVERFLOW: usize = 46;

/// The same of exact states, with their tables. What neither has is for a table that takes another's place, when for a moment
/// there are both, and for what the allocator loses.
const EXACT: usize = 15;

/// One part of so many of the exact states' bytes is not for newcomers, but for states that grow.
const GROWTH: usize = 16;

/// What a log is expected to grow by.
const LOG: usize = 48;

/// The bound of one shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    /// Bytes of tables, states and long keys.
    pub(super) exact: usize,
    /// Those of them that newcomers may take.
    pub(super) newcomers: usize,
    /// Buckets of fingerprints.
    pub(super) buckets: usize,
    /// The most keys with a state of their own.
    pub(super) places: usize,
    /// The bits of a fingerprint that count.
    pub(super) marks: u32,
}

impl Bound {
    /// How many shards share `bytes`, and the bound of each.
    pub(super) fn of(bytes: usize) -> (usize, Self) {
        let shards = (bytes / SHARD_BYTES).clamp(1, MAX_SHARDS);
        // They are found by bits of a hash.
        let shards = 1 << shards.ilog2();
        let each = bytes / shards;
        let exact = each / 64 * EXACT;
        let bound = Self {
            exact,
            newcomers: exact - exact / GROWTH,
            buckets: each / 64 * OVERFLOW / BUCKET,
            places: usize::MAX,
            marks: u32::MAX,
        };
        (shards, bound)
    }
}

/// What a state of this policy is expected to grow by, once it is in use.
pub(super) fn growth(policy: &Policy) -> usize {
    if matches!(policy, Policy::SlidingWindow(_) | Policy::SlidingWindowBurst(_)) { LOG } else { 0 }
}
