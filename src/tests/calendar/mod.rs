//! Windows that are days, weeks and months of a time zone. How stores keep to them is in `conformance/calendar.rs`.

pub(super) mod model;
mod periods;
mod twins;

use std::ops::Range;

use proptest::prelude::*;

use super::schedule::Op;
use crate::algorithm::{Algorithm, Ask, Calendar, Change};
use crate::calendar::{Periods, Unit};
use crate::clock::Micros;

const SECOND: u64 = 1_000_000;
pub(super) const HOUR: u64 = 3_600 * SECOND;

/// Zones that have something of their own, with the second of a day of which something is odd there.
const ODD: [(&str, u64); 9] = [
    // Nothing is.
    ("UTC", 1_772_323_200),
    // 23 hours, and 25.
    ("Europe/Paris", 1_774_746_000),
    ("America/New_York", 1_793_505_600),
    // 24 and a half.
    ("Australia/Lord_Howe", 1_775_314_800),
    // A day that was left out.
    ("Pacific/Apia", 1_325_239_200),
    ("Pacific/Kwajalein", 745_848_000),
    // Midnight was left out, or came twice.
    ("America/Havana", 1_772_946_000),
    ("America/St_Johns", 1_162_092_600),
    ("Asia/Gaza", 1_743_196_860),
];

pub(super) fn periods(unit: Unit, zone: &str) -> &'static Periods {
    Periods::of(unit, zone).unwrap_or_else(|| panic!("no zone is called {zone}"))
}

/// A limit, and a moment at which something is about to happen.
fn policy() -> impl Strategy<Value = (Calendar, Micros)> {
    let units = prop::sample::select(vec![Unit::Day, Unit::Day, Unit::Week, Unit::WeekFromSunday, Unit::Month]);
    let hours = -30..30i64;
    (prop_oneof![3 => 1..=20u64, 1 => Just(1 << 32)], units, prop::sample::select(ODD.to_vec()), hours).prop_map(
        |(limit, unit, (zone, second), hours)| {
            let at = Micros((second * SECOND).saturating_add_signed(hours * HOUR.cast_signed()));
            (Calendar::new(limit, periods(unit, zone)), at)
        },
    )
}

fn op(limit: u64) -> impl Strategy<Value = Op> {
    let units = move || prop_oneof![4 => 1..=limit.min(20), 1 => 1..=limit];
    prop_oneof![
        6 => units().prop_map(|cost| Op::Ask(Ask::all(cost))),
        2 => units().prop_map(|cost| Op::Ask(Ask { cost, least: 1 })),
        1 => units().prop_map(|cost| Op::Ask(Ask::look(cost))),
        1 => units().prop_map(|units| Op::Change(Change::Refund(units))),
        1 => units().prop_map(|units| Op::Change(Change::Penalize(units))),
    ]
}

/// Calls from that moment on, in steps within this range: mostly of minutes and hours, some of a microsecond, and some onto the
/// very end of a period and around it.
pub(in crate::tests) fn schedule(jumps: Range<i64>) -> impl Strategy<Value = (Calendar, Vec<(Micros, Op)>)> {
    policy().prop_flat_map(move |(calendar, start)| {
        let gap = prop_oneof![
            3 => jumps.clone().prop_map(Ok),
            2 => (0..5i64).prop_map(Ok),
            1 => (-1..=1i64).prop_map(Err),
        ];
        prop::collection::vec((gap, op(calendar.capacity())), 1..60).prop_map(move |steps| {
            let mut now = start;
            let calls = steps.into_iter().map(|(gap, op)| {
                now = match gap {
                    Ok(gap) => Micros(now.0.saturating_add_signed(gap)),
                    Err(beside) => Micros(calendar.periods().at(now).end.0.saturating_add_signed(beside)),
                };
                (now, op)
            });
            (calendar, calls.collect())
        })
    })
}
