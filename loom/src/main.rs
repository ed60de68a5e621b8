//! Tries the orders in which callers and the worker of a dispatcher can meet, and every value that each may read of the others'
//! atomics, on the limiter's own `src/dispatcher/shared.rs`. A worker that nobody wakes ends this program as a deadlock.

#[path = "../../src/dispatcher/shared.rs"]
#[expect(dead_code, reason = "the limiter asks it more than is tried here")]
mod shared;
mod sync;

use std::time::Instant;

use loom::future::block_on;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use shared::Shared;

/// How often a thread is halted in the midst of what it does, at most. Without a bound the orders are too many to try; every mistake
/// that was made on purpose was found with one.
const PREEMPTIONS: usize = 3;

/// A message, and whether it is one that the worker must look at in any case.
type Dispatch = Shared<bool, &'static str>;

fn main() {
    try_all("each call is taken, and wakes a worker that wants it", || gathers(1, 2));
    try_all("a worker that wants two sleeps until there are two", || gathers(2, 2));
    try_all("what is urgent wakes a worker that wants nothing", urgent);
    try_all("there is room as soon as calls were taken, and never less than none wait", room);
    try_all("of those who find a store on trial one gets through, and wakes the worker", trial);
    try_all("whoever sees that the store is away sees why", why);
}

fn try_all(what: &str, model: fn()) {
    let begun = Instant::now();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS);
    builder.check(model);
    println!("✔ {what} ({:.1} s)", begun.elapsed().as_secs_f64());
}

fn caller(shared: &Arc<Dispatch>, call: impl FnOnce(&Dispatch) + 'static) -> JoinHandle<()> {
    let shared = shared.clone();
    thread::spawn(move || call(&shared))
}

/// The worker's turns, until it has `calls` calls at least, or something urgent. It wants `wanted` of them before it is woken, as
/// one does that could send no fewer.
fn work(shared: &Dispatch, wanted: usize, calls: usize) {
    let (mut had, mut inbox) = (0, Vec::new());
    loop {
        shared.collect(&mut inbox);
        let urged = inbox.contains(&true);
        shared.taken(inbox.len() - usize::from(urged));
        had += inbox.drain(..).count();
        if urged || had >= calls {
            return;
        }
        if !shared.wake_at(wanted.saturating_sub(had).max(1)) {
            block_on(shared.called());
        }
    }
}

fn gathers(wanted: usize, calls: usize) {
    let shared = Arc::new(Dispatch::new(calls));
    let callers: Vec<_> = (0..calls).map(|_| caller(&shared, |shared| shared.call(false))).collect();
    work(&shared, wanted, calls);
    callers.into_iter().for_each(|caller| caller.join().expect("a caller has ended"));
}

fn urgent() {
    let shared = Arc::new(Dispatch::new(2));
    let calls = caller(&shared, |shared| shared.call(false));
    let closes = caller(&shared, |shared| shared.urge(true));
    work(&shared, usize::MAX, usize::MAX);
    calls.join().expect("the caller has ended");
    closes.join().expect("whoever closes has ended");
}

fn room() {
    let shared = Arc::new(Dispatch::new(2));
    let callers: Vec<_> = (0..2)
        .map(|_| {
            caller(&shared, |shared| {
                assert!(shared.has_room(), "at most one other waits, and two may");
                shared.call(false);
            })
        })
        .collect();
    work(&shared, 1, 2);
    callers.into_iter().for_each(|caller| caller.join().expect("a caller has ended"));
    assert!(shared.has_room(), "nobody waits any more");
}

fn trial() {
    let shared = Arc::new(Dispatch::new(9));
    shared.set_down(Some("refused"));
    shared.set_tries(true);
    let try_it = |shared: &Dispatch| {
        if shared.has_room() {
            shared.call(false);
        }
    };
    let callers = [caller(&shared, try_it), caller(&shared, try_it)];
    work(&shared, 1, 1);
    callers.into_iter().for_each(|caller| caller.join().expect("a caller has ended"));
}

fn why() {
    let shared = Arc::new(Dispatch::new(1));
    let asks = caller(&shared, |shared| {
        if shared.is_down() {
            assert_eq!(shared.cause(), Some("refused"));
        }
    });
    shared.set_down(Some("refused"));
    asks.join().expect("the caller has ended");
}
