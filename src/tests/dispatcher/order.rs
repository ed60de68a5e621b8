//! What comes first where answers and calls meet, in a loop that turns the worker as Node's does: it hands out after each turn what
//! was told in it, and calls are made between two turns.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::manual::Manual;
use super::text;
use crate::algorithm::Ask;
use crate::decision::Source;
use crate::dispatcher::{News, Settle, Ticket};
use crate::error::Error;
use crate::limiter::Limiter;
use crate::runtime::{Bell, Turned};
use crate::store::{Answering, Link, Reach, Request, Store, Verb};

/// What happens to the call of this number, or to the batch of which it is the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Leaves(u64),
    Lands(u64),
    IsTold(u64),
}

use Event::{IsTold, Lands, Leaves};

/// What has happened, in its order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Event>>>);

impl Log {
    fn note(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Settle for Log {
    fn settle(&mut self, news: &mut Vec<News>) {
        for news in news.drain(..) {
            if let News::Settled(ticket, _) = news {
                self.note(IsTold(ticket.0));
            }
        }
    }
}

/// A store that notes when a batch begins and when it ends, which it does when a test says so.
#[derive(Clone)]
struct Noted {
    store: Manual,
    answered: Arc<watch::Sender<Vec<u64>>>,
    log: Log,
}

impl Reach for Noted {
    type Link = Self;

    const SOURCE: Source = Source::Redis;

    async fn open(&self, _: Duration) -> Result<Self, Error> {
        Ok(self.clone())
    }
}

impl Link for Noted {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn closed(&mut self) {
        self.store.closed().await;
    }
}

impl Store for Noted {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let batch: Vec<&Request> = batch.collect();
        let first = std::str::from_utf8(batch[0].keys[0].as_bytes()).unwrap().parse().unwrap();
        let answering = self.store.decide(&mut batch.into_iter());
        let (log, mut answered) = (self.log.clone(), self.answered.subscribe());
        Box::pin(async move {
            log.note(Leaves(first));
            answered.wait_for(|answered| answered.contains(&first)).await.unwrap();
            log.note(Lands(first));
            answering.await
        })
    }
}

/// Turned without being asked for it.
struct Silent;

impl Bell for Silent {
    fn ring(&self) {}
}

/// A limiter and its loop.
struct Loop {
    runtime: Turned,
    answered: Arc<watch::Sender<Vec<u64>>>,
    log: Log,
    limiter: Limiter,
}

impl Loop {
    /// Where the store has answered once.
    fn new() -> Self {
        let (store, log) = (Manual::new(), Log::default());
        let answered = Arc::new(watch::Sender::default());
        let reach = Noted { store: store.clone(), answered: Arc::clone(&answered), log: log.clone() };
        let settings = Manual::settings(&[("timeout", text("20s"))]);
        let (limiter, worker) = Limiter::on_store(&settings, reach, store.0.clock.clone(), log.clone());
        let this = Self { runtime: Turned::new(Silent), answered, log, limiter };
        this.runtime.spawn(worker.run());
        while this.runtime.turn(Instant::now(), false).is_busy {}
        this
    }

    fn call(&self, call: u64) {
        let request = self.limiter.simple(call.to_string().as_bytes(), Verb::Decide(Ask::all(1)));
        self.limiter.ask(Ticket(call), request);
    }

    fn answer(&self, call: u64) {
        self.answered.send_modify(|answered| answered.push(call));
    }

    /// One turn; what happened in it.
    fn turn(&self) -> Vec<Event> {
        self.runtime.turn(Instant::now(), false);
        std::mem::take(&mut *self.log.0.lock().unwrap())
    }

    /// As many calls under way as there are places.
    fn with_two_under_way() -> Self {
        let this = Self::new();
        for call in [1, 2] {
            this.call(call);
            assert_eq!(this.turn(), [Leaves(call)]);
        }
        this
    }
}

/// Answers that are handed out together would leave the store without work for as long as that takes.
#[test]
fn what_is_called_in_reply_leaves_before_the_next_answers_are_told() {
    let node = Loop::with_two_under_way();
    node.answer(1);
    node.answer(2);
    assert_eq!(node.turn(), [Lands(1), IsTold(1)], "and the loop hands it out");
    node.call(3);
    assert_eq!(node.turn(), [Leaves(3), Lands(2), IsTold(2)]);
}

/// Otherwise it would leave when the answers have been handed out.
#[test]
fn a_batch_that_has_waited_for_a_place_leaves_before_the_answers_that_made_room_are_told() {
    let node = Loop::with_two_under_way();
    node.call(3);
    assert_eq!(node.turn(), [], "there is no place");
    node.answer(1);
    assert_eq!(node.turn(), [Lands(1), Leaves(3), IsTold(1)]);
}

/// Calls on one key would be decided in another order than they were made in.
#[test]
fn batches_that_are_made_at_once_leave_in_the_order_of_their_calls() {
    let node = Loop::new();
    (1..=192).for_each(|call| node.call(call));
    assert_eq!(node.turn(), [Leaves(1), Leaves(129)]);
}
