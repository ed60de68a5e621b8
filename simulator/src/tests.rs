//! Whole worlds.

use distributed_rate_limiter::algorithm::Ask;
use distributed_rate_limiter::clock::Micros;

use crate::load::Load;
use crate::report;
use crate::simulation::{Course, run, run_by};
use crate::world::{Kind, Mode, Shape, World};

const KINDS: [Kind; 2] = [Kind::SlidingWindow, Kind::TokenBucket];
const MODES: [Mode; 4] = [Mode::Strict, Mode::Merged, Mode::Known, Mode::Leased];

/// A few keys that are asked for more than their limit.
fn busy(kind: Kind, mode: Mode) -> World {
    World { keys: 20, rate: 20_000.0, limit: 500, warm_s: 1.0, seconds: 2.0, kind, mode, ..World::default() }
}

fn told(world: &World) -> String {
    let Course { tally, nodes, used } = run(world);
    report::write(world, &tally, &nodes, used)
}

#[test]
fn the_same_seed_gives_the_same_report() {
    for mode in MODES {
        let world = busy(Kind::SlidingWindow, mode);
        assert_eq!(told(&world), told(&world));
        assert_ne!(told(&world), told(&World { seed: 2, ..world }));
    }
}

/// Nothing is between a call and its decision then, so each is decided by the steps of the policy in the order of the calls.
#[test]
fn a_world_without_latency_decides_as_the_policy_does() {
    for kind in KINDS {
        for mode in [Mode::Strict, Mode::Merged, Mode::Known] {
            let world = World { way_us: 0.0, wake_us: 0, call_ns: 0, key_ns: 0, warm_s: 0.0, ..busy(kind, mode) };
            let (mut load, policy) = (Load::new(&world), world.policy());
            let (mut states, mut admitted) = (vec![policy.fresh(); 20], 0);
            loop {
                let call = load.draw();
                if call.at >= 2_000_000_000 {
                    break;
                }
                let now = Micros(1_000_000_000_000 + call.at / 1_000);
                admitted += policy.step(&mut states[call.rank as usize - 1], now, Ask::all(1)).granted;
            }
            assert_eq!(run(&world).tally.stored, admitted, "{kind:?}, {mode:?}");
        }
    }
}

#[test]
fn nothing_is_admitted_over_the_limit_and_every_call_is_counted_once() {
    for kind in KINDS {
        for mode in MODES {
            for shape in [Shape::Steady, Shape::Wandering { period_us: 50_000, one_in: 4 }] {
                let world = World { shape, ..busy(kind, mode) };
                let tally = run(&world).tally;
                assert_eq!(tally.over, 0, "{world:?}");
                let decided = tally.leased + tally.stored + tally.known + tally.refused + tally.late;
                assert!(decided.abs_diff(tally.calls) < 200, "{decided} of {}", tally.calls);
                assert_eq!(tally.leased > 0, mode == Mode::Leased);
                assert_eq!(tally.known > 0, mode >= Mode::Known);
            }
        }
    }
}

/// Otherwise a report of none over the limit would say nothing.
#[test]
fn it_is_seen_when_too_much_is_admitted() {
    for kind in KINDS {
        let world = busy(kind, Mode::Strict);
        let more = World { limit: world.limit + 1, ..world.clone() }.policy();
        assert!(run_by(&world, more).tally.over > 0, "{kind:?}");
    }
}

/// A leased unit may be used until its lease ends, so it must count for so much longer.
#[test]
fn it_is_seen_when_leased_units_come_back_too_soon() {
    let world = World { lease_us: 200_000, ..busy(Kind::SlidingWindow, Mode::Leased) };
    assert_eq!(run(&world).tally.over, 0);
    assert!(run_by(&world, world.policy()).tally.over > 0);
}

/// A key whose units come in bursts of a window's period would otherwise have used more or less by when one looks.
#[test]
fn what_is_used_of_a_limit_does_not_depend_on_when_it_is_looked_at() {
    let world = World { keys: 1, rate: 2_000.0, limit: 1_000, ..busy(Kind::SlidingWindow, Mode::Known) };
    let under = |warm_s| run(&World { warm_s, seconds: 20.0, ..world.clone() }).used.under;
    let all = [5.0, 5.3, 5.6, 5.9].map(under);
    let (least, most) = all.iter().fold((f64::MAX, f64::MIN), |(least, most), one| (least.min(*one), most.max(*one)));
    // A slot is a thirty-second of the window, and no more than that is lost.
    assert!(least > 0.0 && most < 1.0 / 32.0 && most - least < 0.003, "{all:?}");
}

#[test]
fn each_mode_asks_redis_less_than_the_one_before() {
    let operations = |mode| {
        // A limit that nobody reaches leaves nothing to refuse, one that is reached leaves little to lease.
        let world = World { nodes: 4, limit: 20_000, lease_us: 100_000, ..busy(Kind::SlidingWindow, mode) };
        let reached = run(&World { limit: 100, ..world.clone() });
        let far = run(&world);
        [reached, far].map(|course| course.nodes.iter().map(|node| node.keys).sum::<u64>())
    };
    let [strict, merged, known, leased] = MODES.map(operations);
    assert!(merged[0] < strict[0] && merged[1] < strict[1], "{strict:?} {merged:?}");
    assert!(known[0] < merged[0] / 2, "{merged:?} {known:?}");
    assert!(leased[1] < known[1] / 2, "{known:?} {leased:?}");
}
