//! Says at the store at what level this instance is, and hears what the levels of all add up to.
//!
//! As the herald's announcements, nothing waits for it, it is no call, and its failure is no failure of the store.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::adaptive::{Levels, Share, Sum};
use crate::clock::Micros;
use crate::error::Error;
use crate::fleet::HOLDS;
use crate::store::{Levelling, Link};

/// How often it looks whether there is something to tell.
const LOOK: Duration = Duration::from_millis(250);

/// How often it is told at least: so much later the others' changes are known here.
const HEARTBEAT: Duration = Duration::from_millis(500);

/// How many thousandths are worth a word before that.
const NOTICEABLE: u64 = 10;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Failures in a row after which nothing is known, which is told. One may have been met on the way.
const FAILURES_TO_TELL: u32 = 2;

/// See the module.
#[derive(Default)]
pub(super) struct Envoy {
    /// None where the fleet has no level in common.
    levels: Option<Arc<Levels>>,
    /// What is being told.
    under_way: Option<(Levelling, Share)>,
    /// What was told last, and when.
    told: Option<(Share, Instant)>,
    /// When it looks next; none while there is nobody to tell.
    due: Option<Instant>,
    failures: u32,
}

impl Envoy {
    pub(super) fn new(levels: Option<Arc<Levels>>) -> Self {
        Self { levels, ..Self::default() }
    }

    /// The store answers: it is told at once.
    pub(super) fn came_up(&mut self) {
        self.due = self.levels.as_ref().map(|_| Instant::now());
        self.told = None;
    }

    /// The store is away, and with it what was heard: each goes by its own level.
    pub(super) fn went_down(&mut self) {
        self.due = None;
        self.under_way = None;
        if let Some(levels) = &self.levels {
            levels.forget();
        }
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Begins what is due. Answers what is to be told of what was told last, if that is still under way.
    pub(super) fn tell(&mut self, link: &impl Link) -> Option<Error> {
        let now = Instant::now();
        let (Some(levels), Some(_)) = (&self.levels, self.due.filter(|due| *due <= now)) else {
            return None;
        };
        self.due = Some(now + LOOK);
        let own = levels.own();
        if let Some((told, at)) = self.told {
            let is_told = own.parts().abs_diff(told.parts()) < NOTICEABLE && now < at + HEARTBEAT;
            if is_told || (self.under_way.is_some() && now < at + PATIENCE) {
                return None;
            }
        }
        self.told = Some((own, now));
        let telling = link.level(&levels.announcement(HOLDS), own);
        let is_late = self.under_way.replace((telling, own)).is_some();
        if is_late {
            self.failed(Error::StoreUnavailable("it does not answer what is told of levels".into()))
        } else {
            None
        }
    }

    /// Resolves with what the store says of it, and at what level this instance was when it was told.
    pub(super) async fn answered(&mut self) -> (Share, Result<Sum, Error>) {
        let Some((telling, told)) = &mut self.under_way else { return pending().await };
        let (answer, told) = (telling.await, *told);
        self.under_way = None;
        (told, answer)
    }

    /// Takes in what the store has said. Answers what is to be told.
    pub(super) fn heard(&mut self, told: Share, answer: Result<Sum, Error>) -> Option<Error> {
        let sum = match answer {
            Ok(sum) => sum,
            Err(error) => return self.failed(error),
        };
        self.failures = 0;
        if let Some(levels) = &self.levels {
            levels.hear(told, sum);
        }
        None
    }

    fn failed(&mut self, error: Error) -> Option<Error> {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_TO_TELL
            && let Some(levels) = &self.levels
        {
            levels.forget();
        }
        (self.failures == FAILURES_TO_TELL).then_some(error)
    }

    /// Begins to take the instance's level away, for good.
    pub(super) fn leave(&mut self, link: &impl Link) -> Option<Levelling> {
        self.went_down();
        self.levels.take().map(|levels| link.level(&levels.announcement(Micros::ZERO), Share::WHOLE))
    }
}
