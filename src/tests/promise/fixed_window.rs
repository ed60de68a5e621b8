//! The fixed window's promise: at most the limit in each of its windows, and twice that in any interval of the same length.

use proptest::prelude::*;

use super::{Model, is_told};
use crate::algorithm::{Algorithm, Change, FixedWindow, Outcome};
use crate::clock::Micros;
use crate::tests::schedule::Op;

/// Units taken at one moment, less what was given back of them.
struct Taken {
    at: Micros,
    units: u64,
    admitted: bool,
}

/// Everything that was ever taken, oldest first.
pub(super) struct Windows {
    limit: u64,
    window: Micros,
    align: bool,
    /// When the present window began; none where nothing is counted.
    start: Option<Micros>,
    taken: Vec<Taken>,
}

impl Windows {
    pub(super) fn new(limiter: &FixedWindow) -> Self {
        let [limit, window, align] = limiter.numbers()[..] else { panic!("three numbers") };
        Self { limit, window: Micros(window), align: align == 1, start: None, taken: Vec::new() }
    }

    fn begin(&self, now: Micros) -> Micros {
        let multiples = now.0 / self.window.0;
        if self.align { Micros(multiples * self.window.0) } else { now }
    }

    fn total(&self) -> u64 {
        let start = self.start.unwrap_or(Micros(u64::MAX));
        self.taken.iter().filter(|taken| taken.at >= start).map(|taken| taken.units).sum()
    }

    fn take(&mut self, at: Micros, units: u64, admitted: bool) {
        if units > 0 {
            self.start = self.start.or(Some(self.begin(at)));
            self.taken.push(Taken { at, units, admitted });
        }
    }

    fn give_back(&mut self, mut units: u64) {
        let Some(start) = self.start else { return };
        for taken in self.taken.iter_mut().filter(|taken| taken.at >= start) {
            let back = units.min(taken.units);
            taken.units -= back;
            units -= back;
        }
        if self.total() == 0 {
            self.start = None;
        }
    }

    /// Units admitted since `from`.
    fn admitted(&self, from: Micros) -> u64 {
        self.taken.iter().filter(|taken| taken.admitted && taken.at >= from).map(|taken| taken.units).sum()
    }
}

impl Model for Windows {
    fn watch(&mut self, now: Micros, op: Op, outcome: &Outcome) -> Result<(), TestCaseError> {
        self.start = self.start.filter(|start| *start + self.window > now);
        match op {
            Op::Ask(_) => self.take(now, outcome.granted, true),
            Op::Change(Change::Refund(units)) => self.give_back(units),
            Op::Change(Change::Penalize(units)) => self.take(now, units.min(2 * self.limit - self.total()), false),
            Op::Change(Change::Reserve(_)) => panic!("a window cannot be booked ahead"),
            Op::Change(Change::Lease { .. } | Change::GiveBack { .. }) => panic!("nothing is leased of it"),
        }
        if outcome.granted > 0 {
            let of_the_window = self.admitted(self.start.expect("the window of what was taken"));
            prop_assert!(of_the_window <= self.limit, "{of_the_window} of {} in one window", self.limit);
            let rolling = self.admitted(now - self.window + Micros(1));
            prop_assert!(rolling <= 2 * self.limit, "{rolling} of twice {} in any window", self.limit);
        }
        is_told(outcome, op.ask(), self.limit.saturating_sub(self.total() - outcome.granted))?;
        let end = self.start.map_or(now, |start| start + self.window);
        prop_assert_eq!(outcome.reset_at, end);
        if !outcome.allowed {
            prop_assert_eq!(now + outcome.retry_after, end);
        }
        Ok(())
    }

    fn longest(&self) -> Micros {
        self.window
    }
}
