//! The whole engine and shared memory against the whole memory store, with everything that can be asked. The steps alone are compared in `twins`.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::new_keys::guarded;
use super::subject::{InMemory, InShared, OnRedis, Subject, limits};
use crate::algorithm::{Ask, Lease, Outcome, Policy};
use crate::clock::Micros;
use crate::error::Error;
use crate::key::Key;
use crate::store::{Request, Verb, When};
use crate::tests::schedule::{self, START, after};

/// One request of a schedule over several keys.
#[derive(Clone, Debug)]
struct Step {
    gap: i64,
    key: u8,
    /// Whether it travels with the request before, at the same moment.
    joins: bool,
    /// Whether it is about all limits, each with a key of its own, or about the first.
    together: bool,
    /// Of all limits whether there is one on new keys besides, from one of two sources.
    source: Option<u8>,
    verb: Verb,
}

fn verb(policy: &Policy, ask: Ask) -> impl Strategy<Value = Verb> + use<> {
    let units = ask.cost.max(1);
    let window = policy.numbers()[1];
    prop_oneof![
        12 => Just(Verb::Decide(ask)),
        2 => Just(Verb::Refund(units)),
        1 => Just(Verb::Penalize(units)),
        2 => (0..=window).prop_map(move |patience| Verb::Reserve { cost: units, patience: Micros(patience) }),
        1 => (1..=window).prop_map(|length| Verb::Block(Micros(length))),
        1 => Just(Verb::Unblock),
        1 => Just(Verb::Reset),
        3 => (0..=units, 1..=100u64, 1..=window).prop_map(|(cost, more, term)| {
            Verb::Lease(Lease { cost, more, term: Micros(term) })
        }),
        // Booked by the lease that is so many before the last one.
        3 => (1..=units, 0..4u64).prop_map(|(units, before)| Verb::GiveBack { units, booked: Micros(before) }),
    ]
}

fn step(policy: &Policy, gap: i64, ask: Ask) -> impl Strategy<Value = Step> + use<> {
    let source = prop::option::weighted(0.6, 0..2u8);
    let others = (0..4u8, prop::bool::weighted(0.6), prop::bool::weighted(0.4), source, verb(policy, ask));
    others.prop_map(move |(key, joins, together, source, verb)| {
        let source = source.filter(|_| together && matches!(verb, Verb::Decide(_)));
        Step { gap, key, joins, together, source, verb }
    })
}

fn steps(policy: &Policy) -> impl Strategy<Value = Vec<Step>> + use<> {
    let policy = *policy;
    schedule::asks(&policy, false, 60)
        .prop_flat_map(move |asks| asks.into_iter().map(|(gap, ask)| step(&policy, gap, ask)).collect::<Vec<_>>())
}

/// Some policies, one on new keys, and requests of the size of the one that holds the least.
fn plan() -> impl Strategy<Value = (Vec<Policy>, Policy, Vec<Step>)> {
    let policies = prop::collection::vec(schedule::policy(), 1..4);
    (policies, schedule::policy()).prop_flat_map(|(mut policies, new_keys)| {
        policies.sort_by_key(Policy::capacity);
        let steps = steps(&policies[0]);
        (Just(policies), Just(new_keys), steps)
    })
}

/// Of the present: what happened before may have been forgotten sooner by the one than by the other.
#[test]
fn all_stores_decide_alike() {
    let redis = OnRedis::on_manual_time();
    let compare = |(policies, new_keys, steps): (Vec<Policy>, Policy, Vec<Step>)| {
        let (memory, shared) = (InMemory::new(), InShared::new());
        redis.flush();
        let (first, all) = (limits(&policies[..1]), limits(&policies));
        // The first and the last are of one field where there are three.
        let fields = ["user", "tenant", "user"];
        let by_fields: Vec<_> = fields.into_iter().zip(policies.iter().copied()).collect();
        let with_new_keys = guarded(&by_fields, new_keys);
        let mut now = START;
        let mut leased = vec![Micros(1)];
        for batch in steps.chunk_by(|_, next| next.joins) {
            now = after(now, batch[0].gap);
            memory.set_clock(now);
            shared.set_clock(now);
            redis.set_clock(now);
            let request = |step: &Step| {
                let limits = match (step.together, step.source) {
                    (false, _) => &first,
                    (true, None) => &all,
                    (true, Some(_)) => &with_new_keys,
                };
                let key = |index: usize| match step.source {
                    Some(source) if index == policies.len() => format!("source/{source}"),
                    _ => format!("{}/{index}", step.key),
                };
                let keys = (0..limits.len()).map(|index| Key::from_normal(key(index).as_bytes())).collect();
                let verb = match step.verb {
                    Verb::GiveBack { units, booked: Micros(before) } => {
                        let last = leased.len() - 1;
                        Verb::GiveBack { units, booked: leased[last.saturating_sub(usize::try_from(before).unwrap())] }
                    }
                    verb => verb,
                };
                Request { keys, limits: Arc::clone(limits), verb, when: When::Now }
            };
            let requests: Vec<Request> = batch.iter().map(request).collect();
            leased.extend(batch.iter().filter(|step| matches!(step.verb, Verb::Lease(_))).map(|_| now));
            let memory = memory.requests(&requests).unwrap();
            let shared = shared.requests(&requests).unwrap();
            let redis = redis.requests(&requests).unwrap();
            prop_assert_eq!((memory.len(), memory.len()), (redis.len(), shared.len()));
            let asked = batch.iter().zip(&requests).flat_map(|(step, request)| vec![step; request.keys.len()]);
            for (((step, memory), redis), shared) in asked.zip(memory).zip(redis).zip(shared) {
                // A reset is done or it fails; it decides nothing.
                let seen = |answer: Result<Outcome, Error>| (step.verb != Verb::Reset).then_some(answer.unwrap());
                let memory = seen(memory);
                prop_assert_eq!(memory, seen(redis), "Redis: {:?} at {:?}", step, now);
                prop_assert_eq!(memory, seen(shared), "shared memory: {:?} at {:?}", step, now);
            }
        }
        Ok(())
    };
    TestRunner::new(super::super::cases(1_000)).run(&plan(), compare).unwrap();
}
