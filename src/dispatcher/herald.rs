//! Says at the store that this instance is there, and hears how many are.
//!
//! Nothing waits for it: an announcement is under way beside the calls, is no call, and its failure is no failure of the store.

use std::future::pending;
use std::sync::Arc;
use std::time::Instant;

use crate::clock::Micros;
use crate::error::Error;
use crate::fleet::{Fleet, HEARTBEAT, HOLDS};
use crate::store::{Announcing, Link};

/// How many answers a smaller number takes to be believed: as many as there are beats while an announcement holds. A Redis that
/// has just come back empty counts those alone who were faster.
const REMEMBERED: usize = 3;

/// Failures in a row that are told. One may have been met on the way.
const FAILURES_TO_TELL: u32 = 2;

/// See the module.
#[derive(Default)]
pub(super) struct Herald {
    /// None where instances share nothing.
    fleet: Option<Arc<Fleet>>,
    under_way: Option<Announcing>,
    /// When the next is due; none while there is nobody to tell.
    due: Option<Instant>,
    heard: [u64; REMEMBERED],
    answers: usize,
    failures: u32,
}

impl Herald {
    pub(super) fn new(fleet: Option<Arc<Fleet>>) -> Self {
        Self { fleet, ..Self::default() }
    }

    /// The store answers: the next announcement is due at once.
    pub(super) fn came_up(&mut self) {
        self.due = self.fleet.as_ref().map(|_| Instant::now());
    }

    /// The store is away. What was heard stays.
    pub(super) fn went_down(&mut self) {
        self.due = None;
        self.under_way = None;
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Begins what is due. Answers what is to be told of the last announcement, if that is still under way.
    pub(super) fn beat(&mut self, link: &impl Link) -> Option<Error> {
        let now = Instant::now();
        let (Some(fleet), Some(_)) = (&self.fleet, self.due.filter(|due| *due <= now)) else {
            return None;
        };
        let announcing = link.announce(&fleet.announcement(HOLDS));
        let is_late = self.under_way.replace(announcing).is_some();
        self.due = Some(now + HEARTBEAT);
        if is_late { self.failed(Error::StoreUnavailable("it does not answer announcements".into())) } else { None }
    }

    /// Resolves with what the store says to an announcement.
    pub(super) async fn answered(&mut self) -> Result<u64, Error> {
        let Some(announcing) = &mut self.under_way else { return pending().await };
        let answer = announcing.await;
        self.under_way = None;
        answer
    }

    /// Takes in what the store has said. Answers what is to be told.
    pub(super) fn heard(&mut self, answer: Result<u64, Error>) -> Option<Error> {
        let size = match answer {
            Ok(size) => size.max(1),
            Err(error) => return self.failed(error),
        };
        self.failures = 0;
        self.heard[self.answers % REMEMBERED] = size;
        self.answers += 1;
        if let (Some(fleet), Some(largest)) = (&self.fleet, self.heard.iter().max()) {
            fleet.resize(*largest);
        }
        None
    }

    fn failed(&mut self, error: Error) -> Option<Error> {
        self.failures = self.failures.saturating_add(1);
        (self.failures == FAILURES_TO_TELL).then_some(error)
    }

    /// Begins to take the instance off the list, for good.
    pub(super) fn leave(&mut self, link: &impl Link) -> Option<Announcing> {
        self.went_down();
        self.fleet.take().map(|fleet| link.announce(&fleet.announcement(Micros::ZERO)))
    }
}
