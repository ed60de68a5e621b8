//! The arithmetic of each algorithm: pure steps over a key's state. No clock, no lock, no I/O.
//!
//! Each algorithm has one Rust file here, a Lua twin of the same stem in `lua/`, and a table of vectors of the same stem in
//! `__test__/vectors/`. One row in [`algorithms!`] pairs them.

mod calendar;
mod change;
mod concurrency;
mod fixed_window;
mod former;
mod holds;
mod leaky_bucket;
mod sliding_counter;
mod sliding_window;
mod summary;
mod token_bucket;
mod with_burst;

pub use calendar::Calendar;
pub use change::{Blocked, Change, Lease};
pub use concurrency::Concurrency;
pub use fixed_window::FixedWindow;
pub use holds::{Held, MOST_HOLDS};
pub use leaky_bucket::LeakyBucket;
pub use sliding_counter::{Counters, SlidingCounter};
pub use sliding_window::SlidingWindow;
pub use token_bucket::TokenBucket;
pub use with_burst::{Windowed, WithBurst};

use smallvec::SmallVec;

use crate::clock::Micros;

/// The first byte of every encoded state, so that a value of another layout is told apart.
const VERSION: u8 = 1;

/// What an allocator takes for so many bytes: rounded up, and with a word of its own.
pub(crate) const fn block(bytes: usize) -> usize {
    (bytes + 8).next_multiple_of(16)
}

/// What one call asks of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Units to take; 0 only looks.
    pub cost: u64,
    /// Units without which the call is refused. Equal to `cost` for all or nothing; less for "up to `cost`".
    pub least: u64,
}

impl Ask {
    /// All of `cost`, or nothing.
    pub fn all(cost: u64) -> Self {
        Self { cost, least: cost }
    }

    /// Takes nothing, and answers whether `cost` could be taken.
    pub fn look(cost: u64) -> Self {
        Self { cost: 0, least: cost }
    }

    /// What is granted when `free` units are there, or `None` for a refusal.
    #[inline]
    fn of(self, free: u64) -> Option<u64> {
        (free >= self.least).then_some(self.cost.min(free))
    }
}

/// What a step decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the call may go on.
    pub allowed: bool,
    /// Units taken by this call.
    pub granted: u64,
    /// Units left after it.
    pub remaining: u64,
    /// How long until the same call is allowed, if nobody else takes the units. Zero when allowed.
    pub retry_after: Micros,
    /// When the key is as good as new. Its state may be forgotten then.
    pub reset_at: Micros,
    /// How long the caller should wait before going on, for algorithms that smooth.
    pub delay: Micros,
    /// Of units that were leased: when they were booked, by which they are given back. Of a hold: when it ends, by which it is settled.
    /// Otherwise zero.
    pub booked: Micros,
}

impl Outcome {
    /// What was granted of `free` units, `None` for a refusal, which must `wait`.
    #[inline]
    fn of(granted: Option<u64>, free: u64, wait: impl FnOnce() -> Micros, reset_at: Micros) -> Self {
        Self {
            allowed: granted.is_some(),
            granted: granted.unwrap_or(0),
            remaining: free - granted.unwrap_or(0),
            retry_after: if granted.is_some() { Micros::ZERO } else { wait() },
            reset_at,
            delay: Micros::ZERO,
            booked: Micros::ZERO,
        }
    }

    /// The same where nobody asked: what is left, and no refusal.
    pub fn unasked(self) -> Self {
        Self { allowed: true, granted: 0, retry_after: Micros::ZERO, delay: Micros::ZERO, ..self }
    }

    /// The answer to a reset: nothing was asked, and nothing is left to wait for.
    pub fn forgotten(now: Micros) -> Self {
        let [retry_after, delay, booked] = [Micros::ZERO; 3];
        Self { allowed: true, granted: 0, remaining: 0, retry_after, reset_at: now, delay, booked }
    }
}

/// One algorithm with its numbers: what [`Policy`] dispatches to.
pub trait Algorithm {
    /// What a key's history comes down to. The default is a key that was never seen.
    type State: Default + Clone;

    /// The algorithm's name in options and in keys.
    const NAME: &'static str;

    /// Decides `ask` at `now`. A refusal takes nothing.
    fn step(&self, state: &mut Self::State, now: Micros, ask: Ask) -> Outcome;

    /// Gives back up to `units`, the oldest first. Never makes more room than a new key has.
    fn refund(&self, state: &mut Self::State, now: Micros, units: u64);

    /// Takes `units` whether they are there or not, as far as the key's debt stays within one capacity.
    fn penalize(&self, state: &mut Self::State, now: Micros, units: u64);

    /// Takes `units` that will only be there later, where an algorithm's time can be booked ahead. Answers whether it can.
    fn reserve(&self, _state: &mut Self::State, _now: Micros, _units: u64) -> bool {
        false
    }

    /// How many of the `free` units may be used at any moment of the next `term` and still be within the limit, where that can be told.
    fn spare(&self, _state: &Self::State, _now: Micros, _free: u64, _term: Micros) -> u64 {
        0
    }

    /// Takes `units`, of which no more than are to [spare](Self::spare), so that they count as if each had been used at the last moment
    /// of `term`, and from now on.
    fn lease(&self, _state: &mut Self::State, _now: Micros, _units: u64, _term: Micros) {}

    /// Gives back `units` of those that were leased at the moment `booked`, as far as the state still tells them from what has come
    /// since.
    fn give_back(&self, _state: &mut Self::State, _now: Micros, _units: u64, _booked: Micros) {}

    /// The same limit where each unit counts for so much longer, if it is counted by when that is over.
    #[must_use]
    fn lasting(self, _longer: Micros) -> Self
    where
        Self: Sized,
    {
        self
    }

    /// How long the next caller waits for its turn, where that is told by more than when there is room.
    fn turn(&self, _state: &Self::State, _now: Micros) -> Option<Micros> {
        None
    }

    /// The moment before which no call can be dated back, since the state has been changed at it.
    fn seen(state: &Self::State) -> Micros;

    /// Units that a state counts at most, were all of them used at [`Self::seen`]. `None` where that cannot be told from the state.
    fn units(_state: &Self::State) -> Option<u64> {
        None
    }

    /// What a state takes beside its own place, in bytes.
    #[inline]
    fn heap(_state: &Self::State) -> usize {
        0
    }

    /// Whether it takes nothing beside its own place: sooner told than how much.
    #[inline]
    fn is_flat(_state: &Self::State) -> bool {
        true
    }

    /// Makes a state smaller that takes much, at the price of being stricter. Answers whether there was something to do.
    fn compact(_state: &mut Self::State) -> bool {
        false
    }

    /// The most units that one call can ever take.
    fn capacity(&self) -> u64;

    /// The same limit with `parts` of `of` parts of each of its numbers of units, rounded up. `parts` are at most 1,024, and at most
    /// `of`. What a key has used stays as it is counted: a bucket's level is the same part of it before and after.
    fn scaled(&self, parts: u64, of: u64) -> Self;

    /// The most that one call can take of a key's regular units, without those of a burst beside them.
    fn regular(&self) -> u64 {
        self.capacity()
    }

    /// Its numbers, the limit and the window first, each below 2^53: those from which the Lua twin prepares itself.
    fn numbers(&self) -> Numbers;

    /// The state as Redis holds it until `kept`, which the state itself says: what the Lua twin must have written.
    fn encode(state: &Self::State, kept: Micros) -> Vec<u8>;

    /// Reads what Redis holds after the version and `kept`. `None` for what is no state.
    fn decode(body: &[u8]) -> Option<Self::State>;
}

/// A policy's numbers: five are the most that any needs.
pub type Numbers = SmallVec<[u64; 5]>;

macro_rules! algorithms {
    ($($id:literal $Name:ident($Type:ty),)+) => {
        /// An algorithm with its limit: everything that decides, except the key's history.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Policy {
            $(#[doc = concat!("See [`", stringify!($Type), "`].")] $Name($Type),)+
        }

        /// A key's history under some algorithm.
        #[derive(Clone, Debug)]
        pub enum State {
            $(#[doc = concat!("Of [`", stringify!($Type), "`].")] $Name(<$Type as Algorithm>::State),)+
            /// Of a key that somebody has blocked, whatever its algorithm.
            Blocked(Box<Blocked>),
            /// Of a key of which somebody holds units, whatever its algorithm.
            Held(Box<Held>),
        }

        impl Policy {
            /// The number by which the engine calls the Lua twin.
            pub fn id(&self) -> u8 {
                match self { $(Self::$Name(_) => $id,)+ }
            }

            /// The algorithm's name in options and in keys.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$Name(_) => <$Type as Algorithm>::NAME,)+ }
            }

            /// The most units that one call can ever take; the `limit` of a decision.
            #[inline]
            pub fn capacity(&self) -> u64 {
                match self { $(Self::$Name(algorithm) => algorithm.capacity(),)+ }
            }

            /// The window over which its limit counts; the longest of those that are not all as long.
            pub fn window(&self) -> Micros {
                Micros(self.numbers()[1])
            }

            /// See [`Algorithm::regular`].
            pub(crate) fn regular(&self) -> u64 {
                match self { $(Self::$Name(algorithm) => algorithm.regular(),)+ }
            }

            /// See [`Algorithm::numbers`].
            pub fn numbers(&self) -> Numbers {
                match self { $(Self::$Name(algorithm) => algorithm.numbers(),)+ }
            }

            /// The same limit for one of `instances` that decide apart. Of each of its numbers of units all of them together have no
            /// more than this one has, and one unit less than there are instances.
            pub fn share(&self, instances: u64) -> Self {
                self.scaled(1, instances)
            }

            /// See [`Algorithm::scaled`].
            pub fn scaled(&self, parts: u64, of: u64) -> Self {
                match self { $(Self::$Name(algorithm) => Self::$Name(algorithm.scaled(parts, of)),)+ }
            }

            /// See [`Algorithm::lasting`].
            #[must_use]
            pub fn lasting(self, longer: Micros) -> Self {
                match self { $(Self::$Name(algorithm) => Self::$Name(algorithm.lasting(longer)),)+ }
            }

            /// The state of a key that was never seen.
            #[inline]
            pub fn fresh(&self) -> State {
                match self { $(Self::$Name(_) => State::$Name(Default::default()),)+ }
            }

            /// A state as Redis holds it. `None` for what is none of this algorithm, or blocked.
            pub(crate) fn decode(&self, value: &[u8]) -> Option<State> {
                let body = value.strip_prefix(&[VERSION])?.get(7..)?;
                Some(match self { $(Self::$Name(_) => State::$Name(<$Type as Algorithm>::decode(body)?),)+ })
            }

            /// Decides `ask` at `now`. A state of another algorithm counts as never seen.
            ///
            /// It only jumps to the algorithm's own step. That is never inlined here: the stack frame of the largest would be
            /// set up for each of them.
            pub fn step(&self, state: &mut State, now: Micros, ask: Ask) -> Outcome {
                match (self, &mut *state) {
                    $((Self::$Name(algorithm), State::$Name(own)) => algorithm.step(own, now, ask),)+
                    _ => self.step_unusual(state, now, ask),
                }
            }

            /// The moment before which no call on `state` can be dated back.
            pub fn seen(&self, state: &State) -> Micros {
                match (self, state) {
                    $((Self::$Name(_), State::$Name(own)) => <$Type as Algorithm>::seen(own),)+
                    (_, State::Blocked(blocked)) => self.seen(&blocked.beneath),
                    (_, State::Held(held)) => self.seen(&held.beneath),
                    _ => Micros::ZERO,
                }
            }

            /// See [`Algorithm::turn`].
            fn turn(&self, state: &State, now: Micros) -> Option<Micros> {
                match (self, state) {
                    $((Self::$Name(algorithm), State::$Name(own)) => algorithm.turn(own, now),)+
                    _ => None,
                }
            }

            /// See [`Algorithm::spare`].
            fn spare(&self, state: &State, now: Micros, free: u64, term: Micros) -> u64 {
                match (self, state) {
                    $((Self::$Name(algorithm), State::$Name(own)) => algorithm.spare(own, now, free, term),)+
                    _ => 0,
                }
            }

            fn change_own(&self, state: &mut State, now: Micros, change: Change) -> bool {
                match (self, &mut *state) {
                    $((Self::$Name(algorithm), State::$Name(own)) => change.apply(algorithm, own, now),)+
                    _ => {
                        *state = self.fresh();
                        self.change_own(state, now, change)
                    }
                }
            }
        }

        impl State {
            /// The moment of its last change, and how many units it counts at most, all of which may be taken to have been used
            /// then. `None` where that cannot be told, of a block and of holds.
            pub(crate) fn units(&self) -> Option<(Micros, u64)> {
                match self {
                    $(Self::$Name(own) => {
                        <$Type as Algorithm>::units(own).map(|units| (<$Type as Algorithm>::seen(own), units))
                    })+
                    Self::Blocked(_) | Self::Held(_) => None,
                }
            }

            /// See [`Algorithm::heap`].
            #[inline]
            pub(crate) fn heap(&self) -> usize {
                match self {
                    $(Self::$Name(own) => <$Type as Algorithm>::heap(own),)+
                    Self::Blocked(blocked) => block(size_of::<Blocked>()) + blocked.beneath.heap(),
                    Self::Held(held) => held.heap(),
                }
            }

            /// See [`Algorithm::is_flat`].
            #[inline]
            pub(crate) fn is_flat(&self) -> bool {
                match self {
                    $(Self::$Name(own) => <$Type as Algorithm>::is_flat(own),)+
                    Self::Blocked(_) | Self::Held(_) => false,
                }
            }

            /// See [`Algorithm::compact`].
            pub(crate) fn compact(&mut self) -> bool {
                match self {
                    $(Self::$Name(own) => <$Type as Algorithm>::compact(own),)+
                    Self::Blocked(blocked) => blocked.beneath.compact(),
                    Self::Held(held) => held.beneath.compact(),
                }
            }
        }

        impl State {
            /// The state as Redis holds it until `kept`.
            pub(crate) fn encode(&self, kept: Micros) -> Vec<u8> {
                match self {
                    $(Self::$Name(own) => <$Type as Algorithm>::encode(own, kept),)+
                    Self::Blocked(blocked) => blocked.encode(kept),
                    Self::Held(held) => held.encode(kept),
                }
            }
        }
    };
}

algorithms! {
    1 SlidingWindow(SlidingWindow),
    2 TokenBucket(TokenBucket),
    3 FixedWindow(FixedWindow),
    4 SlidingCounter(SlidingCounter),
    5 LeakyBucket(LeakyBucket),
    6 Concurrency(Concurrency),
    7 Calendar(Calendar),
    129 SlidingWindowBurst(WithBurst<SlidingWindow>),
    131 FixedWindowBurst(WithBurst<FixedWindow>),
    132 SlidingCounterBurst(WithBurst<SlidingCounter>),
}

impl Policy {
    /// The numbers that the Lua twin is told: its own, unless they depend on when the calls come. Only then `now` is asked for.
    pub(crate) fn told(&self, now: impl FnOnce() -> Micros) -> Numbers {
        if let Self::Calendar(calendar) = self { calendar.around(now()) } else { self.numbers() }
    }
}

/// The text of each Lua twin with the number by which the engine calls it. A windowed algorithm's number and 128 is the same
/// with a burst, which `lua/with_burst.lua` makes of two of these.
pub const TWINS: &[(u8, &str)] = &[
    (1, include_str!("../../lua/sliding_window.lua")),
    (2, include_str!("../../lua/token_bucket.lua")),
    (3, include_str!("../../lua/fixed_window.lua")),
    (4, include_str!("../../lua/sliding_counter.lua")),
    (5, include_str!("../../lua/leaky_bucket.lua")),
    (6, include_str!("../../lua/concurrency.lua")),
    (7, include_str!("../../lua/calendar.lua")),
];

#[cfg(test)]
mod tests {
    use super::State;

    /// With key and expiry it is an entry of the memory store, which is to be one line of the processor's cache.
    #[test]
    fn a_state_takes_no_more_than_32_bytes() {
        assert!(size_of::<State>() <= 32, "{} bytes", size_of::<State>());
    }
}
