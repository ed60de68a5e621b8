//! What is done to a key beside deciding: giving back, taking past the limit, booking ahead, blocking. Holds have a file of their own.
//!
//! Each algorithm has its own way of the first three. A block is the same for all of them: it lies over a key's state, which
//! goes on beneath it, so that nothing but its end or an unblocking lifts it.

use super::{Algorithm, Ask, Outcome, Policy, State};
use crate::clock::Micros;
use crate::wire;

/// A change of a key's units that is no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// See [`Algorithm::refund`].
    Refund(u64),
    /// See [`Algorithm::penalize`].
    Penalize(u64),
    /// See [`Algorithm::reserve`].
    Reserve(u64),
    /// See [`Algorithm::lease`].
    Lease {
        /// How many.
        units: u64,
        /// For how long.
        term: Micros,
    },
    /// See [`Algorithm::give_back`].
    GiveBack {
        /// How many of them.
        units: u64,
        /// When they were leased.
        booked: Micros,
    },
}

/// Of what is to spare, one part in so many is leased at a time. So what one process holds and does not use is little of what others
/// could have, and the nearer a limit is, the more its calls are decided one by one.
const PART: u64 = 8;

/// What a call asks that would like to have more units for those that come after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Units of the call itself, all or nothing; 0 for whoever only looks ahead.
    pub cost: u64,
    /// How many more it would like.
    pub more: u64,
    /// For how long.
    pub term: Micros,
}

impl Change {
    /// Answers whether the algorithm knows such a change.
    pub(super) fn apply<A: Algorithm>(self, algorithm: &A, state: &mut A::State, now: Micros) -> bool {
        match self {
            Self::Refund(units) => algorithm.refund(state, now, units),
            Self::Penalize(units) => algorithm.penalize(state, now, units),
            Self::Reserve(units) => return algorithm.reserve(state, now, units),
            Self::Lease { units, term } => algorithm.lease(state, now, units, term),
            Self::GiveBack { units, booked } => algorithm.give_back(state, now, units, booked),
        }
        true
    }
}

/// A key that is refused until a moment, whatever its units.
#[derive(Clone, Debug)]
pub struct Blocked {
    until: Micros,
    /// What is decided by when the block has ended.
    pub(super) beneath: State,
}

/// What the state of a blocked key begins with, where others have their version.
const BLOCKED: u8 = 2;

impl Blocked {
    pub(super) fn encode(&self, kept: Micros) -> Vec<u8> {
        let mut out = vec![BLOCKED];
        wire::put::<7>(&mut out, self.until.0);
        out.extend(self.beneath.encode(kept));
        out
    }
}

impl Policy {
    /// What [`State::encode`] has written, blocked or not. `None` for what is no state of this algorithm.
    pub(crate) fn restore(&self, value: &[u8]) -> Option<State> {
        let Some(mut rest) = value.strip_prefix(&[BLOCKED]) else { return self.restore_held(value) };
        let until = Micros(wire::take::<7>(&mut rest)?);
        Some(State::Blocked(Box::new(Blocked { until, beneath: self.restore_held(rest)? })))
    }

    /// Some algorithms never read a state that counts nothing: only a block can lie over one.
    pub(super) fn restore_own(&self, value: &[u8]) -> Option<State> {
        self.decode(value).or_else(|| {
            let fresh = self.fresh();
            (value.get(8..)? == &fresh.encode(Micros::ZERO)[8..]).then_some(fresh)
        })
    }

    /// Changes a key's units, and answers what a call of one unit would be told then.
    pub fn change(&self, state: &mut State, now: Micros, change: Change) -> Outcome {
        self.change_own(state.own(), now, change);
        self.step(state, now, Ask::look(1))
    }

    /// Takes `cost` units if the caller's turn comes within `patience`, and says in `delay` when it does.
    pub fn reserve(&self, state: &mut State, now: Micros, cost: u64, patience: Micros) -> Outcome {
        let look = self.step(state, now, Ask::look(cost));
        let turn = if look.allowed { look.delay } else { self.turn(state, now).unwrap_or(look.retry_after) };
        let refused = Outcome { allowed: false, retry_after: turn, delay: Micros::ZERO, ..look };
        // Nothing is booked ahead behind holds: nobody knows when they will be settled.
        let is_covered = matches!(state, State::Blocked(_)) || (matches!(state, State::Held(_)) && !look.allowed);
        if turn > patience || is_covered {
            return refused;
        }
        if look.allowed {
            return self.step(state, now, Ask::all(cost));
        }
        if !self.change_own(state, now, Change::Reserve(cost)) {
            return refused;
        }
        let booked = self.step(state, now, Ask { cost: 0, least: 0 });
        Outcome { granted: cost, delay: turn, ..booked }
    }

    /// Decides a call, and leases it as many more units as it would like and can be spared. Where that is none it is decided as any.
    pub fn lease(&self, state: &mut State, now: Micros, Lease { cost, more, term }: Lease) -> Outcome {
        // A look brings the state to the present, and lifts a block that has ended.
        let mut present = state.clone();
        let look = self.step(&mut present, now, Ask::look(cost));
        let spare = if look.allowed { self.spare(&present, now, look.remaining, term) } else { 0 };
        let more = more.min(spare.saturating_sub(cost) / PART);
        if more == 0 {
            return self.step(state, now, Ask::all(cost));
        }
        *state = present;
        self.change_own(state, now, Change::Lease { units: cost + more, term });
        let left = self.step(state, now, Ask::look(0));
        Outcome { granted: cost + more, booked: now, ..left }
    }

    /// Refuses every call until a moment.
    pub fn block(&self, state: &mut State, now: Micros, until: Micros) -> Outcome {
        let beneath = match std::mem::replace(state, self.fresh()) {
            State::Blocked(blocked) => blocked.beneath,
            own => own,
        };
        *state = State::Blocked(Box::new(Blocked { until, beneath }));
        self.step(state, now, Ask::look(1))
    }

    /// Ends a block; the key's units are what they would be without it.
    pub fn unblock(&self, state: &mut State, now: Micros) -> Outcome {
        self.lift(state);
        self.step(state, now, Ask::look(1))
    }

    fn lift(&self, state: &mut State) {
        if let State::Blocked(blocked) = state {
            *state = std::mem::replace(&mut blocked.beneath, self.fresh());
        }
    }

    /// A step on a state that is blocked, or of another algorithm.
    #[cold]
    pub(super) fn step_unusual(&self, state: &mut State, now: Micros, ask: Ask) -> Outcome {
        match state {
            State::Blocked(blocked) if blocked.until > now => {
                // What is beneath frees itself meanwhile, so the later of the two moments is the one to wait for.
                let beneath = self.step(&mut blocked.beneath, now, Ask::look(ask.least));
                Outcome {
                    allowed: false,
                    granted: 0,
                    remaining: 0,
                    retry_after: beneath.retry_after.max(blocked.until - now),
                    reset_at: beneath.reset_at.max(blocked.until),
                    delay: Micros::ZERO,
                    booked: Micros::ZERO,
                }
            }
            State::Blocked(_) => {
                self.lift(state);
                self.step(state, now, ask)
            }
            State::Held(_) => self.step_held(state, now, ask),
            _ => {
                *state = self.fresh();
                self.step(state, now, ask)
            }
        }
    }
}
