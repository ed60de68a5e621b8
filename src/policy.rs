//! From what a caller gave to an algorithm with its numbers: impossible limits cannot be built.

use crate::algorithm::{Algorithm, Policy, SlidingCounter, SlidingWindow, TokenBucket};
use crate::clock::Micros;
use crate::error::{Class, Error, Rejection};
use crate::input::{self, Given};

/// The largest limit, burst and cost: 2^32.
pub const MAX_UNITS: u64 = 1 << 32;

/// The longest window, and the longest time that a bucket may take to fill: 3,650 days. Together with the present it stays
/// below 2^53 microseconds, which a Lua number holds exactly.
pub const MAX_WINDOW: Micros = Micros(3_650 * 86_400_000_000);

/// Slots a window is counted in, where the caller does not say.
pub const DEFAULT_RESOLUTION: u64 = 32;

/// The options that make a policy, as they were given.
pub struct Options<'a> {
    /// Units admitted in a window.
    pub limit: &'a Given,
    /// Length of the window.
    pub window: &'a Given,
    /// Name of the algorithm.
    pub algorithm: &'a Given,
    /// Token bucket: units that a full bucket holds.
    pub burst: &'a Given,
    /// Sliding window: slots a window is counted in.
    pub resolution: &'a Given,
    /// Fixed window: whether windows begin at multiples of their length instead of with a key's first call.
    pub align: &'a Given,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    SlidingWindow,
    SlidingCounter,
    TokenBucket,
}

/// Checks the options of one limit.
pub fn build(options: &Options<'_>) -> Result<Policy, Error> {
    let limit = input::whole("limit", options.limit, 1..=MAX_UNITS).map_err(Error::Option)?;
    let window = input::duration("window", options.window, Micros(1)..=MAX_WINDOW)?;
    let kind = input::or_default(options.algorithm, Kind::SlidingWindow, |given| {
        let words = [
            (SlidingWindow::NAME, Kind::SlidingWindow),
            (SlidingCounter::NAME, Kind::SlidingCounter),
            (TokenBucket::NAME, Kind::TokenBucket),
        ];
        input::word("algorithm", given, &words)
    })?;
    match kind {
        Kind::SlidingWindow => {
            only_for("burst", options.burst, TokenBucket::NAME)?;
            let resolution = input::or_default(options.resolution, DEFAULT_RESOLUTION, |given| {
                input::whole("resolution", given, 1..=1_024).map_err(Error::Option)
            })?;
            Ok(Policy::SlidingWindow(SlidingWindow::new(limit, window, resolution)))
        }
        Kind::SlidingCounter => {
            only_for("burst", options.burst, TokenBucket::NAME)?;
            only_for("resolution", options.resolution, SlidingWindow::NAME)?;
            Ok(Policy::SlidingCounter(SlidingCounter::new(limit, window)))
        }
        Kind::TokenBucket => {
            only_for("resolution", options.resolution, SlidingWindow::NAME)?;
            let burst = input::or_default(options.burst, limit, |given| {
                input::whole("burst", given, 1..=MAX_UNITS).map_err(Error::Option)
            })?;
            fills_in_time(limit, window, burst)?;
            Ok(Policy::TokenBucket(TokenBucket::new(limit, window, burst)))
        }
    }
}

fn only_for(option: &str, given: &Given, algorithm: &str) -> Result<(), Error> {
    if *given == Given::Missing {
        return Ok(());
    }
    Err(Error::Option(Rejection {
        class: Class::Type,
        message: format!(
            "`{option}` is for `algorithm: '{algorithm}'` only, but {given} was given: leave it out, or choose that algorithm"
        ),
    }))
}

fn fills_in_time(limit: u64, window: Micros, burst: u64) -> Result<(), Error> {
    let fill = u128::from(burst) * u128::from(window.0) / u128::from(limit);
    if fill <= u128::from(MAX_WINDOW.0) {
        return Ok(());
    }
    Err(Error::Option(Rejection {
        class: Class::Range,
        message: format!(
            "an empty bucket must fill within 3650 days, but {} days were given as `burst` / `limit` * `window`: lower `burst`",
            fill / 86_400_000_000
        ),
    }))
}

/// The units that one call takes, from 1 to the capacity of its limits. Absent is 1.
pub fn cost(name: &str, capacity: u64, given: Option<&Given>) -> Result<u64, Error> {
    given.map_or(Ok(1), |given| input::whole(name, given, 1..=capacity).map_err(Error::Cost))
}
