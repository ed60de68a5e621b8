//! Time as the limiter knows it: whole microseconds since the Unix epoch, read from a clock that is handed in.

use std::ops::{Add, Sub};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point in time (since the Unix epoch) or a length of time, in whole microseconds.
///
/// Values stay below 2^53 until the year 2255, so a Lua number holds them exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Micros(pub u64);

impl Micros {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// Whole milliseconds, as microseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// Whole milliseconds, rounded up: who waits so long has waited long enough.
    pub const fn as_millis_up(self) -> u64 {
        self.0.div_ceil(1_000)
    }

    /// The same length as the standard library has it.
    pub const fn as_duration(self) -> Duration {
        Duration::from_micros(self.0)
    }
}

impl Add for Micros {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// Stops at zero: a clock that runs backwards must not wrap a length of time around.
impl Sub for Micros {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Micros;
}

/// The process's monotonic clock, set to the wall clock once, when it is made. Setting the host's clock moves nothing.
pub struct SystemClock {
    started: Instant,
    started_at: Micros,
}

impl SystemClock {
    /// A clock that reads the wall clock now, and never again.
    pub fn new() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started: Instant::now(), started_at: micros(since_epoch) }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Micros {
        self.started_at + micros(self.started.elapsed())
    }
}

fn micros(duration: Duration) -> Micros {
    Micros(duration.as_secs() * 1_000_000 + u64::from(duration.subsec_micros()))
}

/// The host's clock as it is set now: what servers that share windows have in common.
pub struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Micros {
        micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }
}

/// A clock that stands still until it is moved, forward or back. For tests and simulations.
#[derive(Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Micros) -> Self {
        Self(AtomicU64::new(now.0))
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: Micros) {
        self.0.store(now.0, Ordering::Relaxed);
    }

    /// Moves forward by `by`.
    pub fn advance(&self, by: Micros) {
        self.0.fetch_add(by.0, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}
