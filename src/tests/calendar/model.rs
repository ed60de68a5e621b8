//! The reference: a log of what was taken when, and a look at it each time.

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::{HOUR, schedule};
use crate::algorithm::{Algorithm, Ask, Calendar, Change, Outcome, Policy};
use crate::clock::Micros;
use crate::tests::cases;
use crate::tests::schedule::Op;

/// See the module.
pub(in crate::tests) struct Log {
    calendar: Calendar,
    /// When, and of how many units.
    entries: Vec<(Micros, u64)>,
}

impl Log {
    pub(in crate::tests) fn new(calendar: Calendar) -> Self {
        Self { calendar, entries: Vec::new() }
    }

    fn count(&self, now: Micros) -> u64 {
        let begin = self.calendar.periods().at(now).begin;
        self.entries.iter().filter(|(at, _)| *at >= begin).map(|(_, units)| units).sum()
    }

    /// What is over is forgotten when something is written; and what lies ahead then was taken before a clock jumped back, and counts
    /// as if it had been taken now.
    fn write(&mut self, now: Micros) {
        let begin = self.calendar.periods().at(now).begin;
        self.entries.retain(|(at, _)| *at >= begin);
        self.entries.iter_mut().for_each(|(at, _)| *at = (*at).min(now));
    }

    /// What the call must be told.
    pub(in crate::tests) fn tell(&mut self, now: Micros, op: Op) -> Outcome {
        let limit = self.calendar.capacity();
        let count = self.count(now);
        let free = limit.saturating_sub(count);
        let mut granted = 0;
        let mut allowed = true;
        let ask = op.ask();
        match op {
            Op::Ask(Ask { cost, least }) => {
                allowed = free >= least;
                granted = if allowed { cost.min(free) } else { 0 };
                let end = self.calendar.periods().at(now).end;
                if granted > 0 || (cost > 0 && self.entries.iter().any(|(at, _)| *at >= end)) {
                    self.write(now);
                    self.entries.push((now, granted));
                }
            }
            Op::Change(Change::Refund(mut units)) => {
                self.write(now);
                for (_, taken) in &mut self.entries {
                    let given = units.min(*taken);
                    *taken -= given;
                    units -= given;
                }
            }
            Op::Change(Change::Penalize(units)) => {
                self.write(now);
                self.entries.push((now, units.min((2 * limit).saturating_sub(count))));
            }
            Op::Change(other) => panic!("no calendar can {other:?}"),
        }
        self.entries.retain(|(_, units)| *units > 0);
        let left = limit.saturating_sub(self.count(now));
        if let Op::Change(_) = op {
            allowed = left >= ask.least;
        }
        let end = self.calendar.periods().at(now).end;
        Outcome {
            allowed,
            granted,
            remaining: left,
            retry_after: if allowed { Micros::ZERO } else { end - now },
            reset_at: if self.count(now) > 0 { end } else { now },
            delay: Micros::ZERO,
            booked: Micros::ZERO,
        }
    }
}

fn agrees((calendar, calls): (Calendar, Vec<(Micros, Op)>)) -> Result<(), TestCaseError> {
    let (policy, mut log) = (Policy::Calendar(calendar), Log::new(calendar));
    let mut state = policy.fresh();
    for (i, (now, op)) in calls.into_iter().enumerate() {
        prop_assert_eq!(op.apply(&policy, &mut state, now), log.tell(now, op), "call {}, {:?} at {:?}", i, op, now);
    }
    Ok(())
}

/// Over hours, and over weeks.
#[test]
fn what_is_told_is_what_the_log_says() {
    let hour = HOUR.cast_signed();
    for gaps in [0..9 * hour, 0..20 * 24 * hour, -2 * hour..4 * hour, -80 * hour..99 * hour] {
        TestRunner::new(cases(500)).run(&schedule(gaps), agrees).unwrap();
    }
}
