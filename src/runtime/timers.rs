//! What waits for a moment, and time that stands still for a while after the loop was late.
//!
//! A loop that was blocked comes back to deadlines that have passed and to answers that came in time and lie in the sockets, unread.
//! So nothing is told that its moment has come before the sockets have been looked at; and where the loop was late by more than
//! it always is, it is made up for what it missed, within bounds, since a conversation may have been interrupted in the middle.

use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};

/// As late as a loop always is: its timers count whole milliseconds, and what runs on it takes a few.
const USUAL: Duration = Duration::from_millis(5);

/// The longest that a late loop is made up for. A conversation with a Redis that is well is over much earlier.
const LONGEST_GRACE: Duration = Duration::from_millis(50);

/// See the module.
pub(super) struct Timers {
    due: BTreeMap<(Instant, u64), Waker>,
    last: u64,
    /// When it was last turned, and what is the present meanwhile.
    begun: Instant,
    present: Instant,
    /// Until when time stands still, where the loop was late.
    grace: Option<Instant>,
}

/// What has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// Nobody's moment.
    None,
    /// Somebody's, and time stands still: the sockets are to be looked at, or have been and there is a grace.
    Held,
    /// Somebody's, and the sockets have been looked at: time stands still until [`Timers::pass`].
    Due,
}

impl Timers {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { due: BTreeMap::new(), last: 0, begun: now, present: now, grace: None }
    }

    /// The present of whoever runs.
    pub(super) fn present(&self) -> Instant {
        self.present
    }

    /// It is `now`. `looked` says whether the sockets have been looked at since a moment was last held.
    pub(super) fn begin(&mut self, now: Instant, looked: bool) -> Moment {
        if !self.is_overdue() {
            self.grace = None;
        }
        self.begun = now;
        let Some(first) = self.first().filter(|first| *first <= now) else {
            self.present = now;
            return Moment::None;
        };
        self.present = first.checked_sub(Duration::from_nanos(1)).unwrap_or(first);
        if !looked {
            return Moment::Held;
        }
        let late = now - first;
        let until = *self.grace.get_or_insert(if late > USUAL { now + late.min(LONGEST_GRACE) } else { now });
        if until > now { Moment::Held } else { Moment::Due }
    }

    /// Time goes on to `now`: those whose moment has come are to be woken.
    pub(super) fn pass(&mut self, now: Instant) -> Vec<Waker> {
        self.grace = None;
        self.present = now;
        let mut woken = Vec::new();
        while let Some(entry) = self.due.first_entry().filter(|entry| entry.key().0 <= now) {
            woken.push(entry.remove());
        }
        woken
    }

    /// When there is something to do next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.grace.filter(|_| self.is_overdue()).or_else(|| self.first())
    }

    /// Whether somebody whose moment had come when it was last turned is still there. A grace is for those.
    fn is_overdue(&self) -> bool {
        self.first().is_some_and(|first| first <= self.begun)
    }

    fn first(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((moment, _), _)| *moment)
    }

    /// Has `waker` woken at that moment, in the place of the one that was given before. Answers the place.
    pub(super) fn wait(&mut self, moment: Instant, place: Option<u64>, waker: &Waker) -> u64 {
        let place = place.unwrap_or_else(|| {
            self.last += 1;
            self.last
        });
        self.due.entry((moment, place)).and_modify(|before| before.clone_from(waker)).or_insert_with(|| waker.clone());
        place
    }

    /// Nobody waits there any more.
    pub(super) fn forget(&mut self, moment: Instant, place: u64) {
        self.due.remove(&(moment, place));
    }
}
