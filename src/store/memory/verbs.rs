//! What is done with one key, beside the calls that most are.

use super::standing::{Place, Wish, own};
use super::{Memory, moment};
use crate::algorithm::{Ask, Change, Lease, Outcome, Policy};
use crate::clock::Micros;
use crate::store::{Verb, When};

impl Memory {
    /// Does one thing with one key.
    pub(super) fn act(&self, policy: &Policy, key: &[u8], verb: Verb, when: When) -> Outcome {
        let hash = self.hash(key);
        let mut shard = self.shard(hash);
        if verb == Verb::Reset {
            self.forget(&mut shard, hash, key);
            return Outcome::forgotten(self.clock.now());
        }
        let present = self.present(when);
        if verb == Verb::Unblock && shard.entry_mut(hash, key).is_none() {
            // Whoever is blocked has a state. Nothing is cleared for this, which may come at another time than the calls.
            return policy.step(&mut policy.fresh(), present, Ask::look(1));
        }
        let verb = match verb {
            // Whoever holds something has a state.
            Verb::Settle { units, .. } if shard.entry_mut(hash, key).is_none() && units > 0 => Verb::Penalize(units),
            Verb::Settle { .. } | Verb::Renew { .. } if shard.entry_mut(hash, key).is_none() => {
                Verb::Decide(Ask::look(1))
            }
            verb => verb,
        };
        let wish = match verb {
            Verb::Decide(Ask { cost: 0, .. })
            | Verb::Unblock
            | Verb::Reset
            | Verb::Hold { .. }
            | Verb::Settle { .. }
            | Verb::Renew { .. } => Wish::Look,
            Verb::Refund(_) | Verb::GiveBack { .. } => Wish::Own,
            Verb::Decide(ask) => Wish::Take(ask),
            Verb::Lease(Lease { cost, more, .. }) => Wish::Take(Ask { cost: cost + more, least: cost }),
            Verb::Reserve { cost, .. } => Wish::Take(Ask::all(cost)),
            Verb::Penalize(units) => Wish::Take(Ask { cost: units, least: 0 }),
            Verb::Block(_) => Wish::Anyway,
        };
        let mut standing = self.standing(&mut shard, policy, hash, key, present, wish);
        let when = match (verb, when) {
            // What is about the future begins now.
            (Verb::Reserve { .. } | Verb::Block(_) | Verb::Unblock, When::Dated(_)) => When::Now,
            (_, when) => when,
        };
        let now = moment(policy, &standing.state, when, present);
        let verb = match (verb, &standing.place) {
            // What is booked ahead cannot be noted.
            (Verb::Reserve { cost, .. } | Verb::Lease(Lease { cost, .. }), Place::Overflow { .. }) => {
                Verb::Decide(Ask::all(cost))
            }
            (Verb::Penalize(units), Place::Overflow { room, .. }) if units > *room => {
                let units = policy.used(&standing.state, now);
                standing.state = own(policy, standing.state, units, now);
                standing.place = Place::Promised(self.promise_anyway(&mut shard, policy, key, present));
                verb
            }
            (verb, _) => verb,
        };
        let state = &mut standing.state;
        // A key that is as good as new by what was given back still hides what is noted of it.
        let mut kept_until = Micros::ZERO;
        let (outcome, changed) = match verb {
            Verb::Decide(ask) => {
                // A refusal is kept only where the clock jumped back: otherwise a call that is dated back still finds all there was.
                let jumped = now < policy.seen(state);
                let outcome = standing.step(policy, now, ask);
                (outcome, outcome.granted > 0 || (jumped && ask.cost > 0))
            }
            Verb::Reserve { cost, patience } => (policy.reserve(state, now, cost, patience), true),
            Verb::Lease(lease) => {
                let outcome = policy.lease(state, now, lease);
                (outcome, outcome.granted > 0)
            }
            // A slot may be of several keys, so what is given back is given to a state of the key's own, or to nobody.
            Verb::Refund(_) | Verb::GiveBack { .. } if matches!(standing.place, Place::Overflow { .. }) => {
                (policy.step(state, now, Ask::look(1)), false)
            }
            Verb::Refund(units) => {
                kept_until = policy.step(&mut state.clone(), now, Ask::look(1)).reset_at;
                (policy.change(state, now, Change::Refund(units)), !matches!(standing.place, Place::None))
            }
            Verb::GiveBack { units, booked } => {
                kept_until = policy.step(&mut state.clone(), now, Ask::look(1)).reset_at;
                let change = Change::GiveBack { units, booked };
                (policy.change(state, now, change), !matches!(standing.place, Place::None))
            }
            Verb::Settle { ends, units } => {
                kept_until = policy.step(&mut state.clone(), now, Ask::look(1)).reset_at;
                (policy.settle(state, now, ends, units), true)
            }
            Verb::Renew { ends, ttl } => (policy.renew(state, now, ends, ttl), true),
            Verb::Penalize(units) => {
                let outcome = policy.change(state, now, Change::Penalize(units));
                // What it is noted with, where it is.
                (Outcome { granted: units, ..outcome }, true)
            }
            Verb::Block(length) => (policy.block(state, now, present + length), true),
            Verb::Unblock => (policy.unblock(state, now), matches!(standing.place, Place::Entry)),
            Verb::Reset | Verb::Hold { .. } => unreachable!("done above"),
        };
        if changed {
            let kept = Outcome { reset_at: outcome.reset_at.max(kept_until), ..outcome };
            self.keep(&mut shard, hash, key, present, &kept, standing);
        } else {
            Self::release(&mut shard, &standing.place);
        }
        match verb {
            Verb::Penalize(_) => Outcome { granted: 0, ..outcome },
            _ => outcome,
        }
    }
}
