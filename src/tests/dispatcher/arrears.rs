//! What the store is told when it is back of what was admitted in its place.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::caller::{Called, Caller, Change};
use super::text;
use crate::arrears::{Arrears, MOST_KEYS};
use crate::clock::{ManualClock, Micros};
use crate::decision::Source;
use crate::error::Error;
use crate::input::Given;
use crate::settings::Settings;
use crate::store::{Answering, DEFAULT_BYTES, Link, Memory, Reach, Request, Store, Verb};
use crate::tests::schedule::START;

const WINDOW: Micros = Micros::from_millis(60_000);

/// A store that is there when a test says so, answers when it says so, and remembers what it was sent.
#[derive(Clone)]
struct Manual(Arc<Switches>);

struct Switches {
    memory: Arc<Memory>,
    clock: Arc<ManualClock>,
    is_there: watch::Sender<bool>,
    /// Answers nothing.
    hangs: AtomicBool,
    /// Answers nothing that it is told of another's admissions.
    hangs_when_told: AtomicBool,
    /// Fails when it is told so.
    fails_when_told: AtomicBool,
    sent: Mutex<Vec<Vec<(String, Verb)>>>,
}

impl Manual {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self(Arc::new(Switches {
            memory: Arc::new(Memory::new(DEFAULT_BYTES, clock.clone())),
            clock,
            is_there: watch::Sender::new(true),
            hangs: AtomicBool::new(false),
            hangs_when_told: AtomicBool::new(false),
            fails_when_told: AtomicBool::new(false),
            sent: Mutex::default(),
        }))
    }

    fn is_there(&self, is_there: bool) {
        self.0.is_there.send_replace(is_there);
    }

    fn sent(&self) -> MutexGuard<'_, Vec<Vec<(String, Verb)>>> {
        self.0.sent.lock().unwrap()
    }

    /// The batches of which it was told.
    fn tellings(&self) -> Vec<Vec<(String, u64)>> {
        let told = |batch: &Vec<(String, Verb)>| {
            let told = batch.iter().filter_map(|(key, verb)| match verb {
                Verb::Penalize(units) => Some((key.clone(), *units)),
                _ => None,
            });
            told.collect::<Vec<_>>()
        };
        self.sent().iter().map(told).filter(|batch| !batch.is_empty()).collect()
    }

    /// All of it, in the order of the keys.
    fn told(&self) -> Vec<(String, u64)> {
        let mut told = self.tellings().concat();
        told.sort();
        told
    }

    fn caller(&self, more: &[(&str, Given)]) -> Caller {
        let mut options = vec![
            ("limit", Given::Number(10.0)),
            ("window", text("1m")),
            ("timeout", text("100ms")),
            ("fallback", Given::Record(vec![("limit".into(), Given::Number(50.0))])),
        ];
        options.extend_from_slice(more);
        let options = options.into_iter().map(|(name, given)| (name.to_owned(), given));
        let settings = Settings::read(&Given::Record(options.collect())).unwrap();
        let mut caller = Caller::at(self.clone(), &settings, self.0.clock.clone());
        caller.run();
        caller.wait_for(Change::Up);
        caller
    }

    /// Has it away while calls are made on these keys, none of which it is sent.
    fn outage(&self, caller: &mut Caller, keys: &[&str]) {
        self.is_there(false);
        caller.wait_for(Change::Down);
        for key in keys {
            assert!(matches!(caller.call(key), Called::Here(decision) if decision.source == Source::Fallback));
        }
    }

    fn return_to(&self, caller: &mut Caller) {
        self.is_there(true);
        caller.wait_for(Change::Up);
    }
}

impl Reach for Manual {
    type Link = Self;

    const SOURCE: Source = Source::Redis;

    async fn open(&self, _: Duration) -> Result<Self, Error> {
        let away = || Error::StoreUnavailable("a test has said so".into());
        self.0.is_there.borrow().then(|| self.clone()).ok_or_else(away)
    }
}

impl Link for Manual {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn closed(&mut self) {
        let _ = self.0.is_there.subscribe().wait_for(|is_there| !is_there).await;
    }
}

impl Store for Manual {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let batch: Vec<&Request> = batch.collect();
        let name = |request: &Request| String::from_utf8(request.keys[0].as_bytes().to_vec()).unwrap();
        self.sent().push(batch.iter().map(|request| (name(request), request.verb)).collect());
        let is_telling = batch.iter().any(|request| matches!(request.verb, Verb::Penalize(_)));
        let hangs = if is_telling { &self.0.hangs_when_told } else { &self.0.hangs };
        if hangs.load(Ordering::Relaxed) {
            return Box::pin(pending());
        }
        if is_telling && self.0.fails_when_told.load(Ordering::Relaxed) {
            return Box::pin(ready(Err(Error::StoreUnavailable("a test has said so".into()))));
        }
        Store::decide(&self.0.memory, &mut batch.into_iter())
    }
}

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
    store.0.hangs.store(true, Ordering::Relaxed);
    let late = caller.take("sent");
    assert_eq!(caller.decision(late).source, Source::Fallback);
    let lost = caller.take("sent");
    caller.wait_until("it is sent", |_| store.sent().len() == 2);
    store.outage(&mut caller, &["unsent"]);
    assert_eq!(caller.decision(lost).source, Source::Fallback);
    store.0.hangs.store(false, Ordering::Relaxed);
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
    caller.limiter().answer_here(&refund).unwrap();
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
    let keys: Vec<String> = (0..120).map(|i| format!("key {i}")).collect();
    store.outage(&mut caller, &keys.iter().map(String::as_str).collect::<Vec<_>>());
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
    let keys: Vec<String> = (0..120).map(|i| format!("key {i}")).collect();
    store.outage(&mut caller, &keys.iter().map(String::as_str).collect::<Vec<_>>());
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
    let keys: Vec<String> = (0..120).map(|i| format!("key {i}")).collect();
    store.outage(&mut caller, &keys.iter().map(String::as_str).collect::<Vec<_>>());
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
    caller.limiter().answer_here(&penalty).unwrap();
    store.return_to(&mut caller);
    wait_for_told(&mut caller, 1);
    assert_eq!(store.told(), owed(&[("a", 5)]));
}
