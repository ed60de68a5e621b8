//! Sliding window: a log of arrivals, grouped by slots of absolute time.
//!
//! In any rolling interval of length `window` (half-open) the admitted cost never exceeds `limit`. Arrivals within one slot
//! share a group that is forgotten `window` after its **newest** member, so grouping can only make the log stricter: a unit
//! comes back less than a slot late. Memory is at most `resolution + 1` groups, whatever the limit. Slots are of absolute
//! time, since a group that grew with each arrival would be kept alive for ever by a steady stream.
//!
//! The log is the "sliding window log" of the literature; the grouping is this library's own.

use smallvec::SmallVec;

use super::{Algorithm, Ask, Outcome, VERSION};
use crate::arithmetic::quotient;
use crate::clock::Micros;
use crate::wire;

/// A limit on every rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    limit: u64,
    window: Micros,
    slot: u64,
}

/// What was admitted within the last window, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The sum of all counts.
    total: u64,
    /// A few stand in the log itself, since most keys are quiet and each place more to look at costs more than the arithmetic.
    groups: SmallVec<[Group; 2]>,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    /// When the newest member was admitted.
    newest: Micros,
    count: u64,
}

impl SlidingWindow {
    /// `limit` units in any `window`, counted in `resolution` slots; to the microsecond where `limit <= resolution`, since
    /// then a group a unit is no more memory than a group a slot.
    pub(crate) fn new(limit: u64, window: Micros, resolution: u64) -> Self {
        let slot = if limit <= resolution { 1 } else { window.0.div_ceil(resolution) };
        Self { limit, window, slot }
    }

    /// How late a spent unit may come back: less than this.
    pub fn slot(&self) -> Micros {
        Micros(self.slot)
    }

    fn forget(&self, log: &mut Log, now: Micros) {
        let mut gone = 0;
        while let Some(oldest) = log.groups.get(gone)
            && oldest.newest + self.window <= now
        {
            log.total = log.total.saturating_sub(oldest.count);
            gone += 1;
        }
        if gone > 0 {
            log.groups.drain(..gone);
        }
    }

    /// After the clock jumped back, what lies in the future is brought to the present: no later than it can have been, and no
    /// key waits longer than one window.
    fn clamp(&self, log: &mut Log, now: Micros) {
        let mut ahead = 0;
        while let Some(newest) = log.groups.last()
            && newest.newest > now
        {
            ahead += newest.count;
            log.groups.pop();
        }
        if ahead > 0 {
            self.append(log, now, ahead);
        }
    }

    fn append(&self, log: &mut Log, now: Micros, count: u64) {
        match log.groups.last_mut() {
            Some(last) if self.same_slot(last.newest, now) => {
                last.newest = now;
                last.count += count;
            }
            _ => log.groups.push(Group { newest: now, count }),
        }
    }

    /// Whether `earlier` is in the slot of `now`.
    fn same_slot(&self, earlier: Micros, now: Micros) -> bool {
        let age = now.0 - earlier.0;
        age < self.slot && age <= now.0 - quotient(now.0, self.slot) * self.slot
    }

    /// When enough has been forgotten for `least` units to fit.
    fn room_at(&self, log: &Log, least: u64) -> Option<Micros> {
        let mut missing = (log.total + least).saturating_sub(self.limit);
        let group = log.groups.iter().find(|group| {
            missing = missing.saturating_sub(group.count);
            missing == 0
        })?;
        Some(group.newest + self.window)
    }
}

impl Algorithm for SlidingWindow {
    /// Boxed, so that a key of another algorithm does not pay for its size.
    type State = Box<Log>;

    const NAME: &'static str = "sliding-window";

    fn step(&self, log: &mut Box<Log>, now: Micros, ask: Ask) -> Outcome {
        self.forget(log, now);
        self.clamp(log, now);
        let free = self.limit.saturating_sub(log.total);
        let granted = ask.of(free);
        if let Some(granted) = granted.filter(|granted| *granted > 0) {
            log.total += granted;
            self.append(log, now, granted);
        }
        Outcome {
            allowed: granted.is_some(),
            granted: granted.unwrap_or(0),
            remaining: free - granted.unwrap_or(0),
            retry_after: match granted {
                Some(_) => Micros::ZERO,
                None => self.room_at(log, ask.least).map_or(self.window, |at| at - now),
            },
            reset_at: log.groups.last().map_or(now, |last| last.newest + self.window),
            delay: Micros::ZERO,
        }
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    fn numbers(&self) -> [u64; 3] {
        [self.limit, self.window.0, self.slot]
    }

    fn encode(log: &Box<Log>, kept: Micros) -> Vec<u8> {
        let mut out = Vec::with_capacity(13 + 12 * log.groups.len());
        out.push(VERSION);
        wire::put::<7>(&mut out, kept.0);
        wire::put::<5>(&mut out, log.total);
        for group in &log.groups {
            wire::put::<7>(&mut out, group.newest.0);
            wire::put::<5>(&mut out, group.count);
        }
        out
    }

    fn decode(mut bytes: &[u8]) -> Option<(Box<Log>, Micros)> {
        let version = wire::take::<1>(&mut bytes)?;
        let kept = Micros(wire::take::<7>(&mut bytes)?);
        let total = wire::take::<5>(&mut bytes)?;
        let mut groups = SmallVec::with_capacity(bytes.len() / 12);
        while !bytes.is_empty() {
            groups.push(Group { newest: Micros(wire::take::<7>(&mut bytes)?), count: wire::take::<5>(&mut bytes)? });
        }
        let counted: u64 = groups.iter().map(|group: &Group| group.count).sum();
        let whole = version == u64::from(VERSION) && !groups.is_empty() && counted == total;
        whole.then(|| (Box::new(Log { total, groups }), kept))
    }
}
