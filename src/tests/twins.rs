//! Rust and Lua agree field by field, the state's bytes among them, on random schedules.

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::schedule::{self, Call, START, after};
use super::server::Server;
use crate::algorithm::{Outcome, Policy, TokenBucket};
use crate::clock::Micros;
use crate::store::redis::script::{self, Script};
use crate::wire;

/// What Lua says of one call.
pub(super) struct Said {
    pub(super) outcome: Outcome,
    /// The state it would write; empty for none.
    pub(super) written: Vec<u8>,
    /// The expiry it would set with that, if any.
    pub(super) expires: Option<Micros>,
}

/// What `replay.lua` replies for one call.
type Replied = (u64, u64, u64, u64, u64, Vec<u8>, u64);

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

    pub(super) fn replay(&mut self, policy: &Policy, calls: &[(Micros, crate::algorithm::Ask)]) -> Vec<Said> {
        let numbers = policy.numbers();
        let mut packed_policy = vec![policy.id(), u8::try_from(numbers.len()).unwrap()];
        for number in numbers {
            wire::put::<7>(&mut packed_policy, number);
        }
        let mut packed = Vec::new();
        for (now, ask) in calls {
            wire::put::<7>(&mut packed, now.0);
            wire::put::<5>(&mut packed, ask.cost);
            wire::put::<5>(&mut packed, ask.least);
        }
        let said: Vec<Replied> = redis::cmd("EVAL")
            .arg(self.script.text())
            .arg(0)
            .arg(packed_policy)
            .arg(packed)
            .query(&mut self.client)
            .unwrap();
        said.into_iter()
            .map(|(allowed, granted, remaining, retry_after, reset_at, written, expires)| {
                let outcome = Outcome {
                    allowed: allowed == 1,
                    granted,
                    remaining,
                    retry_after: Micros(retry_after),
                    reset_at: Micros(reset_at),
                    delay: Micros::ZERO,
                };
                Said { outcome, written, expires: Some(Micros(expires)).filter(|at| at.0 > 0) }
            })
            .collect()
    }
}

fn agree(twins: &mut LuaTwins, policy: &Policy, calls: &[Call]) -> Result<(), TestCaseError> {
    let mut now = START;
    let timed: Vec<_> = calls
        .iter()
        .map(|call| {
            now = after(now, call.gap);
            (now, call.ask)
        })
        .collect();
    let said = twins.replay(policy, &timed);
    prop_assert_eq!(said.len(), calls.len());
    let mut state = policy.fresh();
    let mut kept = Micros::ZERO;
    for ((now, ask), Said { outcome, written, expires }) in timed.into_iter().zip(said) {
        let mut next = state.clone();
        let rust = policy.step(&mut next, now, ask);
        prop_assert_eq!(rust, outcome, "at {:?}, asked {:?}", now, ask);
        // Lua writes what was taken and what was repaired. What a refused call merely forgets stays in Redis till later, which
        // nobody can tell apart while the clock runs forward; so the Rust side keeps the older state too.
        prop_assert!(rust.granted == 0 || !written.is_empty(), "granted, but not written");
        if !written.is_empty() && ask.cost > 0 {
            kept = expires.unwrap_or(kept);
            prop_assert!(kept >= rust.reset_at, "forgotten at {:?}, before {:?}", kept, rust.reset_at);
            prop_assert_eq!(&next.encode(kept), &written, "the state after {:?} at {:?}", ask, now);
            state = next;
        }
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
        let policy = Policy::TokenBucket(TokenBucket::new(limit, window, burst));
        let ask = |gap: u64, cost: u64| Call {
            gap: i64::try_from(gap).unwrap(),
            ask: crate::algorithm::Ask { cost, least: 1 },
        };
        let mut calls = vec![ask(0, 1), ask(0, burst.div_ceil(2)), ask(1, burst), ask(window.0 / 3, burst)];
        calls.extend((0..50).map(|i| ask(window.0 / 1_000 * i + i, (burst / 7 * i).max(1))));
        agree(&mut twins, &policy, &calls).unwrap();
    }
}
