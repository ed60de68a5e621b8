//! Calendar: a fixed window that is a day, a week or a month as it is lived in a time zone.
//!
//! At most `limit` units are admitted from one local midnight to the next. The counter is that of the fixed window; what was
//! counted since the present period began counts, whatever has begun since, and nothing older does. Like there, what a clock that
//! jumped back finds ahead of itself counts as well.
//!
//! The Lua twin knows no zones. It is given the bounds of three periods, those around the present of the process that asks, and
//! takes the one in which Redis's present lies: the clocks may differ by less than a period. Where that is none of them it refuses
//! to decide.

use smallvec::smallvec;

use super::fixed_window::Counter;
use super::{Algorithm, Ask, FixedWindow, Numbers, Outcome};
use crate::calendar::{Period, Periods};
use crate::clock::Micros;

/// A limit on each period of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    limit: u64,
    periods: &'static Periods,
}

impl Calendar {
    /// `limit` units in each of those periods.
    pub(crate) fn new(limit: u64, periods: &'static Periods) -> Self {
        Self { limit, periods }
    }

    /// The periods.
    pub fn periods(&self) -> &'static Periods {
        self.periods
    }

    /// The numbers from which the Lua twin prepares itself for calls around `now`.
    pub(super) fn around(&self, now: Micros) -> Numbers {
        let [before, begin, finish, after] = self.periods.around(now).map(|bound| bound.0);
        smallvec![self.limit, before, begin, finish, after]
    }

    /// The counter as it stands now, and the period.
    fn present(&self, counter: Counter, now: Micros) -> (Counter, Period) {
        let period = self.periods.at(now);
        let count = if counter.start < period.begin { 0 } else { counter.count };
        (Counter { start: period.begin, count }, period)
    }
}

impl Algorithm for Calendar {
    type State = Counter;

    const NAME: &'static str = "calendar";

    #[inline(never)]
    fn step(&self, counter: &mut Counter, now: Micros, ask: Ask) -> Outcome {
        let (mut present, Period { begin, end }) = self.present(*counter, now);
        let free = self.limit.saturating_sub(present.count);
        let granted = ask.of(free);
        present.count += granted.unwrap_or(0);
        if granted.is_some_and(|units| units > 0) || counter.start > begin {
            *counter = present;
        }
        Outcome::of(granted, free, || end - now, if present.count > 0 { end } else { now })
    }

    fn refund(&self, counter: &mut Counter, now: Micros, units: u64) {
        *counter = self.present(*counter, now).0.refunded(units);
    }

    fn penalize(&self, counter: &mut Counter, now: Micros, units: u64) {
        *counter = self.present(*counter, now).0.penalized(units, self.limit);
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

    /// How long a period is at most stands where others have their window.
    fn numbers(&self) -> Numbers {
        smallvec![self.limit, self.periods.most().0]
    }

    fn encode(counter: &Counter, kept: Micros) -> Vec<u8> {
        FixedWindow::encode(counter, kept)
    }

    fn decode(body: &[u8]) -> Option<Counter> {
        FixedWindow::decode(body)
    }
}
