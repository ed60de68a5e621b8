//! The levels of a fleet as Redis keeps them: what they add up to, who counts, and what of it was not written by the script.

use std::cell::RefCell;

use proptest::prelude::*;

use super::fleet::CLOCK;
use super::schedule::START;
use super::server::Server;
use crate::adaptive::{Levels, Share, Sum};
use crate::clock::Micros;
use crate::fleet::HOLDS;
use crate::store::redis::levels;
use crate::store::redis::script::Script;

const NAME: &str = "rl:levels";

/// How long a sum is kept before all are looked at again.
const KEPT: Micros = Micros(HOLDS.0 / 6);

/// The hash, on time that stands in the key `now`.
struct Store {
    script: Script,
    client: RefCell<redis::Connection>,
    _server: Server,
}

impl Store {
    fn new() -> Self {
        let server = Server::start();
        let store = Self { script: levels::script(CLOCK), client: RefCell::new(server.client()), _server: server };
        store.set_clock(START);
        store
    }

    fn query<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        command.query(&mut self.client.borrow_mut()).unwrap()
    }

    fn set_clock(&self, now: Micros) {
        self.query::<()>(redis::cmd("SET").arg("now").arg(now.0));
    }

    fn said(&self, instance: &Levels, level: u64, holds: Micros) -> Result<Sum, crate::error::Error> {
        let call = levels::pack(&instance.announcement(holds), Share::thousandths(level));
        levels::read(&self.query(&call.command("EVAL", self.script.text())))
    }

    /// How many there are, and what they add up to, as an instance hears that is at `level`.
    fn say(&self, instance: &Levels, level: u64) -> (u32, u32) {
        let sum = self.said(instance, level, HOLDS).unwrap();
        (sum.instances, sum.parts)
    }

    fn leave(&self, instance: &Levels) {
        assert!(self.said(instance, 1_000, Micros::ZERO).is_err(), "who leaves is told of none");
    }

    fn write(&self, field: &str, value: &[u8]) {
        self.query::<()>(redis::cmd("HSET").arg(NAME).arg(field).arg(value));
    }

    /// The fields but that of the sum.
    fn instances(&self) -> usize {
        let fields: Vec<Vec<u8>> = self.query(redis::cmd("HKEYS").arg(NAME));
        fields.iter().filter(|field| !field.is_empty()).count()
    }
}

fn word(until: Micros, level: u16) -> Vec<u8> {
    [&until.0.to_be_bytes()[1..], &level.to_be_bytes()].concat()
}

#[test]
fn the_sum_is_of_all_who_have_spoken_and_not_left() {
    let store = Store::new();
    let [one, two, three] = [(); 3].map(|()| Levels::new("rl"));
    assert_eq!(store.say(&one, 1_000), (1, 1_000));
    assert_eq!(store.say(&two, 200), (2, 1_200));
    assert_eq!(store.say(&three, 500), (3, 1_700));
    assert_eq!(store.say(&one, 900), (3, 1_600), "what it said before does not count");
    assert_eq!(store.say(&Levels::new("another"), 1), (1, 1), "under another prefix");
    store.leave(&two);
    assert_eq!(store.say(&three, 500), (2, 1_400));
    store.leave(&two);
    assert_eq!(store.say(&three, 500), (2, 1_400), "who leaves twice takes nobody along");
}

#[test]
fn who_has_not_spoken_for_long_counts_no_more() {
    let store = Store::new();
    let [dies, lives] = [(); 2].map(|()| Levels::new("rl"));
    store.say(&dies, 10);
    store.set_clock(START + HOLDS - Micros(1));
    assert_eq!(store.say(&lives, 1_000), (2, 1_010));
    store.set_clock(START + HOLDS - Micros(1) + KEPT);
    assert_eq!(store.say(&lives, 1_000), (1, 1_000));
    assert_eq!(store.instances(), 1, "and leaves nothing behind");
}

#[test]
fn the_levels_go_with_the_last_of_them() {
    let store = Store::new();
    store.say(&Levels::new("rl"), 10);
    let expiry: i64 = store.query(redis::cmd("PTTL").arg(NAME));
    assert!((1..=3_000).contains(&expiry), "{expiry} ms");
}

/// They would count until the clock is there again.
#[test]
fn what_was_said_before_the_clock_jumped_back_is_forgotten() {
    let store = Store::new();
    let [gone, here] = [(); 2].map(|()| Levels::new("rl"));
    store.say(&gone, 10);
    store.say(&here, 1_000);
    store.set_clock(START - Micros::from_millis(3_600_000));
    assert_eq!(store.say(&here, 1_000), (1, 1_000));
}

#[test]
fn what_was_written_by_hand_is_dropped_and_counts_for_nothing() {
    let store = Store::new();
    let one = Levels::new("rl");
    let until = START + HOLDS;
    let damaged: [(&str, Vec<u8>); 7] = [
        ("short", b"1".to_vec()),
        ("empty", Vec::new()),
        ("long", [word(until, 10), vec![0]].concat()),
        ("nothing", word(until, 0)),
        ("more than all", word(until, 1_001)),
        ("ended", word(START, 10)),
        ("for ever", word(until + Micros(1), 10)),
    ];
    for (field, value) in &damaged {
        store.write(field, value);
    }
    assert_eq!(store.say(&one, 400), (1, 400));
    assert_eq!(store.instances(), 1);

    // Its own word, and the sum: they are right again when all are looked at, and a sum that cannot be is not believed meanwhile.
    for (field, value) in [("", b"nonsense".to_vec()), ("", vec![255; 18]), ("", vec![0; 18])] {
        store.write(field, &value);
        assert_eq!(store.say(&one, 400), (1, 400), "{value:?}");
    }
    let counted = |count: u32, parts: u64| {
        [&START.0.to_be_bytes()[1..], &count.to_be_bytes(), &parts.to_be_bytes()[1..]].concat()
    };
    for (count, parts) in [(0, 0), (7, 0), (u32::MAX, 1 << 50), (1, 1_401)] {
        store.write("", &counted(count, parts));
        store.set_clock(START);
        let said = store.said(&one, 400, HOLDS);
        assert!(said.is_err(), "{count} {parts}: {said:?}");
        store.set_clock(START + KEPT);
        assert_eq!(store.say(&one, 400), (1, 400));
    }
}

/// What somebody does with a few instances.
#[derive(Clone, Debug)]
enum Step {
    Says(usize, u64),
    Leaves(usize),
    Passes(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..5usize, 1..=1_000u64).prop_map(|(who, level)| Step::Says(who, level)),
        1 => (0..5usize).prop_map(Step::Leaves),
        3 => (0..HOLDS.0).prop_map(Step::Passes),
    ]
}

#[test]
fn on_random_schedules_the_sum_is_that_of_a_list() {
    let store = Store::new();
    proptest!(super::cases(100), |(steps in prop::collection::vec(step(), 1..60))| {
        store.query::<()>(redis::cmd("DEL").arg(NAME));
        store.set_clock(START);
        let instances = [(); 5].map(|()| Levels::new("rl"));
        // Until when each counts, at which level; and when those that do not were last left out.
        let mut list: [Option<(u64, u64)>; 5] = [None; 5];
        let (mut now, mut looked_at) = (START.0, None);
        for step in steps {
            match step {
                Step::Passes(time) => {
                    now += time;
                    store.set_clock(Micros(now));
                }
                Step::Leaves(who) => {
                    store.leave(&instances[who]);
                    (list[who], looked_at) = (None, None);
                }
                Step::Says(who, level) => {
                    if looked_at.is_none_or(|at| now - at >= KEPT.0) {
                        looked_at = Some(now);
                        list.iter_mut().for_each(|said| { said.take_if(|(until, _)| *until <= now); });
                    }
                    list[who] = Some((now + HOLDS.0, level));
                    let levels: Vec<u64> = list.iter().flatten().map(|(_, level)| *level).collect();
                    let expected = Sum::of(levels.len() as u64, levels.iter().sum()).unwrap();
                    prop_assert_eq!(store.said(&instances[who], level, HOLDS).unwrap(), expected);
                }
            }
        }
    });
}
