//! Promises that wait for the store, in a slab whose tickets name their places.

use super::js::Deferred;
use crate::dispatcher::Ticket;

/// What a promise is resolved with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wants {
    /// Whether the call is allowed.
    Boolean,
    /// The whole decision.
    Decision,
    /// The same, and when the hold ends that it is about.
    Hold,
    /// Nothing: that it is done.
    Nothing,
}

/// The slab. Dropping it forgets the promises without touching Node-API, as an environment that ends requires.
#[derive(Default)]
pub(super) struct Pending {
    places: Vec<Place>,
    free: Vec<u32>,
}

struct Place {
    /// Grows with each use, so that a ticket is good once: settling a promise twice would be the end of the process.
    uses: u32,
    promise: Option<(Deferred, Wants)>,
}

impl Pending {
    pub(super) fn insert(&mut self, deferred: Deferred, wants: Wants) -> Ticket {
        let promise = Some((deferred, wants));
        let index = match self.free.pop() {
            Some(index) => {
                self.places[index as usize].promise = promise;
                index
            }
            None => {
                self.places.push(Place { uses: 0, promise });
                u32::try_from(self.places.len() - 1).expect("so many promises do not fit in memory")
            }
        };
        Ticket(u64::from(self.places[index as usize].uses) << 32 | u64::from(index))
    }

    /// The promise of that ticket, once.
    pub(super) fn take(&mut self, Ticket(ticket): Ticket) -> Option<(Deferred, Wants)> {
        let [uses, index] = [ticket >> 32, ticket & u64::from(u32::MAX)].map(|half| u32::try_from(half).unwrap_or(0));
        let place = self.places.get_mut(index as usize).filter(|place| place.uses == uses)?;
        let promise = place.promise.take()?;
        place.uses = place.uses.wrapping_add(1);
        self.free.push(index);
        Some(promise)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.len() == self.free.len()
    }
}
