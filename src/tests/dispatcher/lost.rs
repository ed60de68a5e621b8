//! The dispatcher on a store that takes some batches and never says a word of them, as a client of somebody's may.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::caller::{Caller, Change};
use super::text;
use crate::clock::SystemClock;
use crate::decision::Source;
use crate::error::Error;
use crate::input::Given;
use crate::settings::Settings;
use crate::store::{Answering, Link, Memory, Reach, Request, Store};

/// Loses each batch that asks about the key `lost`, and decides the others.
#[derive(Clone)]
struct Lossy {
    memory: Arc<Memory>,
    /// The requests that it has been sent.
    asked: Arc<AtomicUsize>,
}

impl Lossy {
    fn new() -> Self {
        Self { memory: Arc::new(Memory::new(1 << 20, Arc::new(SystemClock::new()))), asked: Arc::default() }
    }
}

impl Reach for Lossy {
    type Link = Self;

    const SOURCE: Source = Source::Client;

    async fn open(&self, _: Duration) -> Result<Self, Error> {
        Ok(self.clone())
    }
}

impl Link for Lossy {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn closed(&mut self) {
        pending::<()>().await;
    }
}

impl Store for Lossy {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let batch: Vec<&Request> = batch.collect();
        self.asked.fetch_add(batch.len(), Ordering::Relaxed);
        let is_lost = batch.iter().flat_map(|request| &request.keys).any(|key| key.as_bytes() == b"lost");
        if is_lost { Box::pin(pending()) } else { Store::decide(&self.memory, &mut batch.into_iter()) }
    }
}

/// One lost batch is no outage, and what comes between two of them says so; but each must give its place back, or the second
/// would leave none, and nothing could ever be sent again.
#[test]
fn batches_that_are_lost_one_by_one_keep_no_place() {
    let options = [("limit", Given::Number(1e6)), ("window", text("1d")), ("timeout", text("50ms"))];
    let options = options.map(|(name, given)| (name.to_owned(), given));
    let settings = Settings::read(&Given::Record(options.into())).unwrap();
    let mut caller = Caller::reaching(Lossy::new(), &settings);
    caller.run();
    for _ in 0..5 {
        let lost = caller.take("lost");
        assert_eq!(caller.decision(lost).source, Source::Fallback);
        let good = caller.take("key");
        assert_eq!(caller.decision(good).source, Source::Client);
    }
    let stats = caller.limiter().stats();
    assert_eq!((stats.circuit_opened, stats.pending), (0, 0));
}

fn on_lossy(timeout: &str) -> (Caller, Lossy) {
    let options = [("limit", Given::Number(1e6)), ("window", text("1d")), ("timeout", text(timeout))];
    let options = options.map(|(name, given)| (name.to_owned(), given));
    let settings = Settings::read(&Given::Record(options.into())).unwrap();
    let store = Lossy::new();
    let mut caller = Caller::reaching(store.clone(), &settings);
    caller.run();
    caller.wait_for(Change::Up);
    (caller, store)
}

fn wait_for_batches(caller: &mut Caller, batches: u64) {
    caller.wait_until("a batch is sent", |caller| caller.limiter().stats().batches() == batches);
}

/// Where a way there and back takes half of the timeout, whoever waited for one and then travelled for another was late: the
/// fallback decided most calls of a store that was well.
#[test]
fn a_batch_that_is_far_away_gives_way_before_it_lands() {
    let (mut caller, store) = on_lossy("4s");
    for _ in 0..10 {
        caller.take("lost");
    }
    caller.wait_until("all of them are sent", |_| store.asked.load(Ordering::Relaxed) == 10);
    let sent = caller.limiter().stats().batches();
    // Each of these is less than half of what the one before carries, or finds both places taken.
    for further in 1..=3 {
        let good = caller.take("key");
        assert_eq!(caller.decision(good).source, Source::Client, "call {further} is answered while others hang");
        caller.take("lost");
        wait_for_batches(&mut caller, sent + 2 * further);
    }
    assert_eq!(caller.limiter().stats().circuit_opened, 0);
}

/// Were there no bound, a store that hangs would be sent whatever is called.
#[test]
fn no_more_than_eight_batches_are_under_way_however_long_they_hang() {
    let (mut caller, _) = on_lossy("800ms");
    let mut taken = 0;
    while caller.limiter().stats().circuit_opened == 0 {
        caller.call("lost");
        taken += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    let batches = caller.limiter().stats().batches();
    assert!(batches <= 8, "{batches} batches of {taken} calls were sent");
}

/// Whoever turns the worker may stand still: a loop that is blocked, a process that is stopped. Then a call would be given up that
/// nobody could look at for as long, although the store is well.
#[test]
fn a_call_that_nobody_could_look_at_is_asked_all_the_same() {
    let given = [("limit", Given::Number(9.0)), ("window", text("1d")), ("timeout", Given::Number(400.0))];
    let given = Given::Record(given.into_iter().map(|(name, given)| (name.to_owned(), given)).collect());
    let mut caller = Caller::reaching(Lossy::new(), &Settings::read(&given).unwrap());
    let tickets: Vec<_> = (0..300).map(|_| caller.take("key")).collect();
    std::thread::sleep(Duration::from_millis(450));
    caller.run();
    for ticket in tickets {
        assert_eq!(caller.decision(ticket).source, Source::Client);
    }
    assert_eq!(caller.limiter().stats().store_errors, 0);
}
