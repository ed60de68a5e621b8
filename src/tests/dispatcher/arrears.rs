//! What the store is told when it is back of what was admitted in its place.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::caller::{Caller, Change};
use super::manual::Manual;
use super::text;
use crate::arrears::{Arrears, MOST_KEYS};
use crate::clock::Micros;
use crate::decision::Source;
use crate::limiter::Trust;
use crate::store::{Request, Verb};

const WINDOW: Micros = Micros::from_millis(60_000);

fn wait_for_told(caller: &mut Caller, keys: u64) {
    caller.wait_until("it is told", |caller| caller.limiter().stats().told >= keys);
}

fn owed(keys: &[(&str, u64)]) -> Vec<(String, u64)> {
    keys.iter().map(|(key, units)| ((*key).to_owned(), *units)).collect()
}

/// Without it a client could use its limit here, and all of it again there.
#[test]
fn what_was_admitted_in_the_stores_place_is_told_when_it_is_back() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.outage(&mut caller, &["a", "a", "b", "a"]);
    let before = caller.limiter().stats();
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 2);
    assert_eq!(store.told(), owed(&[("a", 3), ("b", 1)]));
    let after = caller.limiter().stats();
    assert_eq!((after.allowed, after.by_source, after.pending), (before.allowed, before.by_source, 0), "it is no call");
    let ticket = caller.take("a");
    assert_eq!(caller.decision(ticket).remaining, 6);
}

/// The store may have counted it: told of it, it would count it twice.
#[test]
fn what_was_sent_is_not_told_although_nobody_has_heard_the_answer() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.0.hangs.send_replace(true);
    let late = caller.take("sent");
    assert_eq!(caller.decision(late).source, Source::Fallback);
    let lost = caller.take("sent");
    caller.wait_until("it is sent", |_| store.sent().len() == 2);
    store.outage(&mut caller, &["unsent"]);
    assert_eq!(caller.decision(lost).source, Source::Fallback);
    store.0.hangs.send_replace(false);
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 1);
    assert_eq!(store.told(), owed(&[("unsent", 1)]));
}

#[test]
fn no_more_is_told_than_the_limit() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.outage(&mut caller, &["a"; 40]);
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 1);
    assert_eq!(store.told(), owed(&[("a", 10)]));
}

#[test]
fn what_is_older_than_the_window_is_not_told() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.outage(&mut caller, &["old", "old", "both"]);
    store.0.clock.advance(WINDOW + WINDOW);
    store.outage(&mut caller, &["new", "both"]);
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 2);
    assert_eq!(store.told(), owed(&[("both", 1), ("new", 1)]));
}

#[test]
fn what_was_reset_or_given_back_in_between_is_not_told() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.outage(&mut caller, &["reset", "refunded", "refunded", "kept"]);
    assert!(caller.reset_here("reset").is_err(), "the store has not heard of it");
    let refund = caller.limiter().simple(b"refunded", Verb::Refund(1));
    caller.limiter().answer_here(&refund, Trust::Times).unwrap();
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 2);
    assert_eq!(store.told(), owed(&[("kept", 1), ("refunded", 1)]));
}

/// A thousand keys at once would be a thousand that callers wait for.
#[test]
fn it_is_told_in_small_batches_one_at_a_time_and_no_call_waits_for_them() {
    let store = Manual::new();
    let mut caller = store.caller(&[("timeout", text("20s"))]);
    store.0.hangs_when_told.store(true, Ordering::Relaxed);
    store.outage_of(&mut caller, "key", 120);
    store.return_to(&mut caller);
    caller.wait_until("it is told", |_| !store.tellings().is_empty());
    // As long as several batches take at their pace.
    let end = Instant::now() + Duration::from_millis(50);
    while Instant::now() < end {
        let ticket = caller.take("a call");
        assert_eq!(caller.decision(ticket).source, Source::Redis);
    }
    assert_eq!(store.tellings().len(), 1, "the first has not been answered");
    assert_eq!(caller.limiter().stats().told, 0);
}

#[test]
fn it_goes_on_after_a_batch_that_was_not_answered_and_does_not_tell_that_again() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.0.hangs_when_told.store(true, Ordering::Relaxed);
    store.outage_of(&mut caller, "key", 120);
    store.return_to(&mut caller);
    caller.wait_until("it is told", |_| !store.tellings().is_empty());
    store.0.hangs_when_told.store(false, Ordering::Relaxed);
    wait_for_told(&mut caller, 70);
    assert_eq!(store.tellings().iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 20]);
    let mut told: Vec<_> = store.told().into_iter().map(|(key, _)| key).collect();
    told.dedup();
    assert_eq!(told.len(), 120, "each once");
    assert_eq!(caller.limiter().stats().circuit_opened, 1, "it is no failure of the store");
}

/// What it may not do beside its work says nothing of its work.
#[test]
fn a_store_that_fails_when_it_is_told_decides_all_the_same() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.0.fails_when_told.store(true, Ordering::Relaxed);
    store.outage_of(&mut caller, "key", 120);
    store.return_to(&mut caller);
    caller.wait_until("it is told thrice", |_| store.tellings().len() == 3);
    let ticket = caller.take("a call");
    assert_eq!(caller.decision(ticket).source, Source::Redis);
    let stats = caller.limiter().stats();
    assert_eq!((stats.circuit_opened, stats.told), (1, 0));
}

#[test]
fn only_what_this_process_decides_by_its_own_limit_is_told() {
    let store = Manual::new();
    let mut caller = store.caller(&[("onStoreError", text("allow"))]);
    store.outage(&mut caller, &["a"]);
    store.return_to(&mut caller);
    let ticket = caller.take("a");
    assert_eq!(caller.decision(ticket).remaining, 9);
    assert!(store.tellings().is_empty());
}

#[test]
fn no_more_keys_are_noted_than_the_bound() {
    let store = Manual::new();
    let caller = store.caller(&[]);
    let arrears = Arrears::new(store.0.clock.clone());
    for i in 0..MOST_KEYS + 10 {
        arrears.note(&caller.limiter().simple(i.to_string().as_bytes(), Verb::Reset), |_| 1);
    }
    arrears.note(&caller.limiter().simple(b"0", Verb::Reset), |_| 1);
    let all = take_all(&arrears);
    assert_eq!(all.len(), MOST_KEYS);
    assert!(all.iter().any(|request| request.verb == Verb::Penalize(2)), "who is noted already is noted on");
}

/// Else those of a long outage's first minutes would keep the places of all who come later.
#[test]
fn keys_that_owe_nothing_any_more_make_room() {
    let store = Manual::new();
    let caller = store.caller(&[]);
    let arrears = Arrears::new(store.0.clock.clone());
    let note = |name: &str| arrears.note(&caller.limiter().simple(name.as_bytes(), Verb::Reset), |_| 1);
    for i in 0..MOST_KEYS {
        note(&i.to_string());
    }
    store.0.clock.advance(WINDOW);
    note("0");
    store.0.clock.advance(WINDOW);
    note("later");
    let told: Vec<_> = take_all(&arrears).into_iter().map(|request| request.keys[0].clone()).collect();
    assert_eq!(told.len(), 2, "the one that was noted on, and the one that came later");
}

/// What is owed, however often it has to be asked for.
fn take_all(arrears: &Arrears) -> Vec<Request> {
    let mut all = Vec::new();
    while arrears.has_some() {
        all.extend(arrears.take(usize::MAX));
    }
    all
}

/// It is sent to nobody while the store is away.
#[test]
fn a_penalty_in_an_outage_is_told_too() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.outage(&mut caller, &["a"]);
    let penalty = caller.limiter().simple(b"a", Verb::Penalize(4));
    caller.limiter().answer_here(&penalty, Trust::Times).unwrap();
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 1);
    assert_eq!(store.told(), owed(&[("a", 5)]));
}

/// Part of a cluster may be away while the rest decides: what it was not sent is counted nowhere.
#[test]
fn what_a_part_that_is_away_was_not_sent_is_told_when_that_is_back() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.0.is_part_away.store(true, Ordering::Relaxed);
    for (key, source) in [("away", Source::Fallback), ("b", Source::Redis), ("away", Source::Fallback)] {
        let ticket = caller.take(key);
        assert_eq!(caller.decision(ticket).source, source, "{key}");
    }
    store.0.is_part_away.store(false, Ordering::Relaxed);
    wait_for_told(&mut caller, 1);
    assert_eq!(store.told().iter().map(|(_, units)| units).sum::<u64>(), 2);
    let ticket = caller.take("away");
    assert_eq!(caller.decision(ticket).remaining, 7);
    assert_eq!(caller.changes(), [Change::Up], "the rest was well all the while");
}

/// Those that owe something there are asked for again and again: had they not to wait for the others, these would wait for ever.
#[test]
fn all_others_are_told_first_and_those_of_the_part_that_is_away_once_each() {
    let store = Manual::new();
    let mut caller = store.caller(&[]);
    store.outage_of(&mut caller, "away", 200);
    store.outage_of(&mut caller, "key", 120);
    store.0.is_part_away.store(true, Ordering::Relaxed);
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 120);
    assert!(store.told().iter().all(|(key, _)| key.starts_with("key")));
    store.0.is_part_away.store(false, Ordering::Relaxed);
    wait_for_told(&mut caller, 320);
    let told = store.told();
    assert_eq!(told.len(), 320);
    assert!(told.windows(2).all(|two| two[0] < two[1]) && told.iter().all(|(_, units)| *units == 1), "each once");
}

#[test]
fn what_is_put_back_is_owed_as_if_it_had_not_been_taken() {
    let store = Manual::new();
    let caller = store.caller(&[]);
    let arrears = Arrears::new(store.0.clock.clone());
    let request = |key: &str| caller.limiter().simple(key.as_bytes(), Verb::Reset);
    for key in ["reset", "reset before", "refunded", "noted", "noted before", "old"] {
        arrears.note(&request(key), |_| 3);
    }
    store.0.clock.advance(WINDOW);
    let taken = arrears.take(usize::MAX);
    assert!(taken.len() == 6 && !arrears.has_some());
    arrears.note(&request("noted before"), |_| 1);
    arrears.forget(&request("reset before"));
    taken.iter().for_each(|request| arrears.put_back(request));
    arrears.forget(&request("reset"));
    arrears.give_back(&request("refunded"), 2);
    arrears.note(&request("noted"), |_| 2);
    let name = |request: &Request| String::from_utf8_lossy(request.keys[0].as_bytes()).into_owned();
    let mut now: Vec<_> = take_all(&arrears).iter().map(|request| (name(request), request.verb)).collect();
    now.sort_by(|a, b| a.0.cmp(&b.0));
    let penalty = |key: &str, units| (key.to_owned(), Verb::Penalize(units));
    assert_eq!(
        now,
        [penalty("noted", 5), penalty("noted before", 4), penalty("old", 3), penalty("refunded", 1)],
        "in the window after theirs they still count whole"
    );
}

/// Else what one part of the store is owed, which is back, would wait as long as keys of another that is away keep coming.
#[test]
fn what_was_put_back_does_not_wait_for_newcomers() {
    let store = Manual::new();
    let caller = store.caller(&[]);
    let arrears = Arrears::new(store.0.clock.clone());
    let note = |key: &str| arrears.note(&caller.limiter().simple(key.as_bytes(), Verb::Reset), |_| 1);
    note("old");
    for newcomer in ["first", "second", "third"] {
        let taken = arrears.take(usize::MAX);
        assert!(taken.iter().any(|request| request.keys[0].as_bytes() == b"old"), "before the {newcomer}");
        note(newcomer);
        taken.iter().for_each(|request| arrears.put_back(request));
        // A round of those that have come meanwhile.
        arrears.take(usize::MAX).iter().for_each(|request| arrears.put_back(request));
        note(&format!("{newcomer} more"));
    }
}
