//! Days, weeks and months as they are lived in a time zone: when each of them begins and ends.
//!
//! A period begins at the first moment at which calendars there show its first day, or a later one. That is midnight; where the
//! clock is put forward over midnight it is the moment when that is done, where midnight comes twice it is the first of them, and
//! a day that a zone has left out has no moment at all. It ends when the next one begins, so that a day may have 23 hours or 25.

mod date;
mod zone;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::clock::Micros;
use date::{Month, since};
use zone::Zone;

/// What periods are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Days.
    Day,
    /// Weeks that begin on Monday, as ISO 8601 has them.
    Week,
    /// Weeks that begin on Sunday.
    WeekFromSunday,
    /// Months.
    Month,
}

impl Unit {
    /// Its name in options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week | Self::WeekFromSunday => "week",
            Self::Month => "month",
        }
    }

    /// No period is longer, wherever.
    fn most(self) -> Micros {
        const DAY: u64 = 86_400_000_000;
        Micros(match self {
            Self::Day => 2 * DAY,
            Self::Week | Self::WeekFromSunday => 8 * DAY,
            Self::Month => 32 * DAY,
        })
    }

    /// The first day of the period in which a day lies.
    fn first(self, day: i64) -> i64 {
        match self {
            Self::Day => day,
            Self::Week => day - since(0, day),
            Self::WeekFromSunday => day - since(6, day),
            Self::Month => Month::of(day).first(),
        }
    }

    /// The first day of the period after the one with that first day.
    fn next(self, first: i64) -> i64 {
        match self {
            Self::Day => first + 1,
            Self::Week | Self::WeekFromSunday => first + 7,
            Self::Month => Month::of(first).next().first(),
        }
    }
}

/// A period: from its first moment up to the first of the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The first moment that belongs to it.
    pub begin: Micros,
    /// The first that does not.
    pub end: Micros,
}

/// The periods of a zone. There is one of these for each zone and unit that was ever asked for, and it stays: at most some thousands.
pub struct Periods {
    unit: Unit,
    zone: Zone,
    /// The period that was asked for last, in seconds: when it began, and in the lowest 24 bits how long it is. Nearly always it
    /// is the one that is asked for next.
    last: AtomicU64,
}

/// Those that there are.
static KNOWN: Mutex<Vec<&'static Periods>> = Mutex::new(Vec::new());

/// Bits of a period's length in seconds. A month has 22 of them.
const LENGTH: u32 = 24;

const SECOND: u64 = 1_000_000;

impl Periods {
    /// Those of a zone that has this name; its letters' case does not matter.
    pub fn of(unit: Unit, zone: &str) -> Option<&'static Self> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |periods: &&&Self| periods.unit == unit && periods.zone.name.eq_ignore_ascii_case(zone);
        if let Some(periods) = known.iter().find(is_it) {
            return Some(periods);
        }
        let periods: &'static Self =
            Box::leak(Box::new(Self { unit, zone: Zone::find(zone)?, last: AtomicU64::new(0) }));
        known.push(periods);
        Some(periods)
    }

    /// What they are.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// The zone's name, as the tz database spells it.
    pub fn zone(&self) -> &'static str {
        self.zone.name
    }

    /// No period is longer.
    pub fn most(&self) -> Micros {
        self.unit.most()
    }

    /// The period in which a moment lies.
    #[inline]
    pub fn at(&self, now: Micros) -> Period {
        let last = self.last.load(Ordering::Relaxed);
        let begin = (last >> LENGTH) * SECOND;
        let end = begin + (last & ((1 << LENGTH) - 1)) * SECOND;
        if begin <= now.0 && now.0 < end {
            return Period { begin: Micros(begin), end: Micros(end) };
        }
        self.look_up(now)
    }

    /// The beginnings of the period before, of the present one and of the next, and the end of that.
    pub fn around(&self, now: Micros) -> [Micros; 4] {
        let present = self.at(now);
        // There is no time before 1970.
        let before = if present.begin == Micros::ZERO { present } else { self.reckon(present.begin - Micros(1)) };
        [before.begin, present.begin, present.end, self.reckon(present.end).end]
    }

    #[cold]
    fn look_up(&self, now: Micros) -> Period {
        let period = self.reckon(now);
        let begin = period.begin.0 / SECOND;
        if begin >> (64 - LENGTH) == 0 {
            self.last.store((begin << LENGTH) | ((period.end - period.begin).0 / SECOND), Ordering::Relaxed);
        }
        period
    }

    fn reckon(&self, now: Micros) -> Period {
        let second = i64::try_from(now.0 / SECOND).unwrap_or(i64::MAX);
        let mut first = self.unit.first(self.zone.day_at(second));
        // Where a clock was put back over midnight, calendars show a day again whose period has ended.
        let end = loop {
            let next = self.unit.next(first);
            let end = self.zone.start_of(next);
            if end > second {
                break end;
            }
            first = next;
        };
        let moment = |second: i64| Micros(u64::try_from(second).unwrap_or(0).saturating_mul(SECOND));
        Period { begin: moment(self.zone.start_of(first)), end: moment(end) }
    }
}

/// There is one of each.
impl PartialEq for Periods {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Periods {}

impl fmt::Debug for Periods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in {}", self.unit, self.zone.name)
    }
}

#[cfg(test)]
pub(crate) fn zones() -> impl Iterator<Item = &'static str> {
    Zone::names()
}
