//! Sliding counter: two counters, of this window and of the one before, which weighs less as time goes on.
//!
//! Windows begin at multiples of `window` since the epoch. What is in use is the count of this window, and of the one before
//! the share that a rolling window would still hold, had its units come evenly. A call is admitted where that and its cost are
//! within `limit`. So at most `limit` units are admitted in each window, and fewer than 2 × `limit` in any rolling interval of
//! that length: at the most uneven, all of one window at its end, and then what its waning share leaves room for.
//!
//! The share is counted in slots, of which a window has at most 65,536: then every product is exact in a Lua number. It is
//! never less than the true share: a slot that has only begun to pass counts in full, and where a window is no whole number of
//! slots, nothing wanes during the odd piece at its start.
//!
//! The approximation is known from Cloudflare's "How we built rate limiting capable of scaling to millions of domains".

use smallvec::smallvec;

use super::{Algorithm, Ask, Numbers, Outcome, VERSION, Windowed};
use crate::arithmetic::quotient;
use crate::clock::Micros;
use crate::wire;

/// The most slots in which a window passes.
const RESOLUTION: u64 = 1 << 16;

/// A limit on the weighted sum of two windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingCounter {
    limit: u64,
    window: Micros,
    slot: u64,
    /// How many whole slots a window has.
    slots: u64,
}

/// What was counted in a window, and in the one before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// When the window began in which `count` counts.
    start: Micros,
    before: u64,
    count: u64,
}

impl Counters {
    /// Nothing for a key that was never seen.
    fn or_default(self) -> Self {
        if self.before + self.count > 0 { self } else { Self::default() }
    }
}

impl SlidingCounter {
    /// `limit` units in a `window`, as two windows tell it.
    pub(crate) fn new(limit: u64, window: Micros) -> Self {
        let slot = window.0.div_ceil(RESOLUTION);
        Self { limit, window, slot, slots: window.0 / slot }
    }

    /// The counters as they stand now. After the clock jumped back, this window is the present one and what was counted stays.
    /// A window follows the one before it, so where the length was changed they need not begin at its multiples.
    fn present(&self, counters: Counters, now: Micros) -> Counters {
        let next = counters.start + self.window;
        if counters.before + counters.count == 0 || next + self.window <= now || (next <= now && counters.count == 0) {
            Counters { start: self.begin(now), before: 0, count: 0 }
        } else if next <= now {
            Counters { start: next, before: counters.count, count: 0 }
        } else if counters.start > now {
            Counters { start: self.begin(now), ..counters }
        } else {
            counters
        }
    }

    /// A key's counters where they are kept elsewhere: `count` in the window of `now`, and `before` in the one before it.
    pub(crate) fn counters(&self, now: Micros, before: u64, count: u64) -> Counters {
        Counters { start: self.begin(now), before, count }
    }

    /// What was counted at two places.
    pub(crate) fn sum(&self, one: Counters, other: Counters, now: Micros) -> Counters {
        let (one, other) = (self.present(one, now), self.present(other, now));
        let start = one.start.max(other.start);
        Counters { start, before: one.before + other.before, count: one.count + other.count }
    }

    /// Which window it is, counted from the epoch.
    pub(crate) fn index(&self, now: Micros) -> u64 {
        quotient(now.0, self.window.0)
    }

    /// The length of a window.
    pub(crate) fn window(&self) -> Micros {
        self.window
    }

    fn begin(&self, now: Micros) -> Micros {
        Micros(quotient(now.0, self.window.0) * self.window.0)
    }

    /// Units in use.
    fn used(&self, present: Counters, now: Micros) -> u64 {
        if present.before == 0 {
            return present.count;
        }
        let left = (present.start + self.window - now).0;
        let share = quotient(left + self.slot - 1, self.slot).min(self.slots);
        quotient(present.before * share + self.slots - 1, self.slots) + present.count
    }

    /// When `least` units fit that do not now: in this window, as the one before it wanes, or in the next one, as this one does.
    fn room_at(&self, present: Counters, least: u64) -> Micros {
        let room = self.limit.saturating_sub(least);
        let end = present.start + self.window;
        let (room, waning, gone_at) = if present.count <= room {
            (room - present.count, present.before, end)
        } else {
            (room, present.count, end + self.window)
        };
        // So many slots of it may be left.
        let slots = quotient(room * self.slots, waning.max(1));
        gone_at - Micros(slots * self.slot)
    }

    fn reset_at(&self, present: Counters, now: Micros) -> Micros {
        match present {
            Counters { before: 0, count: 0, .. } => now,
            Counters { count: 0, start, .. } => start + self.window,
            Counters { start, .. } => start + self.window + self.window,
        }
    }
}

impl Algorithm for SlidingCounter {
    type State = Counters;

    const NAME: &'static str = "sliding-counter";

    #[inline(never)]
    fn step(&self, counters: &mut Counters, now: Micros, ask: Ask) -> Outcome {
        let mut present = self.present(*counters, now);
        let free = self.limit.saturating_sub(self.used(present, now));
        let granted = ask.of(free);
        present.count += granted.unwrap_or(0);
        if granted.is_some_and(|units| units > 0) || counters.start > now {
            *counters = present;
        }
        Outcome::of(granted, free, || self.room_at(present, ask.least) - now, self.reset_at(present, now))
    }

    fn refund(&self, counters: &mut Counters, now: Micros, units: u64) {
        let present = self.present(*counters, now);
        let oldest = units.min(present.before);
        let before = present.before - oldest;
        let count = present.count.saturating_sub(units - oldest);
        *counters = Counters { before, count, ..present }.or_default();
    }

    fn penalize(&self, counters: &mut Counters, now: Micros, units: u64) {
        let present = self.present(*counters, now);
        let room = (2 * self.limit).saturating_sub(self.used(present, now));
        *counters = Counters { count: present.count + units.min(room), ..present }.or_default();
    }

    fn seen(counters: &Counters) -> Micros {
        counters.start
    }

    /// Units of the window before are taken to be of this one, where they count longer.
    fn units(counters: &Counters) -> Option<u64> {
        (counters.count > 0 || counters.before == 0).then_some(counters.before + counters.count)
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    fn scaled(&self, parts: u64, of: u64) -> Self {
        Self { limit: (self.limit * parts).div_ceil(of), ..*self }
    }

    fn numbers(&self) -> Numbers {
        smallvec![self.limit, self.window.0, self.slot]
    }

    fn encode(counters: &Counters, kept: Micros) -> Vec<u8> {
        let mut out = Vec::with_capacity(25);
        out.push(VERSION);
        wire::put::<7>(&mut out, kept.0);
        wire::put::<7>(&mut out, counters.start.0);
        wire::put::<5>(&mut out, counters.before);
        wire::put::<5>(&mut out, counters.count);
        out
    }

    fn decode(mut body: &[u8]) -> Option<Counters> {
        let start = Micros(wire::take::<7>(&mut body)?);
        let before = wire::take::<5>(&mut body)?;
        let count = wire::take::<5>(&mut body)?;
        body.is_empty().then_some(Counters { start, before, count })
    }
}

impl Windowed for SlidingCounter {
    fn counted(&self, counters: &Counters, now: Micros) -> u64 {
        let present = self.present(*counters, now);
        present.before + present.count
    }
}
