//! What a limit goes on as when it is given another algorithm: the algorithm that it had, with the numbers of the new one.

use super::{
    Calendar, FixedWindow, LeakyBucket, Policy, SlidingCounter, SlidingWindow, TokenBucket, Windowed, WithBurst,
};
use crate::clock::Micros;
use crate::policy::{DEFAULT_RESOLUTION, MAX_UNITS, MAX_WINDOW};

impl Policy {
    /// This algorithm under the limit and the window of `new`, large enough for each call that `new` can ever admit. It keeps what
    /// `new` says nothing of: its resolution, its alignment, a burst beside its windows; and its own window or rate where `new` has
    /// periods of a calendar.
    #[must_use]
    pub(crate) fn under(&self, new: &Self) -> Self {
        let [limit, window] = if matches!(new, Self::Calendar(_)) { self.pace() } else { new.pace() };
        // A bucket may hold more than its limit, or less.
        let units =
            new.capacity().max(if matches!(new, Self::LeakyBucket(_) | Self::TokenBucket(_)) { limit } else { 0 });
        let window = Micros(window);
        let own = self.numbers();
        match self {
            Self::SlidingWindow(_) => Self::SlidingWindow(sliding_window(&own, units, window)),
            Self::SlidingCounter(_) => Self::SlidingCounter(SlidingCounter::new(units, window)),
            Self::FixedWindow(_) => Self::FixedWindow(FixedWindow::new(units, window, own[2] == 1)),
            Self::Calendar(calendar) => Self::Calendar(Calendar::new(units, calendar.periods())),
            Self::SlidingWindowBurst(_) => {
                Self::SlidingWindowBurst(beside(&own, units, |units| sliding_window(&own, units, window)))
            }
            Self::SlidingCounterBurst(_) => {
                Self::SlidingCounterBurst(beside(&own, units, |units| SlidingCounter::new(units, window)))
            }
            Self::FixedWindowBurst(_) => {
                Self::FixedWindowBurst(beside(&own, units, |units| FixedWindow::new(units, window, own[2] == 1)))
            }
            Self::TokenBucket(_) => {
                let (limit, burst) = (in_time(limit, window, new.capacity()), new.capacity());
                Self::TokenBucket(TokenBucket::new(limit, window, burst))
            }
            Self::LeakyBucket(_) => {
                let limit = in_time(limit, window, new.capacity());
                Self::LeakyBucket(LeakyBucket::new(limit, window, new.capacity() - 1))
            }
            Self::Concurrency(_) => *self,
        }
    }

    /// The longest time in which some of its units come back: its window, a bucket's time to fill, the window of a burst.
    pub(crate) fn longest(&self) -> Micros {
        let numbers = self.numbers();
        let [limit, window] = self.pace();
        Micros(match self {
            Self::TokenBucket(_) | Self::LeakyBucket(_) => fill(limit, window, self.capacity()).max(window),
            _ => numbers.get(4).map_or(window, |burst| window.max(*burst)),
        })
    }

    fn pace(&self) -> [u64; 2] {
        let numbers = self.numbers();
        [numbers[0], numbers[1]]
    }
}

/// How long a bucket of such a size takes to fill, at most so long that it can be told.
fn fill(limit: u64, window: u64, burst: u64) -> u64 {
    let fill = (u128::from(burst) * u128::from(window)).div_ceil(u128::from(limit));
    u64::try_from(fill).unwrap_or(u64::MAX).min(MAX_WINDOW.0 + 1)
}

/// A limit at which a bucket of that size fills in a time that there is.
fn in_time(limit: u64, window: Micros, burst: u64) -> u64 {
    if fill(limit, window.0, burst) > MAX_WINDOW.0 { limit.max(burst) } else { limit }
}

/// The same number of slots a window. One that counted each unit by itself had no more of them than a slot has microseconds.
fn sliding_window(own: &[u64], units: u64, window: Micros) -> SlidingWindow {
    let resolution = if own[2] == 1 { DEFAULT_RESOLUTION } else { own[1].div_ceil(own[2]) };
    SlidingWindow::new(units, window, resolution)
}

fn beside<A: Windowed>(own: &[u64], units: u64, base: impl FnOnce(u64) -> A) -> WithBurst<A> {
    let (extra, window) = (own[3], Micros(own[4]));
    WithBurst::new(base(units.min(MAX_UNITS - extra)), extra, window)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = Micros::from_millis(1_000);

    #[test]
    fn each_admits_what_the_new_one_can_and_keeps_what_that_says_nothing_of() {
        let sliding = |window, resolution| SlidingWindow::new(10, window, resolution);
        let burst = Policy::SlidingWindowBurst(WithBurst::new(sliding(SECOND, 32), 5, Micros(9_000_000)));
        assert_eq!(burst.longest(), Micros(9_000_000));
        for former in [
            Policy::TokenBucket(TokenBucket::new(3, SECOND, 3)),
            Policy::LeakyBucket(LeakyBucket::new(3, SECOND, 2)),
            Policy::SlidingCounter(SlidingCounter::new(3, SECOND)),
        ] {
            assert_eq!(former.under(&burst).capacity(), 15, "{former:?}");
        }
        let aligned = Policy::FixedWindow(FixedWindow::new(3, SECOND, true));
        assert_eq!(aligned.under(&burst).numbers()[..], [15, SECOND.0, 1]);
        let most = Policy::FixedWindow(FixedWindow::new(MAX_UNITS, SECOND, false));
        // Of slots of a microsecond there are no more than the window was long.
        let exact = Policy::SlidingWindow(sliding(Micros(10), 10));
        assert_eq!(exact.under(&most).numbers()[2], SECOND.0 / DEFAULT_RESOLUTION);
        assert_eq!(burst.under(&most).capacity(), MAX_UNITS);
    }

    #[test]
    fn no_bucket_fills_later_than_can_be_told() {
        let windows = SlidingWindow::new(1, MAX_WINDOW, 32);
        let new = Policy::SlidingWindowBurst(WithBurst::new(windows, 5, SECOND));
        for former in
            [Policy::TokenBucket(TokenBucket::new(3, SECOND, 3)), Policy::LeakyBucket(LeakyBucket::new(3, SECOND, 2))]
        {
            let under = former.under(&new);
            assert_eq!((under.capacity(), under.longest()), (6, MAX_WINDOW), "{former:?}");
        }
    }
}
