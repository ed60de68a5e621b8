//! The tables of hand-computed vectors, replayed on each algorithm's Rust step and on its Lua twin.
//!
//! A table is an array of `{ name, start, policy, steps }`. `start` is in microseconds since the epoch, `policy` has the
//! numbers of the algorithm whose table it is, `policy.window` in microseconds. A step is
//!
//! - `{ at, cost, least, expect }`: at `start + at` take `cost` units, or no fewer than `least` where that is given (cost 0
//!   only looks);
//! - `{ at, refund, expect }`, `{ at, penalize, expect }` or `{ at, reserve, expect }`: change the key by so many units, and
//!   expect what a look at one unit is told then.
//!
//! `expect` is `{ allowed, granted, remaining, retryAfter, resetAt, delay, ends }`; `resetAt` counts from `start` as `at` does, and
//! `delay` is 0 where it is left out. What else there is where units are held stands in `conformance/held_vectors.rs`.

use serde_json::Value;

use super::schedule::Op;
use super::twins::LuaTwins;
use crate::algorithm::{
    Ask, Calendar, Change, FixedWindow, LeakyBucket, Outcome, Policy, SlidingCounter, SlidingWindow, TokenBucket,
    WithBurst,
};
use crate::calendar::{Periods, Unit};
use crate::clock::Micros;

/// One scenario of a table.
struct Vector {
    name: String,
    policy: Policy,
    calls: Vec<(Micros, Op)>,
    expected: Vec<Outcome>,
}

/// An object of a table, with the words for what it lacks.
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl Fields<'_> {
    pub(super) fn number(&self, field: &str) -> u64 {
        self.optional(field).unwrap_or_else(|| panic!("no number `{field}` in {}", self.0))
    }

    pub(super) fn optional(&self, field: &str) -> Option<u64> {
        self.0.get(field).map(|value| value.as_u64().unwrap_or_else(|| panic!("`{field}` is no number in {}", self.0)))
    }

    pub(super) fn micros(&self, field: &str) -> Micros {
        Micros(self.number(field))
    }
}

/// What a step does that is no hold.
pub(super) fn read_op(step: &Fields<'_>) -> Op {
    let change = |field, change: fn(u64) -> Change| step.optional(field).map(change).map(Op::Change);
    change("refund", Change::Refund)
        .or_else(|| change("penalize", Change::Penalize))
        .or_else(|| change("reserve", Change::Reserve))
        .unwrap_or_else(|| {
            let cost = step.number("cost");
            Op::Ask(Ask { cost, least: step.optional("least").unwrap_or(cost) })
        })
}

pub(super) fn read_expected(step: &Value, start: Micros) -> Outcome {
    let expect = Fields(&step["expect"]);
    Outcome {
        allowed: step["expect"]["allowed"].as_bool().expect("a step expects a yes or a no"),
        granted: expect.number("granted"),
        remaining: expect.number("remaining"),
        retry_after: expect.micros("retryAfter"),
        reset_at: start + expect.micros("resetAt"),
        delay: Micros(expect.optional("delay").unwrap_or(0)),
        booked: expect.optional("ends").filter(|ends| *ends > 0).map_or(Micros::ZERO, |ends| start + Micros(ends)),
    }
}

fn read(vector: &Value, policy: fn(&Fields<'_>) -> Policy) -> Vector {
    let start = Fields(vector).micros("start");
    let steps = vector["steps"].as_array().expect("a vector has steps");
    let call = |step| (start + Fields(step).micros("at"), read_op(&Fields(step)));
    Vector {
        name: vector["name"].as_str().expect("a vector has a name").to_owned(),
        policy: policy(&Fields(&vector["policy"])),
        calls: steps.iter().map(call).collect(),
        expected: steps.iter().map(|step| read_expected(step, start)).collect(),
    }
}

fn replay(table: &str, policy: fn(&Fields<'_>) -> Policy) {
    let mut twins = LuaTwins::start();
    let table: Vec<Value> = serde_json::from_str(table).unwrap();
    assert!(!table.is_empty());
    for vector in &table {
        let Vector { name, policy, calls, expected } = read(vector, policy);
        let mut state = policy.fresh();
        for (i, ((now, op), expected)) in calls.iter().zip(&expected).enumerate() {
            assert_eq!(op.apply(&policy, &mut state, *now), *expected, "{name}: step {i}, in Rust");
        }
        let in_lua = twins.replay(&policy, &calls);
        assert_eq!(in_lua.len(), expected.len());
        for (i, (said, expected)) in in_lua.iter().zip(&expected).enumerate() {
            assert_eq!(said.outcome, *expected, "{name}: step {i}, in Lua");
        }
    }
}

fn of_sliding_window(given: &Fields<'_>) -> SlidingWindow {
    SlidingWindow::new(given.number("limit"), given.micros("window"), given.number("resolution"))
}

pub(super) fn of_fixed_window(given: &Fields<'_>) -> FixedWindow {
    FixedWindow::new(given.number("limit"), given.micros("window"), given.0["align"] == true)
}

fn of_sliding_counter(given: &Fields<'_>) -> SlidingCounter {
    SlidingCounter::new(given.number("limit"), given.micros("window"))
}

pub(super) fn of_token_bucket(given: &Fields<'_>) -> TokenBucket {
    TokenBucket::new(given.number("limit"), given.micros("window"), given.number("burst"))
}

pub(super) fn of_calendar(given: &Fields<'_>) -> Calendar {
    let unit = match given.0["calendar"].as_str() {
        Some("day") => Unit::Day,
        Some("week") => Unit::Week,
        Some("month") => Unit::Month,
        other => panic!("{other:?} is no calendar"),
    };
    let zone = given.0["timeZone"].as_str().expect("a zone");
    let periods = Periods::of(unit, zone).expect("a zone that there is");
    Calendar::new(given.number("limit"), periods)
}

#[test]
fn sliding_window() {
    replay(include_str!("../../__test__/vectors/sliding_window.json"), |given| {
        Policy::SlidingWindow(of_sliding_window(given))
    });
}

#[test]
fn token_bucket() {
    replay(include_str!("../../__test__/vectors/token_bucket.json"), |given| {
        Policy::TokenBucket(of_token_bucket(given))
    });
}

#[test]
fn fixed_window() {
    replay(include_str!("../../__test__/vectors/fixed_window.json"), |given| {
        Policy::FixedWindow(of_fixed_window(given))
    });
}

#[test]
fn sliding_counter() {
    replay(include_str!("../../__test__/vectors/sliding_counter.json"), |given| {
        Policy::SlidingCounter(of_sliding_counter(given))
    });
}

/// The algorithm stands in each policy here, since a burst can be added to several.
#[test]
fn with_burst() {
    replay(include_str!("../../__test__/vectors/with_burst.json"), |given| {
        let burst = Fields(&given.0["burst"]);
        let (extra, window) = (burst.number("extra"), burst.micros("window"));
        match given.0["algorithm"].as_str() {
            Some("sliding-window") => {
                Policy::SlidingWindowBurst(WithBurst::new(of_sliding_window(given), extra, window))
            }
            Some("fixed-window") => Policy::FixedWindowBurst(WithBurst::new(of_fixed_window(given), extra, window)),
            Some("sliding-counter") => {
                Policy::SlidingCounterBurst(WithBurst::new(of_sliding_counter(given), extra, window))
            }
            other => panic!("{other:?} has no burst"),
        }
    });
}

#[test]
fn calendar() {
    replay(include_str!("../../__test__/vectors/calendar.json"), |given| Policy::Calendar(of_calendar(given)));
}

#[test]
fn leaky_bucket() {
    replay(include_str!("../../__test__/vectors/leaky_bucket.json"), |given| {
        let (limit, window) = (given.number("limit"), given.micros("window"));
        Policy::LeakyBucket(LeakyBucket::new(limit, window, given.number("burst")))
    });
}
