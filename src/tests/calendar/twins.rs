//! Rust and Lua agree, field by field and in the state's bytes, as far as the bounds go that Lua is told.

use std::cell::RefCell;

use proptest::test_runner::TestRunner;

use super::{HOUR, schedule};
use crate::algorithm::Policy;
use crate::tests::cases;
use crate::tests::twins::{LuaTwins, agree_on};

#[test]
fn rust_and_lua_agree() {
    let twins = RefCell::new(LuaTwins::start());
    let hour = HOUR.cast_signed();
    for gaps in [0..9 * hour, -2 * hour..4 * hour, -40 * hour..50 * hour, -400 * hour..500 * hour] {
        TestRunner::new(cases(500))
            .run(&schedule(gaps), |(calendar, mut calls)| {
                let [before, _, _, after] = calendar.periods().around(calls[0].0);
                calls.retain(|(now, _)| before <= *now && *now < after);
                agree_on(&mut twins.borrow_mut(), &Policy::Calendar(calendar), calls)
            })
            .unwrap();
    }
}
