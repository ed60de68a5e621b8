//! Limits that are tried: those in force answer as if there were no others, and each of the others as a limit of its own would.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::subject::{InMemory, NAMESPACE, OnRedis, Subject, ThroughClient, limits};
use super::{CAPACITY, policies};
use crate::algorithm::{Ask, Outcome, Policy, State};
use crate::clock::Micros;
use crate::key::Key;
use crate::limits::{Limit, Limits, Role};
use crate::store::{Request, Verb, When};
use crate::tests::schedule::{self, START, after};

/// Limits in force, and others that are tried, in whatever order they come.
fn tried(in_force: &[Policy], others: &[(Role, Policy)]) -> Arc<Limits> {
    let own = |policy: &Policy| Limit::in_namespace(NAMESPACE, *policy);
    let others = others.iter().map(|(role, policy)| own(policy).playing(*role));
    Arc::new(Limits::new(others.chain(in_force.iter().map(own))))
}

fn asking(limits: &Arc<Limits>, keys: impl IntoIterator<Item = String>, ask: Ask) -> Request {
    let keys = keys.into_iter().map(|key| Key::from_normal(key.as_bytes())).collect();
    Request { limits: limits.clone(), keys, verb: Verb::Decide(ask), when: When::Now }
}

/// What is told by limits of which nobody knows that others are tried, and by each of these, alone.
struct Model {
    in_force: InMemory,
    limits: Arc<Limits>,
    others: Vec<(Role, Policy)>,
    states: HashMap<(usize, u8), State>,
}

impl Model {
    fn new(in_force: &[Policy], others: &[(Role, Policy)]) -> Self {
        let others = others.to_vec();
        Self { in_force: InMemory::new(), limits: limits(in_force), others, states: HashMap::new() }
    }

    fn tell(&mut self, key: u8, ask: Ask, now: Micros) -> Vec<Outcome> {
        self.in_force.set_clock(now);
        let keys = (0..self.limits.len()).map(|index| format!("{key}/{index}"));
        let answers = self.in_force.requests(&[asking(&self.limits, keys, ask)]).unwrap();
        let mut outcomes: Vec<Outcome> = answers.into_iter().map(Result::unwrap).collect();
        let granted = outcomes.iter().all(|outcome| outcome.allowed).then(|| outcomes[0].granted);
        for (index, (role, policy)) in self.others.iter().enumerate() {
            let state = self.states.entry((index, key)).or_insert_with(|| policy.fresh());
            let cost = match (role, granted) {
                // It is asked for more than it can ever hold.
                _ if ask.least > policy.capacity() => 0,
                (Role::Candidate, _) => ask.cost,
                (_, granted) => granted.unwrap_or(0),
            };
            let least = if ask.least > policy.capacity() { 1 } else { ask.least };
            let own = Ask { cost, least };
            outcomes.push(match cost {
                0 => policy.step(&mut state.clone(), now, own),
                _ => policy.step(state, now, own),
            });
        }
        outcomes
    }
}

#[derive(Clone, Debug)]
struct Step {
    gap: i64,
    key: u8,
    joins: bool,
    ask: Ask,
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Shadow), Just(Role::Candidate)]
}

type Plan = (Vec<Policy>, Vec<(Role, Policy)>, Vec<Step>);

fn plan(most_in_force: usize) -> impl Strategy<Value = Plan> {
    let in_force = prop::collection::vec(schedule::policy(), 1..=most_in_force);
    let others = prop::collection::vec((role(), schedule::policy()), 1..3);
    (in_force, others).prop_flat_map(|(mut in_force, others)| {
        in_force.sort_by_key(Policy::capacity);
        let steps = schedule::asks(&in_force[0], false, 60).prop_flat_map(|asks| {
            let step = |(gap, ask)| {
                (0..3u8, prop::bool::weighted(0.6)).prop_map(move |(key, joins)| Step { gap, key, joins, ask })
            };
            asks.into_iter().map(step).collect::<Vec<_>>()
        });
        (Just(in_force), Just(others), steps)
    })
}

/// Whether a store tells what the model tells. `flush` empties it.
fn agrees(store: &dyn Subject, (in_force, others, steps): Plan) -> Result<(), TestCaseError> {
    let mut model = Model::new(&in_force, &others);
    let limits = tried(&in_force, &others);
    let mut now = START;
    for batch in steps.chunk_by(|_, next| next.joins) {
        now = after(now, batch[0].gap);
        store.set_clock(now);
        let keys = |key: u8| (0..limits.len()).map(move |index| format!("{key}/{index}"));
        let requests: Vec<Request> = batch.iter().map(|step| asking(&limits, keys(step.key), step.ask)).collect();
        let told: Vec<Outcome> = store.requests(&requests).unwrap().into_iter().map(Result::unwrap).collect();
        for (step, told) in batch.iter().zip(told.chunks(limits.len())) {
            let expected = model.tell(step.key, step.ask, now);
            prop_assert_eq!(told, &expected, "{:?} at {:?}", step, now);
        }
    }
    Ok(())
}

#[test]
fn memory_tells_what_each_would_tell_alone() {
    TestRunner::new(super::super::cases(500)).run(&plan(3), |plan| agrees(&InMemory::new(), plan)).unwrap();
}

#[test]
fn redis_tells_what_each_would_tell_alone() {
    let redis = OnRedis::on_manual_time();
    let compare = |plan| {
        redis.flush();
        agrees(&redis, plan)
    };
    TestRunner::new(super::super::cases(300)).run(&plan(3), compare).unwrap();
}

/// Where several are in force they take from one slot after the other, which is told of in `together`. Each call is made when the one before
/// is answered: those of a batch whose keys lie in several slots are under way at the same time.
#[test]
fn a_cluster_tells_what_each_would_tell_alone() {
    let client = ThroughClient::on_manual_time();
    let compare = |(in_force, others, steps): Plan| {
        client.redis.flush();
        let steps = steps.into_iter().map(|step| Step { joins: false, ..step }).collect();
        agrees(&client, (in_force, others, steps))
    };
    TestRunner::new(super::super::cases(50)).run(&plan(1), compare).unwrap();
}

/// A limit that is tried is nobody's affair: what is wrong with its key is no failure of the call.
#[test]
fn a_key_that_is_tried_and_damaged_fails_alone() {
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    for policy in policies() {
        for (store, server) in [(&redis as &dyn Subject, &redis), (&client, &client.redis)] {
            server.flush();
            let limits = tried(&[policy, policy], &[(Role::Shadow, policy), (Role::Candidate, policy)]);
            let name = format!("{NAMESPACE}shadow");
            server.say::<()>(&[b"SET", name.as_bytes(), b"damaged"]);
            let keys = ["a", "b", "shadow", "candidate"].map(str::to_owned);
            let answers = store.requests(&[asking(&limits, keys, Ask::all(1))]).unwrap();
            let left: Vec<_> = answers.iter().map(|told| told.as_ref().map(|told| told.remaining).ok()).collect();
            assert_eq!(left, [Some(CAPACITY - 1), Some(CAPACITY - 1), None, Some(CAPACITY - 1)]);
            assert_eq!(server.say::<String>(&[b"GET", name.as_bytes()]), "damaged");
        }
    }
}

/// A limit alone that is tried is asked as any other, but for what it can never hold.
#[test]
fn a_limit_that_is_tried_alone_counts_as_in_force() {
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    for policy in policies() {
        redis.flush();
        client.redis.flush();
        let limits = tried(&[], &[(Role::Shadow, policy)]);
        for store in [&InMemory::new() as &dyn Subject, &redis, &client] {
            let told = |cost| {
                let answers = store.requests(&[asking(&limits, ["a".to_owned()], Ask::all(cost))]).unwrap();
                let outcome = *answers[0].as_ref().unwrap();
                (outcome.allowed, outcome.granted, outcome.remaining)
            };
            assert_eq!(told(1 << 32), (true, 0, CAPACITY));
            assert_eq!(told(CAPACITY), (true, CAPACITY, 0));
            assert_eq!(told(1), (false, 0, 0));
            assert_eq!(told(1 << 32), (false, 0, 0));
        }
    }
}
