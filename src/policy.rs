//! From what a caller gave to an algorithm with its numbers: impossible limits cannot be built.

use std::ops::RangeInclusive;

use crate::algorithm::{
    Algorithm, Calendar, FixedWindow, LeakyBucket, Policy, SlidingCounter, SlidingWindow, TokenBucket, Windowed,
    WithBurst,
};
use crate::calendar::{Periods, Unit};
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
    /// Length of the window, or the calendar whose periods are the windows.
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

/// The algorithms by their names.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    SlidingWindow,
    SlidingCounter,
    FixedWindow,
    TokenBucket,
    LeakyBucket,
}

const KINDS: [(&str, Kind); 5] = [
    (SlidingWindow::NAME, Kind::SlidingWindow),
    (SlidingCounter::NAME, Kind::SlidingCounter),
    (FixedWindow::NAME, Kind::FixedWindow),
    (TokenBucket::NAME, Kind::TokenBucket),
    (LeakyBucket::NAME, Kind::LeakyBucket),
];

/// Checks the options of one limit.
pub fn build(options: &Options<'_>) -> Result<Policy, Error> {
    let limit = input::whole("limit", options.limit, 1..=MAX_UNITS).map_err(Error::Option)?;
    if let Given::Record(fields) = options.window
        && *input::field(fields, "calendar") != Given::Missing
    {
        return calendar(limit, fields, options);
    }
    let window = input::window(options.window, Micros(1)..=MAX_WINDOW)?;
    let kind =
        input::or_default(options.algorithm, Kind::SlidingWindow, |given| input::word("algorithm", given, &KINDS))?;
    if kind != Kind::SlidingWindow {
        only_for("resolution", options.resolution, SlidingWindow::NAME)?;
    }
    if kind != Kind::FixedWindow {
        only_for("align", options.align, FixedWindow::NAME)?;
    }
    match kind {
        Kind::SlidingWindow => {
            let resolution = input::or_default(options.resolution, DEFAULT_RESOLUTION, |given| {
                input::whole("resolution", given, 1..=1_024).map_err(Error::Option)
            })?;
            let base = SlidingWindow::new(limit, window, resolution);
            with_burst(options.burst, base, Policy::SlidingWindow, Policy::SlidingWindowBurst)
        }
        Kind::SlidingCounter => {
            let base = SlidingCounter::new(limit, window);
            with_burst(options.burst, base, Policy::SlidingCounter, Policy::SlidingCounterBurst)
        }
        Kind::FixedWindow => {
            let align = input::or_default(options.align, false, |given| input::flag("align", given))?;
            let base = FixedWindow::new(limit, window, align);
            with_burst(options.burst, base, Policy::FixedWindow, Policy::FixedWindowBurst)
        }
        Kind::TokenBucket => {
            let burst = read_burst(options.burst, limit, 1..=MAX_UNITS)?;
            fills_in_time(limit, window, burst)?;
            Ok(Policy::TokenBucket(TokenBucket::new(limit, window, burst)))
        }
        Kind::LeakyBucket => {
            // One unit leaves at once, so the bucket is larger by that than what waits.
            let burst = read_burst(options.burst, limit.min(MAX_UNITS - 1), 0..=MAX_UNITS - 1)?;
            fills_in_time(limit, window, burst + 1)?;
            Ok(Policy::LeakyBucket(LeakyBucket::new(limit, window, burst)))
        }
    }
}

/// A limit on the periods of a calendar. What has no meaning there is refused.
fn calendar(limit: u64, fields: &[(String, Given)], options: &Options<'_>) -> Result<Policy, Error> {
    let periods = periods(fields).map_err(|error| input::within("window", error))?;
    let kind =
        input::or_default(options.algorithm, Kind::FixedWindow, |given| input::word("algorithm", given, &KINDS))?;
    let align = input::or_default(options.align, false, |given| input::flag("align", given))?;
    let other = if kind == Kind::FixedWindow {
        let others = [("resolution", options.resolution), ("burst", options.burst)];
        let given = others.into_iter().find(|(_, given)| **given != Given::Missing).map(|(name, _)| name);
        given.or(align.then_some("align")).map(|name| format!("has no `{name}`: leave it out"))
    } else {
        Some(format!("is for `algorithm: '{}'`: leave `algorithm` out, or choose that one", FixedWindow::NAME))
    };
    match other {
        Some(why) => Err(input::contradiction(format!(
            "a `window` of the calendar {why}, or give `window` a length such as '1d'"
        ))),
        None => Ok(Policy::Calendar(Calendar::new(limit, periods))),
    }
}

/// The periods that a `window` of the calendar names.
pub fn periods(fields: &[(String, Given)]) -> Result<&'static Periods, Error> {
    input::only_known("`window`", fields, &["calendar", "timeZone", "weekStart"])?;
    let words = [("day", Unit::Day), ("week", Unit::Week), ("month", Unit::Month)];
    let unit = input::word("calendar", input::field(fields, "calendar"), &words)?;
    let week_start = input::field(fields, "weekStart");
    if *week_start != Given::Missing && unit != Unit::Week {
        return Err(input::contradiction("`weekStart` is for `calendar: 'week'` only: leave it out".into()));
    }
    let unit = input::or_default(week_start, unit, |given| {
        input::word("weekStart", given, &[("monday", Unit::Week), ("sunday", Unit::WeekFromSunday)])
    })?;
    let zone = input::field(fields, "timeZone");
    let expected = "the name of a time zone such as 'Europe/Paris', 'America/New_York' or 'UTC'";
    let name = input::or_default(zone, "UTC", |given| input::text("timeZone", given, 64, expected, |_| true))?;
    let refuse = || Error::Option(zone.refuse("timeZone", expected, |given| matches!(given, Given::Text(_))));
    Periods::of(unit, name).ok_or_else(refuse)
}

fn read_burst(given: &Given, default: u64, range: RangeInclusive<u64>) -> Result<u64, Error> {
    input::or_default(given, default, |given| input::whole("burst", given, range).map_err(Error::Option))
}

/// A windowed algorithm, with a burst where one is given.
fn with_burst<A: Windowed>(
    given: &Given,
    base: A,
    plain: fn(A) -> Policy,
    more: fn(WithBurst<A>) -> Policy,
) -> Result<Policy, Error> {
    if *given == Given::Missing {
        return Ok(plain(base));
    }
    let expected = format!(
        "an object such as {{ extra: 5, window: '10s' }} (a number is for `algorithm: '{}'` and '{}')",
        TokenBucket::NAME,
        LeakyBucket::NAME
    );
    let fields = input::record("burst", given, &expected)?;
    input::only_known("`burst`", fields, &["extra", "window"])?;
    let most = MAX_UNITS - base.capacity().min(MAX_UNITS - 1);
    let extra = input::whole("extra", input::field(fields, "extra"), 1..=most).map_err(Error::Option);
    let extra = extra.map_err(|error| input::within("burst", error))?;
    let window = input::duration("window", input::field(fields, "window"), Micros(1)..=MAX_WINDOW);
    let window = window.map_err(|error| input::within("burst", error))?;
    Ok(more(WithBurst::new(base, extra, window)))
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
/// Units that were used, of which there may be none, and more than the limit.
pub fn used(name: &str, given: Option<&Given>) -> Result<u64, Error> {
    input::whole(name, given.unwrap_or(&Given::Missing), 0..=MAX_UNITS).map_err(Error::Cost)
}
