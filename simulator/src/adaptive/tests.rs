//! What is promised of the controller, and of a fleet of them: goodput, settling, and no oscillation.

use super::fleet::{self, MEMBERS, TROUBLES, Trouble};
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

#[test]
fn a_fleet_that_goes_by_the_mean_does_not_oscillate() {
    for seed in 1..=5 {
        for (name, trouble) in TROUBLES {
            let result = judge(trouble.scenario(), &fleet::play(trouble, true, seed));
            assert!(result.swing <= 0.15, "{name} {seed}: {result:?}");
        }
    }
}

#[test]
fn a_fleet_that_goes_by_the_mean_bears_what_all_are_asked_for() {
    for seed in 1..=5 {
        let result = judge(Trouble::Load.scenario(), &fleet::play(Trouble::Load, true, seed));
        assert!(result.goodput >= 0.8 && result.settled <= 15.0, "{seed}: {result:?}");
    }
}

/// By the least of all levels it would be closed.
#[test]
fn one_that_is_slow_takes_no_more_than_its_part_from_a_fleet() {
    for seed in 1..=5 {
        let moments = fleet::play(Trouble::Slow, true, seed);
        let least = moments.iter().map(|moment| moment.level).fold(1.0, f64::min);
        let others = 1.0 - 1.0 / MEMBERS as f64;
        assert!(least >= others - 0.01 && moments.last().unwrap().level < 0.99, "{seed}: {least}");
    }
}
