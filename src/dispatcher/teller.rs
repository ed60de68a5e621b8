//! Tells the store what the fallback has admitted in its place, when it is back.
//!
//! It goes beside the calls: it takes no place of theirs, leaves after those that wait, and no faster than one batch after the other.
//! It is told once. What was sent and not answered may have been counted, so it is not sent again. What a part of the store was not
//! sent, or refused before it did anything, is told when that does its work.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::arrears::Arrears;
use crate::error::Error;
use crate::store::{Answering, Request, Store};

/// Keys in one batch: Redis is busy with them for a fraction of a millisecond.
const MOST_AT_A_TIME: usize = 50;

/// From the beginning of one batch to that of the next.
const PACE: Duration = Duration::from_millis(10);

/// The same after a batch of which nothing could be told: others will hardly fare better.
const WHILE_AWAY: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Default)]
pub(super) struct Teller {
    /// None where the store cannot be told.
    arrears: Option<Arc<Arrears>>,
    under_way: Option<UnderWay>,
    /// Not before this moment.
    next: Option<Instant>,
}

/// A batch that was sent.
struct UnderWay {
    requests: Vec<Request>,
    answering: Answering,
    deadline: Instant,
}

impl Teller {
    pub(super) fn new(arrears: Option<Arc<Arrears>>) -> Self {
        Self { arrears, ..Self::default() }
    }

    /// When there is something to do, the store being there.
    pub(super) fn due(&self) -> Option<Instant> {
        match &self.under_way {
            Some(batch) => Some(batch.deadline),
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
        self.under_way.take_if(|batch| batch.deadline <= now);
        if self.under_way.is_some() || self.next.is_some_and(|next| next > now) {
            return;
        }
        let requests = arrears.take(MOST_AT_A_TIME);
        self.next = Some(now + PACE);
        if !requests.is_empty() {
            let answering = store.decide(&mut requests.iter());
            self.under_way = Some(UnderWay { requests, answering, deadline: now + patience });
        }
    }

    /// Resolves with of how many keys the store was told.
    pub(super) async fn answered(&mut self) -> usize {
        let Some(batch) = &mut self.under_way else { return pending().await };
        let answers = (&mut batch.answering).await;
        let Some(batch) = self.under_way.take() else { return 0 };
        // Whoever did not take it is not told again: it may have been counted.
        let Ok(answers) = answers else { return 0 };
        let unsent = |(_, answer): &(_, &Result<_, Error>)| answer.as_ref().is_err_and(Error::is_unsent);
        let put_back: Vec<_> = batch.requests.iter().zip(&answers).filter(unsent).collect();
        if let Some(arrears) = &self.arrears {
            put_back.iter().for_each(|(request, _)| arrears.put_back(request));
        }
        if put_back.len() == answers.len() {
            self.next = Some(Instant::now() + WHILE_AWAY);
        }
        answers.iter().filter(|answer| answer.is_ok()).count()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use smallvec::smallvec;

    use super::*;
    use crate::algorithm::{Policy, SlidingWindow};
    use crate::clock::{ManualClock, Micros};
    use crate::key::Key;
    use crate::limits::{Limit, Limits};
    use crate::store::{Memory, Verb, When};

    /// Else they would follow each other as fast as the store answers, and callers would wait behind each of them.
    #[test]
    fn the_next_batch_is_due_a_while_after_the_last_began() {
        let clock = Arc::new(ManualClock::at(Micros::from_millis(1_000_000)));
        let policy = Policy::SlidingWindow(SlidingWindow::new(9, Micros::from_millis(60_000), 32));
        let limits = Arc::new(Limits::new([Limit::in_namespace("rl:", policy)]));
        let arrears = Arc::new(Arrears::new(clock.clone()));
        for key in 0..2 * MOST_AT_A_TIME {
            let keys = smallvec![Key::from_normal(&key.to_be_bytes())];
            arrears.note(&Request { limits: limits.clone(), keys, verb: Verb::Reset, when: When::Now }, |_| 1);
        }
        let mut teller = Teller::new(Some(arrears));
        let begun = Instant::now();
        teller.tell(&Arc::new(Memory::new(1_000, clock)), Duration::from_secs(60));
        assert_eq!(teller.answered().now_or_never(), Some(MOST_AT_A_TIME), "memory answers at once");
        assert!(teller.due().expect("half of it is left") >= begun + PACE);
    }
}
