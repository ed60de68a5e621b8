//! What happens when all entries are in use, or all cells.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Ground, act, limit, take};
use crate::algorithm::{Ask, Policy, SlidingWindow, TokenBucket};
use crate::clock::{ManualClock, Micros};
use crate::error::Error;
use crate::key::Key;
use crate::limits::Limits;
use crate::store::{Request, Shared, Verb, When};
use crate::tests::schedule::START;

const WINDOW: Micros = Micros::from_millis(1_000);
const BYTES: usize = 64 << 10;

fn policy() -> Policy {
    Policy::SlidingWindow(SlidingWindow::new(2, WINDOW, 32))
}

/// A store that has refused a newcomer, that newcomer, and how many were let in before it.
fn full(ground: &Ground, clock: &Arc<ManualClock>) -> (Shared, String, usize) {
    let store = ground.store(BYTES, clock);
    for number in 0..=store.places() {
        let key = format!("key {number}");
        if !take(&store, policy(), &key, 1).allowed {
            return (store, key, number);
        }
    }
    panic!("more keys than there are places for")
}

#[test]
fn a_newcomer_without_room_is_refused_and_nobody_is_forgotten_for_it() {
    let (ground, clock) = (Ground::new(), Arc::new(ManualClock::at(START)));
    let (store, newcomer, keys) = full(&ground, &clock);
    assert!(keys > store.places() * 3 / 4, "{keys} of {} places are in use", store.places());
    for number in 0..keys {
        assert_eq!(take(&store, policy(), &format!("key {number}"), 1).remaining, 0, "key {number} was forgotten");
    }
    clock.advance(Micros(10));
    let refused = take(&store, policy(), &newcomer, 1);
    assert_eq!((refused.allowed, refused.granted, refused.remaining), (false, 0, 0));
    assert_eq!(refused.retry_after, WINDOW - Micros(10));
    assert_eq!(act(&store, policy(), &newcomer, Verb::Decide(Ask::look(1))).unwrap(), refused, "a look says the same");
    clock.advance(refused.retry_after - Micros(1));
    assert!(!take(&store, policy(), &newcomer, 1).allowed);
    clock.advance(Micros(1));
    assert!(take(&store, policy(), &newcomer, 1).allowed);
    store.states();
}

#[test]
fn what_an_application_asks_for_by_name_is_an_error_where_there_is_no_room() {
    let (ground, clock) = (Ground::new(), Arc::new(ManualClock::at(START)));
    let (store, newcomer, _) = full(&ground, &clock);
    let before = store.states();
    for verb in [Verb::Block(WINDOW), Verb::Penalize(1)] {
        assert_eq!(act(&store, policy(), &newcomer, verb), Err(Error::SharedFull));
        act(&store, policy(), "key 0", verb).unwrap();
        act(&store, policy(), "key 0", Verb::Unblock).unwrap();
    }
    // And what there is no need of room for.
    for verb in [Verb::Refund(1), Verb::Unblock] {
        assert_eq!(act(&store, policy(), &newcomer, verb).unwrap().remaining, 2);
    }
    act(&store, policy(), &newcomer, Verb::Reset).unwrap();
    let reserve = Verb::Reserve { cost: 1, patience: Micros(WINDOW.0 * 10) };
    assert!(!act(&store, policy(), &newcomer, reserve).unwrap().allowed);
    assert_eq!(store.states().len(), before.len());
}

#[test]
fn limits_together_take_from_none_where_one_of_them_has_no_room() {
    let (ground, clock) = (Ground::new(), Arc::new(ManualClock::at(START)));
    let (store, newcomer, _) = full(&ground, &clock);
    let before = store.states();
    let limits = Arc::new(Limits::new([limit(policy()), limit(policy())]));
    let keys = ["key 0", &newcomer].map(|key| Key::from_normal(key.as_bytes())).into_iter().collect();
    let outcomes = store.answer(&Request { limits, keys, verb: Verb::Decide(Ask::all(1)), when: When::Now }).unwrap();
    assert_eq!(
        outcomes.iter().map(|outcome| (outcome.allowed, outcome.granted)).collect::<Vec<_>>(),
        [(true, 0), (false, 0)]
    );
    assert_eq!(store.states(), before);
}

/// Two newcomers of one call that may find room in the same place have one each, or are both refused.
#[test]
fn newcomers_of_one_call_do_not_take_each_others_room() {
    let (ground, clock) = (Ground::new(), Arc::new(ManualClock::at(START)));
    let store = ground.store(BYTES, &clock);
    let three = Arc::new(Limits::new([limit(policy()), limit(policy()), limit(policy())]));
    let mut refused = 0;
    for number in 0..store.places() / 2 {
        let names = ["a", "b", "c"].map(|name| format!("{name} {number}"));
        let keys = names.iter().map(|name| Key::from_normal(name.as_bytes())).collect();
        let before = store.len();
        let request = Request { limits: three.clone(), keys, verb: Verb::Decide(Ask::all(1)), when: When::Now };
        let is_allowed = store.answer(&request).unwrap().iter().all(|outcome| outcome.allowed);
        assert_eq!(store.len() - before, if is_allowed { 3 } else { 0 });
        refused += usize::from(!is_allowed);
    }
    assert!(refused > 0, "it was full in the end");
    store.states();
}

/// Whose state finds no cells is counted coarser, so never above the limit, and never refused for it.
#[test]
fn long_states_are_made_coarser_where_cells_are_short() {
    let (ground, clock) = (Ground::new(), Arc::new(ManualClock::at(START)));
    let store = ground.store(BYTES, &clock);
    let limit = 100;
    let policy = Policy::SlidingWindow(SlidingWindow::new(limit, WINDOW, 128));
    let mut taken: HashMap<usize, Vec<Micros>> = HashMap::new();
    for step in 0..20_000u64 {
        let now = START + Micros(step * 97);
        clock.set(now);
        let key = usize::try_from(step % 100).unwrap();
        let outcome = take(&store, policy, &format!("key {key}"), 1);
        let units = taken.entry(key).or_default();
        units.retain(|unit| *unit + WINDOW > now);
        if outcome.allowed {
            units.push(now);
        }
        assert!(units.len() <= usize::try_from(limit).unwrap(), "key {key} is above its limit");
    }
    // 100 keys with some hundred bytes each are more than there are cells for.
    let states = store.states();
    assert_eq!(states.len(), 100);
    let longest = states.values().map(|(_, state)| state.len()).max().unwrap();
    assert!(longest < 13 + 12 * 100, "{longest} bytes");
    // And all of it comes back.
    clock.advance(Micros(WINDOW.0 * 2));
    for key in 0..100 {
        assert_eq!(take(&store, policy, &format!("key {key}"), limit).remaining, 0);
    }
}

/// Their cells are wanted, and nobody comes who would clear them away.
#[test]
fn cells_of_keys_that_have_expired_are_found() {
    let (ground, clock) = (Ground::new(), Arc::new(ManualClock::at(START)));
    let store = ground.store(BYTES, &clock);
    let policy = Policy::SlidingWindow(SlidingWindow::new(100, WINDOW, 128));
    let fill = |name: &str, keys: usize| {
        for _ in 0..40 {
            clock.advance(Micros(1));
            for key in 0..keys {
                assert!(take(&store, policy, &format!("{name} {key}"), 1).allowed);
            }
        }
    };
    fill("early", 60);
    let longest = |store: &Shared| store.states().values().map(|(_, state)| state.len()).max().unwrap();
    let full = longest(&store);
    assert_eq!(full, 13 + 12 * 40);
    clock.advance(WINDOW);
    fill("late", 60);
    let states = store.states();
    let now = crate::clock::Clock::now(&*clock);
    let late = states.values().filter(|(kept, state)| *kept > now && state.len() == full).count();
    assert_eq!(late, 60, "of 60 keys as many have all of their state");
}

/// What was counted before a limit was changed may be longer than any state of the new one.
#[test]
fn a_state_that_is_longer_than_a_word_tells_is_made_shorter() {
    let (ground, clock) = (Ground::new(), Arc::new(ManualClock::at(START)));
    let store = ground.store(4 << 20, &clock);
    let policy = Policy::SlidingWindow(SlidingWindow::new(1_024, WINDOW, 1_024));
    for _ in 0..1_024 {
        clock.advance(Micros(1));
        assert!(take(&store, policy, "key", 1).allowed);
    }
    for _ in 0..2_000 {
        clock.advance(Micros(1));
        act(&store, policy, "key", Verb::Penalize(1)).unwrap();
    }
    let refused = take(&store, policy, "key", 1);
    assert!(!refused.allowed);
    store.states();
    clock.advance(refused.retry_after);
    assert!(take(&store, policy, "key", 1).allowed);
}

/// Whoever has been stopped in the midst of a step holds up the others once, and not at every call.
#[test]
fn a_lock_that_is_held_is_waited_for_so_long_and_then_not_at_all() {
    let ground = Ground::new();
    let clock = Arc::new(ManualClock::at(START));
    let policy = Policy::TokenBucket(TokenBucket::new(10, WINDOW, 10));
    let store = Shared::open_at(&ground.site, "test", Some(BYTES), Micros(2_000), Some(clock.clone())).unwrap();
    let other = ground.store(BYTES, &clock);
    let (held, is_held) = std::sync::mpsc::channel();
    let (let_go, goes) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let locks = other.hold();
            held.send(()).unwrap();
            goes.recv().unwrap();
            drop(locks);
        });
        is_held.recv().unwrap();
        let late = Err(Error::SharedTimeout { after: Micros(2_000) });
        let ask = Verb::Decide(Ask::all(1));
        assert_eq!(act(&store, policy, "key", ask), late);
        assert_eq!(act(&store, policy, "key", ask), late);
        let_go.send(()).unwrap();
    });
    assert_eq!(take(&store, policy, "key", 1).remaining, 9);
}
