//! What a call gets when the store does not answer.

use std::sync::Arc;

use crate::algorithm::Policy;
use crate::clock::Clock;
use crate::decision::{Decision, Source};
use crate::error::Error;
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
    /// The limit of `Local`.
    pub policy: Policy,
    /// The states of `Local`.
    pub memory: Arc<Memory>,
    /// The time of an answer that nobody counted.
    pub clock: Arc<dyn Clock>,
}

impl Fallback {
    /// Answers `request`, which the store did not for the reason that `cause` words if anybody is to hear it. A reset that the store was not told of is an error
    /// whatever the mode: what was to be forgotten is still there.
    pub fn answer(&self, request: &Request, cause: impl FnOnce() -> Error) -> Result<Decision, Error> {
        let ask = match request.verb {
            Verb::Decide(ask) => ask,
            Verb::Reset => {
                self.memory.reset(request.key.as_bytes());
                return Err(cause());
            }
        };
        match self.mode {
            OnStoreError::Local => {
                let outcome = self.memory.decide(&self.policy, request.key.as_bytes(), ask);
                Ok(Decision::new(&self.policy, &outcome, Source::Fallback))
            }
            OnStoreError::Allow => Ok(Decision::uncounted(&self.policy, true, self.clock.now(), ask)),
            OnStoreError::Deny => Ok(Decision::uncounted(&self.policy, false, self.clock.now(), ask)),
            OnStoreError::Throw => Err(cause()),
        }
    }
}
