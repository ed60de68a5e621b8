//! Hears of the keys that others free, which this process may know to be refused.
//!
//! Nothing waits for it, and where it fails a refusal is known for no longer than it may be. It begins with the first refusal:
//! most processes refuse nobody, and it takes a connection.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use crate::refusals::Refusals;
use crate::store::{Heard, Link, Listening};

/// The wait before it is tried again, doubled each time up to the longest: it may be that it is not permitted.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// How much is taken in before it is looked whether somebody waits for an answer.
const MOST_AT_ONCE: usize = 256;

/// See the module.
pub(super) struct Listener {
    /// None where no refusals are kept.
    refusals: Option<Arc<Refusals>>,
    listening: Option<Listening>,
    /// Whether everything is heard.
    hears: bool,
    /// Not before then; none while there is nobody to hear.
    due: Option<Instant>,
    backoff: Duration,
}

impl Listener {
    pub(super) fn new(refusals: Option<Arc<Refusals>>) -> Self {
        Self { refusals, listening: None, hears: false, due: None, backoff: FIRST_BACKOFF }
    }

    /// The store answers.
    pub(super) fn came_up(&mut self) {
        self.due = Some(Instant::now());
    }

    /// The store is away.
    pub(super) fn went_down(&mut self) {
        self.due = None;
        self.lost();
    }

    /// When there may be something to do, while there is something to know.
    pub(super) fn due(&self) -> Option<Instant> {
        let wants = self.listening.is_none() && self.refusals.as_ref().is_some_and(|refusals| !refusals.is_empty());
        self.due.filter(|_| wants)
    }

    /// Begins, where that is due.
    pub(super) fn listen(&mut self, link: &impl Link) {
        if let Some(refusals) = &self.refusals
            && self.due().is_some_and(|due| due <= Instant::now())
        {
            self.listening = Some(link.listen(refusals.prefix()));
        }
    }

    /// Takes in what is heard. Resolves when there is much of it, or nothing is heard any more.
    pub(super) async fn heard(&mut self) {
        let (Some(refusals), Some(listening)) = (&self.refusals, &mut self.listening) else { return pending().await };
        for _ in 0..MOST_AT_ONCE {
            match listening.next().await {
                Some(Heard::Begins) => {
                    self.hears = true;
                    self.backoff = FIRST_BACKOFF;
                    refusals.forget(Instant::now());
                }
                Some(Heard::Freed(name)) => refusals.heard(&name, Instant::now()),
                None => {
                    self.due = Some(Instant::now() + self.backoff);
                    self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
                    return self.lost();
                }
            }
        }
    }

    /// What was not heard may have been anything.
    fn lost(&mut self) {
        self.listening = None;
        if let (Some(refusals), true) = (&self.refusals, std::mem::take(&mut self.hears)) {
            refusals.forget(Instant::now());
        }
    }
}
