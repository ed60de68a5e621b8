//! What a call gets when the store does not answer.

use std::borrow::Cow;
use std::sync::Arc;

use crate::algorithm::{Ask, Lease};
use crate::arrears::Arrears;
use crate::clock::Clock;
use crate::decision::{Decision, Source};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::store::{Memory, Request, Verb};

/// The caller's choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStoreError {
    /// This process decides by a limit of its own.
    Local,
    /// Everything is allowed.
    Allow,
    /// Everything is refused.
    Deny,
    /// The call is rejected with the store's error.
    Throw,
}

/// Decides in place of the store.
pub struct Fallback {
    /// How.
    pub mode: OnStoreError,
    /// The states of `Local`.
    pub memory: Arc<Memory>,
    /// The time of an answer that nobody counted.
    pub clock: Arc<dyn Clock>,
    /// This instance among those that share the limits of `Local`, where some are shared.
    pub fleet: Option<Arc<Fleet>>,
    /// What the store is to be told of it when it is back, where it can be.
    pub arrears: Option<Arc<Arrears>>,
}

impl Fallback {
    /// Answers a request that was never sent to the store, and notes what the store is to be told of it.
    pub fn answer_unsent(&self, request: &Request, cause: impl FnOnce() -> Error) -> Result<Decision, Error> {
        let decision = self.answer(request, cause)?;
        if let (Some(arrears), Some(request)) = (&self.arrears, request.in_force()) {
            let request = &*request;
            match request.verb {
                Verb::Decide(_) | Verb::Lease(_) | Verb::Reserve { .. } if decision.granted > 0 => {
                    arrears.note(request, |index| decision.granted_of(request.limits.told_index(index)));
                }
                // What is held here is nothing that the store would have to know before it is settled.
                Verb::Penalize(units) | Verb::Settle { units: units @ 1.., .. } => arrears.note(request, |_| units),
                Verb::Refund(units) => arrears.give_back(request, units),
                _ => {}
            }
        }
        Ok(decision)
    }

    /// Does here what is done everywhere: a reset, a block, its end.
    pub fn act(&self, request: &Request) {
        self.memory.answer(request, |limit| &limit.fallback);
        if let (Verb::Reset, Some(arrears)) = (request.verb, &self.arrears) {
            arrears.forget(request);
        }
    }

    /// Answers `request`, which the store did not for the reason that `cause` words if anybody is to hear it. Limits that are tried
    /// have no part in it.
    ///
    /// A reset, a block and its end are done here as well, and are an error whatever the mode: they were meant for every server,
    /// and only this one has heard of them.
    pub fn answer(&self, request: &Request, cause: impl FnOnce() -> Error) -> Result<Decision, Error> {
        let Some(in_force) = request.in_force() else { return self.answer_untried(request, cause) };
        let request = &*self.own(&in_force);
        let ask = match request.verb {
            Verb::Decide(ask) => ask,
            Verb::Reserve { cost, .. } | Verb::Lease(Lease { cost, .. }) | Verb::Hold { units: cost, .. } => {
                Ask::all(cost)
            }
            Verb::Refund(_) | Verb::Penalize(_) | Verb::GiveBack { .. } | Verb::Settle { .. } | Verb::Renew { .. } => {
                Ask { cost: 0, least: 0 }
            }
            Verb::Reset | Verb::Block(_) | Verb::Unblock => {
                self.act(request);
                return Err(cause());
            }
        };
        match self.mode {
            OnStoreError::Local => {
                let outcomes = self.memory.answer(request, |limit| &limit.fallback);
                Ok(Decision::new(&request.limits, |limit| &limit.fallback, &outcomes, Source::Fallback))
            }
            OnStoreError::Allow => Ok(Decision::uncounted(&request.limits, true, self.clock.now(), ask)),
            OnStoreError::Deny => Ok(Decision::uncounted(&request.limits, false, self.clock.now(), ask)),
            OnStoreError::Throw => Err(cause()),
        }
    }

    /// Answers a request all of whose limits are tried. Nobody tries them while the store is away, and they refuse nobody.
    fn answer_untried(&self, request: &Request, cause: impl FnOnce() -> Error) -> Result<Decision, Error> {
        let ask = if let Verb::Decide(ask) = request.verb { ask } else { Ask::look(0) };
        match request.verb {
            Verb::Reset | Verb::Block(_) | Verb::Unblock => self.act(request),
            _ if self.mode == OnStoreError::Throw => {}
            _ => return Ok(Decision::uncounted(&request.limits, true, self.clock.now(), ask)),
        }
        Err(cause())
    }

    /// The request under this instance's share of the limits. Nothing is leased by the fallback.
    fn own<'a>(&self, request: &'a Request) -> Cow<'a, Request> {
        if let Verb::Lease(Lease { cost, .. }) = request.verb {
            let alone = Request { verb: Verb::Decide(Ask::all(cost)), ..request.clone() };
            return Cow::Owned(self.own(&alone).into_owned());
        }
        match self.fleet.as_ref().and_then(|fleet| fleet.share(&request.limits)) {
            Some(limits) => Cow::Owned(Request { limits: Arc::new(limits), ..request.clone() }),
            None => Cow::Borrowed(request),
        }
    }
}
