//! The circuit breaker as its diagram says: when it opens, when it probes, how long it waits.

use proptest::prelude::*;

use crate::circuit::{Circuit, State};
use crate::clock::Micros;

const NOW: Micros = Micros::from_millis(1_000);

/// A breaker of a store that has just been reached.
fn closed() -> Circuit {
    let mut circuit = Circuit::new();
    circuit.close();
    circuit
}

/// How long an open circuit leaves the store alone.
fn wait(circuit: &Circuit, now: Micros) -> Micros {
    match circuit.state() {
        State::Open { until } => until - now,
        other => panic!("not open but {other:?}"),
    }
}

/// Opens, and fails the probe so many times less one: the waits that this made.
fn waits(circuit: &mut Circuit, times: usize, chance: f64) -> Vec<u64> {
    let mut now = NOW;
    let mut waits = Vec::new();
    for _ in 0..times {
        circuit.open(now, chance);
        let wait = wait(circuit, now);
        waits.push(wait.0);
        now = now + wait;
        assert!(circuit.probe(now));
    }
    waits
}

#[test]
fn the_first_connection_is_the_first_probe() {
    let mut circuit = Circuit::new();
    assert_eq!(circuit.state(), State::Probing);
    assert!(!circuit.probe(NOW), "a second probe beside the first");
    circuit.close();
    assert_eq!(circuit.state(), State::Closed);
}

#[test]
fn two_failures_in_a_row_open_it() {
    let mut circuit = closed();
    circuit.failed(NOW, 0.5);
    assert_eq!(circuit.state(), State::Closed);
    circuit.failed(NOW, 0.5);
    assert!(matches!(circuit.state(), State::Open { .. }));
}

#[test]
fn a_success_in_between_starts_the_count_anew() {
    let mut circuit = closed();
    for _ in 0..10 {
        circuit.failed(NOW, 0.5);
        circuit.succeeded();
    }
    assert_eq!(circuit.state(), State::Closed);
}

/// Were the count kept, the first failure after each recovery would open the circuit.
#[test]
fn failures_from_before_it_opened_do_not_count_after() {
    let mut circuit = closed();
    circuit.failed(NOW, 0.5);
    circuit.open(NOW, 0.5);
    assert!(circuit.probe(NOW + wait(&circuit, NOW)));
    circuit.close();
    circuit.failed(NOW, 0.5);
    assert_eq!(circuit.state(), State::Closed);
}

#[test]
fn a_lost_connection_opens_it_at_once() {
    let mut circuit = closed();
    circuit.open(NOW, 0.5);
    assert!(matches!(circuit.state(), State::Open { .. }));
}

#[test]
fn a_probe_goes_out_when_it_is_due_and_only_once() {
    let mut circuit = closed();
    assert!(!circuit.probe(NOW), "a closed circuit has nothing to probe");
    circuit.open(NOW, 0.5);
    let due = NOW + wait(&circuit, NOW);
    assert!(!circuit.probe(due - Micros(1)));
    assert!(circuit.probe(due));
    assert_eq!(circuit.state(), State::Probing);
    assert!(!circuit.probe(due));
}

#[test]
fn the_wait_doubles_from_20_to_500_ms_and_chance_takes_up_to_half_of_it() {
    let whole = [20_000, 40_000, 80_000, 160_000, 320_000, 500_000, 500_000];
    assert_eq!(waits(&mut closed(), 7, 1.0), whole);
    assert_eq!(waits(&mut closed(), 7, 0.0), whole.map(|wait| wait / 2));
    assert_eq!(waits(&mut closed(), 7, 0.5), whole.map(|wait| wait / 4 * 3));
}

/// A shift by the number of attempts would overflow after 64 of them, half a minute into an outage.
#[test]
fn the_wait_stays_at_its_longest_however_long_the_outage() {
    assert_eq!(waits(&mut closed(), 1_000, 1.0)[999], 500_000);
}

/// Were the wait reset by a probe, a store that answers probes and fails at work would be asked 100 times a second.
#[test]
fn a_probe_that_succeeds_keeps_the_wait_and_work_that_succeeds_resets_it() {
    let mut circuit = closed();
    waits(&mut circuit, 3, 1.0);
    circuit.close();
    assert_eq!(waits(&mut circuit, 1, 1.0), [160_000]);
    circuit.close();
    circuit.succeeded();
    assert_eq!(waits(&mut circuit, 1, 1.0), [20_000]);
}

/// What can happen to a breaker; each has a meaning in some of its states only.
#[derive(Clone, Copy, Debug)]
enum Event {
    Succeeds,
    Fails,
    Breaks,
    TimePasses,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![Just(Event::Succeeds), Just(Event::Fails), Just(Event::Breaks), Just(Event::TimePasses)]
}

proptest! {
    #![proptest_config(super::cases(2_000))]

    #[test]
    fn whatever_happens_it_opens_for_a_reason_waits_within_its_bounds_and_probes_when_due(
        events in prop::collection::vec((event(), 0..700_000u64, 0.0..=1.0), 1..60)
    ) {
        let mut circuit = Circuit::new();
        let mut now = NOW;
        // Batches that failed since one succeeded, and openings since then.
        let (mut failures, mut openings, mut relapses) = (0, 0u32, 0);
        for (event, gap, chance) in events {
            now = now + Micros(gap);
            let before = circuit.state();
            match (event, before) {
                (Event::Succeeds, State::Closed) => {
                    circuit.succeeded();
                    (failures, openings, relapses) = (0, 0, 0);
                }
                (Event::Succeeds, State::Probing) => circuit.close(),
                (Event::Fails, State::Closed) => {
                    circuit.failed(now, chance);
                    failures += 1;
                }
                (Event::Fails, State::Probing) | (Event::Breaks, State::Closed | State::Probing) => circuit.open(now, chance),
                (_, State::Open { until }) => prop_assert_eq!(circuit.probe(now), now >= until),
                (Event::TimePasses, _) => prop_assert!(!circuit.probe(now)),
            }
            match (before, circuit.state()) {
                (State::Closed, State::Closed) => prop_assert!(failures < 2),
                (State::Closed | State::Probing, State::Open { until }) => {
                    let relapsed = before == State::Closed && matches!(event, Event::Fails);
                    prop_assert!(!relapsed || failures == 2 || relapses > 1);
                    relapses += u32::from(relapsed);
                    prop_assert_eq!(circuit.is_on_trial(), relapses > 1);
                    let whole = 500_000.min(20_000 << openings.min(10));
                    let wait = (until - now).0;
                    prop_assert!((whole / 2..=whole).contains(&wait), "{wait} µs at opening {openings}");
                    openings += 1;
                    failures = 0;
                }
                (State::Open { until }, State::Probing) => prop_assert!(now >= until),
                (State::Probing, State::Closed) => prop_assert!(matches!(event, Event::Succeeds)),
                (before, after) => prop_assert_eq!(before, after),
            }
        }
    }
}
