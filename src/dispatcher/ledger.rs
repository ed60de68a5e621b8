//! Who is told what: each call is answered once, by the store or by the fallback, and counted.

use std::sync::Arc;
use std::time::Instant;

use super::message::{Call, News, Ticket};
use crate::adaptive::Levels;
use crate::algorithm::Outcome;
use crate::clock::Micros;
use crate::decision::{Decision, Source};
use crate::error::Error;
use crate::fallback::Fallback;
use crate::leases::Leases;
use crate::metrics::Metrics;
use crate::refusals::Refusals;
use crate::store::{Request, Verb};

/// What this process knows of keys without asking, as far as it is wanted.
#[derive(Clone, Default)]
pub struct Known {
    /// What all keys begin with in the store.
    pub prefix: String,
    /// That they are refused.
    pub refusals: Option<Arc<Refusals>>,
    /// What is leased of them.
    pub leases: Option<Arc<Leases>>,
    /// What the policies are called in the store that others share.
    pub policies: Option<Arc<str>>,
    /// At what level the fleet is.
    pub levels: Option<Arc<Levels>>,
}

impl Known {
    /// Whether others may do something that it must hear of.
    pub(super) fn must_hear(&self) -> bool {
        self.refusals.as_ref().is_some_and(|refusals| !refusals.is_empty())
            || self.leases.as_ref().is_some_and(|leases| !leases.is_empty())
            || self.policies.is_some()
    }

    /// The keys of a request are about to be changed, or have been.
    pub fn changed(&self, request: &Request) {
        let now = Instant::now();
        if let Some(refusals) = &self.refusals {
            refusals.changed(request, now);
        }
        if let (Some(leases), Verb::Reset | Verb::Block(_)) = (&self.leases, request.verb) {
            leases.void(request, now);
        }
    }
}

/// Answers on their way to the driver.
pub(super) struct Ledger {
    pub(super) fallback: Arc<Fallback>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) known: Known,
    /// Who has decided what the store answers.
    pub(super) source: Source,
    pub(super) news: Vec<News>,
}

impl Ledger {
    /// The store has decided what it was asked then.
    pub(super) fn answer_stored(&mut self, call: &Call, outcomes: &[Outcome], asked_at: Instant) {
        let request = &call.request;
        let mut own = [Outcome::forgotten(Micros::ZERO)];
        let outcomes = match (&self.known.leases, &request.verb, outcomes) {
            (Some(leases), Verb::Lease(lease), [outcome]) => {
                own[0] = leases.granted(request, lease, *outcome, asked_at, Instant::now());
                &own
            }
            _ => outcomes,
        };
        if call.ticket.is_none() {
            return;
        }
        let decision = request.decision(|limit| &limit.policy, outcomes, self.source);
        if let Some(refusals) = self.known.refusals.as_ref().filter(|_| !decision.allowed) {
            refusals.learn(request, outcomes, &decision, asked_at, Instant::now());
        }
        self.answer(call, Ok(decision));
    }

    /// The store has answered a call too late. What it has leased with it may be used all the same, or is given back.
    pub(super) fn answer_late(&self, call: &Call, answer: &Result<Outcome, Error>, asked_at: Instant) {
        if let (Some(leases), Verb::Lease(lease), Ok(outcome)) = (&self.known.leases, &call.request.verb, answer) {
            leases.granted(&call.request, lease, *outcome, asked_at, Instant::now());
        }
    }

    /// Whatever these calls were to change has been changed, or may have been.
    pub(super) fn changed(&self, calls: &[Call]) {
        for call in calls.iter().filter(|call| call.request.verb.is_change()) {
            self.known.changed(&call.request);
        }
    }

    /// Somebody has decided.
    fn answer(&mut self, call: &Call, answer: Result<Decision, Error>) {
        let Some(ticket) = call.ticket else { return };
        self.metrics.there().waits();
        if let Ok(decision) = &answer
            && call.request.verb.is_counted()
        {
            self.metrics.there().decided(&call.request, decision);
        }
        self.news.push(News::Settled(ticket, answer.map(Some)));
    }

    /// The store was never asked, for this reason.
    pub(super) fn fall_back_unsent(&mut self, call: &Call, cause: &Error) {
        if self.is_awaited(call) {
            let answer = self.fallback.answer_unsent(&call.request, || cause.clone());
            self.answer(call, answer);
        }
    }

    /// The store has not, for this reason, or not in time.
    pub(super) fn fall_back(&mut self, call: &Call, cause: &Error) {
        if self.is_awaited(call) {
            let answer = self.fallback.answer(&call.request, || cause.clone());
            self.answer(call, answer);
        }
    }

    /// Whether anybody waits for a call that the store has failed. Units that it was to lease, or to be given back, are lost at worst.
    fn is_awaited(&self, call: &Call) -> bool {
        if let (Some(leases), Verb::Lease(_)) = (&self.known.leases, call.request.verb) {
            leases.failed(&call.request, Instant::now());
        }
        if call.ticket.is_some() {
            self.metrics.there().store_failed();
        }
        call.ticket.is_some()
    }

    /// Something that is no decision is done, or cannot be.
    pub(super) fn settle(&mut self, ticket: Ticket, result: Result<(), Error>) {
        self.news.push(News::Settled(ticket, result.map(|()| None)));
    }
}
