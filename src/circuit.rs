//! Whether the store is worth asking: a circuit breaker as a pure state machine. Time and chance are handed in.
//!
//! ```text
//!            2 failures in a row, or the connection is lost
//!   Closed ────────────────────────────────────────────────► Open
//!     ▲                                                       │ backoff
//!     │ probe succeeds                                        ▼
//!     └──────────────────────────────────────────────────── Probing
//!                              probe fails: back to Open, twice the backoff
//! ```

use crate::clock::Micros;

/// Batches that fail in a row before the store is left alone. As many as travel at a time: when all hang, nothing can be sent.
pub const FAILURES_TO_OPEN: u32 = 2;

/// The wait before the first probe, doubled for each one that fails.
const FIRST_BACKOFF: Micros = Micros::from_millis(20);

/// The longest wait, and so about the longest time until a store that is back is noticed.
const LONGEST_BACKOFF: Micros = Micros::from_millis(500);

/// The breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The store is asked.
    Closed,
    /// The store is left alone until that moment.
    Open {
        /// When the next probe is due.
        until: Micros,
    },
    /// One probe is under way.
    Probing,
}

/// The breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circuit {
    state: State,
    failures: u32,
    /// How often it opened since the store last did real work: what the backoff grows with.
    attempts: u32,
    /// How often of these because of failed work, with a connection that was well.
    relapses: u32,
}

impl Circuit {
    /// A breaker of a store that has never been reached: its first connection is its first probe.
    pub fn new() -> Self {
        Self { state: State::Probing, failures: 0, attempts: 0, relapses: 0 }
    }

    /// The state now.
    pub fn state(&self) -> State {
        self.state
    }

    /// A batch was answered in time.
    pub fn succeeded(&mut self) {
        self.failures = 0;
        self.attempts = 0;
        self.relapses = 0;
    }

    /// Whether a store that answers probes has failed at its work again and again, so that only work shows that it is back. Until then
    /// it gets one call at a time.
    pub fn is_on_trial(&self) -> bool {
        self.relapses > 1
    }

    /// A batch failed or was late. `chance` is from 0 to 1.
    pub fn failed(&mut self, now: Micros, chance: f64) {
        self.failures += 1;
        if self.failures >= FAILURES_TO_OPEN || self.is_on_trial() {
            self.relapses = self.relapses.saturating_add(1);
            self.open(now, chance);
        }
    }

    /// The connection was lost, or a probe failed.
    pub fn open(&mut self, now: Micros, chance: f64) {
        self.state = State::Open { until: now + backoff(self.attempts, chance) };
        self.attempts = self.attempts.saturating_add(1);
        self.failures = 0;
    }

    /// Goes over to probing if a probe is due.
    pub fn probe(&mut self, now: Micros) -> bool {
        let due = matches!(self.state, State::Open { until } if until <= now);
        if due {
            self.state = State::Probing;
        }
        due
    }

    /// The probe succeeded. The backoff is kept until a batch succeeds, so that a store which answers probes and fails at
    /// work is not asked ever faster.
    pub fn close(&mut self) {
        self.state = State::Closed;
    }
}

impl Default for Circuit {
    fn default() -> Self {
        Self::new()
    }
}

/// From half to the whole of the doubled wait: processes that lost the same store must not come back as one.
fn backoff(attempts: u32, chance: f64) -> Micros {
    let doubled = FIRST_BACKOFF.0.saturating_mul(1 << attempts.min(16));
    let longest = doubled.min(LONGEST_BACKOFF.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a fraction of half a second"
    )]
    let extra = (longest as f64 / 2.0 * chance.clamp(0.0, 1.0)) as u64;
    Micros(longest / 2 + extra)
}
