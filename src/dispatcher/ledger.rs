//! Who is told what: each call is answered once, by the store or by the fallback, and counted.

use std::sync::Arc;
use std::time::Instant;

use super::message::{Call, News, Ticket};
use crate::algorithm::Outcome;
use crate::decision::{Decision, Source};
use crate::error::Error;
use crate::fallback::Fallback;
use crate::metrics::Metrics;
use crate::refusals::Refusals;

/// Answers on their way to the driver.
pub(super) struct Ledger {
    pub(super) fallback: Arc<Fallback>,
    pub(super) metrics: Arc<Metrics>,
    /// What need not be asked again.
    pub(super) refusals: Option<Arc<Refusals>>,
    /// Who has decided what the store answers.
    pub(super) source: Source,
    pub(super) news: Vec<News>,
}

impl Ledger {
    /// The store has decided what it was asked then.
    pub(super) fn answer_stored(&mut self, call: &Call, outcomes: &[Outcome], asked_at: Instant) {
        let request = &call.request;
        let decision = Decision::new(&request.limits, |limit| &limit.policy, outcomes, self.source);
        if let Some(refusals) = self.refusals.as_ref().filter(|_| !decision.allowed) {
            refusals.learn(request, outcomes, &decision, asked_at, Instant::now());
        }
        self.answer(call, Ok(decision));
    }

    /// Whatever these calls were to change has been changed, or may have been.
    pub(super) fn changed(&self, calls: &[Call]) {
        if let Some(refusals) = &self.refusals {
            for call in calls.iter().filter(|call| call.request.verb.is_change()) {
                refusals.changed(&call.request, Instant::now());
            }
        }
    }

    /// Somebody has decided.
    pub(super) fn answer(&mut self, call: &Call, answer: Result<Decision, Error>) {
        self.metrics.call_settled();
        if let Ok(decision) = &answer
            && call.request.verb.is_counted()
        {
            self.metrics.decided(decision);
        }
        self.news.push(News::Settled(call.ticket, answer.map(Some)));
    }

    /// The store was never asked, for this reason.
    pub(super) fn fall_back_unsent(&mut self, call: &Call, cause: &Error) {
        self.metrics.store_failed();
        let answer = self.fallback.answer_unsent(&call.request, || cause.clone());
        self.answer(call, answer);
    }

    /// The store has not, for this reason, or not in time.
    pub(super) fn fall_back(&mut self, call: &Call, cause: &Error) {
        self.metrics.store_failed();
        let answer = self.fallback.answer(&call.request, || cause.clone());
        self.answer(call, answer);
    }

    /// Something that is no decision is done, or cannot be.
    pub(super) fn settle(&mut self, ticket: Ticket, result: Result<(), Error>) {
        self.news.push(News::Settled(ticket, result.map(|()| None)));
    }
}
