//! Hears of the keys that others free, which this process may know to be refused, or forget or block, of which it may have leases;
//! and of policies that others share.
//!
//! Nothing waits for it, and where it fails a refusal is known for no longer than it may be. It begins with the first refusal
//! or lease, or at once where policies are shared: most processes have none, and it takes a connection.

use std::future::pending;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::ledger::Known;
use crate::store::{Heard, Link, Listening};

/// The wait before it is tried again, doubled each time up to the longest: it may be that it is not permitted.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(30);

/// How much is taken in before it is looked whether somebody waits for an answer.
const MOST_AT_ONCE: usize = 256;

/// See the module.
pub(super) struct Listener {
    known: Known,
    listening: Option<Listening>,
    /// Whether everything is heard.
    hears: bool,
    /// Not before then; none while there is nobody to hear.
    due: Option<Instant>,
    backoff: Duration,
}

impl Listener {
    pub(super) fn new(known: Known) -> Self {
        Self { known, listening: None, hears: false, due: None, backoff: FIRST_BACKOFF }
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
        self.due.filter(|_| self.listening.is_none() && self.known.must_hear())
    }

    /// Begins, where that is due.
    pub(super) fn listen(&mut self, link: &impl Link) {
        if self.due().is_some_and(|due| due <= Instant::now()) {
            self.listening = Some(link.listen(&self.known.prefix));
        }
    }

    /// Takes in what is heard. Resolves when there is much of it, or nothing is heard any more; and with true as soon as there may be
    /// other policies.
    pub(super) async fn heard(&mut self) -> bool {
        let Some(listening) = &mut self.listening else { return pending().await };
        let Known { refusals, leases, policies, .. } = &self.known;
        for _ in 0..MOST_AT_ONCE {
            match listening.next().await {
                Some(Heard::Begins) => {
                    self.hears = true;
                    self.backoff = FIRST_BACKOFF;
                    refusals.iter().for_each(|refusals| refusals.forget(Instant::now()));
                    if policies.is_some() {
                        return true;
                    }
                }
                Some(Heard::Changed { name, .. }) if policies.as_ref().is_some_and(|key| key.as_bytes() == name) => {
                    return true;
                }
                Some(Heard::Changed { name, voids_leases }) => {
                    let now = Instant::now();
                    refusals.iter().for_each(|refusals| refusals.heard(&name, now));
                    leases.iter().filter(|_| voids_leases).for_each(|leases| leases.heard(&name, now));
                }
                None => {
                    self.due = Some(Instant::now() + self.backoff);
                    self.backoff = (self.backoff * 2).min(LONGEST_BACKOFF);
                    self.lost();
                    return false;
                }
            }
        }
        false
    }

    /// What was not heard may have been anything.
    fn lost(&mut self) {
        self.listening = None;
        if let (Some(refusals), true) = (&self.known.refusals, std::mem::take(&mut self.hears)) {
            refusals.forget(Instant::now());
        }
    }
}
