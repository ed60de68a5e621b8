//! Batches under way.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::poll_immediate;
use smallvec::SmallVec;

use super::ledger::Ledger;
use super::message::Call;
use crate::algorithm::Outcome;
use crate::circuit::FAILURES_TO_OPEN;
use crate::error::Error;
use crate::store::{Answering, Answers, Request, Verb};

/// Calls in one script call. Measured: more than this adds latency for whoever comes next, and hardly any throughput.
pub(super) const MAX_BATCH: usize = 128;

/// The same where most are decisions on the key of the call before: those are merged, and cost Redis next to nothing.
const MAX_MERGED_BATCH: usize = 512;

/// Script calls under way at a time: one is executed while the next is on its way.
const MAX_IN_FLIGHT: usize = FAILURES_TO_OPEN as usize;

/// The part of the timeout after which a batch gives its place to another: it is far away rather than being executed. What comes
/// after it would otherwise wait for one way there and back before its own begins, and that is too late when a way takes half of
/// the timeout.
const GIVES_WAY_AFTER: u32 = 4;

/// All that may be under way, however far the store is: two in each of these parts. It also bounds what a store that hangs is sent, and
/// counts when it goes on, although nobody waits any more.
const MAX_FAR_AWAY: usize = MAX_IN_FLIGHT * GIVES_WAY_AFTER as usize;

/// A batch under way. Deadlines are in the order of the calls, so those that are answered already are a prefix.
pub(super) struct Flight {
    calls: Vec<Call>,
    answered: usize,
    answering: Answering,
    has_left: bool,
    /// What it brought when it left.
    landed: Option<Answers>,
    sent_at: Instant,
    /// Whether a deadline has passed.
    is_late: bool,
    /// Until when it keeps its place, and whether it still does.
    gives_way_at: Instant,
    keeps_place: bool,
}

impl Flight {
    /// Sent now, from where calls may take so long.
    pub(super) fn new(calls: Vec<Call>, answering: Answering, sent_at: Instant, timeout: Duration) -> Self {
        let gives_way_at = sent_at + timeout / GIVES_WAY_AFTER;
        Self {
            calls,
            answered: 0,
            answering,
            has_left: false,
            landed: None,
            sent_at,
            is_late: false,
            gives_way_at,
            keeps_place: true,
        }
    }

    /// When the next of its calls must be answered.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.calls.get(self.answered).map(|call| call.deadline)
    }

    /// When it gives its place away, if it still has it.
    pub(super) fn gives_way_at(&self) -> Option<Instant> {
        self.keeps_place.then_some(self.gives_way_at)
    }

    /// Answers the calls whose deadline has passed. Says whether it is late for the first time.
    pub(super) fn expire(&mut self, now: Instant, cause: &Error, ledger: &mut Ledger) -> bool {
        self.keeps_place &= now < self.gives_way_at;
        let was_late = self.is_late;
        while self.deadline().is_some_and(|deadline| deadline <= now) {
            self.is_late = true;
            self.fall_back_next(cause, ledger);
        }
        self.is_late && !was_late
    }

    /// Answers all calls that are left with what the store said. `Err` is a failure of the store, `Ok` whether it did its work in time.
    pub(super) fn land(&mut self, answers: Answers, ledger: &mut Ledger) -> Result<bool, Error> {
        // Also what nobody waits for any more.
        ledger.changed(&self.calls);
        let answers = match answers {
            Ok(answers) => {
                ledger.metrics.batch_landed(self.sent_at.elapsed());
                answers
            }
            Err(error) => {
                self.abandon(&error, ledger);
                return Err(error);
            }
        };
        let keys = |call: &Call| call.request.keys.len();
        let mut left = answers.as_slice();
        for call in &self.calls[..self.answered] {
            let (own, others) = left.split_at(keys(call));
            left = others;
            if let [answer] = own {
                ledger.answer_late(call, answer, self.sent_at);
            }
        }
        let (mut decided, mut works, mut failure) = (0, false, None);
        while let Some(call) = self.calls.get(self.answered) {
            let (own, others) = left.split_at(keys(call));
            left = others;
            works |= own.iter().any(|answer| !answer.as_ref().is_err_and(Error::is_of_a_part));
            match own.iter().map(|answer| answer.as_ref().copied()).collect::<Result<SmallVec<[Outcome; 1]>, _>>() {
                Ok(outcomes) => {
                    decided += 1;
                    ledger.answer_stored(call, &outcomes, self.sent_at);
                    self.answered += 1;
                }
                Err(_) if is_decided(&call.request, own) => {
                    decided += 1;
                    let told: SmallVec<[Outcome; 1]> =
                        own.iter().map_while(|answer| answer.as_ref().ok().copied()).collect();
                    ledger.answer_stored(call, &told, self.sent_at);
                    self.answered += 1;
                }
                Err(error) => {
                    if own.iter().all(|answer| answer.as_ref().is_err_and(Error::is_unsent)) {
                        ledger.fall_back_unsent(call, error);
                        self.answered += 1;
                    } else {
                        self.fall_back_next(error, ledger);
                    }
                    failure = Some(error).filter(|error| error.is_transient()).or(failure);
                }
            }
        }
        ledger.metrics.batch_answered(decided);
        failure.map_or(Ok(works && !self.is_late), |error| Err(error.clone()))
    }

    /// Answers all calls that are left without the store.
    pub(super) fn abandon(&mut self, cause: &Error, ledger: &mut Ledger) {
        ledger.changed(&self.calls);
        while self.answered < self.calls.len() {
            self.fall_back_next(cause, ledger);
        }
    }

    fn fall_back_next(&mut self, cause: &Error, ledger: &mut Ledger) {
        ledger.fall_back(&self.calls[self.answered], cause);
        self.answered += 1;
    }
}

/// Whether the limits in force have answered, and only one that is tried has failed. Nothing is told of it then, nor of those behind it.
fn is_decided(request: &Request, answers: &[Result<Outcome, Error>]) -> bool {
    request.limits.in_force().is_some_and(|limits| answers.iter().take(limits.len()).all(Result::is_ok))
}

/// How many of the calls that wait leave together.
pub(super) fn batch_of(waiting: &VecDeque<Call>) -> usize {
    if waiting.len() <= MAX_BATCH {
        return waiting.len();
    }
    let requests = || waiting.iter().map(|call| &call.request).take(MAX_MERGED_BATCH);
    let merges = |(before, request): (&Request, &Request)| {
        matches!(request.verb, Verb::Decide(_)) && request.limits.len() == 1 && request.keys == before.keys
    };
    let (mut size, mut left) = (1, MAX_BATCH - 1);
    for pair in requests().zip(requests().skip(1)) {
        if !merges(pair) {
            if left == 0 {
                break;
            }
            left -= 1;
        }
        size += 1;
    }
    size
}

/// How many calls must wait for another batch to leave: one when none is under way; when one is, half as many as it carries,
/// since batches that leave half empty keep the places and gather nothing; never, when all places are taken. Behind a batch
/// that is late nothing gathers: it may never land, and the next one shows whether Redis answers at all. Nor does anything behind
/// one that has given its place away.
pub(super) fn fewest_to_send(flights: &[Flight]) -> usize {
    if flights.len() >= MAX_FAR_AWAY {
        return usize::MAX;
    }
    let mut near = flights.iter().filter(|flight| flight.keeps_place);
    match (near.next(), near.next()) {
        (None, _) => 1,
        (Some(only), None) if only.is_late => 1,
        (Some(only), None) => only.calls.len().div_ceil(2),
        (Some(_), Some(_)) => usize::MAX,
    }
}

/// Has those leave that have not yet, in their order: that is what the first poll does. Were it left to whoever waits for a landing, it
/// would come after those before have landed, and all that they bring is told.
pub(super) async fn leaving(flights: &mut [Flight]) {
    for flight in flights.iter_mut().filter(|flight| !flight.has_left) {
        flight.has_left = true;
        flight.landed = poll_immediate(flight.answering.as_mut()).await;
    }
}

/// The first flight that lands.
pub(super) async fn landing(flights: &mut [Flight]) -> (usize, Answers) {
    poll_fn(|context| {
        for (index, flight) in flights.iter_mut().enumerate() {
            let landed = flight.landed.take().map_or_else(|| flight.answering.as_mut().poll(context), Poll::Ready);
            if let Poll::Ready(answers) = landed {
                return Poll::Ready((index, answers));
            }
        }
        Poll::Pending
    })
    .await
}
