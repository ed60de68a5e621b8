//! Refunds, penalties, bookings, blocks and dated calls, on every store.

use super::on_every_store;
use super::{CAPACITY, WINDOW};
use crate::algorithm::{Ask, Policy};
use crate::clock::Micros;
use crate::store::{Verb, When};
use crate::tests::schedule::START;

#[test]
fn a_refund_gives_back_and_never_more_than_was_taken() {
    on_every_store(|store, policy| {
        store.take(policy, "key", CAPACITY);
        let outcome = store.act(policy, "key", Verb::Refund(3));
        assert_eq!((outcome.allowed, outcome.granted, outcome.remaining), (true, 0, 3));
        assert!(store.take(policy, "key", 3).allowed);
        assert!(!store.take(policy, "key", 1).allowed);
        assert_eq!(store.act(policy, "key", Verb::Refund(CAPACITY)).remaining, CAPACITY);
        assert_eq!(store.act(policy, "key", Verb::Refund(1)).remaining, CAPACITY);
        assert_eq!(store.act(policy, "new", Verb::Refund(1)).remaining, CAPACITY);
        store.take(policy, "key", CAPACITY);
        assert!(!store.take(policy, "key", 1).allowed);
    });
}

#[test]
fn a_penalty_takes_what_is_not_there() {
    on_every_store(|store, policy| {
        store.take(policy, "key", CAPACITY - 2);
        let before = store.decide(policy, "key", Ask::look(CAPACITY)).retry_after;
        let outcome = store.act(policy, "key", Verb::Penalize(5));
        assert_eq!((outcome.allowed, outcome.remaining), (false, 0));
        assert!(store.decide(policy, "key", Ask::look(CAPACITY)).retry_after >= before);
        assert_eq!(store.act(policy, "key", Verb::Refund(3)).remaining, 0, "what is owed is paid first");
        assert_eq!(store.act(policy, "key", Verb::Refund(1)).remaining, 1);
    });
}

/// However much is asked, nobody is shut out for longer than a whole limit takes to come back twice.
#[test]
fn a_debt_is_bounded() {
    on_every_store(|store, policy| {
        let longest = store.take(policy, "key", CAPACITY).reset_at - START;
        for _ in 0..5 {
            store.act(policy, "key", Verb::Penalize(CAPACITY));
        }
        let refused = store.decide(policy, "key", Ask::look(1));
        assert!(!refused.allowed && refused.retry_after.0 <= 2 * longest.0);
        store.set_clock(START + refused.retry_after);
        assert!(store.take(policy, "key", 1).allowed);
        store.set_clock(START);
    });
}

#[test]
fn a_block_refuses_until_it_ends_and_what_is_beneath_goes_on() {
    on_every_store(|store, policy| {
        store.take(policy, "key", 1);
        let length = Micros(WINDOW.0 / 10);
        let blocked = store.act(policy, "key", Verb::Block(length));
        assert_eq!((blocked.allowed, blocked.remaining, blocked.retry_after), (false, 0, length));
        for cost in [1, CAPACITY] {
            let refused = store.take(policy, "key", cost);
            assert!(!refused.allowed && refused.retry_after >= length);
        }
        assert!(!store.act(policy, "key", Verb::Refund(CAPACITY)).allowed, "a refund lifts no block");
        assert!(!store.act(policy, "key", Verb::Reserve { cost: 1, patience: WINDOW }).allowed);
        assert!(store.take(policy, "other", CAPACITY).allowed);
        store.set_clock(START + length - Micros(1));
        assert!(!store.take(policy, "key", 1).allowed);
        store.set_clock(START + length);
        assert!(store.take(policy, "key", CAPACITY).allowed, "the refund beneath the block counts");
        store.set_clock(START);
    });
}

#[test]
fn a_block_is_ended_by_unblocking_and_by_a_reset() {
    on_every_store(|store, policy| {
        store.take(policy, "key", 4);
        store.act(policy, "key", Verb::Block(WINDOW));
        store.act(policy, "key", Verb::Block(Micros(WINDOW.0 * 2)));
        let free = store.act(policy, "key", Verb::Unblock);
        assert_eq!((free.allowed, free.remaining), (true, CAPACITY - 4));
        assert_eq!(store.act(policy, "key", Verb::Unblock).remaining, CAPACITY - 4);
        assert_eq!(store.take(policy, "key", 1).remaining, CAPACITY - 5);
        store.act(policy, "new", Verb::Block(WINDOW));
        store.reset(policy, "new");
        assert_eq!(store.take(policy, "new", 1).remaining, CAPACITY - 1);
    });
}

/// Only a bucket's time can be booked ahead; a window says when it would be worth asking again.
#[test]
fn a_place_is_booked_where_that_is_possible_and_within_patience() {
    on_every_store(|store, policy| {
        store.take(policy, "key", CAPACITY);
        let refused = store.decide(policy, "key", Ask::look(1));
        // In a queue who has a place still waits for the turn.
        let wait = if matches!(policy, Policy::LeakyBucket(_)) { WINDOW } else { refused.retry_after };
        let impatient = Verb::Reserve { cost: 1, patience: wait - Micros(1) };
        let outcome = store.act(policy, "key", impatient);
        assert_eq!((outcome.allowed, outcome.retry_after), (false, wait));
        let patient = Verb::Reserve { cost: 1, patience: Micros(WINDOW.0 * 20) };
        let first = store.act(policy, "key", patient);
        if !first.allowed {
            assert_eq!(first.retry_after, refused.retry_after);
            return;
        }
        assert_eq!((first.granted, first.delay), (1, wait));
        let second = store.act(policy, "key", patient);
        assert!(second.allowed && second.delay > first.delay);
        // Who does not wait finds the booked units gone.
        store.set_clock(START + refused.retry_after);
        assert!(!store.take(policy, "key", 1).allowed);
        store.set_clock(START);
        // What is given back is there for the next.
        store.act(policy, "key", Verb::Refund(1));
        assert_eq!(store.act(policy, "key", patient).delay, second.delay);
    });
}

#[test]
fn a_dated_call_moves_nobodys_time() {
    on_every_store(|store, policy| {
        let dated = |at, ask| store.dated(policy, "key", Verb::Decide(ask), When::Dated(at));
        store.set_clock(START + WINDOW);
        // The future is the present.
        let outcome = dated(START + Micros(WINDOW.0 * 100), Ask::all(CAPACITY));
        assert!(outcome.allowed && outcome.reset_at <= START + Micros(WINDOW.0 * 12));
        // Nothing can be dated to before the key's last change, where there was room.
        assert!(!dated(START, Ask::all(1)).allowed);
        assert!(!store.take(policy, "key", 1).allowed);
        store.set_clock(START);
    });
}

#[test]
fn a_call_of_the_past_counts_from_when_it_happened() {
    on_every_store(|store, policy| {
        let half = START + Micros(WINDOW.0 / 2);
        store.set_clock(half);
        let late = store.dated(policy, "late", Verb::Decide(Ask::all(CAPACITY)), When::Dated(START));
        let now = store.take(policy, "now", CAPACITY);
        assert!(late.allowed && now.allowed);
        assert!(late.reset_at <= now.reset_at);
        store.set_clock(START);
    });
}
