//! A caller of a limiter on Redis: keeps its tickets, and asserts that each is settled once and each change is told once.

use std::collections::HashMap;
use std::convert::identity;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

use crate::algorithm::Ask;
use crate::clock::{Clock, Micros, SystemClock};
use crate::decision::{Decision, Source};
use crate::dispatcher::{Answer, News, Settle, Ticket};
use crate::error::Error;
use crate::input::Given;
use crate::limiter::{Limiter, Trust};
use crate::settings::Settings;
use crate::store::redis::script::ENGINE;
use crate::store::redis::{Remote, Sockets};
use crate::store::{Reach, Verb};

/// Longer than anything here should take: when it has passed, what was awaited never comes.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A change of the store's state, as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Up,
    Down,
}

/// What a call met.
#[derive(Clone, Debug)]
pub(super) enum Called {
    /// It was decided at once.
    Here(Decision),
    /// The store was asked.
    Asked(Ticket),
}

/// Sends the news to the thread that called, and counts how often that would be woken.
struct Post {
    to: Sender<News>,
    wakes: Arc<AtomicUsize>,
    /// Whoever holds it stops the worker where it has something to tell.
    gate: Arc<Mutex<()>>,
}

impl Settle for Post {
    fn settle(&mut self, news: &mut Vec<News>) {
        self.wakes.fetch_add(1, Ordering::Relaxed);
        let _open = self.gate.lock().unwrap();
        for news in news.drain(..) {
            // The caller's end is gone only where a test has ended.
            let _ = self.to.send(news);
        }
    }
}

pub(super) struct Caller {
    limiter: Option<Limiter>,
    /// The worker's work, whatever its store is.
    work: Option<Box<dyn FnOnce() + Send>>,
    thread: Option<JoinHandle<()>>,
    news: Receiver<News>,
    wakes: Arc<AtomicUsize>,
    gate: Arc<Mutex<()>>,
    asked: u64,
    decided_here: u64,
    settled: HashMap<u64, Answer>,
    /// The tickets in the order in which they were settled.
    order: Vec<u64>,
    changes: Vec<Change>,
    cause: String,
    /// Why announcements were refused, each time that it was told.
    unheard: Vec<Error>,
    /// The policies by which keys were said to be evicted.
    evictions: Vec<String>,
}

impl Caller {
    /// A limiter of 1,000,000 a day on the Redis at `url`, with other options in place of these. Nothing is done for it until
    /// [`run`](Self::run).
    pub(super) fn new(url: &str, options: &[(&str, Given)]) -> Self {
        let mut all = vec![
            ("limit", Given::Number(1e6)),
            ("window", Given::Text("1d".into())),
            ("timeout", Given::Text("20s".into())),
            ("redisUrl", Given::Text(url.into())),
        ];
        all.retain(|(name, _)| options.iter().all(|(other, _)| other != name));
        all.extend_from_slice(options);
        let given = Given::Record(all.into_iter().map(|(name, given)| (name.into(), given)).collect());
        let settings = Settings::read(&given).unwrap();
        let servers = settings.redis.clone().unwrap();
        Self::reaching(Remote::new(Sockets, servers, &ENGINE), &settings)
    }

    /// A limiter on whatever `reach` leads to.
    pub(super) fn reaching(reach: impl Reach, settings: &Settings) -> Self {
        Self::at(reach, settings, Arc::new(SystemClock::new()))
    }

    /// The same on another clock.
    pub(super) fn at(reach: impl Reach, settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let (to, news) = channel();
        let (wakes, gate) = (Arc::default(), Arc::default());
        let settle = Post { to, wakes: Arc::clone(&wakes), gate: Arc::clone(&gate) };
        let (limiter, worker) = Limiter::on_store(settings, reach, clock, settle);
        let work = || Builder::new_current_thread().enable_all().build().unwrap().block_on(worker.run());
        Self {
            limiter: Some(limiter),
            work: Some(Box::new(work)),
            thread: None,
            news,
            wakes,
            gate,
            asked: 0,
            decided_here: 0,
            settled: HashMap::new(),
            order: Vec::new(),
            changes: Vec::new(),
            cause: String::new(),
            unheard: Vec::new(),
            evictions: Vec::new(),
        }
    }

    /// Lets the worker work, on a thread of its own.
    pub(super) fn run(&mut self) {
        self.thread = Some(std::thread::spawn(self.work.take().expect("run once")));
    }

    /// As [`new`](Self::new), working, and the store has answered.
    pub(super) fn connected(url: &str, options: &[(&str, Given)]) -> Self {
        let mut caller = Self::new(url, options);
        caller.run();
        caller.wait_for(Change::Up);
        caller
    }

    pub(super) fn limiter(&self) -> &Limiter {
        self.limiter.as_ref().expect("the limiter has not been dropped")
    }

    /// How often the caller's thread would have been woken.
    pub(super) fn wakes(&self) -> usize {
        self.wakes.load(Ordering::Relaxed)
    }

    /// Makes calls of `make` that the worker finds all at once.
    pub(super) fn gathered(&mut self, make: impl FnOnce(&mut Self)) {
        let gate = Arc::clone(&self.gate);
        let shut = gate.lock().unwrap();
        let before = self.wakes();
        self.ready(Micros::from_millis(1));
        self.wait_until("the worker stands at the gate", |caller| caller.wakes() > before);
        make(self);
        drop(shut);
    }

    pub(super) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Why the store was last said to be down.
    pub(super) fn cause(&self) -> &str {
        &self.cause
    }

    /// Why announcements were refused, each time that it was told.
    pub(super) fn unheard(&self) -> &[Error] {
        &self.unheard
    }

    /// The policies by which keys were said to be evicted.
    pub(super) fn evictions(&self) -> &[String] {
        &self.evictions
    }

    /// How many calls were decided at once.
    pub(super) fn decided_here(&self) -> u64 {
        self.decided_here
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// The tickets in the order in which they were settled.
    pub(super) fn order(&self) -> &[u64] {
        &self.order
    }

    fn ticket(&mut self) -> Ticket {
        self.asked += 1;
        Ticket(self.asked - 1)
    }

    /// Asks the store, whatever is known of it.
    pub(super) fn ask(&mut self, key: &str, verb: Verb) -> Ticket {
        let ticket = self.ticket();
        let request = self.limiter().simple(key.as_bytes(), verb);
        self.limiter().ask(ticket, request);
        ticket
    }

    /// Forgets a key where nobody must be asked.
    pub(super) fn reset_here(&self, key: &str) -> Result<Option<Decision>, Error> {
        self.limiter().answer_here(&self.limiter().simple(key.as_bytes(), Verb::Reset), Trust::Times)
    }

    /// Asks for one unit.
    pub(super) fn take(&mut self, key: &str) -> Ticket {
        self.ask(key, Verb::Decide(Ask::all(1)))
    }

    /// Calls as an application does: the store is asked only where it must be.
    pub(super) fn call(&mut self, key: &str) -> Called {
        match self.limiter().decide_here(key.as_bytes(), Ask::all(1), identity).unwrap() {
            Some(decision) => {
                self.decided_here += 1;
                Called::Here(decision)
            }
            None => Called::Asked(self.take(key)),
        }
    }

    pub(super) fn ready(&mut self, timeout: Micros) -> Ticket {
        let ticket = self.ticket();
        self.limiter().ready(ticket, timeout);
        ticket
    }

    pub(super) fn close(&mut self) -> Ticket {
        let ticket = self.ticket();
        self.limiter().close();
        self.limiter().finish(ticket);
        ticket
    }

    /// Lets go of the limiter, as a garbage collector does.
    pub(super) fn drop_limiter(&mut self) {
        self.limiter = None;
    }

    fn take_in(&mut self, news: News) {
        match news {
            News::Settled(ticket, answer) => {
                assert!(ticket.0 < self.asked, "{ticket:?} was never given out");
                let before = self.settled.insert(ticket.0, answer);
                assert!(before.is_none(), "{ticket:?} was settled twice");
                self.order.push(ticket.0);
            }
            News::StoreDown(error) => {
                self.cause = error.to_string();
                self.change(Change::Down);
            }
            News::StoreUp => self.change(Change::Up),
            News::FleetUnknown(error) => self.unheard.push(error),
            News::StoreEvicts(policy) => self.evictions.push(policy),
            News::Policies(..) => {}
        }
    }

    fn change(&mut self, change: Change) {
        assert_ne!(self.changes.last(), Some(&change), "told twice of one change");
        self.changes.push(change);
    }

    /// Takes in what has come, without waiting.
    pub(super) fn take_in_all(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            self.take_in(news);
        }
    }

    /// Takes in what comes until `done`.
    pub(super) fn wait_until(&mut self, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(Instant::now() < end, "waited in vain until {what}; the store was last {:?}", self.changes.last());
            // What is awaited need not be news, so look again after a short while.
            match self.news.recv_timeout(Duration::from_millis(5)) {
                Ok(news) => self.take_in(news),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    /// Waits until the store is in this state, as it was last told.
    pub(super) fn wait_for(&mut self, change: Change) {
        self.wait_until(&format!("the store is {change:?}"), |caller| caller.changes.last() == Some(&change));
    }

    pub(super) fn wait_for_all(&mut self) {
        self.wait_until("every ticket is settled", |caller| caller.settled.len() as u64 == caller.asked);
    }

    /// The answer to a ticket.
    pub(super) fn answer(&mut self, ticket: Ticket) -> Answer {
        self.wait_until("a ticket is settled", |caller| caller.settled.contains_key(&ticket.0));
        self.settled[&ticket.0].clone()
    }

    /// The decision that a ticket was settled with.
    pub(super) fn decision(&mut self, ticket: Ticket) -> Decision {
        self.answer(ticket).unwrap().expect("a call is answered by a decision")
    }

    /// How many of these tickets were decided, and by whom; the others are errors or not yet settled.
    pub(super) fn decided_by(&self, source: Source, tickets: impl IntoIterator<Item = u64>) -> u64 {
        let decided =
            |ticket: &u64| matches!(self.settled.get(ticket), Some(Ok(Some(decision))) if decision.source == source);
        tickets.into_iter().filter(decided).count() as u64
    }

    /// Calls until Redis decides one.
    pub(super) fn wait_for_redis(&mut self, key: &str) -> Decision {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Called::Asked(ticket) = self.call(key)
                && let Ok(Some(decision)) = self.answer(ticket)
                && decision.source == Source::Redis
            {
                return decision;
            }
            self.take_in_all();
            std::thread::yield_now();
        }
        panic!(
            "Redis decides nothing; there were {} changes of its state, and it said: {}",
            self.changes.len(),
            self.cause
        );
    }

    /// Waits until the worker's task has ended by itself, with everything settled.
    pub(super) fn wait_for_end(&mut self) {
        let thread = self.thread.take().expect("the worker runs");
        self.wait_until("the worker has ended", |_| thread.is_finished());
        thread.join().unwrap();
        self.take_in_all();
        assert_eq!(self.settled.len() as u64, self.asked, "tickets that nobody will ever settle");
    }
}

impl Drop for Caller {
    /// No test leaves a worker behind, or a ticket.
    fn drop(&mut self) {
        self.drop_limiter();
        if self.thread.is_some() && !std::thread::panicking() {
            self.wait_for_end();
        }
    }
}
