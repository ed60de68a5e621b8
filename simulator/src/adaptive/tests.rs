//! What is promised of the controller, and of a fleet of them: goodput, settling, and no oscillation.

use super::event_loop::{self, Hears};
use super::fleet::{self, MEMBERS, TROUBLES};
use super::rivals::Rival;
use super::scenario::ALL;
use super::server::{Moment, judge, play};

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

/// By timers alone the first blow lasts: while the loop works off one queue, it lets in the next.
#[test]
fn an_event_loop_that_hears_of_its_load_while_it_works_soon_has_the_first_blow_behind_it() {
    let goodput = |hears| {
        let run = |seed| event_loop::after_the_first_blow(&event_loop::play(hears, seed));
        let mut runs: Vec<f64> = (1..=25).map(run).collect();
        runs.sort_by(f64::total_cmp);
        runs
    };
    let [never, timer, calls] = [Hears::Never, Hears::ByTimer, Hears::ByCalls].map(goodput);
    assert!(never[24] < 0.2, "{never:?}");
    assert!(calls[0] >= 0.7 && calls[2] >= 0.8 && calls[12] >= 0.85, "{calls:?}");
    assert!(calls[12] >= timer[12] + 0.05, "{calls:?}, by timers {timer:?}");
}

fn of_fleet(name: &str, is_of_fleet: bool, seed: u64) -> (super::server::Result, Vec<Moment>) {
    let (_, trouble) = TROUBLES.into_iter().find(|(other, _)| *other == name).expect("there is one of that name");
    let moments = fleet::play(trouble, is_of_fleet, seed);
    (judge(trouble.scenario(), &moments), moments)
}

#[test]
fn a_fleet_that_goes_by_the_mean_does_not_oscillate() {
    for seed in 1..=5 {
        for (name, _) in TROUBLES {
            let (result, _) = of_fleet(name, true, seed);
            assert!(result.swing <= 0.15, "{name} {seed}: {result:?}");
        }
    }
}

#[test]
fn where_requests_are_spread_evenly_a_fleet_bears_what_one_server_does() {
    for seed in 1..=5 {
        let (result, _) = of_fleet("load-balanced", true, seed);
        assert!(result.goodput >= 0.8 && result.settled <= 15.0, "{seed}: {result:?}");
    }
}

/// By chance each has too much at times, and gives way for that: the mean must not make it worse.
#[test]
fn a_fleet_whose_load_is_spread_by_chance_bears_as_much_by_the_mean_as_each_alone() {
    for seed in 1..=5 {
        let [alone, mean] = [false, true].map(|is_of_fleet| of_fleet("load", is_of_fleet, seed).0.goodput);
        assert!(mean >= 0.6 && mean >= alone - 0.1, "{seed}: {mean}, each alone {alone}");
    }
}

/// By the least of all levels it would be closed.
#[test]
fn one_that_is_slow_takes_no_more_than_its_part_from_a_fleet() {
    let others = 1.0 - 1.0 / MEMBERS as f64;
    for seed in 1..=5 {
        for name in ["slow", "slow-bucket"] {
            let (_, moments) = of_fleet(name, true, seed);
            let least = moments.iter().map(|moment| moment.level).fold(1.0, f64::min);
            assert!(least >= others - 0.01, "{name} {seed}: {least}");
            assert!(moments.last().unwrap().level < 0.99, "{name} {seed}: it has not been told");
        }
    }
}

#[test]
fn one_that_is_slow_is_of_use_only_where_it_goes_by_its_own_load() {
    for seed in 1..=5 {
        let [alone, mean] = [false, true].map(|is_of_fleet| of_fleet("slow", is_of_fleet, seed).0.goodput);
        assert!(alone > mean, "{seed}: {alone}, by the mean {mean}");
    }
}
