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

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::super::scripted::Scripted;
    use super::*;

    /// An instance to which the store answers, at whole limits, which it has told already.
    fn heard_of(instances: u64, parts: u64) -> (Arc<Levels>, Envoy, Scripted) {
        let levels = Arc::new(Levels::new("rl"));
        let (mut envoy, link) = (Envoy::new(Some(levels.clone())), Scripted::new());
        envoy.came_up();
        assert!(envoy.tell(&link).is_none());
        assert!(answered(&mut envoy, &link, Ok(sum(instances, parts))).is_none());
        (levels, envoy, link)
    }

    fn sum(instances: u64, parts: u64) -> Sum {
        Sum::of(instances, parts).expect("it is one")
    }

    fn away() -> Error {
        Error::StoreUnavailable("a test has said so".into())
    }

    /// What is told of this answer to what was told last.
    fn answered(envoy: &mut Envoy, link: &Scripted, said: Result<Sum, Error>) -> Option<Error> {
        let (_, answer) = link.levels().pop().expect("something was told");
        answer.send(said).expect("it is awaited");
        let (told, answer) = envoy.answered().now_or_never().expect("it is answered");
        envoy.heard(told, answer)
    }

    /// The levels that it tells when it looks so long after it has told the last, and what is told of that one.
    fn looks(envoy: &mut Envoy, link: &Scripted, after: Duration) -> (Vec<u64>, Option<Error>) {
        let now = Instant::now();
        envoy.due = Some(now);
        if let Some((_, at)) = &mut envoy.told {
            // However long the test itself takes, no more time has passed than it says.
            *at =
                if after.is_zero() { now + 60 * PATIENCE } else { now.checked_sub(after).expect("a clock that runs") };
        }
        let unheard = envoy.tell(link);
        (link.levels().iter().map(|((_, level), _)| level.parts()).collect(), unheard)
    }

    #[test]
    fn it_tells_at_once_and_then_what_is_worth_a_word_or_after_a_while() {
        let levels = Arc::new(Levels::new("rl"));
        let (mut envoy, link) = (Envoy::new(Some(levels.clone())), Scripted::new());
        assert_eq!(envoy.due(), None, "nobody has answered yet");
        envoy.came_up();
        let begun = Instant::now();
        assert!(envoy.due().is_some_and(|due| due <= begun));
        assert!(envoy.tell(&link).is_none());
        assert!(envoy.due().is_some_and(|due| (begun + LOOK..begun + HEARTBEAT).contains(&due)));
        let ((announcement, level), answer) = link.levels().remove(0);
        assert_eq!((announcement, level), (levels.announcement(HOLDS), Share::WHOLE));
        // In the meantime its own has changed.
        levels.stand(0.5);
        answer.send(Ok(sum(2, 1_500))).expect("it is awaited");
        let (told, said) = envoy.answered().now_or_never().expect("it is answered");
        assert!(envoy.heard(told, said).is_none());
        assert_eq!(levels.stand(0.5), (0.5, 2), "of what was said a whole was its own, and a half another's");
        levels.stand(1.0);

        envoy.due = Some(begun + 60 * PATIENCE);
        envoy.told = Some((Share::WHOLE, begun.checked_sub(HEARTBEAT).expect("a clock that runs")));
        assert!(envoy.tell(&link).is_none());
        assert!(link.levels().is_empty(), "it is not time to look");
        assert_eq!(looks(&mut envoy, &link, Duration::ZERO), (vec![], None), "it is told");
        levels.stand(0.991);
        assert_eq!(looks(&mut envoy, &link, Duration::ZERO), (vec![], None), "that is hardly another");
        levels.stand(0.99);
        assert_eq!(looks(&mut envoy, &link, Duration::ZERO).0, [990]);
        envoy.under_way = None;
        levels.stand(1.0);
        assert_eq!(looks(&mut envoy, &link, Duration::ZERO).0, [1_000], "also of what rises");
        envoy.under_way = None;
        assert_eq!(looks(&mut envoy, &link, HEARTBEAT).0, [1_000], "else it would count no more");
    }

    #[test]
    fn what_is_not_answered_is_told_again_when_patience_is_over() {
        let (levels, mut envoy, link) = heard_of(2, 1_500);
        levels.stand(0.4);
        assert_eq!(looks(&mut envoy, &link, HEARTBEAT).0, [400]);
        levels.stand(0.2);
        assert_eq!(looks(&mut envoy, &link, HEARTBEAT), (vec![], None), "an answer may still come");
        assert_eq!(looks(&mut envoy, &link, PATIENCE), (vec![200], None), "one may be lost");
        assert_eq!(levels.stand(0.2), (0.35, 2));
        let (told, unheard) = looks(&mut envoy, &link, PATIENCE);
        assert_eq!(told, [200]);
        assert!(matches!(unheard, Some(Error::StoreUnavailable(_))));
        assert_eq!(levels.stand(0.2), (0.2, 1), "each goes by its own");
        assert_eq!(looks(&mut envoy, &link, PATIENCE), (vec![200], None), "once is enough");
    }

    #[test]
    fn two_failures_in_a_row_are_told_and_nothing_is_known_any_more() {
        let (levels, mut envoy, link) = heard_of(2, 1_500);
        let mut fails = |said| {
            envoy.told = None;
            envoy.due = Some(Instant::now());
            assert!(envoy.tell(&link).is_none());
            answered(&mut envoy, &link, said)
        };
        assert_eq!(fails(Err(away())), None);
        assert_eq!(levels.stand(1.0), (0.75, 2), "one may be met on the way");
        assert_eq!(fails(Ok(sum(2, 1_400))), None);
        assert_eq!(fails(Err(away())), None, "they were not in a row");
        assert_eq!(levels.stand(1.0), (0.7, 2));
        assert_eq!(fails(Err(away())), Some(away()));
        assert_eq!(levels.stand(1.0), (1.0, 1));
        assert_eq!(fails(Err(away())), None, "that was told");
        assert_eq!(fails(Ok(sum(2, 1_200))), None);
        assert_eq!(levels.stand(1.0), (0.6, 2));
    }

    #[test]
    fn while_the_store_is_away_nothing_is_told_and_nothing_known() {
        let (levels, mut envoy, link) = heard_of(2, 1_500);
        assert_eq!(looks(&mut envoy, &link, HEARTBEAT).0, [1_000]);
        envoy.went_down();
        assert_eq!((envoy.due(), levels.stand(1.0)), (None, (1.0, 1)));
        assert!(envoy.under_way.is_none(), "nothing is under way");
        envoy.came_up();
        assert!(envoy.due().is_some_and(|due| due <= Instant::now()));
        assert_eq!(envoy.tell(&link), None);
        assert_eq!(link.levels().len(), 1, "another store knows nothing of what was told the last");
    }

    #[test]
    fn who_leaves_takes_its_level_along_and_tells_nothing_after_that() {
        let (levels, mut envoy, link) = heard_of(2, 1_500);
        assert_eq!(looks(&mut envoy, &link, HEARTBEAT).0, [1_000]);
        assert!(envoy.leave(&link).is_some());
        let told: Vec<_> = link.levels().into_iter().map(|(told, _)| told).collect();
        assert_eq!(told, [(levels.announcement(Micros::ZERO), Share::WHOLE)]);
        assert!(envoy.under_way.is_none(), "whatever was under way");
        assert!(envoy.leave(&link).is_none());
        envoy.came_up();
        assert_eq!(envoy.due(), None);
    }

    #[test]
    fn where_the_fleet_has_no_level_nothing_is_told() {
        let (mut envoy, link) = (Envoy::new(None), Scripted::new());
        envoy.came_up();
        assert_eq!(envoy.due(), None);
        assert!(envoy.tell(&link).is_none());
        assert!(envoy.leave(&link).is_none());
        assert!(link.levels().is_empty());
    }
}
