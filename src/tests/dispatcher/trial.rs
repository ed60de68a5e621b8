//! A store that answers probes and has failed at its work again and again: it is on trial.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::caller::{Called, Caller, Change, PATIENCE};
use super::manual::Manual;
use super::text;
use crate::clock::Micros;
use crate::decision::Source;
use crate::dispatcher::Ticket;
use crate::store::Verb;

/// A store that has failed at its work until it was not believed any more, and would do it now.
fn on_trial() -> (Manual, Caller) {
    let store = Manual::new();
    let mut caller = store.caller(&[("timeout", text("20s"))]);
    store.0.fails.store(true, Ordering::Relaxed);
    let downs = |caller: &Caller| caller.changes().iter().filter(|change| **change == Change::Down).count();
    let end = Instant::now() + PATIENCE;
    while downs(&caller) < 2 {
        assert!(Instant::now() < end, "it is believed for ever");
        caller.call("fails");
        caller.take_in_all();
    }
    store.0.fails.store(false, Ordering::Relaxed);
    (store, caller)
}

/// The first call that is left to the worker since the store is there again, though nobody has been told.
fn first_asked(caller: &mut Caller, key: &str) -> Ticket {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Called::Asked(ticket) = caller.call(key) {
            return ticket;
        }
    }
    panic!("nobody is ever let through");
}

/// Whatever else is called would wait for what may fail once more.
#[test]
fn one_call_at_a_time_is_sent_and_nobody_else_waits_for_it() {
    let (store, mut caller) = on_trial();
    store.0.hangs.send_replace(true);
    let first = first_asked(&mut caller, "first");
    let sent = |key: &str| store.sent().concat().iter().filter(|(sent, _)| sent == key).count();
    caller.wait_until("it is sent", |_| sent("first") == 1);
    for _ in 0..20 {
        assert!(matches!(caller.call("beside"), Called::Here(decision) if decision.source == Source::Fallback));
        let ticket = caller.take("beside");
        assert_eq!(caller.decision(ticket).source, Source::Fallback);
    }
    assert_eq!(caller.changes().last(), Some(&Change::Down), "nothing is proved yet");
    assert_eq!((sent("first"), sent("beside")), (1, 0));
    store.0.hangs.send_replace(false);
    assert_eq!(caller.decision(first).source, Source::Redis);
    caller.wait_for(Change::Up);
}

#[test]
fn a_part_that_is_away_proves_nothing_of_the_rest() {
    let (store, mut caller) = on_trial();
    store.0.is_part_away.store(true, Ordering::Relaxed);
    let first = first_asked(&mut caller, "away");
    assert_eq!(caller.decision(first).source, Source::Fallback);
    caller.take_in_all();
    assert_eq!(caller.changes().last(), Some(&Change::Down));
    let before = caller.asked();
    caller.gathered(|caller| (0..5).for_each(|_| _ = caller.take("b")));
    caller.wait_for(Change::Up);
    caller.wait_for_all();
    let by = |source| caller.decided_by(source, before..caller.asked());
    assert_eq!((by(Source::Redis), by(Source::Fallback)), (1, 4), "one of those that wait is sent");
}

/// Whoever waits for that before it calls would wait for a call of its own.
#[test]
fn it_is_ready_as_soon_as_it_is_there() {
    let (_, mut caller) = on_trial();
    let ticket = caller.ready(Micros::from_millis(60_000));
    assert!(caller.answer(ticket).is_ok());
}

#[test]
fn closing_ends_and_a_reset_that_is_not_sent_is_an_error() {
    let (store, mut caller) = on_trial();
    store.0.hangs.send_replace(true);
    let first = first_asked(&mut caller, "first");
    let reset = caller.ask("beside", Verb::Reset);
    assert!(caller.answer(reset).is_err());
    let closed = caller.close();
    store.0.hangs.send_replace(false);
    assert!(caller.answer(closed).is_ok() && caller.answer(first).is_ok());
}
