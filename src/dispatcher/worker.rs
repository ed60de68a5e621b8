//! The store's end of a dispatcher: one task that gathers, sends, settles, and keeps the connection.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::FutureExt;

use super::handle::{Handle, Shared};
use super::message::{Call, Message, News, Settle, Ticket};
use crate::algorithm::{Ask, Policy};
use crate::circuit::{Circuit, FAILURES_TO_OPEN, State};
use crate::clock::Micros;
use crate::decision::{Decision, Source};
use crate::error::Error;
use crate::fallback::Fallback;
use crate::metrics::{Metrics, StoreState};
use crate::store::redis::script::Script;
use crate::store::redis::{Address, Connect, Link};
use crate::store::{Answering, Answers, Store, Verb};

/// Calls in one script call. Measured: more than this adds latency for whoever comes next, and hardly any throughput.
const MAX_BATCH: usize = 128;

/// Script calls under way at a time: one is executed while the next is on its way.
const MAX_IN_FLIGHT: usize = FAILURES_TO_OPEN as usize;

/// The time that connecting and logging in may take: longer than any `timeout` should be, and no call waits for it.
const TIME_TO_CONNECT: Duration = Duration::from_secs(1);

/// Where the store is and what is said to it.
pub struct Remote<C> {
    /// How streams are opened.
    pub connect: C,
    /// The server.
    pub address: Address,
    /// The engine.
    pub script: &'static Script,
    /// What every key begins with.
    pub namespace: String,
}

/// The task behind a [`Handle`].
pub struct Worker<C: Connect, S: Settle> {
    shared: Arc<Shared>,
    remote: Arc<Remote<C>>,
    policy: Policy,
    fallback: Arc<Fallback>,
    timeout: Micros,
    metrics: Arc<Metrics>,
    settle: S,

    started: Instant,
    circuit: Circuit,
    line: Line,
    /// Whether the callers have been told that the store is away.
    told_down: bool,
    cause: Error,

    inbox: Vec<Message>,
    waiting: VecDeque<Call>,
    flights: Vec<Flight>,
    awaiting_store: Vec<(Ticket, Instant)>,
    closing: Option<Vec<Ticket>>,
    news: Vec<News>,
}

/// The connection, in whichever state it is.
enum Line {
    None,
    Opening(Pin<Box<dyn Future<Output = Result<Link, Error>> + Send>>),
    Up(Link),
}

/// A batch under way. Deadlines are in the order of the calls, so those that have passed are a prefix.
struct Flight {
    calls: Vec<Call>,
    /// Calls at the front that have been answered otherwise.
    late: usize,
    answering: Answering,
}

/// What ended a wait.
enum Event {
    Called,
    Landed(usize, Answers),
    Opened(Result<Link, Error>),
    Lost,
    Timer,
}

impl<C: Connect, S: Settle> Worker<C, S> {
    /// A worker with its handle. It does nothing until it is [`run`](Self::run).
    pub fn new(
        remote: Remote<C>,
        policy: Policy,
        fallback: Arc<Fallback>,
        timeout: Micros,
        max_pending: usize,
        metrics: Arc<Metrics>,
        settle: S,
    ) -> (Self, Handle) {
        let (handle, shared) = Handle::new(max_pending);
        metrics.set_store(StoreState::Connecting);
        let worker = Self {
            shared,
            remote: Arc::new(remote),
            policy,
            fallback,
            timeout,
            metrics,
            settle,
            started: Instant::now(),
            circuit: Circuit::new(),
            line: Line::None,
            told_down: false,
            cause: Error::StoreUnavailable("it has not answered yet".into()),
            inbox: Vec::new(),
            waiting: VecDeque::new(),
            flights: Vec::new(),
            awaiting_store: Vec::new(),
            closing: None,
            news: Vec::new(),
        };
        (worker, handle)
    }

    /// Works until the handle is closed or dropped and everything is settled.
    pub async fn run(mut self) {
        self.line = self.open_line();
        loop {
            // A defect must not leave a promise unsettled: settle everything, and go on with a new connection.
            let turn = AssertUnwindSafe(self.turn()).catch_unwind().await;
            match turn {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => self.give_up(&Error::Internal("the dispatcher panicked".into())),
            }
        }
    }

    /// One round: everything that can be done now, then a wait. Answers whether there is another.
    async fn turn(&mut self) -> bool {
        self.collect();
        self.expire();
        self.send();
        let done = self.closing.is_some() && self.waiting.is_empty() && self.flights.is_empty();
        if done {
            for ticket in self.closing.take().unwrap_or_default() {
                self.news.push(News::Settled(ticket, Ok(None)));
            }
            for (ticket, _) in std::mem::take(&mut self.awaiting_store) {
                self.news.push(News::Settled(ticket, Err(Error::Closed)));
            }
        }
        if !self.news.is_empty() {
            self.settle.settle(&mut self.news);
        }
        if done {
            return false;
        }
        if self.shared.wake_at(self.calls_wanted()) {
            return true;
        }
        match self.wait().await {
            Event::Called | Event::Timer => {}
            Event::Landed(index, answers) => self.land(index, answers),
            Event::Opened(Ok(link)) => self.came_up(link),
            Event::Opened(Err(error)) => self.go_down(error),
            Event::Lost => self.go_down(Error::StoreUnavailable("the connection was lost".into())),
        }
        true
    }

    async fn wait(&mut self) -> Event {
        let timer = self.next_timer();
        let Self { shared, flights, line, .. } = self;
        tokio::select! {
            biased;
            (index, answers) = landing(flights) => Event::Landed(index, answers),
            event = line.changed() => event,
            () = shared.called() => Event::Called,
            () = sleep_until(timer) => Event::Timer,
        }
    }

    fn collect(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.shared.collect(&mut inbox);
        for message in inbox.drain(..) {
            match message {
                Message::Call(call) => self.waiting.push_back(call),
                Message::Ready { ticket, .. } if matches!(self.line, Line::Up(_)) => {
                    self.news.push(News::Settled(ticket, Ok(None)));
                }
                Message::Ready { ticket, deadline } => self.awaiting_store.push((ticket, deadline)),
                Message::Close { ticket } => self.closing.get_or_insert_default().extend(ticket),
            }
        }
        self.inbox = inbox;
    }

    /// Answers whatever has waited as long as it may, and counts a batch that is late as a failure, once.
    fn expire(&mut self) {
        let now = Instant::now();
        let cause = Error::StoreTimeout { after: self.timeout };
        let mut failures = 0;
        let mut flights = std::mem::take(&mut self.flights);
        for flight in &mut flights {
            let on_time = flight.late;
            while let Some(call) = flight.calls.get(flight.late).filter(|call| call.deadline <= now) {
                self.fall_back(call, &cause);
                flight.late += 1;
            }
            failures += u32::from(on_time == 0 && flight.late > 0);
        }
        self.flights = flights;
        for _ in 0..failures {
            self.failed(cause.clone());
        }
        while self.waiting.front().is_some_and(|call| call.deadline <= now) {
            let cause = if matches!(self.line, Line::Up(_)) { &cause } else { &self.cause.clone() };
            self.fall_back_first_waiting(cause);
        }
        let unready = |(_, deadline): &mut (Ticket, Instant)| *deadline <= now;
        for (ticket, _) in self.awaiting_store.extract_if(.., unready) {
            self.news.push(News::Settled(ticket, Err(self.cause.clone())));
        }
        if self.circuit.probe(self.now()) {
            self.line = self.open_line();
        }
    }

    /// Sends what waits while there are places in flight.
    fn send(&mut self) {
        if self.told_down {
            let cause = self.cause.clone();
            while !self.waiting.is_empty() {
                self.fall_back_first_waiting(&cause);
            }
        }
        let Line::Up(link) = &self.line else { return };
        while self.waiting.len() >= fewest_to_send(&self.flights) {
            let size = self.waiting.len().min(MAX_BATCH);
            let calls: Vec<Call> = self.waiting.drain(..size).collect();
            self.shared.taken(size);
            self.metrics.batch_sent();
            let answering = link.store().decide(&self.policy, &mut calls.iter().map(|call| &call.request));
            self.flights.push(Flight { calls, late: 0, answering });
        }
    }

    fn land(&mut self, index: usize, answers: Answers) {
        let flight = self.flights.swap_remove(index);
        let in_time = flight.late == 0;
        let (mut decided, mut failure) = (0, None);
        match answers {
            Ok(answers) => {
                for (call, answer) in flight.calls.iter().zip(answers).skip(flight.late) {
                    match answer {
                        Ok(outcome) => {
                            decided += 1;
                            let decision = Decision::new(&self.policy, &outcome, Source::Redis);
                            self.answer(call, Ok(decision));
                        }
                        Err(error) => {
                            self.fall_back(call, &error);
                            failure = Some(error).filter(Error::is_transient).or(failure);
                        }
                    }
                }
            }
            Err(error) => {
                for call in &flight.calls[flight.late..] {
                    self.fall_back(call, &error);
                }
                failure = Some(error);
            }
        }
        self.metrics.batch_answered(decided);
        match failure {
            Some(error) => self.failed(error),
            None if in_time => self.circuit.succeeded(),
            None => {}
        }
    }

    fn came_up(&mut self, link: Link) {
        self.line = Line::Up(link);
        self.circuit.close();
        self.told_down = false;
        self.shared.set_down(false);
        self.metrics.set_store(StoreState::Up);
        self.news.push(News::StoreUp);
        for (ticket, _) in self.awaiting_store.drain(..) {
            self.news.push(News::Settled(ticket, Ok(None)));
        }
    }

    fn failed(&mut self, cause: Error) {
        if self.circuit.state() == State::Closed {
            self.circuit.failed(self.now(), chance());
            if self.circuit.state() != State::Closed {
                self.went_down(cause);
            }
        }
    }

    fn go_down(&mut self, cause: Error) {
        self.circuit.open(self.now(), chance());
        self.went_down(cause);
    }

    /// The circuit has opened: the connection goes, and with it whatever is under way on it.
    fn went_down(&mut self, cause: Error) {
        self.line = Line::None;
        self.cause = cause.clone();
        for flight in std::mem::take(&mut self.flights) {
            for call in &flight.calls[flight.late..] {
                self.fall_back(call, &cause);
            }
        }
        if !self.told_down {
            self.told_down = true;
            self.shared.set_down(true);
            self.metrics.circuit_opened();
            self.metrics.set_store(StoreState::Down);
            self.news.push(News::StoreDown(cause));
        }
    }

    /// After a defect: nobody is left waiting.
    fn give_up(&mut self, cause: &Error) {
        self.collect();
        while !self.waiting.is_empty() {
            self.fall_back_first_waiting(cause);
        }
        self.go_down(cause.clone());
    }

    fn fall_back_first_waiting(&mut self, cause: &Error) {
        if let Some(call) = self.waiting.pop_front() {
            self.shared.taken(1);
            self.fall_back(&call, cause);
        }
    }

    fn fall_back(&mut self, call: &Call, cause: &Error) {
        self.metrics.store_failed();
        self.answer(call, self.fallback.answer(&call.request, cause.clone()));
    }

    fn answer(&mut self, call: &Call, answer: Result<Decision, Error>) {
        self.metrics.call_settled();
        if let (Ok(decision), Verb::Decide(Ask { cost: 1.., .. })) = (&answer, call.request.verb) {
            self.metrics.decided(decision);
        }
        self.news.push(News::Settled(call.ticket, answer.map(Some)));
    }

    fn open_line(&self) -> Line {
        let remote = self.remote.clone();
        let patience = self.timeout.as_duration();
        Line::Opening(Box::pin(async move {
            let opening = Link::open(&remote.connect, &remote.address, remote.script, &remote.namespace, patience);
            let late = || Error::StoreUnavailable(format!("{}: it does not answer", remote.address));
            tokio::time::timeout(TIME_TO_CONNECT, opening).await.unwrap_or_else(|_| Err(late()))
        }))
    }

    /// With how many more calls there will be something to do before the next landing.
    fn calls_wanted(&self) -> usize {
        match self.line {
            Line::Up(_) => fewest_to_send(&self.flights).saturating_sub(self.waiting.len()).max(1),
            // Each needs a timer, or the fallback.
            Line::None | Line::Opening(_) => 1,
        }
    }

    fn next_timer(&self) -> Option<Instant> {
        let probe = match self.circuit.state() {
            State::Open { until } => Some(self.started + until.as_duration()),
            _ => None,
        };
        let in_flight = self.flights.iter().filter_map(|flight| flight.calls.get(flight.late));
        let calls = in_flight.chain(self.waiting.front()).map(|call| call.deadline);
        calls.chain(self.awaiting_store.iter().map(|(_, deadline)| *deadline)).chain(probe).min()
    }

    /// Time as the circuit counts it: since the worker was made.
    fn now(&self) -> Micros {
        Micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

impl Line {
    /// Resolves when a connection has been made or lost.
    async fn changed(&mut self) -> Event {
        match self {
            Self::None => std::future::pending().await,
            Self::Opening(opening) => Event::Opened(opening.await),
            Self::Up(link) => {
                link.closed().await;
                Event::Lost
            }
        }
    }
}

/// How many calls must wait for another batch to leave: one when none is under way; when one is, half as many as it carries,
/// since batches that leave half empty keep the places and gather nothing; never, when all places are taken. Behind a batch
/// that is late nothing gathers: it may never land, and the next one shows whether Redis answers at all.
fn fewest_to_send(flights: &[Flight]) -> usize {
    match flights {
        [.., last] if flights.len() < MAX_IN_FLIGHT && last.late == 0 => last.calls.len().div_ceil(2),
        _ if flights.len() < MAX_IN_FLIGHT => 1,
        _ => usize::MAX,
    }
}

/// The first flight that lands.
async fn landing(flights: &mut [Flight]) -> (usize, Answers) {
    poll_fn(|context| {
        for (index, flight) in flights.iter_mut().enumerate() {
            if let Poll::Ready(answers) = flight.answering.as_mut().poll(context) {
                return Poll::Ready((index, answers));
            }
        }
        Poll::Pending
    })
    .await
}

async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

/// From 0 to 1, differently in each process: the standard library's hash keys are random.
fn chance() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0u8);
    f64::from(u32::try_from(random >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
