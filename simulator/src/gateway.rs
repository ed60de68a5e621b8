//! A process that decides: by what it knows, or by asking, with the limiter's own leases and refusals.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use distributed_rate_limiter::algorithm::{Ask, Outcome};
use distributed_rate_limiter::clock::Micros;
use distributed_rate_limiter::decision::{Decision, Source};
use distributed_rate_limiter::key::Key;
use distributed_rate_limiter::leases::Leases;
use distributed_rate_limiter::limits::Limits;
use distributed_rate_limiter::refusals::Refusals;
use distributed_rate_limiter::store::{Request, Verb, When};

use crate::world::{Mode, World};

/// As in `src/dispatcher/flight.rs`: calls of a batch at most, and batches under way. Nor does more wait than the default of
/// `maxPending`.
pub const MAX_BATCH: usize = 128;
const MAX_IN_FLIGHT: usize = 2;
const MAX_PENDING: usize = 16_384;

/// What a store is to be asked, and what it has said.
pub struct Call {
    /// About which key.
    pub rank: u64,
    /// What.
    pub verb: Verb,
    /// When somebody began to wait for it, if anybody does.
    pub asked_at: Option<u64>,
    /// The answer, as soon as there is one.
    pub outcome: Outcome,
}

impl Call {
    fn new(rank: u64, verb: Verb, asked_at: Option<u64>) -> Self {
        Self { rank, verb, asked_at, outcome: Outcome::forgotten(Micros::ZERO) }
    }
}

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Admitted by a lease.
    Leased,
    /// Refused, since that is known.
    Refused,
    /// To be asked for.
    Asked,
    /// Too many wait.
    Dropped,
}

/// See the module.
pub struct Gateway {
    limits: Arc<Limits>,
    leases: Option<Leases>,
    refusals: Option<Refusals>,
    waiting: VecDeque<Call>,
    /// How many calls each batch under way has.
    flights: Vec<(usize, usize)>,
    /// When it is to look after its leases, and whether it is about to look at what waits.
    pub looks_at: Option<u64>,
    /// See above.
    pub wakes: bool,
}

/// A key as a caller would give it.
pub fn name(rank: u64) -> [u8; 10] {
    let mut name = *b"k000000000";
    let mut rest = rank;
    for digit in name[1..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    name
}

/// The rank of the key of that name.
fn rank(name: &[u8]) -> u64 {
    name[1..].iter().fold(0, |rank, digit| rank * 10 + u64::from(digit - b'0'))
}

impl Gateway {
    /// One that knows nothing.
    pub fn new(world: &World, limits: Arc<Limits>) -> Self {
        Self {
            limits,
            leases: world.terms().map(Leases::new),
            refusals: (world.mode >= Mode::Known).then(|| Refusals::new(Micros(world.deny_us), true)),
            waiting: VecDeque::new(),
            flights: Vec::new(),
            looks_at: None,
            wakes: false,
        }
    }

    /// Decides a call of one unit, or has it wait for being asked: what `src/limiter/mod.rs` does.
    pub fn decide(&mut self, key: u64, at: u64, now: Instant) -> Fate {
        let (name, ask) = (name(key), Ask::all(1));
        if let (Some(leases), Some(limit)) =
            (self.leases.as_ref().filter(|leases| !leases.is_empty()), self.limits.only())
            && let Some(taken) = leases.take(limit, &name, ask, now)
        {
            if let Some(lease) = taken.ahead {
                self.waiting.push_back(Call::new(key, Verb::Lease(lease), None));
            }
            return Fate::Leased;
        }
        if let Some(refusals) = self.refusals.as_ref().filter(|refusals| !refusals.is_empty())
            && refusals.find_ask(&self.limits, std::iter::once(&name[..]), ask, true, now).is_some()
        {
            return Fate::Refused;
        }
        if self.waiting.len() >= MAX_PENDING {
            return Fate::Dropped;
        }
        let mut verb = Verb::Decide(ask);
        if let Some(leases) = &self.leases
            && let Some(lease) = leases.wanted(&self.request(key, verb), now)
        {
            verb = Verb::Lease(lease);
        }
        self.waiting.push_back(Call::new(key, verb, Some(at)));
        Fate::Asked
    }

    /// The calls that leave now, if a batch does: the rule of `src/dispatcher/flight.rs`.
    pub fn batch(&mut self) -> Option<Vec<Call>> {
        let fewest = match self.flights.as_slice() {
            [] => 1,
            [(_, only)] => only.div_ceil(2),
            more => {
                debug_assert!(more.len() <= MAX_IN_FLIGHT);
                return None;
            }
        };
        (self.waiting.len() >= fewest).then(|| self.waiting.drain(..self.waiting.len().min(MAX_BATCH)).collect())
    }

    /// Whether anything waits.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A batch of that number has left.
    pub fn left(&mut self, number: usize, calls: usize) {
        self.flights.push((number, calls));
    }

    /// It is back.
    pub fn landed(&mut self, number: usize) {
        self.flights.retain(|(flight, _)| *flight != number);
    }

    /// Takes in an answer to what was sent then. Answers whether the call itself was admitted.
    pub fn hears(&mut self, call: &Call, sent_at: Instant, now: Instant) -> bool {
        let request = self.request(call.rank, call.verb);
        let outcome = match (&self.leases, call.verb) {
            (Some(leases), Verb::Lease(lease)) => leases.granted(&request, &lease, call.outcome, sent_at, now),
            _ => call.outcome,
        };
        if let (Some(refusals), Some(_)) = (self.refusals.as_ref().filter(|_| !outcome.allowed), call.asked_at) {
            let outcomes = [outcome];
            let decision = Decision::new(&self.limits, |limit| &limit.policy, &outcomes, Source::Redis);
            refusals.learn(&request, &outcomes, &decision, sent_at, now);
        }
        outcome.allowed
    }

    /// Has what is left of leases that have ended be given back.
    pub fn look(&mut self, now: Instant) {
        let Some(leases) = &self.leases else { return };
        let ended = leases.ended(now).into_iter().map(|request| (rank(request.keys[0].as_bytes()), request.verb));
        let mut ended: Vec<(u64, Verb)> = ended.collect();
        // Leases that end at the same moment come in an order that differs from run to run.
        ended.sort_by_key(|(rank, _)| *rank);
        self.waiting.extend(ended.into_iter().map(|(rank, verb)| Call::new(rank, verb, None)));
    }

    /// When there is something to look after.
    pub fn due(&self) -> Option<Instant> {
        self.leases.as_ref()?.due()
    }

    fn request(&self, rank: u64, verb: Verb) -> Request {
        let keys = std::iter::once(Key::from_normal(&name(rank))).collect();
        Request { limits: self.limits.clone(), keys, verb, when: When::Now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_own_name() {
        for number in [1, 10, 123_456_789, 999_999_999] {
            assert_eq!(rank(&name(number)), number);
        }
    }
}
