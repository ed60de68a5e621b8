//! The store's end of a dispatcher: one task that gathers, sends, settles, and keeps the connection.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::join_all;

use super::beside::{Beside, Done};
use super::chance::chance;
use super::flight::{Flight, MAX_BATCH, batch_of, fewest_to_send, landing, leaving};
use super::handle::{Handle, Seen};
use super::ledger::{Known, Ledger};
use super::line::{Change, Line};
use super::message::{Call, Message, News, Settle, Ticket};
use crate::circuit::{Circuit, State};
use crate::clock::Micros;
use crate::error::Error;
use crate::fallback::Fallback;
use crate::metrics::{CircuitState, Metrics, StoreState};
use crate::runtime;
use crate::store::{Answers, Link, Reach, Store};

/// The task behind a [`Handle`].
pub struct Worker<R: Reach, S: Settle> {
    shared: Arc<Seen>,
    reach: Arc<R>,
    timeout: Micros,
    settle: S,
    ledger: Ledger,

    started: Instant,
    circuit: Circuit,
    line: Line<R::Link>,
    beside: Beside,
    /// Whether the callers have been told that the store is away.
    told_down: bool,
    cause: Error,

    inbox: Vec<Message>,
    waiting: VecDeque<Call>,
    /// In the order in which they leave.
    flights: Vec<Flight>,
    awaiting_store: Vec<(Ticket, Instant)>,
    closing: Option<Vec<Ticket>>,
}

/// What ended a wait.
enum Event<L> {
    Called,
    Landed(usize, Answers),
    Line(Change<L>),
    Beside(Done),
    Timer,
}

impl<R: Reach, S: Settle> Worker<R, S> {
    /// A worker with its handle. It does nothing until it is [`run`](Self::run).
    pub fn new(
        reach: R,
        fallback: Arc<Fallback>,
        timeout: Micros,
        max_pending: usize,
        metrics: Arc<Metrics>,
        known: Known,
        settle: S,
    ) -> (Self, Handle) {
        let (handle, shared) = Handle::new(max_pending);
        metrics.set_store(StoreState::Connecting);
        metrics.set_circuit(CircuitState::Closed);
        let beside = Beside::new(fallback.fleet.clone(), fallback.arrears.clone(), known.clone());
        let worker = Self {
            shared,
            reach: Arc::new(reach),
            timeout,
            settle,
            ledger: Ledger { fallback, metrics, known, source: R::SOURCE, news: Vec::new() },
            started: Instant::now(),
            circuit: Circuit::new(),
            line: Line::None,
            beside,
            told_down: false,
            cause: Error::StoreUnavailable("it has not answered yet".into()),
            inbox: Vec::new(),
            waiting: VecDeque::new(),
            flights: Vec::new(),
            awaiting_store: Vec::new(),
            closing: None,
        };
        (worker, handle)
    }

    /// Works until the handle is closed or dropped and everything is settled.
    pub async fn run(mut self) {
        self.line = Line::open(&self.reach, self.timeout.as_duration());
        loop {
            // A defect must not leave a promise unsettled: settle everything, and go on with a new connection.
            match AssertUnwindSafe(self.turn()).catch_unwind().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => self.give_up(&Error::Internal("the dispatcher panicked".into())),
            }
        }
    }

    /// One round: everything that can be done now, then a wait. Answers whether there is another.
    async fn turn(&mut self) -> bool {
        self.collect();
        self.give_back();
        self.expire();
        self.send();
        leaving(&mut self.flights).await;
        self.begin_beside();
        // A batch that everybody has given up may never land.
        let is_owed = self.flights.iter().any(|flight| flight.deadline().is_some());
        let done = self.closing.is_some() && self.waiting.is_empty() && !is_owed && !self.beside.is_owed();
        if done {
            // Nobody who has an answer waits for the farewell.
            self.deliver();
            self.give_everything_back().await;
            self.take_leave().await;
            for ticket in self.closing.take().unwrap_or_default() {
                self.ledger.settle(ticket, Ok(()));
            }
            for (ticket, _) in self.awaiting_store.drain(..) {
                self.ledger.settle(ticket, Err(Error::Closed));
            }
            self.deliver();
            return false;
        }
        if !self.ledger.news.is_empty() {
            // Who has an answer may call again, and that should be on its way before the next answers are handed out: Redis would
            // have nothing to do meanwhile. The timer stays, since time must stand still for answers that lie there unread.
            self.deliver();
            let timer = if self.flights.is_empty() { None } else { self.next_timer() };
            tokio::select! {
                biased;
                () = runtime::give_way() => {}
                () = sleep_until(timer) => {}
            }
            return true;
        }
        if self.shared.wake_at(self.calls_wanted()) {
            return true;
        }
        match self.wait().await {
            Event::Called | Event::Timer => {}
            Event::Landed(index, answers) => self.land(index, answers),
            Event::Beside(Done::Announced(answer)) => self.ledger.news.extend(self.beside.announced(answer)),
            Event::Beside(Done::Levelled(told, answer)) => {
                self.ledger.news.extend(self.beside.levelled(told, answer));
            }
            Event::Beside(Done::Surveyed(answer)) => self.ledger.news.extend(self.beside.surveyed(answer)),
            Event::Beside(Done::Exchanged(exchanged)) => self.ledger.news.extend(self.beside.exchanged(exchanged)),
            Event::Beside(Done::Told(keys)) => self.ledger.metrics.told(keys),
            Event::Beside(Done::Heard) => {}
            Event::Line(Change::Opened(link)) => self.came_up(link),
            Event::Line(Change::Failed(error)) => {
                self.circuit.open(self.now(), chance());
                self.went_down(error);
            }
        }
        true
    }

    /// Tells the callers what has been answered.
    fn deliver(&mut self) {
        if !self.ledger.news.is_empty() {
            self.settle.settle(&mut self.ledger.news);
        }
    }

    async fn wait(&mut self) -> Event<R::Link> {
        let timer = self.next_timer();
        let Self { shared, flights, line, beside, .. } = self;
        tokio::select! {
            biased;
            // First, since it is seldom, and under load the others are always ready.
            done = beside.done() => Event::Beside(done),
            (index, answers) = landing(flights) => Event::Landed(index, answers),
            change = line.changed() => Event::Line(change),
            () = shared.called() => Event::Called,
            () = sleep_until(timer) => Event::Timer,
        }
    }

    fn collect(&mut self) {
        self.shared.collect(&mut self.inbox);
        if self.inbox.is_empty() {
            return;
        }
        let least = Instant::now() + self.timeout.as_duration() / 2;
        for message in self.inbox.drain(..) {
            match message {
                Message::Call(mut call) => {
                    // Only where nobody could look for as long: the process, or the loop that turns this, stood still.
                    call.deadline = call.deadline.max(least);
                    self.waiting.push_back(call);
                }
                Message::Ready { ticket, .. } if self.line.is_up() => self.ledger.settle(ticket, Ok(())),
                Message::Ready { ticket, deadline } => self.awaiting_store.push((ticket, deadline)),
                Message::Publish { ticket, asked } => self.beside.publish(ticket, asked),
                Message::Close { ticket } => self.closing.get_or_insert_default().extend(ticket),
            }
        }
    }

    /// Gives back what is left of leases that have ended, where there is somebody to take it.
    fn give_back(&mut self) {
        let Some(leases) = &self.ledger.known.leases else { return };
        let now = Instant::now();
        let requests = leases.ended(now);
        if self.line.is_up() && !self.told_down {
            self.shared.adds(requests.len());
            let deadline = now + self.timeout.as_duration();
            self.waiting.extend(requests.into_iter().map(|request| Call { ticket: None, request, deadline }));
        }
    }

    /// The same of all leases. It is waited for, since nobody is left afterwards to whom a connection belongs.
    async fn give_everything_back(&mut self) {
        let Line::Up(link) = &self.line else { return };
        let requests = self.ledger.known.leases.as_ref().map(|leases| leases.close()).unwrap_or_default();
        let answering = requests.chunks(MAX_BATCH).map(|requests| link.store().decide(&mut requests.iter()));
        let answering = join_all(answering.collect::<Vec<_>>());
        let _ = runtime::timeout(self.timeout.as_duration(), answering).await;
    }

    /// Answers whatever has waited as long as it may, and counts a batch that is late as a failure, once.
    fn expire(&mut self) {
        let now = runtime::now();
        let late = Error::StoreTimeout { after: self.timeout };
        let mut failures = 0;
        for flight in &mut self.flights {
            failures += u32::from(flight.expire(now, &late, &mut self.ledger));
        }
        while self.waiting.front().is_some_and(|call| call.deadline <= now) {
            let cause = if self.line.is_up() { late.clone() } else { self.cause.clone() };
            self.fall_back_first_waiting(&cause);
        }
        // Last, since the circuit may open and answer for everybody who is left.
        for _ in 0..failures {
            self.failed(&late);
        }
        for (ticket, _) in self.awaiting_store.extract_if(.., |(_, deadline)| *deadline <= now) {
            self.ledger.settle(ticket, Err(self.cause.clone()));
        }
        if self.circuit.probe(self.now()) {
            self.ledger.metrics.set_circuit(CircuitState::HalfOpen);
            self.line = Line::open(&self.reach, self.timeout.as_duration());
        }
    }

    /// Sends what waits while there are places in flight.
    fn send(&mut self) {
        if self.told_down {
            // One that has come back and is on trial gets one call at a time: it may fail at that, and nobody else is to wait for it.
            let is_free = self.line.is_up() && self.flights.is_empty();
            self.shared.set_tries(is_free && self.waiting.is_empty());
            if is_free && !self.waiting.is_empty() {
                self.send_batch(1);
            }
            while !self.waiting.is_empty() {
                self.fall_back_first_waiting(&self.cause.clone());
            }
        } else if self.line.is_up() {
            // Before the store's first word it is waited for.
            while self.waiting.len() >= fewest_to_send(&self.flights) {
                self.send_batch(batch_of(&self.waiting));
            }
        }
    }

    fn send_batch(&mut self, size: usize) {
        let Line::Up(link) = &self.line else { return };
        let calls: Vec<Call> = self.waiting.drain(..size).collect();
        self.shared.taken(size);
        self.ledger.metrics.batch_sent(size);
        // What the store says holds from before it was asked.
        let sent_at = Instant::now();
        let answering = link.store().decide(&mut calls.iter().map(|call| &call.request));
        self.flights.push(Flight::new(calls, answering, sent_at, self.timeout.as_duration()));
    }

    fn begin_beside(&mut self) {
        if let Line::Up(link) = &self.line {
            let told = self.beside.begin(link, !self.told_down, self.timeout.as_duration());
            self.ledger.news.extend(told);
        } else {
            self.ledger.news.extend(self.beside.fail(&self.cause));
        }
    }

    /// Takes this instance off the list where somebody hears it in time; elsewhere its announcement ends by itself.
    async fn take_leave(&mut self) {
        let Line::Up(link) = &self.line else { return };
        let _ = runtime::timeout(self.timeout.as_duration(), self.beside.leave(link)).await;
    }

    fn land(&mut self, index: usize, answers: Answers) {
        // Removed when it is settled, so that a panic on the way leaves nobody behind.
        let landed = self.flights[index].land(answers, &mut self.ledger);
        self.flights.remove(index);
        match landed {
            Ok(true) => {
                // What everybody has given up may never land, and must not keep a place now that the store works.
                self.flights.retain(|flight| flight.deadline().is_some());
                self.circuit.succeeded();
                self.tell_up();
            }
            Ok(false) => {}
            Err(error) => self.failed(&error),
        }
    }

    fn came_up(&mut self, link: R::Link) {
        self.beside.came_up(&link);
        self.line = Line::Up(link);
        self.circuit.close();
        for (ticket, _) in self.awaiting_store.drain(..) {
            self.ledger.settle(ticket, Ok(()));
        }
        if !self.circuit.is_on_trial() {
            self.tell_up();
        }
    }

    /// Tells that the store answers, where that is news.
    fn tell_up(&mut self) {
        if !self.told_down && self.ledger.metrics.store() == StoreState::Up {
            return;
        }
        self.told_down = false;
        self.shared.set_down(None);
        self.ledger.metrics.set_store(StoreState::Up);
        self.ledger.metrics.set_circuit(CircuitState::Closed);
        self.ledger.news.push(News::StoreUp);
    }

    fn failed(&mut self, cause: &Error) {
        if self.circuit.state() == State::Closed {
            self.circuit.failed(self.now(), chance());
            if self.circuit.state() != State::Closed {
                self.went_down(cause.clone());
            }
        }
    }

    /// The circuit has opened: the connection goes, and with it whatever is under way on it.
    fn went_down(&mut self, cause: Error) {
        self.line = Line::None;
        self.beside.went_down();
        for flight in &mut self.flights {
            flight.abandon(&cause, &mut self.ledger);
        }
        self.flights.clear();
        self.cause = cause.into_unavailable();
        self.shared.set_down(Some(self.cause.clone()));
        self.ledger.metrics.set_circuit(CircuitState::Open);
        if !self.told_down {
            self.told_down = true;
            self.ledger.metrics.circuit_opened();
            self.ledger.metrics.set_store(StoreState::Down);
            self.ledger.news.push(News::StoreDown(self.cause.clone()));
        }
    }

    /// After a defect: nobody is left waiting.
    fn give_up(&mut self, cause: &Error) {
        self.collect();
        while !self.waiting.is_empty() {
            self.fall_back_first_waiting(cause);
        }
        self.circuit.open(self.now(), chance());
        self.went_down(cause.clone());
    }

    fn fall_back_first_waiting(&mut self, cause: &Error) {
        if let Some(call) = self.waiting.pop_front() {
            self.shared.taken(1);
            self.ledger.fall_back_unsent(&call, cause);
        }
    }

    /// With how many more calls there will be something to do before the next landing.
    fn calls_wanted(&self) -> usize {
        if self.line.is_up() && !self.told_down {
            fewest_to_send(&self.flights).saturating_sub(self.waiting.len()).max(1)
        } else {
            // Each needs a timer, or the fallback.
            1
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let probe = match self.circuit.state() {
            State::Open { until } => Some(self.started + until.as_duration()),
            _ => None,
        };
        let in_flight = self.flights.iter().filter_map(Flight::deadline);
        // Also while nobody seems to wait: who has called meanwhile is only seen when one looks.
        let giving_way = self.flights.iter().filter_map(Flight::gives_way_at);
        let waiting = self.waiting.front().map(|call| call.deadline);
        let unready = self.awaiting_store.iter().map(|(_, deadline)| *deadline);
        let beside = self.beside.due(self.line.is_up() && !self.told_down);
        let giving_back = self.ledger.known.leases.as_ref().and_then(|leases| leases.due());
        in_flight.chain(giving_way).chain(waiting).chain(unready).chain(probe).chain(beside).chain(giving_back).min()
    }

    /// Time as the circuit counts it: since the worker was made.
    fn now(&self) -> Micros {
        Micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => runtime::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
