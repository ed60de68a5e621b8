//! What each algorithm promises, through the store.

use std::sync::Arc;

use proptest::test_runner::TestRunner;

use super::{Ground, act};
use crate::algorithm::Change;
use crate::clock::ManualClock;
use crate::store::Verb;
use crate::tests::promise::{keeps_its_promise, without_bookings};
use crate::tests::schedule::{self, Op, START};

#[test]
fn every_algorithm_keeps_its_promise_in_shared_memory() {
    let ground = Ground::new();
    let clock = Arc::new(ManualClock::at(START));
    // Small enough that long states run out of cells now and then.
    let store = ground.store(64 << 10, &clock);
    TestRunner::new(crate::tests::cases(2_000))
        .run(&schedule::schedule(false, 120), |(policy, calls)| {
            let calls = schedule::timed(&without_bookings(calls));
            act(&store, policy, "key", Verb::Reset).unwrap();
            let outcomes = calls.iter().map(|(now, op)| {
                clock.set(*now);
                let verb = match op {
                    Op::Ask(ask) => Verb::Decide(*ask),
                    Op::Change(Change::Refund(units)) => Verb::Refund(*units),
                    Op::Change(Change::Penalize(units)) => Verb::Penalize(*units),
                    Op::Change(Change::GiveBack { units, booked }) => Verb::GiveBack { units: *units, booked: *booked },
                    Op::Change(Change::Reserve(_) | Change::Lease { .. }) => unreachable!("without bookings"),
                };
                act(&store, policy, "key", verb).unwrap()
            });
            keeps_its_promise(&policy, &calls, outcomes)
        })
        .unwrap();
}
