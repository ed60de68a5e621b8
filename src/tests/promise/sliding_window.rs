//! The sliding window's promise: never more than the limit in any window, and nothing back later than promised.

use proptest::prelude::*;

use super::{Model, is_told};
use crate::algorithm::{Algorithm, Change, Outcome, SlidingWindow};
use crate::clock::Micros;
use crate::tests::schedule::Op;

/// Every unit that was taken and not given back, oldest first, until the last one of its slot has left the window.
pub(super) struct Log {
    limit: u64,
    window: Micros,
    slot: Micros,
    taken: Vec<(Micros, u64)>,
}

impl Log {
    pub(super) fn new(limiter: &SlidingWindow) -> Self {
        let [limit, window, slot] = limiter.numbers()[..] else { panic!("three numbers") };
        Self { limit, window: Micros(window), slot: Micros(slot), taken: Vec::new() }
    }

    fn forget(&mut self, now: Micros) {
        let slot_of = |at: Micros| at.0 / self.slot.0;
        while let Some((first, _)) = self.taken.first() {
            let of_the_slot = self.taken.iter().take_while(|(at, _)| slot_of(*at) == slot_of(*first));
            let (newest, _) = of_the_slot.last().expect("the first is of its own slot");
            if *newest + self.window > now {
                break;
            }
            self.taken.remove(0);
        }
    }

    /// Out of the slot of `booked`, if anything was taken in it at that moment or later.
    fn take_out(&mut self, mut units: u64, booked: Micros) {
        let slot_of = |at: Micros| at.0 / self.slot.0;
        let of_the_slot = |(at, units): &&mut (Micros, u64)| *units > 0 && slot_of(*at) == slot_of(booked);
        let newest = self.taken.iter_mut().rev().find(of_the_slot);
        if newest.is_some_and(|(at, _)| *at >= booked) {
            for (_, count) in self.taken.iter_mut().filter(of_the_slot) {
                let back = units.min(*count);
                *count -= back;
                units -= back;
            }
        }
        self.taken.retain(|(_, units)| *units > 0);
    }

    fn give_back(&mut self, mut units: u64) {
        for (_, count) in &mut self.taken {
            let back = units.min(*count);
            *count -= back;
            units -= back;
        }
        self.taken.retain(|(_, count)| *count > 0);
    }

    fn total(&self) -> u64 {
        self.taken.iter().map(|(_, count)| count).sum()
    }

    /// Units taken less than `length` ago.
    fn within(&self, length: Micros, now: Micros) -> u64 {
        self.taken.iter().filter(|(at, _)| *at + length > now).map(|(_, count)| count).sum()
    }
}

impl Model for Log {
    fn watch(&mut self, now: Micros, op: Op, outcome: &Outcome) -> Result<(), TestCaseError> {
        self.forget(now);
        match op {
            Op::Ask(_) if outcome.granted > 0 => {
                self.taken.push((now, outcome.granted));
                // Any window that a call could make too full ends with that call.
                let units = self.within(self.window, now);
                prop_assert!(units <= self.limit, "{units} admitted in the window to {now:?}, limit {}", self.limit);
            }
            Op::Ask(_) => {}
            Op::Change(Change::Refund(units)) => self.give_back(units),
            Op::Change(Change::Penalize(units)) => {
                let debt = units.min(2 * self.limit - self.total());
                self.taken.extend(Some((now, debt)).filter(|(_, units)| *units > 0));
            }
            Op::Change(Change::Reserve(_)) => panic!("a window cannot be booked ahead"),
            Op::Change(Change::Lease { units, .. }) => {
                self.taken.extend(Some((now, units)).filter(|_| self.total() + units <= self.limit));
            }
            Op::Change(Change::GiveBack { units, booked }) => self.take_out(units, booked),
        }
        let ask = op.ask();
        if !outcome.allowed {
            // What was spent so long ago must be back, so only younger units may be the reason.
            let young = self.within(self.window + self.slot - Micros(1), now);
            prop_assert!(young + ask.least > self.limit, "refused at {now:?} with only {young} of {}", self.limit);
        }
        is_told(outcome, ask, self.limit.saturating_sub(self.total() - outcome.granted))?;
        let newest = self.taken.last().map(|(at, _)| *at + self.window);
        prop_assert_eq!(outcome.reset_at, newest.unwrap_or(now));
        Ok(())
    }

    fn longest(&self) -> Micros {
        self.window
    }
}
