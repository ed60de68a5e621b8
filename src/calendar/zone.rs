//! A time zone: from when on its clocks are how far ahead of UTC. The data is compiled in, so that all servers agree; what
//! `build/zones.rs` has packed is read here.

use super::date::{Month, since};

/// `name number` in each line, in alphabetical order.
static NAMES: &str = include_str!(concat!(env!("OUT_DIR"), "/zones.txt"));

/// The records, each behind its length.
static RECORDS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zones.bin"));

/// Rules are followed to the end of this year, that of the last moment there is.
const LAST_YEAR: i64 = 2_256;

/// Seconds of a day whose clocks are left alone.
const DAY: i64 = 86_400;

/// No clock is as far from UTC.
const FARTHEST: i64 = 2 * DAY;

/// See the module.
#[derive(Debug)]
pub(super) struct Zone {
    pub(super) name: &'static str,
    /// From which second on clocks show how many more than UTC. The first is from ever on.
    offsets: Box<[(i64, i64)]>,
}

impl Zone {
    /// The zone of a name, whichever its letters' case.
    pub(super) fn find(name: &str) -> Option<Self> {
        let lines = NAMES.lines().filter_map(|line| line.rsplit_once(' '));
        let (name, number) = lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let mut packed = Packed(RECORDS);
        for _ in 0..number.parse::<usize>().ok()? {
            let length = packed.index()?;
            packed.take(length)?;
        }
        packed.index()?;
        Some(Self { name, offsets: packed.offsets()?.into() })
    }

    /// The names of all zones.
    #[cfg(test)]
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0))
    }

    /// The day that calendars show at a second.
    pub(super) fn day_at(&self, second: i64) -> i64 {
        let (_, offset) = self.offsets[self.index_at(second)];
        (second + offset).div_euclid(DAY)
    }

    /// The first second at which calendars show a day, or a later one where they show it never.
    pub(super) fn start_of(&self, day: i64) -> i64 {
        let midnight = day * DAY;
        let mut index = self.index_at(midnight - FARTHEST);
        loop {
            let (from, offset) = self.offsets[index];
            let at = from.max(midnight - offset);
            match self.offsets.get(index + 1) {
                Some((until, _)) if *until <= at => index += 1,
                _ => return at,
            }
        }
    }

    fn index_at(&self, second: i64) -> usize {
        // The first is from ever on.
        self.offsets.partition_point(|(from, _)| *from <= second).max(1) - 1
    }
}

/// What is left of a record.
struct Packed(&'static [u8]);

impl Packed {
    fn take(&mut self, bytes: usize) -> Option<&'static [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> Option<i64> {
        Some(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | i64::from(*byte)))
    }

    fn byte(&mut self) -> Option<usize> {
        Some(usize::from(self.take(1)?[0]))
    }

    fn index(&mut self) -> Option<usize> {
        usize::try_from(self.number(2)?).ok()
    }

    /// Of three bytes, the first of which has the sign.
    fn seconds(&mut self) -> Option<i64> {
        let number = self.number(3)?;
        Some(if number < 1 << 23 { number } else { number - (1 << 24) })
    }

    fn offsets(mut self) -> Option<Vec<(i64, i64)>> {
        let known: Vec<i64> = (0..self.byte()?).map(|_| self.seconds()).collect::<Option<_>>()?;
        let mut offsets = vec![(i64::MIN, *known.first()?)];
        let mut last = 0;
        for _ in 0..self.index()? {
            last += match self.number(2)? {
                0xFFFF => self.number(4)?,
                quarters => quarters * 900,
            };
            offsets.push((last, *known.get(self.byte()?)?));
        }
        if self.byte()? == 1 {
            let [standard, summer] = [*known.get(self.byte()?)?, *known.get(self.byte()?)?];
            let [begins, ends] = [self.date()?, self.date()?];
            let from = offsets.len();
            for year in Month::of(last.div_euclid(DAY)).year..=LAST_YEAR {
                // Each stands on the clock that is shown until then.
                let changes = [(begins.second_of(year) - standard, summer), (ends.second_of(year) - summer, standard)];
                offsets.extend(changes.into_iter().filter(|(at, _)| *at > last));
            }
            offsets[from..].sort_unstable();
        }
        Some(offsets)
    }

    fn date(&mut self) -> Option<Date> {
        let [month, week, weekday] = [self.byte()?, self.byte()?, self.byte()?];
        Some(Date { month: month.checked_sub(1)?, week, weekday, seconds: self.seconds()? })
    }
}

/// When clocks are changed each year.
struct Date {
    /// From 0.
    month: usize,
    /// From 1; the fifth is the last, whichever that is.
    week: usize,
    /// From Sunday as 0.
    weekday: usize,
    /// From that day's midnight on.
    seconds: i64,
}

impl Date {
    /// Its second, as the clock shows it.
    fn second_of(&self, year: i64) -> i64 {
        let month = Month { year, month: self.month };
        let (week, weekday) = (self.week as i64, self.weekday as i64 - 1);
        // The last such day of the first seven, and so many weeks on; of the month where that is beyond it.
        let first = month.first() + 6;
        let mut day = first - since(weekday, first) + 7 * (week - 1);
        if day >= month.next().first() {
            day -= 7;
        }
        day * DAY + self.seconds
    }
}
