//! What is done with one key, beside the calls that most are.

use super::shard::Room;
use super::{Shared, no_room, read, write};
use crate::algorithm::{Ask, Change, Outcome};
use crate::error::Error;
use crate::limits::Limit;
use crate::store::memory::moment;
use crate::store::{Verb, When};

impl Shared {
    /// Does one thing with one key.
    pub(super) fn act(&self, limit: &Limit, key: &[u8], verb: Verb, when: When) -> Result<Outcome, Error> {
        let policy = &limit.policy;
        let id = self.id(limit, key);
        let mut held = self.lock(id.shard(&self.geometry))?;
        let found = held.find(id);
        if verb == Verb::Reset {
            if let Some(entry) = found {
                held.forget(entry);
            }
            return Ok(Outcome::forgotten(self.clock.now()));
        }
        let present = self.present(when);
        let mut state = found.map_or_else(|| Ok(policy.fresh()), |entry| read(&held, policy, entry))?;
        let room = found.map_or_else(|| held.room(id, present, &[]), Room::Here);
        let entry = match (room, verb) {
            (Room::Here(entry), _) => entry,
            // There is nothing to give back, and no block to end.
            (Room::NotUntil(_), Verb::Refund(_) | Verb::GiveBack { .. } | Verb::Unblock) => {
                return Ok(policy.step(&mut state, present, Ask::look(1)));
            }
            (Room::NotUntil(_), Verb::Block(_) | Verb::Penalize(_)) => return Err(Error::SharedFull),
            (Room::NotUntil(until), _) => {
                let look = policy.step(&mut state, present, Ask { cost: 0, least: 0 });
                return Ok(no_room(look, present, until));
            }
        };
        let when = match (verb, when) {
            // What is about the future begins now.
            (Verb::Reserve { .. } | Verb::Block(_) | Verb::Unblock, When::Dated(_)) => When::Now,
            (_, when) => when,
        };
        let now = moment(policy, &state, when, present);
        let (outcome, changed) = match verb {
            Verb::Decide(ask) => {
                // A refusal is kept only where the clock jumped back: otherwise a call that is dated back still finds all there was.
                let jumped = now < policy.seen(&state);
                let outcome = policy.step(&mut state, now, ask);
                (outcome, outcome.granted > 0 || (jumped && ask.cost > 0))
            }
            Verb::Reserve { cost, patience } => {
                let jumped = now < policy.seen(&state);
                let outcome = policy.reserve(&mut state, now, cost, patience);
                (outcome, outcome.granted > 0 || jumped)
            }
            Verb::Lease(lease) => {
                let jumped = now < policy.seen(&state);
                let outcome = policy.lease(&mut state, now, lease);
                (outcome, outcome.granted > 0 || (jumped && lease.cost > 0))
            }
            Verb::GiveBack { units, booked } => {
                (policy.change(&mut state, now, Change::GiveBack { units, booked }), found.is_some())
            }
            Verb::Refund(units) => (policy.change(&mut state, now, Change::Refund(units)), found.is_some()),
            Verb::Penalize(units) => (policy.change(&mut state, now, Change::Penalize(units)), true),
            Verb::Block(length) => (policy.block(&mut state, now, present + length), true),
            Verb::Unblock => (policy.unblock(&mut state, now), found.is_some()),
            Verb::Reset | Verb::Hold { .. } | Verb::Settle { .. } | Verb::Renew { .. } => {
                unreachable!("done or refused above")
            }
        };
        if changed {
            write(&mut held, id, entry, state, outcome.reset_at, present)?;
        }
        Ok(outcome)
    }
}
