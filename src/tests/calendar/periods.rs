//! When periods begin: as Python's zoneinfo has it in every zone, and where something is odd as history had it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::{SECOND, periods};
use crate::calendar::{Period, Periods, Unit, zones};
use crate::clock::Micros;

/// What `scripts/zones.py` has written.
const REFERENCE: &str = include_str!("../../../__test__/vectors/zones.txt");

const UNITS: [Unit; 4] = [Unit::Day, Unit::Week, Unit::WeekFromSunday, Unit::Month];

/// The first second of a year in UTC.
fn year(year: u64) -> u64 {
    (year - 1970) * 365 * 86_400 + ((year - 1969) / 4) * 86_400
}

/// The digest of when periods begin, the first of them that in which the first year does. Every period is asked for by several of
/// its moments, the last one among them.
fn digest(periods: &Periods, first: u64, last: u64) -> String {
    let mut now = Micros(year(first) * SECOND);
    let mut begins = String::new();
    while now.0 < year(last + 1) * SECOND {
        let period @ Period { begin, end } = periods.at(now);
        assert!(begin <= now && now < end && end - begin <= periods.most(), "{periods:?}: {period:?} at {now:?}");
        for moment in [end - Micros(1), Micros(begin.0 + (end - begin).0 / 2), begin] {
            // So that none is told what is remembered.
            periods.at(end);
            assert_eq!(periods.at(moment), period, "{periods:?} at {moment:?}");
        }
        writeln!(begins, "{}", begin.0 / SECOND).unwrap();
        now = end;
    }
    Sha256::digest(begins.as_bytes())[..6].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[test]
fn in_every_zone_they_begin_as_the_reference_says() {
    let mut known = BTreeSet::new();
    for line in REFERENCE.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(' ').collect();
        let [zone, first, last, digests @ ..] = &fields[..] else { panic!("no zone: {line}") };
        for (unit, expected) in UNITS.into_iter().zip(digests) {
            let own = digest(periods(unit, zone), first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(own, *expected, "{unit:?} in {zone}, {first} to {last}");
        }
        assert_eq!(digests.len(), UNITS.len());
        known.insert(*zone);
    }
    assert_eq!(known, zones().collect(), "each zone that there is");
}

/// Of a period in which that second lies: how many hours it has, and when it began.
fn hours(unit: Unit, zone: &str, second: u64) -> (f64, u64) {
    let Period { begin, end } = periods(unit, zone).at(Micros(second * SECOND));
    #[expect(clippy::cast_precision_loss, reason = "some days")]
    ((end - begin).0 as f64 / 3_600e6, begin.0 / SECOND)
}

#[test]
fn days_are_as_long_as_they_were() {
    // 2026-03-29 and 2026-10-25 in Paris, each from 00:00.
    assert_eq!(hours(Unit::Day, "Europe/Paris", 1_774_746_000), (23.0, 1_774_738_800));
    assert_eq!(hours(Unit::Day, "Europe/Paris", 1_792_899_000), (25.0, 1_792_879_200));
    assert_eq!(hours(Unit::Month, "Europe/Paris", 1_774_746_000), (31.0 * 24.0 - 1.0, 1_772_319_600));
    // 2026-04-05, when clocks were put back by half an hour.
    assert_eq!(hours(Unit::Day, "Australia/Lord_Howe", 1_775_314_800).0, 24.5);
    // 2011-12-29 in Samoa was followed by the 31st.
    assert_eq!(hours(Unit::Day, "Pacific/Apia", 1_325_239_199), (24.0, 1_325_152_800));
    assert_eq!(hours(Unit::Day, "Pacific/Apia", 1_325_239_200), (24.0, 1_325_239_200));
    assert_eq!(hours(Unit::Week, "Pacific/Apia", 1_325_239_200).0, 6.0 * 24.0);
    assert_eq!(hours(Unit::Month, "Pacific/Apia", 1_325_239_200).0, 30.0 * 24.0);
    // 1993-08-20 on Kwajalein was followed by the 22nd.
    assert_eq!(hours(Unit::Month, "Pacific/Kwajalein", 745_848_000).0, 30.0 * 24.0);
    // 2006-10-29 in Newfoundland: at 00:01 it was 23:01 of the day before again, which had ended all the same.
    let first_midnight = 1_162_089_000;
    assert_eq!(hours(Unit::Day, "America/St_Johns", first_midnight + 1_800), (25.0, first_midnight));
    assert_eq!(hours(Unit::Day, "America/St_Johns", first_midnight + 30), (25.0, first_midnight));
    // 2026-03-08 in Havana began at 01:00.
    assert_eq!(hours(Unit::Day, "America/Havana", 1_772_946_000), (23.0, 1_772_946_000));
}

#[test]
fn a_zone_is_known_by_its_name_alone() {
    assert_eq!(periods(Unit::Day, "europe/PARIS"), periods(Unit::Day, "Europe/Paris"));
    assert_eq!(periods(Unit::Day, "europe/PARIS").zone(), "Europe/Paris");
    assert_ne!(periods(Unit::Day, "Europe/Paris"), periods(Unit::Week, "Europe/Paris"));
    for name in ["", " ", "Paris", "Europe/Pari", "Europe/Paris 1", "Europe/Paris\n", "CET-1CEST", "+02:00", "Europe"] {
        assert!(Periods::of(Unit::Day, name).is_none(), "{name:?}");
    }
}

/// The last period that was asked for is remembered, and whoever asks for another is told of that one, from several threads at once.
#[test]
fn who_asks_for_other_moments_meanwhile_changes_nothing() {
    let days = periods(Unit::Day, "Australia/Lord_Howe");
    let start = year(2026) * SECOND;
    let expected: Vec<Period> = (0..400).map(|day| days.at(Micros(start + day * 86_400 * SECOND))).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let expected = &expected;
            scope.spawn(move || {
                for turn in 0..20_000 {
                    let day = (turn * (2 * thread + 1)) % 400;
                    assert_eq!(days.at(Micros(start + day * 86_400 * SECOND)), expected[usize::try_from(day).unwrap()]);
                }
            });
        }
    });
}

/// Nobody's clock shows them, and nothing panics.
#[test]
fn the_first_and_the_last_moments_have_periods() {
    for unit in UNITS {
        for zone in ["UTC", "Europe/Paris", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
            let periods = periods(unit, zone);
            for now in [0, 1, SECOND, 86_400 * SECOND, (1 << 53) - 1, 1 << 60] {
                let Period { begin, end } = periods.at(Micros(now));
                assert!(begin.0 <= now && now < end.0, "{periods:?} at {now}");
                let [before, present, next, after] = periods.around(Micros(now));
                assert!(before <= present && present <= Micros(now) && Micros(now) < next && next < after);
                assert_eq!((present, next), (begin, end));
            }
        }
    }
}
