//! The sliding counter's promise: the weighted sum of two windows never passes the limit, so neither does one window, and any
//! interval of that length stays below twice the limit; and it is refused no more than the slots of its share demand.

use proptest::prelude::*;

use super::{Model, is_told};
use crate::algorithm::{Algorithm, Change, Outcome, SlidingCounter};
use crate::clock::Micros;
use crate::tests::schedule::Op;

/// Units taken at one moment, less what was given back of them.
struct Taken {
    at: Micros,
    units: u64,
    admitted: bool,
}

/// Everything that was ever taken, oldest first.
pub(super) struct Counts {
    limit: u64,
    window: u64,
    slot: u64,
    taken: Vec<Taken>,
}

impl Counts {
    pub(super) fn new(limiter: &SlidingCounter) -> Self {
        let [limit, window, slot] = limiter.numbers()[..] else { panic!("three numbers") };
        Self { limit, window, slot, taken: Vec::new() }
    }

    /// Units of the window of that number, windows being counted from the epoch.
    fn of_window(&self, number: u64) -> u64 {
        self.taken.iter().filter(|taken| taken.at.0 / self.window == number).map(|taken| taken.units).sum()
    }

    /// Microseconds of the window before that a rolling one would still hold.
    fn left(&self, now: Micros) -> u64 {
        self.window - now.0 % self.window
    }

    /// Units in use, as the slots tell it, and as they are, counted in units of 1/window.
    fn used(&self, now: Micros) -> (u64, u128) {
        let present = now.0 / self.window;
        let (before, count) = (self.of_window(present - 1), self.of_window(present));
        let slots = self.window / self.slot;
        let share = self.left(now).div_ceil(self.slot).min(slots);
        let told = (before * share).div_ceil(slots) + count;
        let [before, count, left, window] = [before, count, self.left(now), self.window].map(u128::from);
        (told, before * left + count * window)
    }

    /// From the window before and this one, oldest first.
    fn give_back(&mut self, now: Micros, mut units: u64) {
        let counted = now.0 / self.window - 1;
        for taken in self.taken.iter_mut().filter(|taken| taken.at.0 / self.window >= counted) {
            let back = units.min(taken.units);
            taken.units -= back;
            units -= back;
        }
    }

    /// Units admitted since `from`.
    fn admitted(&self, from: Micros) -> u64 {
        self.taken.iter().filter(|taken| taken.admitted && taken.at >= from).map(|taken| taken.units).sum()
    }
}

impl Model for Counts {
    fn watch(&mut self, now: Micros, op: Op, outcome: &Outcome) -> Result<(), TestCaseError> {
        match op {
            Op::Ask(_) => self.taken.push(Taken { at: now, units: outcome.granted, admitted: true }),
            Op::Change(Change::Refund(units)) => self.give_back(now, units),
            Op::Change(Change::Penalize(units)) => {
                let units = units.min((2 * self.limit).saturating_sub(self.used(now).0));
                self.taken.push(Taken { at: now, units, admitted: false });
            }
            Op::Change(Change::Reserve(_)) => panic!("a window cannot be booked ahead"),
            Op::Change(Change::Lease { .. } | Change::GiveBack { .. }) => panic!("nothing is leased of it"),
        }
        let (told, exactly) = self.used(now);
        if outcome.granted > 0 {
            prop_assert!(
                exactly <= u128::from(self.limit) * u128::from(self.window),
                "more than {} in use",
                self.limit
            );
            let start = Micros(now.0 / self.window * self.window);
            prop_assert!(self.admitted(start) <= self.limit, "more than {} in one window", self.limit);
            let rolling = self.admitted(now - Micros(self.window - 1));
            prop_assert!(rolling < 2 * self.limit, "{rolling}, not below twice {}, in any window", self.limit);
        }
        // Three slots of the share and a unit are the most by which it is stricter than it need be.
        let (before, window) = (self.of_window(now.0 / self.window - 1), u128::from(self.window));
        let strict = u128::from(before) * 3 * u128::from(self.slot) + window;
        prop_assert!(u128::from(told) * window < exactly + strict, "{told} said to be in use");

        is_told(outcome, op.ask(), self.limit.saturating_sub(told - outcome.granted))?;
        let start = now.0 / self.window * self.window;
        let windows = if self.of_window(now.0 / self.window) > 0 { 2 } else { u64::from(before > 0) };
        prop_assert_eq!(outcome.reset_at.0, if windows > 0 { start + windows * self.window } else { now.0 });
        Ok(())
    }

    fn longest(&self) -> Micros {
        Micros(2 * self.window)
    }
}
