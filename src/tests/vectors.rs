//! The tables of hand-computed vectors, replayed on each algorithm's Rust step and on its Lua twin.
//!
//! A table is an array of `{ name, start, policy, steps }`. `start` is in microseconds since the epoch, `policy.window` in
//! microseconds; a policy with a `burst` is a token bucket's, one with a `resolution` a sliding window's. A step is
//! `{ at, cost, least, expect }`: at `start + at` take `cost` units, or no fewer than `least` where that is given (cost 0 only
//! looks). `expect` is `{ allowed, granted, remaining, retryAfter, resetAt }`; `resetAt` counts from `start` as `at` does.

use serde_json::Value;

use super::twins::LuaTwins;
use crate::algorithm::{Ask, Outcome, Policy, SlidingWindow, TokenBucket};
use crate::clock::Micros;

/// One scenario of a table.
struct Vector {
    name: String,
    policy: Policy,
    calls: Vec<(Micros, Ask)>,
    expected: Vec<Outcome>,
}

fn table(text: &str) -> Vec<Vector> {
    let table: Vec<Value> = serde_json::from_str(text).unwrap();
    table.iter().map(read).collect()
}

fn read(vector: &Value) -> Vector {
    let name = vector["name"].as_str().expect("a vector has a name").to_owned();
    let number = |of: &Value, field: &str| of[field].as_u64().unwrap_or_else(|| panic!("{name}: no `{field}` in {of}"));
    let start = Micros(number(vector, "start"));
    let policy = &vector["policy"];
    let (limit, window) = (number(policy, "limit"), Micros(number(policy, "window")));
    let policy = match policy.get("burst") {
        Some(_) => Policy::TokenBucket(TokenBucket::new(limit, window, number(policy, "burst"))),
        None => Policy::SlidingWindow(SlidingWindow::new(limit, window, number(policy, "resolution"))),
    };
    let steps = vector["steps"].as_array().expect("a vector has steps");
    let calls = steps.iter().map(|step| {
        let cost = number(step, "cost");
        let least = if step.get("least").is_some() { number(step, "least") } else { cost };
        (start + Micros(number(step, "at")), Ask { cost, least })
    });
    let expected = steps.iter().map(|step| {
        let expect = &step["expect"];
        Outcome {
            allowed: expect["allowed"].as_bool().expect("a step expects a yes or a no"),
            granted: number(expect, "granted"),
            remaining: number(expect, "remaining"),
            retry_after: Micros(number(expect, "retryAfter")),
            reset_at: start + Micros(number(expect, "resetAt")),
            delay: Micros::ZERO,
        }
    });
    Vector { calls: calls.collect(), expected: expected.collect(), policy, name }
}

fn replay(text: &str) {
    let mut twins = LuaTwins::start();
    let vectors = table(text);
    assert!(!vectors.is_empty());
    for Vector { name, policy, calls, expected } in vectors {
        let mut state = policy.fresh();
        let in_rust = calls.iter().map(|(now, ask)| {
            // A look changes nothing: so a store hands it a copy.
            let mut copy = state.clone();
            policy.step(if ask.cost == 0 { &mut copy } else { &mut state }, *now, *ask)
        });
        for (i, (outcome, expected)) in in_rust.zip(&expected).enumerate() {
            assert_eq!(outcome, *expected, "{name}: step {i}, in Rust");
        }
        let in_lua = twins.replay(&policy, &calls);
        assert_eq!(in_lua.len(), expected.len());
        for (i, (said, expected)) in in_lua.iter().zip(&expected).enumerate() {
            assert_eq!(said.outcome, *expected, "{name}: step {i}, in Lua");
        }
    }
}

#[test]
fn sliding_window() {
    replay(include_str!("../../__test__/vectors/sliding_window.json"));
}

#[test]
fn token_bucket() {
    replay(include_str!("../../__test__/vectors/token_bucket.json"));
}
