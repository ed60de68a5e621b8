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
