//! Tells the store what the fallback has admitted in its place, when it is back.
//!
//! It goes beside the calls: it takes no place of theirs, leaves after those that wait, and no faster than one batch after the other.
//! It is told once. What was sent and not answered may have been counted, so it is not sent again.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::arrears::Arrears;
use crate::store::{Answering, Answers, Request, Store};

/// Keys in one batch: Redis is busy with them for a fraction of a millisecond.
const MOST_AT_A_TIME: usize = 50;

/// From the beginning of one batch to that of the next.
const PACE: Duration = Duration::from_millis(10);

/// See the module.
#[derive(Default)]
pub(super) struct Teller {
    /// None where the store cannot be told.
    arrears: Option<Arc<Arrears>>,
    under_way: Option<(Answering, Instant)>,
    /// Not before this moment.
    next: Option<Instant>,
}

impl Teller {
    pub(super) fn new(arrears: Option<Arc<Arrears>>) -> Self {
        Self { arrears, ..Self::default() }
    }

    /// When there is something to do, the store being there.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.under_way {
            Some((_, deadline)) => Some(*deadline),
            None => self.next.filter(|_| self.has_some()),
        }
    }

    fn has_some(&self) -> bool {
        self.arrears.as_ref().is_some_and(|arrears| arrears.has_some())
    }

    /// Sends what is due. What has not been answered within `patience` is given up.
    pub(super) fn tell(&mut self, store: &impl Store, patience: Duration) {
        let Some(arrears) = self.arrears.as_ref().filter(|_| self.under_way.is_some() || self.has_some()) else {
            return;
        };
        let now = Instant::now();
        self.under_way.take_if(|(_, deadline)| *deadline <= now);
        if self.under_way.is_some() || self.next.is_some_and(|next| next > now) {
            return;
        }
        let requests: Vec<Request> = arrears.take(MOST_AT_A_TIME);
        self.next = Some(now + PACE);
        if !requests.is_empty() {
            self.under_way = Some((store.decide(&mut requests.iter()), now + patience));
        }
    }

    /// Resolves with what the store says to it.
    pub(super) async fn answered(&mut self) -> Answers {
        let Some((answering, _)) = &mut self.under_way else { return pending().await };
        let answers = answering.await;
        self.under_way = None;
        answers
    }

    /// The store is away.
    pub(super) fn went_down(&mut self) {
        self.under_way = None;
    }
}
