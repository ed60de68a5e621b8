//! The answer to a call, in the units that callers use.

use crate::algorithm::{Ask, Outcome, Policy};
use crate::clock::Micros;

/// Who made a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The shared store.
    Redis,
    /// This process, which is the only store.
    Memory,
    /// This process, in place of a store that did not answer.
    Fallback,
}

impl Source {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Redis, Self::Memory, Self::Fallback];

    /// The name in a decision.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Memory => "memory",
            Self::Fallback => "fallback",
        }
    }
}

/// An answer, with what a response's headers need. Times are rounded so that waiting for them is always enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the call may go on.
    pub allowed: bool,
    /// The limit that decided: the most units one call could take.
    pub limit: u64,
    /// Units left after this call.
    pub remaining: u64,
    /// Milliseconds until the same call is allowed, if nobody else takes the units; 0 when allowed.
    pub retry_after_ms: u64,
    /// Epoch milliseconds at which the key is as good as new.
    pub reset_at_ms: u64,
    /// Milliseconds to wait before going on.
    pub delay_ms: u64,
    /// Who decided.
    pub source: Source,
}

impl Decision {
    /// A step's outcome in the caller's units.
    pub fn new(policy: &Policy, outcome: &Outcome, source: Source) -> Self {
        Self {
            allowed: outcome.allowed,
            limit: policy.capacity(),
            remaining: outcome.remaining,
            retry_after_ms: outcome.retry_after.as_millis_up(),
            reset_at_ms: outcome.reset_at.as_millis_up(),
            delay_ms: outcome.delay.as_millis_up(),
            source,
        }
    }

    /// Yes or no without counting, for `onStoreError: 'allow' | 'deny'`. A refusal asks to come back in a second: nobody
    /// knows better while the store is away.
    pub fn uncounted(policy: &Policy, allowed: bool, now: Micros, ask: Ask) -> Self {
        let retry_after = if allowed { Micros::ZERO } else { Micros::from_millis(1_000) };
        Self {
            allowed,
            limit: policy.capacity(),
            remaining: if allowed { policy.capacity() - ask.cost } else { 0 },
            retry_after_ms: retry_after.as_millis_up(),
            reset_at_ms: (now + retry_after).as_millis_up(),
            delay_ms: 0,
            source: Source::Fallback,
        }
    }
}
