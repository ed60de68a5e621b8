//! Days of the Gregorian calendar, each a number counted from 1970-01-01 on.

/// Days of a common year before each month.
const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Days from the first of the year 1 to 1970-01-01.
const TO_1970: i64 = 719_162;

/// A month of a year, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Month {
    pub(super) year: i64,
    pub(super) month: usize,
}

impl Month {
    /// That in which a day lies.
    pub(super) fn of(day: i64) -> Self {
        // Never too late, and early by a year or two at most in the years that there are.
        let mut year = 1970 + day.div_euclid(366) - 1;
        while first(year + 1, 0) <= day {
            year += 1;
        }
        let month = (1..12).rev().find(|month| first(year, *month) <= day).unwrap_or(0);
        Self { year, month }
    }

    /// Its first day.
    pub(super) fn first(self) -> i64 {
        first(self.year, self.month)
    }

    /// The one after it.
    pub(super) fn next(self) -> Self {
        match self.month {
            11 => Self { year: self.year + 1, month: 0 },
            month => Self { month: month + 1, ..self },
        }
    }
}

fn first(year: i64, month: usize) -> i64 {
    let past = year - 1;
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    past * 365 + past / 4 - past / 100 + past / 400 + BEFORE[month] + i64::from(is_leap && month > 1) - TO_1970
}

/// Days since the last one that was `weekday`, which is counted from Monday as 0; none on such a day.
pub(super) fn since(weekday: i64, day: i64) -> i64 {
    // The first of 1970 was a Thursday.
    (day + 3 - weekday).rem_euclid(7)
}
