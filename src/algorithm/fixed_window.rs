//! Fixed window: one counter, which is forgotten as a whole when its window ends.
//!
//! A window begins with the key's first hit, or, aligned, at a multiple of `window` since the epoch. At most `limit` units are
//! admitted in each of a key's windows. A rolling interval of the same length may hold the end of one and the beginning of the
//! next, so in it there may be up to 2 × `limit`; who minds takes a sliding window.

use smallvec::smallvec;

use super::{Algorithm, Ask, Numbers, Outcome, VERSION, Windowed};
use crate::arithmetic::quotient;
use crate::clock::Micros;
use crate::wire;

/// A limit on each window of a key's own, or of the clock's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindow {
    limit: u64,
    window: Micros,
    align: bool,
}

/// What was counted since a window's start; nothing for a key that was never seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counter {
    pub(super) start: Micros,
    pub(super) count: u64,
}

impl Counter {
    /// With `units` given back.
    pub(super) fn refunded(self, units: u64) -> Self {
        self.with(self.count.saturating_sub(units))
    }

    /// With `units` taken whether they are there or not, up to as much again as the `limit`.
    pub(super) fn penalized(self, units: u64, limit: u64) -> Self {
        let most = self.count.max(2 * limit);
        self.with(most.min(self.count.saturating_add(units)))
    }

    /// Where nothing is counted there is no window.
    fn with(self, count: u64) -> Self {
        if count > 0 { Self { count, ..self } } else { Self::default() }
    }
}

impl FixedWindow {
    /// `limit` units in a `window` that begins with the first hit, or at a multiple of its length where it is to `align`.
    pub(crate) fn new(limit: u64, window: Micros, align: bool) -> Self {
        Self { limit, window, align }
    }

    /// When a window begins whose first hit is now.
    fn begin(&self, now: Micros) -> Micros {
        if self.align { Micros(quotient(now.0, self.window.0) * self.window.0) } else { now }
    }

    /// The counter as it stands now. After the clock jumped back its window is the present one, and what it counted stays: no
    /// key waits longer than one window.
    fn present(&self, counter: Counter, now: Micros) -> Counter {
        if counter.count == 0 || counter.start + self.window <= now {
            Counter { start: self.begin(now), count: 0 }
        } else if counter.start > now {
            Counter { start: self.begin(now), ..counter }
        } else {
            counter
        }
    }
}

impl Algorithm for FixedWindow {
    type State = Counter;

    const NAME: &'static str = "fixed-window";

    #[inline(never)]
    fn step(&self, counter: &mut Counter, now: Micros, ask: Ask) -> Outcome {
        let mut present = self.present(*counter, now);
        let free = self.limit.saturating_sub(present.count);
        let granted = ask.of(free);
        present.count += granted.unwrap_or(0);
        if granted.is_some_and(|units| units > 0) || counter.start > now {
            *counter = present;
        }
        let end = present.start + self.window;
        Outcome::of(granted, free, || end - now, if present.count > 0 { end } else { now })
    }

    fn refund(&self, counter: &mut Counter, now: Micros, units: u64) {
        *counter = self.present(*counter, now).refunded(units);
    }

    fn penalize(&self, counter: &mut Counter, now: Micros, units: u64) {
        *counter = self.present(*counter, now).penalized(units, self.limit);
    }

    fn seen(counter: &Counter) -> Micros {
        counter.start
    }

    fn units(counter: &Counter) -> Option<u64> {
        Some(counter.count)
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    fn scaled(&self, parts: u64, of: u64) -> Self {
        Self { limit: (self.limit * parts).div_ceil(of), ..*self }
    }

    fn numbers(&self) -> Numbers {
        smallvec![self.limit, self.window.0, u64::from(self.align)]
    }

    fn encode(counter: &Counter, kept: Micros) -> Vec<u8> {
        let mut out = Vec::with_capacity(20);
        out.push(VERSION);
        wire::put::<7>(&mut out, kept.0);
        wire::put::<7>(&mut out, counter.start.0);
        wire::put::<5>(&mut out, counter.count);
        out
    }

    fn decode(mut body: &[u8]) -> Option<Counter> {
        let start = Micros(wire::take::<7>(&mut body)?);
        let count = wire::take::<5>(&mut body)?;
        body.is_empty().then_some(Counter { start, count })
    }
}

impl Windowed for FixedWindow {
    fn counted(&self, counter: &Counter, now: Micros) -> u64 {
        self.present(*counter, now).count
    }
}
