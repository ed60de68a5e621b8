//! The answer to a call, in the units that callers use.

use std::sync::Arc;

use crate::algorithm::{Ask, Outcome, Policy};
use crate::clock::Micros;
use crate::limits::{DEFAULT, Limit, Limits, Role};
use crate::trials::Tried;

/// Who made a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The shared store.
    Redis,
    /// This process, which is the only store.
    Memory,
    /// This process, in place of a store that did not answer.
    Fallback,
    /// The shared store, through a client of the application's.
    Client,
    /// This process, which has been told by the store that the key is refused until later.
    DenyCache,
    /// This process, of units that the store has leased to it.
    Lease,
    /// Memory that the processes of one machine share.
    Shared,
    /// A list, on which the key is: nothing was counted, and no store asked.
    List,
}

/// When whoever is on a list of those who are refused is asked to come back: nobody knows when they will be taken off it.
const LISTED: Micros = Micros::from_millis(86_400_000);

impl Source {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 8] = [
        Self::Redis,
        Self::Memory,
        Self::Fallback,
        Self::Client,
        Self::DenyCache,
        Self::Lease,
        Self::Shared,
        Self::List,
    ];

    /// The name in a decision.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Memory => "memory",
            Self::Fallback => "fallback",
            Self::Client => "client",
            Self::DenyCache => "deny-cache",
            Self::Lease => "lease",
            Self::Shared => "shared",
            Self::List => "list",
        }
    }
}

/// An answer, with what a response's headers need. Times are rounded so that waiting for them is always enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether the call may go on.
    pub allowed: bool,
    /// Units that the call took.
    pub granted: u64,
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
    /// When the hold ends that was asked for or about, in microseconds since the epoch; 0 where there is none.
    pub booked: u64,
    /// Who decided.
    pub source: Source,
    /// What each limit said, where they have names.
    pub named: Option<Box<Named>>,
}

/// What each of several limits said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Which of them decided.
    pub decisive: usize,
    /// Each limit's name and its own decision, which names none. Nothing where the only limit in force has no name.
    pub each: Vec<(Arc<str>, Decision)>,
    /// What those say that are [tried](crate::trials).
    pub tried: Vec<Tried>,
}

/// Chooses a limit's policy: its own, or the one of the fallback.
pub type Which = fn(&Limit) -> &Policy;

impl Decision {
    /// What one limit's outcome says in the caller's units.
    #[inline]
    pub fn of_one(policy: &Policy, outcome: &Outcome, source: Source) -> Self {
        Self {
            allowed: outcome.allowed,
            granted: outcome.granted,
            limit: policy.capacity(),
            remaining: outcome.remaining,
            retry_after_ms: outcome.retry_after.as_millis_up(),
            reset_at_ms: outcome.reset_at.as_millis_up(),
            delay_ms: outcome.delay.as_millis_up(),
            booked: outcome.booked.0,
            source,
            named: None,
        }
    }

    /// What the outcomes of all limits of a call say together. The limit that decides is the one that must be waited for
    /// longest, or where all allow the one with the least left; that on new keys, whose units are no calls, only where it refuses.
    pub fn new(limits: &Limits, which: Which, outcomes: &[Outcome], source: Source) -> Self {
        if let (Some(limit @ Limit { name: None, .. }), [outcome]) = (limits.only(), outcomes) {
            return Self::of_one(which(limit), outcome, source);
        }
        if let Some(told) = limits.told() {
            return Self::new(told, which, &told_of_formers(limits, told.len(), outcomes), source);
        }
        let each: Vec<(Arc<str>, Self)> = limits
            .iter()
            .zip(outcomes)
            .map(|(limit, outcome)| {
                let name = limit.name.clone().unwrap_or_else(|| DEFAULT.into());
                (name, Self::of_one(which(limit), outcome, source))
            })
            .collect();
        let allowed = each.iter().all(|(_, decision)| decision.allowed);
        let delay_ms = each.iter().map(|(_, decision)| decision.delay_ms).max().unwrap_or(0);
        let decisive = if allowed {
            (0..each.len() - usize::from(limits.has_new_keys())).min_by_key(|index| each[*index].1.remaining)
        } else {
            // Of equal waits the first, as they were written.
            (0..each.len())
                .rev()
                .filter(|index| !each[*index].1.allowed)
                .max_by_key(|index| each[*index].1.retry_after_ms)
        };
        let decisive = decisive.unwrap_or(0);
        let decided = each[decisive].1.clone();
        // Of a hold under several limits nothing is left where it is gone under one.
        let booked = each.iter().map(|(_, decision)| decision.booked).min().unwrap_or(0);
        Self {
            allowed,
            delay_ms,
            booked,
            named: Some(Box::new(Named { decisive, each, tried: Vec::new() })),
            ..decided
        }
    }

    /// What it took of the limit of that index.
    pub fn granted_of(&self, index: usize) -> u64 {
        let of_limit = self.named.as_ref().and_then(|named| named.each.get(index));
        of_limit.map_or(self.granted, |(_, own)| own.granted)
    }

    /// Yes or no without counting, for `onStoreError: 'allow' | 'deny'`. A refusal asks to come back in a second: nobody
    /// knows better while the store is away.
    pub fn uncounted(limits: &Limits, allowed: bool, now: Micros, ask: Ask) -> Self {
        let limits = limits.told().map_or(limits, |limits| limits);
        let retry_after = if allowed { Micros::ZERO } else { Micros::from_millis(1_000) };
        let outcome = |limit: &Limit| {
            // Nobody has looked who is new.
            let granted = if allowed && limit.role != Role::NewKeys { ask.cost } else { 0 };
            Outcome {
                allowed,
                granted,
                remaining: if allowed { limit.policy.capacity().saturating_sub(granted) } else { 0 },
                retry_after,
                reset_at: now + retry_after,
                delay: Micros::ZERO,
                booked: Micros::ZERO,
            }
        };
        let outcomes: Vec<Outcome> = limits.iter().map(outcome).collect();
        Self::new(limits, |limit| &limit.policy, &outcomes, Source::Fallback)
    }

    /// What is said to whoever is on a list: where they are allowed, with all that the limits have left, since nothing was taken.
    pub fn listed(limits: &Limits, allowed: bool, now: Micros, ask: Ask) -> Self {
        let limits = limits.in_force().map_or(limits, |limits| limits);
        let limits = limits.told().map_or(limits, |limits| limits);
        let retry_after = if allowed { Micros::ZERO } else { LISTED };
        let outcome = |limit: &Limit| Outcome {
            allowed,
            // Nobody has looked who is new.
            granted: if allowed && limit.role != Role::NewKeys { ask.cost } else { 0 },
            remaining: if allowed { limit.policy.capacity() } else { 0 },
            retry_after,
            reset_at: now + retry_after,
            delay: Micros::ZERO,
            booked: Micros::ZERO,
        };
        let outcomes: Vec<Outcome> = limits.iter().map(outcome).collect();
        Self::new(limits, |limit| &limit.policy, &outcomes, Source::List)
    }
}

/// What a caller is told of each limit where some are former ones of others: both must admit a call, so what is told is the stricter. For
/// one that ends nobody waits longer than until then.
#[cold]
fn told_of_formers(limits: &Limits, count: usize, outcomes: &[Outcome]) -> Vec<Outcome> {
    let mut told: Vec<Option<Outcome>> = vec![None; count];
    for (index, (limit, outcome)) in limits.iter().zip(outcomes).enumerate() {
        let Some(place) = told.get_mut(limits.told_index(index)) else { continue };
        let outcome = limit.ending().map_or(*outcome, |ending| Outcome {
            retry_after: outcome.retry_after.min(ending.within),
            reset_at: outcome.reset_at.min(ending.at),
            delay: outcome.delay.min(ending.within),
            ..*outcome
        });
        *place = Some(place.map_or(outcome, |other| Outcome {
            allowed: other.allowed && outcome.allowed,
            granted: other.granted.min(outcome.granted),
            remaining: other.remaining.min(outcome.remaining),
            retry_after: other.retry_after.max(outcome.retry_after),
            reset_at: other.reset_at.max(outcome.reset_at),
            delay: other.delay.max(outcome.delay),
            // A hold that was made before the change is known to the former limit alone.
            booked: other.booked.max(outcome.booked),
        }));
    }
    told.into_iter().flatten().collect()
}
