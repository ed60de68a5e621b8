//! Any history of a key: limits that change beneath it, clocks that jump, blocks, bookings. No step panics, and what each says
//! is possible.

#![no_main]

use arbitrary::{Result, Unstructured};
use distributed_rate_limiter::algorithm::{Ask, Change, Outcome, Policy, State};
use distributed_rate_limiter::clock::Micros;
use distributed_rate_limiter::policy::MAX_WINDOW;
use distributed_rate_limiter_fuzz::{Numbers, ask, units};
use libfuzzer_sys::fuzz_target;

/// 2^53 microseconds: no timestamp is later.
const END: u64 = 1 << 53;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> Result<()> {
    let Some(mut policy) = u.arbitrary::<Numbers>()?.policy() else { return Ok(()) };
    let mut state = policy.fresh();
    let mut now = Micros(1_795_219_200_000_000);
    while !u.is_empty() {
        if u.ratio(1, 8)? {
            policy = u.arbitrary::<Numbers>()?.policy().unwrap_or(policy);
        }
        now = moved(u, &policy, now)?;
        one(u, &policy, &mut state, now)?;
    }
    Ok(())
}

/// A little later, a window later, or anywhere in time.
fn moved(u: &mut Unstructured<'_>, policy: &Policy, now: Micros) -> Result<Micros> {
    let numbers = policy.numbers();
    let (limit, window) = (numbers[0], numbers[1]);
    let by = match u.int_in_range(0..=9)? {
        0..=2 => 0,
        3..=4 => u.int_in_range(0..=2 * (window / limit).max(1))?,
        5 => u.int_in_range(0..=window)?,
        6 => window,
        7 => u.int_in_range(0..=3 * window)?,
        8 => return Ok(now - Micros(u.int_in_range(0..=3 * window)?)),
        _ => return Ok(Micros(u.int_in_range(0..=END)?)),
    };
    Ok(Micros((now.0 + by).min(END)))
}

fn one(u: &mut Unstructured<'_>, policy: &Policy, state: &mut State, now: Micros) -> Result<()> {
    let capacity = policy.capacity();
    let asked = match u.int_in_range(0..=15)? {
        0 => Asked::Change(Change::Refund(units(u, capacity)?)),
        1 => Asked::Change(Change::Penalize(units(u, capacity)?)),
        2 => {
            let (cost, patience) = (units(u, capacity)?, Micros(u.int_in_range(0..=86_400_000_000)?));
            let before = policy.step(&mut state.clone(), now, Ask::look(cost));
            let outcome = policy.reserve(state, now, cost, patience);
            assert!(outcome.delay <= patience, "{outcome:?} for a patience of {patience:?}");
            assert!(outcome.allowed || outcome.granted == 0, "{outcome:?}");
            assert!(outcome.allowed || !before.allowed || before.delay > patience, "{before:?}, then {outcome:?}");
            return Ok(());
        }
        3 => {
            let until = now + Micros(u.int_in_range(1..=MAX_WINDOW.0)?);
            let outcome = policy.block(state, now, until);
            assert!(!outcome.allowed && now + outcome.retry_after >= until, "{outcome:?} though blocked");
            return Ok(());
        }
        4 => {
            policy.unblock(state, now);
            return Ok(());
        }
        _ => Asked::Decision(ask(u, capacity)?),
    };
    let was = state.clone();
    let (outcome, ask) = match asked {
        Asked::Decision(ask) => (policy.step(state, now, ask), ask),
        Asked::Change(change) => (policy.change(state, now, change), Ask::look(1)),
    };
    is_possible(policy, now, ask, &outcome, &was);
    if !outcome.allowed {
        let at = |when| policy.step(&mut state.clone(), when, ask).allowed;
        assert!(at(now + outcome.retry_after), "still refused after {:?}: {was:?}", outcome.retry_after);
        assert!(!at(now + outcome.retry_after - Micros(1)), "allowed before {:?}: {was:?}", outcome.retry_after);
    }
    // What may be forgotten then is as good as new.
    let (mut kept, mut fresh) = (state.clone(), policy.fresh());
    let [old, new] =
        [&mut kept, &mut fresh].map(|state| policy.step(state, outcome.reset_at.max(now), Ask::all(capacity)));
    assert_eq!((old.allowed, old.delay), (new.allowed, new.delay), "at the reset of {was:?}");
    Ok(())
}

enum Asked {
    Decision(Ask),
    Change(Change),
}

fn is_possible(policy: &Policy, now: Micros, ask: Ask, outcome: &Outcome, was: &State) {
    let shown = || format!("{ask:?} of {policy:?} at {now:?} with {was:?} was {outcome:?}");
    assert!(outcome.granted <= ask.cost, "{}", shown());
    assert!(outcome.granted + outcome.remaining <= policy.capacity(), "{}", shown());
    assert_eq!(outcome.allowed, outcome.retry_after == Micros::ZERO, "{}", shown());
    assert!(outcome.reset_at >= now, "{}", shown());
    if outcome.allowed {
        assert!(outcome.granted >= ask.least.min(ask.cost), "{}", shown());
    } else {
        assert_eq!(outcome.granted, 0, "{}", shown());
        assert!(!matches!(was, State::Blocked(_)) || outcome.reset_at > now, "{}", shown());
    }
}
