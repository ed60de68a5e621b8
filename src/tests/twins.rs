//! Rust and Lua agree field by field, the state's bytes among them, on random schedules.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::schedule::{self, Call, Op};
use super::server::Server;
use crate::algorithm::{
    Ask, Change, FixedWindow, LeakyBucket, Outcome, Policy, SlidingCounter, SlidingWindow, TokenBucket, WithBurst,
};
use crate::clock::Micros;
use crate::store::redis::script::{self, Script};
use crate::wire;

/// What Lua says of one call.
pub(super) struct Said {
    pub(super) outcome: Outcome,
    /// The state it would write, if any; empty where the key would be deleted.
    pub(super) written: Option<Vec<u8>>,
    /// The expiry it would set with that, if any.
    pub(super) expires: Option<Micros>,
    /// What it reads from the state that stands then.
    pub(super) seen: Micros,
}

/// What `replay.lua` replies for one call.
type Replied = (u64, u64, u64, u64, u64, u64, Option<Vec<u8>>, u64, u64);

impl From<Replied> for Said {
    fn from(replied: Replied) -> Self {
        let (allowed, granted, remaining, retry_after, reset_at, delay, written, expires, seen) = replied;
        let outcome = Outcome {
            allowed: allowed == 1,
            granted,
            remaining,
            retry_after: Micros(retry_after),
            reset_at: Micros(reset_at),
            delay: Micros(delay),
            booked: Micros::ZERO,
        };
        Self { outcome, written, expires: Some(Micros(expires)).filter(|at| at.0 > 0), seen: Micros(seen) }
    }
}

pub(super) struct LuaTwins {
    client: redis::Connection,
    script: Script,
    _server: Server,
}

impl LuaTwins {
    pub(super) fn start() -> Self {
        let server = Server::start();
        let script = Script::assemble(&[&script::algorithms(), include_str!("replay.lua")]);
        Self { client: server.client(), script, _server: server }
    }

    pub(super) fn replay(&mut self, policy: &Policy, calls: &[(Micros, Op)]) -> Vec<Said> {
        let calls: Vec<_> = calls.iter().map(|(now, op)| (0, *now, *op)).collect();
        self.replay_under(&[*policy], &calls)
    }

    /// Calls on one key, each under one of several policies of one algorithm.
    pub(super) fn replay_under(&mut self, policies: &[Policy], calls: &[(usize, Micros, Op)]) -> Vec<Said> {
        let first = || calls.first().map_or(Micros::ZERO, |(_, now, _)| *now);
        let mut packed_policies = Vec::new();
        for policy in policies {
            let numbers = policy.told(first);
            packed_policies.extend([policy.id(), u8::try_from(numbers.len()).unwrap()]);
            for number in numbers {
                wire::put::<7>(&mut packed_policies, number);
            }
        }
        let mut packed = Vec::new();
        for (policy, now, op) in calls {
            let zero = Micros::ZERO;
            let (kind, cost, least, time) = match *op {
                Op::Ask(Ask { cost, least }) => (1, cost, least, zero),
                Op::Change(Change::Refund(units)) => (2, units, 0, zero),
                Op::Change(Change::Penalize(units)) => (3, units, 0, zero),
                Op::Change(Change::Reserve(units)) => (4, units, 0, zero),
                Op::Change(Change::Lease { units, term }) => (5, units, 0, term),
                Op::Change(Change::GiveBack { units, booked }) => (6, units, 0, booked),
            };
            packed.extend([kind, u8::try_from(policy + 1).unwrap()]);
            wire::put::<7>(&mut packed, now.0);
            wire::put::<5>(&mut packed, cost);
            wire::put::<5>(&mut packed, least);
            wire::put::<7>(&mut packed, time.0);
        }
        let said: Vec<Replied> = redis::cmd("EVAL")
            .arg(self.script.text())
            .arg(0)
            .arg(packed_policies)
            .arg(packed)
            .query(&mut self.client)
            .unwrap();
        said.into_iter().map(Said::from).collect()
    }
}

fn agree(twins: &mut LuaTwins, policy: &Policy, calls: &[Call]) -> Result<(), TestCaseError> {
    agree_on(twins, policy, schedule::timed(calls))
}

pub(super) fn agree_on(twins: &mut LuaTwins, policy: &Policy, calls: Vec<(Micros, Op)>) -> Result<(), TestCaseError> {
    let calls: Vec<_> = calls.into_iter().map(|(now, op)| (0, now, op)).collect();
    agree_under(twins, &[*policy], &calls)
}

/// The same where each call is decided by one of several policies of one algorithm.
pub(super) fn agree_under(
    twins: &mut LuaTwins,
    policies: &[Policy],
    calls: &[(usize, Micros, Op)],
) -> Result<(), TestCaseError> {
    let said = twins.replay_under(policies, calls);
    prop_assert_eq!(said.len(), calls.len());
    let mut state = policies[0].fresh();
    let mut kept = Micros::ZERO;
    for (&(index, now, op), Said { outcome, written, expires, seen }) in calls.iter().zip(said) {
        let policy = &policies[index];
        // A window is among the numbers, whichever it is.
        let longest = Micros(policy.numbers().into_iter().max().expect("a policy has numbers"));
        let mut next = state.clone();
        let rust = op.apply(policy, &mut next, now);
        prop_assert_eq!(rust, outcome, "{:?} at {:?}", op, now);
        // Lua writes what was changed and what was repaired. What a refused call merely forgets stays in Redis till later, which
        // nobody can tell apart while the clock runs forward; so the Rust side keeps the older state too.
        prop_assert!(rust.granted == 0 || written.is_some(), "granted, but not written");
        let looked = matches!(op, Op::Ask(Ask { cost: 0, .. }));
        let jumped = now < policy.seen(&state);
        prop_assert!(looked || !jumped || written.is_some(), "a jump that is not written would be found again");
        if let Some(written) = written.filter(|_| !looked) {
            if written.is_empty() {
                prop_assert!(matches!(op, Op::Change(_)), "only a change makes a key new");
                kept = Micros::ZERO;
                prop_assert_eq!(next.encode(kept), policy.fresh().encode(kept), "deleted after {:?} at {:?}", op, now);
            } else {
                kept = expires.unwrap_or(kept);
                let spare = kept - rust.reset_at;
                prop_assert!(
                    !jumped || spare <= longest,
                    "kept by {:?} longer, as far as the clock jumped back",
                    spare
                );
                prop_assert!(kept >= rust.reset_at, "forgotten at {:?}, before {:?}", kept, rust.reset_at);
                prop_assert_eq!(&next.encode(kept), &written, "the state after {:?} at {:?}", op, now);
            }
            state = next;
        }
        prop_assert_eq!(policy.seen(&state), seen, "seen after {:?} at {:?}", op, now);
    }
    Ok(())
}

#[test]
fn rust_and_lua_agree_field_by_field() {
    // The runner calls a shared closure, so the connection stands in a cell.
    let twins = RefCell::new(LuaTwins::start());
    TestRunner::new(super::cases(2_000))
        .run(&schedule::schedule(true, 60), |(policy, calls)| agree(&mut twins.borrow_mut(), &policy, &calls))
        .unwrap();
}

/// The largest numbers that `policy` admits, where products leave the exact range of a double.
#[test]
fn rust_and_lua_agree_at_the_edges_of_what_is_exact() {
    let mut twins = LuaTwins::start();
    let most = crate::policy::MAX_UNITS;
    let longest = crate::policy::MAX_WINDOW;
    for (limit, window, burst) in [
        (most, longest, most),
        (most - 1, longest, most - 1),
        (most, Micros(1), most),
        (1, longest, 1),
        (1, Micros(1), most),
        (3, Micros(1), most),
        (most - 5, Micros(longest.0 - 7), most - 5),
        (1_000_003, Micros(86_400_000_001), 999_983),
        (4_294_967_291, Micros(4_294_967_279), 4_294_967_291),
    ] {
        let call = |gap: u64, op: Op| Call { gap: i64::try_from(gap).unwrap(), op };
        let ask = |gap: u64, cost: u64| call(gap, Op::Ask(Ask { cost, least: 1 }));
        let change = |gap: u64, change: Change| call(gap, Op::Change(change));
        let mut calls = vec![ask(0, 1), ask(0, burst.div_ceil(2)), ask(1, burst), ask(window.0 / 3, burst)];
        calls.extend((0..50).map(|i| ask(window.0 / 1_000 * i + i, (burst / 7 * i).max(1))));
        // As deep in debt as a key can be, and a few bookings of the whole bucket deeper, from where it is all given back.
        calls.extend([change(0, Change::Penalize(burst)), change(1, Change::Penalize(most)), ask(1, 1)]);
        calls.extend((0..4).map(|i| change(i, Change::Reserve(burst - i.min(burst - 1)))));
        calls.extend([ask(1, 1), ask(0, burst), Call { gap: -1_000_003, op: Op::Ask(Ask::all(burst.div_ceil(3))) }]);
        calls.extend((0..8).map(|i| change(window.0 / 9 + i, Change::Refund((burst / 2).max(1)))));
        calls.extend([ask(1, burst), change(0, Change::Penalize(1)), change(0, Change::Refund(most))]);
        agree(&mut twins, &Policy::TokenBucket(TokenBucket::new(limit, window, burst)), &calls).unwrap();
        let queue = Policy::LeakyBucket(LeakyBucket::new(limit, window, burst - 1));
        agree(&mut twins, &queue, &calls).unwrap();
    }
}

/// The same for windows, with debts of as much again as their limit.
#[test]
fn rust_and_lua_agree_on_the_largest_windows() {
    let mut twins = LuaTwins::start();
    let most = crate::policy::MAX_UNITS;
    let longest = crate::policy::MAX_WINDOW;
    for (limit, window) in [
        (most, longest),
        (most - 1, Micros(longest.0 - 1)),
        (most, Micros(1)),
        (1, longest),
        (most - 5, Micros(65_537)),
        (4_294_967_291, Micros(4_294_967_279)),
    ] {
        let counter = SlidingCounter::new(limit, window);
        let slots = SlidingWindow::new(limit, window, 32);
        for policy in [
            Policy::FixedWindow(FixedWindow::new(limit, window, true)),
            Policy::SlidingCounter(counter),
            Policy::SlidingCounterBurst(WithBurst::new(counter, most, longest)),
            Policy::SlidingWindowBurst(WithBurst::new(slots, most, window)),
        ] {
            let gap = |i: u64| i64::try_from(window.0 / 100 * i + i).unwrap();
            let calls: Vec<_> = (0..60)
                .map(|i| match i % 5 {
                    3 => (gap(i % 7), Op::Change(Change::Refund(limit / 3 + i))),
                    4 => (gap(i), Op::Change(Change::Penalize(policy.capacity()))),
                    _ => (gap(i), Op::Ask(Ask { cost: (limit / 7 * i).clamp(1, limit), least: 1 })),
                })
                .map(|(gap, op)| Call { gap, op })
                .collect();
            agree(&mut twins, &policy, &calls).unwrap();
        }
    }
}
