//! Units that are held, on each store that can: against a model that is obviously right, and byte by byte against the Rust twin.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::subject::{InMemory, NAMESPACE, OnRedis, Subject, ThroughClient, request};
use super::{CAPACITY, WINDOW, policies};
use crate::algorithm::{Ask, Change, Concurrency, Lease, MOST_HOLDS, Outcome, Policy, State};
use crate::clock::Micros;
use crate::key::Key;
use crate::store::{Request, Verb, When};
use crate::tests::cases;
use crate::tests::schedule::START;

fn held_policies() -> Vec<Policy> {
    policies().into_iter().chain([Policy::Concurrency(Concurrency::new(CAPACITY))]).collect()
}

/// A behaviour on each store that knows holds, with each policy.
fn on_each_store(behaviour: impl Fn(&dyn Subject, &Policy)) {
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    for policy in held_policies() {
        behaviour(&InMemory::new(), &policy);
        redis.flush();
        behaviour(&redis, &policy);
        client.redis.flush();
        behaviour(&client, &policy);
    }
}

fn hold(units: u64, ttl: u64) -> Verb {
    Verb::Hold { units, ttl: Micros(ttl) }
}

/// What a key would be with a list of holds and the algorithm's own state.
#[derive(Clone)]
struct Model {
    policy: Policy,
    own: State,
    holds: Vec<(Micros, u64)>,
}

impl Model {
    fn held(&self, at: Micros) -> u64 {
        self.holds.iter().filter(|(ends, _)| *ends > at).map(|(_, units)| units).sum()
    }

    fn look(&self, at: Micros) -> Outcome {
        self.policy.step(&mut self.own.clone(), at, Ask { cost: 0, least: 0 })
    }

    fn free(&self, at: Micros) -> u64 {
        self.look(at).remaining.saturating_sub(self.held(at))
    }

    fn reset_at(&self, at: Micros) -> Micros {
        let ends = self.holds.iter().map(|(ends, _)| *ends).filter(|ends| *ends > at);
        ends.fold(self.look(at).reset_at, Micros::max)
    }

    /// Checks what a call was told that asked for `ask`, and that waiting as long as it says is enough and no longer than needed.
    fn check(&mut self, at: Micros, ask: Ask, told: Outcome) {
        let free = self.free(at);
        let granted = if free >= ask.least { ask.cost.min(free) } else { 0 };
        assert_eq!((told.allowed, told.granted, told.remaining), (free >= ask.least, granted, free - granted));
        if granted > 0 {
            self.policy.step(&mut self.own, at, Ask::all(granted));
        }
        assert_eq!(told.reset_at, self.reset_at(at));
        self.check_wait(at, ask.least, told);
    }

    fn check_wait(&self, at: Micros, least: u64, told: Outcome) {
        if told.allowed {
            assert_eq!(told.retry_after, Micros::ZERO);
        } else {
            let then = at + told.retry_after;
            assert!(self.free(then) >= least, "{:?} is not enough", told.retry_after);
            assert!(self.free(then - Micros(1)) < least, "{:?} is too long", told.retry_after);
        }
    }

    fn hold(&mut self, at: Micros, units: u64, ttl: Micros, told: Outcome) {
        if self.free(at) < units {
            assert_eq!((told.allowed, told.booked), (false, Micros::ZERO));
            return self.check(at, Ask::look(units), told);
        }
        let mut ends = at + ttl;
        while self.holds.iter().any(|(taken, _)| *taken == ends) {
            ends = ends + Micros(1);
        }
        self.holds.push((ends, units));
        assert_eq!((told.allowed, told.granted, told.booked), (true, units, ends));
        assert_eq!((told.remaining, told.reset_at), (self.free(at), self.reset_at(at)));
    }

    /// Takes out the hold of that end, if it has not ended.
    fn take_out(&mut self, at: Micros, ends: Micros) -> Option<u64> {
        self.holds.retain(|(ends, _)| *ends > at);
        let place = self.holds.iter().position(|(known, _)| *known == ends)?;
        Some(self.holds.remove(place).1)
    }

    fn settle(&mut self, at: Micros, ends: Micros, units: u64, told: Outcome) {
        let is_there = self.take_out(at, ends).is_some();
        assert_eq!(told.booked, if is_there { ends } else { Micros::ZERO });
        if units > 0 {
            self.policy.change(&mut self.own, at, Change::Penalize(units));
        }
        self.check(at, Ask::look(1), told);
    }

    fn renew(&mut self, at: Micros, ends: Micros, ttl: Micros, told: Outcome) {
        match self.take_out(at, ends) {
            None => assert_eq!(told.booked, Micros::ZERO),
            Some(units) => {
                let mut ends = at + ttl;
                while self.holds.iter().any(|(taken, _)| *taken == ends) {
                    ends = ends + Micros(1);
                }
                self.holds.push((ends, units));
                assert_eq!(told.booked, ends);
            }
        }
        self.check(at, Ask::look(1), told);
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Decide(Ask),
    Hold(u64, u64),
    /// Of the holds that were ever made one of those, counted from the last; and what was used.
    Settle(usize, u64),
    Renew(usize, u64),
    Refund(u64),
    Penalize(u64),
}

fn ops() -> impl Strategy<Value = Vec<(u64, Op)>> {
    let ttl = prop_oneof![3 => 1..=4u64, 5 => 1..=WINDOW.0 * 2];
    let ask = (0..=4u64, 0..=4u64).prop_map(|(cost, least)| Op::Decide(Ask { cost, least: least.min(cost.max(1)) }));
    let op = prop_oneof![
        3 => ask,
        4 => (1..=5u64, ttl.clone()).prop_map(|(units, ttl)| Op::Hold(units, ttl)),
        3 => (0..6usize, 0..=7u64).prop_map(|(which, units)| Op::Settle(which, units)),
        1 => (0..6usize, ttl).prop_map(|(which, ttl)| Op::Renew(which, ttl)),
        1 => (1..=3u64).prop_map(Op::Refund),
        1 => (1..=3u64).prop_map(Op::Penalize),
    ];
    let gap = prop_oneof![2 => Just(0), 2 => 1..=3u64, 3 => 1..=WINDOW.0 / 2, 1 => 1..=WINDOW.0 * 3];
    proptest::collection::vec((gap, op), 1..30)
}

/// Drives a store through a history, and answers with the model and the moments at which there is an end to it.
fn drive(store: &dyn Subject, policy: &Policy, history: &[(u64, Op)], mut after: impl FnMut(&Verb, Micros)) {
    let mut model = Model { policy: *policy, own: policy.fresh(), holds: Vec::new() };
    let (mut now, mut ends) = (START, vec![START + Micros(7)]);
    for (gap, op) in history {
        now = now + Micros(*gap);
        store.set_clock(now);
        let of = |which: usize| ends[ends.len().saturating_sub(1 + which)];
        let verb = match *op {
            Op::Decide(ask) => Verb::Decide(ask),
            Op::Hold(units, ttl) => hold(units, ttl),
            Op::Settle(which, units) => Verb::Settle { ends: of(which), units },
            Op::Renew(which, ttl) => Verb::Renew { ends: of(which), ttl: Micros(ttl) },
            Op::Refund(units) => Verb::Refund(units),
            Op::Penalize(units) => Verb::Penalize(units),
        };
        let told = store.act(policy, "key", verb);
        match verb {
            Verb::Decide(ask) => model.check(now, ask, told),
            Verb::Hold { units, ttl } => model.hold(now, units, ttl, told),
            Verb::Settle { ends, units } => model.settle(now, ends, units, told),
            Verb::Renew { ends, ttl } => model.renew(now, ends, ttl, told),
            Verb::Refund(units) => {
                model.policy.change(&mut model.own, now, Change::Refund(units));
                model.check(now, Ask::look(1), told);
            }
            Verb::Penalize(units) => {
                model.policy.change(&mut model.own, now, Change::Penalize(units));
                model.check(now, Ask::look(1), told);
            }
            _ => unreachable!("no other is driven"),
        }
        if told.booked > Micros::ZERO {
            ends.push(told.booked);
        }
        after(&verb, now);
    }
}

#[test]
fn histories_in_memory_end_with_exact_accounts() {
    let history = (prop::sample::select(held_policies()), ops());
    TestRunner::new(cases(1_000))
        .run(&history, |(policy, history)| {
            drive(&InMemory::new(), &policy, &history, |_, _| ());
            Ok(())
        })
        .unwrap();
}

/// The same on Redis, where what stands there is what the Rust twin has come to.
#[test]
fn histories_in_redis_end_with_exact_accounts_and_the_twins_bytes() {
    let redis = OnRedis::on_manual_time();
    let name = format!("{NAMESPACE}key");
    TestRunner::new(cases(300))
        .run(&(prop::sample::select(held_policies()), ops()), |(policy, history)| {
            redis.flush();
            let mut state = policy.fresh();
            drive(&redis, &policy, &history, |verb, now| {
                apply(&policy, &mut state, *verb, now);
                let value: Option<Vec<u8>> = redis.say(&[b"GET", name.as_bytes()]);
                let Some(value) = value else { return };
                let mut written = policy.restore(&value).expect("what was written is a state");
                // What has ended meanwhile is only forgotten when something is written, and a penalty that finds no room writes nothing.
                for state in [&mut written, &mut state] {
                    policy.change(state, now, Change::Refund(0));
                }
                assert_eq!(written.encode(Micros::ZERO), state.encode(Micros::ZERO), "after {verb:?}");
            });
            Ok(())
        })
        .unwrap();
}

fn apply(policy: &Policy, state: &mut State, verb: Verb, now: Micros) {
    match verb {
        Verb::Decide(ask) => drop(policy.step(state, now, ask)),
        Verb::Hold { units, ttl } => {
            if policy.look_to_hold(state, now, units).allowed {
                let ends = state.free_end(now + ttl);
                policy.hold(state, now, units, ends);
            }
        }
        Verb::Settle { ends, units } => drop(policy.settle(state, now, ends, units)),
        Verb::Renew { ends, ttl } => drop(policy.renew(state, now, ends, ttl)),
        Verb::Refund(units) => drop(policy.change(state, now, Change::Refund(units))),
        Verb::Penalize(units) => drop(policy.change(state, now, Change::Penalize(units))),
        _ => unreachable!("no other is driven"),
    }
}

/// What is written is what lua/holds.lua says, to the byte, with the state of the algorithm beneath.
#[test]
fn a_held_value_is_laid_out_as_it_is_written_down() {
    let redis = OnRedis::on_manual_time();
    let policy = Policy::Concurrency(Concurrency::new(CAPACITY));
    let first = redis.act(&policy, "key", hold(3, 500));
    let second = redis.act(&policy, "key", hold(2, 500));
    assert_eq!((first.booked, second.booked), (START + Micros(500), START + Micros(501)));
    let value: Vec<u8> = redis.say(&[b"GET", format!("{NAMESPACE}key").as_bytes()]);
    let end = |ends: Micros, units: u8| [&ends.0.to_be_bytes()[1..], &[0, 0, 0, 0, units]].concat();
    let head = vec![3, 0, 0, 0, 0, 0, 0, 5, 0, 2];
    assert_eq!(value, [head, end(first.booked, 3), end(second.booked, 2)].concat());
}

#[test]
fn of_several_limits_all_are_held_or_none() {
    let redis = OnRedis::on_manual_time();
    let wide = Policy::Concurrency(Concurrency::new(4_000));
    for policy in held_policies() {
        redis.flush();
        for store in [&InMemory::new() as &dyn Subject, &redis] {
            let limits = super::subject::limits(&[policy, wide]);
            let keys = ["key", "wide"].map(|key| Key::from_normal(key.as_bytes()));
            let ask = |verb| {
                let request =
                    Request { limits: limits.clone(), keys: keys.iter().cloned().collect(), verb, when: When::Now };
                let answers = store.requests(&[request]).unwrap();
                answers.into_iter().map(Result::unwrap).collect::<Vec<Outcome>>()
            };
            // The end that the first would have is taken on the second key.
            let alone = store.act(&wide, "wide", hold(1, 900)).booked;
            let both = ask(hold(6, 900));
            let named = alone + Micros(1);
            assert!(both.iter().all(|told| told.allowed && told.granted == 6 && told.booked == named), "{both:?}");
            let refused = ask(hold(6, 900));
            assert!(!refused[0].allowed && refused.iter().all(|told| told.booked == Micros::ZERO));
            assert_eq!(store.decide(&wide, "wide", Ask::look(1)).remaining, 4_000 - 7, "nothing was held of the other");
            let settled = ask(Verb::Settle { ends: named, units: 0 });
            assert!(settled.iter().all(|told| told.booked == named));
            assert_eq!(settled[0].remaining, CAPACITY);
            assert!(ask(Verb::Settle { ends: named, units: 0 }).iter().all(|told| told.booked == Micros::ZERO));
        }
    }
}

#[test]
fn a_block_and_what_is_held_beneath_it_go_on_by_themselves() {
    on_each_store(|store, policy| {
        let ends = store.act(policy, "key", hold(4, WINDOW.0)).booked;
        let blocked = store.act(policy, "key", Verb::Block(Micros(WINDOW.0 / 10)));
        assert!(!blocked.allowed);
        assert!(!store.act(policy, "key", hold(1, 100)).allowed);
        assert_eq!(store.act(policy, "key", Verb::Settle { ends, units: 0 }).booked, ends, "settled beneath the block");
        assert!(!store.decide(policy, "key", Ask::look(1)).allowed);
        assert_eq!(store.act(policy, "key", Verb::Unblock).remaining, CAPACITY);
        let again = store.act(policy, "key", hold(4, WINDOW.0)).booked;
        store.act(policy, "key", Verb::Block(WINDOW));
        assert_eq!(store.act(policy, "key", Verb::Unblock).remaining, CAPACITY - 4);
        assert_eq!(store.act(policy, "key", Verb::Settle { ends: again, units: 0 }).remaining, CAPACITY);
        store.act(policy, "key", hold(4, WINDOW.0));
        store.reset(policy, "key");
        assert_eq!(store.decide(policy, "key", Ask::look(1)).remaining, CAPACITY, "a reset ends holds");
    });
}

/// Calls on one key that travel together are each told what a call alone would have been told.
#[test]
fn merged_calls_over_holds_are_decided_as_if_alone() {
    on_each_store(|store, policy| {
        if matches!(policy, Policy::Concurrency(_)) {
            return;
        }
        store.act(policy, "key", hold(4, WINDOW.0 * 9));
        let take = |cost| request("key", Verb::Decide(Ask::all(cost)));
        let batch = [take(2), take(2), take(2), take(2), take(1)];
        let answers = store.answers(policy, &batch).unwrap();
        let told: Vec<_> =
            answers.into_iter().map(|told| told.map(|told| (told.allowed, told.remaining)).unwrap()).collect();
        assert_eq!(told, [(true, 4), (true, 2), (true, 0), (false, 0), (false, 0)]);
    });
}

#[test]
fn nothing_is_leased_or_booked_ahead_of_what_is_held() {
    on_each_store(|store, policy| {
        if matches!(policy, Policy::Concurrency(_)) {
            return;
        }
        store.act(policy, "key", hold(2, WINDOW.0 * 9));
        let lease = Lease { cost: 1, more: 8, term: Micros(1_000) };
        assert_eq!(store.act(policy, "key", Verb::Lease(lease)).granted, 1);
        store.take(policy, "key", CAPACITY - 3);
        let refused = store.act(policy, "key", Verb::Reserve { cost: 1, patience: Micros(WINDOW.0 * 20) });
        assert!(!refused.allowed && refused.retry_after > Micros::ZERO);
    });
}

#[test]
fn a_key_has_so_many_holds_and_no_more() {
    let policy = Policy::Concurrency(Concurrency::new(1 << 32));
    let redis = OnRedis::on_manual_time();
    for store in [&InMemory::new() as &dyn Subject, &redis] {
        let batch: Vec<_> = (0..MOST_HOLDS).map(|_| request("key", hold(1, WINDOW.0))).collect();
        assert!(store.answers(&policy, &batch).unwrap().into_iter().all(|told| told.unwrap().allowed));
        store.set_clock(START + Micros(1_000));
        let refused = store.act(&policy, "key", hold(1, WINDOW.0));
        assert_eq!((refused.allowed, refused.retry_after), (false, WINDOW - Micros(1_000)));
        store.set_clock(START + WINDOW);
        assert!(store.act(&policy, "key", hold(1, WINDOW.0)).allowed, "one has ended");
        store.set_clock(START);
    }
}

/// Where there are as many as there may be, and no room either, both must be waited for.
#[test]
fn a_key_that_has_all_its_holds_and_no_room_waits_for_the_later_of_the_two() {
    let policy = Policy::Concurrency(Concurrency::new(MOST_HOLDS as u64));
    let redis = OnRedis::on_manual_time();
    for store in [&InMemory::new() as &dyn Subject, &redis] {
        let batch: Vec<_> = (0..MOST_HOLDS).map(|_| request("key", hold(1, WINDOW.0))).collect();
        assert!(store.answers(&policy, &batch).unwrap().into_iter().all(|told| told.unwrap().allowed));
        // Each ends a microsecond after the one before.
        for (units, after) in [(1, 0), (3, 2)] {
            let refused = store.act(&policy, "key", hold(units, WINDOW.0));
            assert_eq!((refused.allowed, refused.retry_after), (false, WINDOW + Micros(after)), "{units}");
        }
    }
}

/// A value that was cut off, or is no state of the algorithm beneath, fails its key and stays.
#[test]
fn a_damaged_held_value_is_its_keys_error() {
    let redis = OnRedis::on_manual_time();
    let name = format!("{NAMESPACE}key");
    for policy in held_policies() {
        redis.flush();
        redis.act(&policy, "key", hold(3, WINDOW.0));
        let value: Vec<u8> = redis.say(&[b"GET", name.as_bytes()]);
        for damaged in [&value[..5], &value[..15], &[&value[..], b"junk"].concat()[..]] {
            redis.say::<()>(&[b"SET", name.as_bytes(), damaged]);
            for verb in [Verb::Decide(Ask::all(1)), hold(1, 5), Verb::Settle { ends: START, units: 1 }] {
                assert!(redis.outcome(&policy, request("key", verb)).is_err(), "{verb:?} of {damaged:?}");
            }
            let kept: Vec<u8> = redis.say(&[b"GET", name.as_bytes()]);
            assert_eq!(kept, damaged);
        }
    }
}
