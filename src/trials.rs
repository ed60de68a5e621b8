//! Limits that are tried before they bite: they are asked about every call, and refuse none.
//!
//! A **shadow** is asked as if it were in force beside the others: it takes what these have granted, where it would have granted that
//! too. A **candidate** is asked as if it were in force in the place of the one that is: it takes whenever it admits the call by itself,
//! whatever the other says. Both are asked in the same step as those in force and behind them, and what one of them answers, or that it
//! fails, changes nothing for anybody else.

use std::sync::Arc;

use crate::algorithm::{Ask, Outcome};
use crate::decision::{Decision, Source, Which};
use crate::limits::{Limit, Role};
use crate::store::{Request, Verb};

/// What a limit that is tried has said of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The limit's name, behind that of its action where it is one's own: `login/candidate`.
    pub name: Arc<str>,
    /// Its own decision, which names none.
    pub decision: Decision,
    /// What it would have changed.
    pub verdict: Verdict,
}

/// What it would have changed for a call if a limit had been in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Agreed,
    /// The call was admitted, and would have been refused.
    WouldDeny,
    /// The call was refused, and would have been admitted.
    WouldAllow,
}

impl Verdict {
    /// Of a limit in that role, where those in force admit the call or not, and it would.
    fn of(role: Role, is_allowed: bool, would_allow: bool) -> Self {
        match (is_allowed, would_allow) {
            (true, false) => Self::WouldDeny,
            // A limit beside others admits nobody whom these refuse.
            (false, true) if role == Role::Candidate => Self::WouldAllow,
            _ => Self::Agreed,
        }
    }
}

/// Whether a call asks for more than the limit could ever grant.
fn is_beyond(limit: &Limit, ask: Ask) -> bool {
    ask.least > limit.policy.capacity()
}

/// What a call asks of a limit that is tried, when those in force have answered. Nothing can be told of a call that would never be
/// admitted but what is left.
pub fn ask_of(limit: &Limit, ask: Ask, in_force: &[Outcome]) -> Ask {
    if is_beyond(limit, ask) {
        return Ask::look(1);
    }
    if limit.role == Role::Candidate || in_force.is_empty() {
        return ask;
    }
    // Nothing where one of them refuses: then it only looks.
    Ask { cost: in_force.iter().map(|outcome| outcome.granted).min().unwrap_or(0), ..ask }
}

/// The role of a limit as the script is told of it: 0 in force, 1 shadow, 2 candidate, 3 tried with a call that asks for too much.
pub fn code_of(limit: &Limit, ask: Ask) -> u8 {
    match limit.role {
        Role::Shadow | Role::Candidate if is_beyond(limit, ask) => 3,
        Role::Shadow => 1,
        Role::Candidate => 2,
        Role::Bystander | Role::Of(_) | Role::NewKeys => 0,
    }
}

/// What the outcomes of a request say together some of whose limits are tried: those in force decide, and the others are told of.
/// Of these there may be fewer outcomes: nothing is known of the rest.
///
/// A limiter that has none in force refuses nobody. What is told is what the limit has left.
#[cold]
pub fn decision(request: &Request, which: Which, outcomes: &[Outcome], source: Source) -> Decision {
    let limits = &request.limits;
    let ask = if let Verb::Decide(ask) = request.verb { Some(ask) } else { None };
    let count = limits.in_force().map_or(0, |limits| limits.len());
    let (own, tried) = outcomes.split_at(count);
    let mut decision = match (limits.in_force(), limits.iter().next(), tried.first()) {
        (None, Some(limit), Some(outcome)) => Decision {
            granted: ask.map_or(0, |ask| ask.cost),
            ..Decision::of_one(which(limit), &outcome.unasked(), source)
        },
        (limits_in_force, ..) => Decision::new(limits_in_force.unwrap_or(limits), which, own, source),
    };
    let told = |(limit, outcome): (&Limit, &Outcome)| {
        let allowed = outcome.allowed && !ask.is_some_and(|ask| is_beyond(limit, ask));
        Tried {
            name: limit.tried_as(),
            decision: Decision { allowed, ..Decision::of_one(&limit.policy, outcome, source) },
            verdict: Verdict::of(limit.role, decision.allowed, allowed),
        }
    };
    let tried = limits.iter().skip(count).zip(tried).map(told).collect();
    decision.named.get_or_insert_default().tried = tried;
    decision
}
