//! Windows whose limit is changed, against references that remember every unit.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Reference, asks, fixed_window, follow, limit, sliding_counter, sliding_window};
use crate::algorithm::{Ask, FixedWindow, Outcome, Policy, SlidingCounter, SlidingWindow};
use crate::clock::Micros;
use crate::tests::cases;
use crate::tests::schedule::START;
use crate::tests::twins::LuaTwins;

/// Every unit that a sliding window has admitted. One is forgotten by a call that comes when it is older than the window of then,
/// and stays so under a longer one.
#[derive(Default)]
struct Log {
    taken: Vec<(Micros, u64)>,
}

impl Reference for Log {
    fn watch(&mut self, policy: &Policy, now: Micros, ask: Ask, outcome: &Outcome) -> Result<(), TestCaseError> {
        let [limit, window, _] = policy.numbers()[..] else { panic!("three numbers") };
        let window = Micros(window);
        // What must be counted: no call has come yet when it was too old. A call that takes nothing leaves the state as it was in Redis,
        // so there it is remembered for longer, which is only stricter.
        self.taken.retain(|(at, _)| *at + window > now);
        let remembered: u64 = self.taken.iter().map(|(_, units)| units).sum();
        if outcome.granted > 0 {
            prop_assert!(remembered + outcome.granted <= limit, "{remembered} and {} of {limit}", outcome.granted);
            self.taken.push((now, outcome.granted));
        }
        prop_assert_eq!(outcome.allowed, outcome.remaining + outcome.granted >= ask.least);
        Ok(())
    }
}

/// The same the other way round: a refusal has a reason. A unit counts no longer than the window of now, and the slot that it was
/// grouped in, which is of the coarsest limit that there was.
#[derive(Default)]
struct Reasons {
    taken: Vec<(Micros, u64)>,
    slot: u64,
}

impl Reference for Reasons {
    fn watch(&mut self, policy: &Policy, now: Micros, ask: Ask, outcome: &Outcome) -> Result<(), TestCaseError> {
        let [limit, window, slot] = policy.numbers()[..] else { panic!("three numbers") };
        self.slot = self.slot.max(slot);
        let longest = Micros(window + self.slot - 1);
        let young: u64 = self.taken.iter().filter(|(at, _)| *at + longest > now).map(|(_, units)| units).sum();
        if !outcome.allowed {
            prop_assert!(young + ask.least > limit, "refused with {young} of {limit}");
        }
        prop_assert!(outcome.remaining + outcome.granted + young >= limit, "{young} of {limit}, {outcome:?}");
        self.taken.extend(Some((now, outcome.granted)).filter(|(_, units)| *units > 0));
        Ok(())
    }
}

/// A fixed window that runs keeps its start and its units, and ends when the length of now has passed since.
#[derive(Default)]
struct Running {
    start: Micros,
    units: u64,
}

impl Reference for Running {
    fn watch(&mut self, policy: &Policy, now: Micros, ask: Ask, outcome: &Outcome) -> Result<(), TestCaseError> {
        let [limit, window, align] = policy.numbers()[..] else { panic!("three numbers") };
        let is_over = self.units == 0 || self.start + Micros(window) <= now;
        let units = if is_over { 0 } else { self.units };
        let free = limit.saturating_sub(units);
        prop_assert_eq!(outcome.allowed, free >= ask.least);
        prop_assert_eq!(outcome.granted, if outcome.allowed { ask.cost.min(free) } else { 0 });
        prop_assert_eq!(outcome.remaining, free - outcome.granted);
        if outcome.granted > 0 {
            if is_over {
                self.start = if align == 1 { Micros(now.0 / window * window) } else { now };
            }
            self.units = units + outcome.granted;
        }
        Ok(())
    }
}

/// The two windows of a sliding counter: the one that runs keeps its start and ends when the length of now has passed since; the next
/// one follows it. Neither weighs less than the share that is left of it.
#[derive(Default)]
struct Two {
    start: Micros,
    before: u64,
    units: u64,
}

impl Reference for Two {
    fn watch(&mut self, policy: &Policy, now: Micros, ask: Ask, outcome: &Outcome) -> Result<(), TestCaseError> {
        let [limit, window, _] = policy.numbers()[..] else { panic!("three numbers") };
        let age = (now - self.start).0 / window;
        let (start, before, units) = match age {
            0 => (self.start, self.before, self.units),
            1 if self.units > 0 => (self.start + Micros(window), self.units, 0),
            _ => (Micros(now.0 / window * window), 0, 0),
        };
        let (start, before, units) =
            if before + units == 0 { (Micros(now.0 / window * window), 0, 0) } else { (start, before, units) };
        let left = start.0 + window - now.0;
        let free = limit as i64 - units as i64;
        // In units of 1/window: the share, and that of one slot more.
        let (share, coarser) = (before * left, before * (left + window / 65_536 + 1));
        let said = (outcome.remaining + outcome.granted) as i64;
        if said > 0 {
            prop_assert!(
                (free - said) as i128 * window as i128 >= share as i128,
                "{said} of {limit}: {before}, {units}"
            );
        }
        let most = free as i128 * window as i128 - (coarser.min(before * window) as i128);
        prop_assert!((said as i128 + 1) * window as i128 > most, "{said} of {limit}: {before}, {units}");
        prop_assert_eq!(outcome.allowed, said >= ask.least as i64);
        if outcome.granted > 0 {
            *self = Self { start, before, units: units + outcome.granted };
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_sliding_window_never_passes_the_limit_of_now_over_what_it_remembers(
        calls in asks(sliding_window().prop_map(Policy::SlidingWindow))
    ) {
        follow(None, &calls, Log::default())?;
    }

    #[test]
    fn a_sliding_window_refuses_for_no_other_reason(calls in asks(sliding_window().prop_map(Policy::SlidingWindow))) {
        follow(None, &calls, Reasons::default())?;
    }

    #[test]
    fn a_fixed_window_keeps_its_start(calls in asks(fixed_window().prop_map(Policy::FixedWindow))) {
        follow(None, &calls, Running::default())?;
    }

    #[test]
    fn a_sliding_counter_keeps_its_start(calls in asks(sliding_counter().prop_map(Policy::SlidingCounter))) {
        follow(None, &calls, Two::default())?;
    }

    /// Raised by so many units there are as many more at once, and lowered as many less, down to none.
    #[test]
    fn a_raise_gives_exactly_the_difference(
        window in super::window(), limits in (limit(), limit()), taken in 0..=20u64, later in 0..1_000_000u64, which in 0..3usize
    ) {
        let policy = |limit| match which {
            0 => Policy::SlidingWindow(SlidingWindow::new(limit, window, 32)),
            1 => Policy::FixedWindow(FixedWindow::new(limit, window, false)),
            _ => Policy::SlidingCounter(SlidingCounter::new(limit, window)),
        };
        let (old, new) = (policy(limits.0), policy(limits.1));
        let mut state = old.fresh();
        old.step(&mut state, START, Ask::all(taken.min(limits.0)));
        let now = START + Micros(later);
        let left = |policy: &Policy| policy.step(&mut state.clone(), now, Ask::look(1)).remaining;
        let used = limits.0 - left(&old);
        prop_assert_eq!(left(&new), limits.1.saturating_sub(used));
    }
}

/// The same in Lua, on a real Redis.
#[test]
fn windows_keep_what_was_consumed_on_redis() {
    let twins = RefCell::new(LuaTwins::start());
    let mut runner = TestRunner::new(cases(500));
    let sliding = asks(sliding_window().prop_map(Policy::SlidingWindow));
    runner.run(&sliding, |calls| follow(Some(&twins), &calls, Log::default())).unwrap();
    let fixed = asks(fixed_window().prop_map(Policy::FixedWindow));
    runner.run(&fixed, |calls| follow(Some(&twins), &calls, Running::default())).unwrap();
    let counter = asks(sliding_counter().prop_map(Policy::SlidingCounter));
    runner.run(&counter, |calls| follow(Some(&twins), &calls, Two::default())).unwrap();
}
