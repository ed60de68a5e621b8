//! What is promised of the controller: goodput, settling, and no oscillation.

use super::rivals::Rival;
use super::scenario::ALL;
use super::server::{judge, play};

fn judged(name: &str, seed: u64) -> Vec<(&'static str, super::server::Result)> {
    let of = |(scenario, what): (&'static str, super::scenario::Scenario)| {
        let mut rival = Rival::named(name).expect("there is one of that name");
        (scenario, judge(what, &play(what, &mut rival, seed)))
    };
    ALL.into_iter().map(of).collect()
}

#[test]
fn goodput_stays_above_four_fifths_in_every_scenario() {
    for seed in 1..=5 {
        for (scenario, result) in judged("own", seed) {
            assert!(result.goodput >= 0.8, "{scenario} {seed}: {result:?}");
        }
    }
}

#[test]
fn it_settles_within_fifteen_seconds() {
    for seed in 1..=5 {
        for (scenario, result) in judged("own", seed) {
            assert!(result.settled <= 15.0, "{scenario} {seed}: {result:?}");
        }
    }
}

#[test]
fn it_does_not_oscillate_once_it_has_settled() {
    for seed in 1..=5 {
        for (scenario, result) in judged("own", seed) {
            assert!(result.swing <= 0.15, "{scenario} {seed}: {result:?}");
        }
    }
}

#[test]
fn without_a_controller_goodput_collapses_where_the_overload_lasts() {
    for (scenario, result) in judged("whole", 1) {
        if !scenario.ends_with("spike") {
            assert!(result.goodput < 0.2, "{scenario}: {result:?}");
        }
    }
}
