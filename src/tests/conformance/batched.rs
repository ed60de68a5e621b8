//! Calls under several limits that come in one batch: each is decided as it would be after those before it, one by one. The model
//! is the steps alone, with a state a key.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::new_keys::guarded;
use super::subject::{InMemory, InShared, OnRedis, Subject, limits};
use crate::algorithm::{Ask, Outcome, Policy, State};
use crate::clock::Micros;
use crate::key::Key;
use crate::limits::{Limit, Limits, Role};
use crate::newcomers::Newcomers;
use crate::store::{Request, Verb, When};
use crate::tests::cases;
use crate::tests::schedule::{self, START, after};

/// By which field each of the limits counts: the first and the last make one identity, where there are three.
const FIELDS: [&str; 3] = ["user", "tenant", "user"];

/// One request of a batch.
#[derive(Clone, Debug)]
struct Call {
    gap: i64,
    /// Whether it travels with the request before, at the same moment.
    joins: bool,
    /// A number for each of the fields, so that calls share some of their keys.
    user: u8,
    tenant: u8,
    /// From where somebody new comes, where that is limited.
    source: Option<u8>,
    verb: Verb,
}

#[derive(Clone, Debug)]
struct Plan {
    policies: Vec<Policy>,
    new_keys: Policy,
    calls: Vec<Call>,
}

/// Of all limits it is only asked. What else is done is done to the key of one, as another limiter would.
fn verb(policy: &Policy, ask: Ask) -> impl Strategy<Value = Verb> + use<> {
    let window = policy.numbers()[1];
    prop_oneof![
        20 => Just(Verb::Decide(ask)),
        2 => Just(Verb::Decide(Ask::look(ask.cost.max(1)))),
        2 => Just(Verb::Decide(Ask { least: 1, ..ask })),
        1 => (1..=window).prop_map(|length| Verb::Block(Micros(length))),
        1 => Just(Verb::Unblock),
        1 => Just(Verb::Reset),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    let policies = prop::collection::vec(schedule::policy(), 2..=FIELDS.len());
    (policies, schedule::policy()).prop_flat_map(|(mut policies, new_keys)| {
        // What is asked is of the size of the one that holds the least.
        policies.sort_by_key(Policy::capacity);
        let least = policies[0];
        let call = move |(gap, ask)| {
            let keys = (0..3u8, 0..2u8, prop::option::weighted(0.4, 0..2u8));
            (prop::bool::weighted(0.8), keys, verb(&least, ask))
                .prop_map(move |(joins, (user, tenant, source), verb)| Call { gap, joins, user, tenant, source, verb })
        };
        let calls =
            schedule::asks(&least, false, 40).prop_flat_map(move |asks| asks.into_iter().map(call).collect::<Vec<_>>());
        calls.prop_map(move |calls| Plan { policies: policies.clone(), new_keys, calls })
    })
}

/// The limits of a plan: of one key, of all keys, and of those with one on new keys.
struct Kinds {
    first: Arc<Limits>,
    all: Arc<Limits>,
    with_new_keys: Arc<Limits>,
}

impl Kinds {
    fn new(Plan { policies, new_keys, .. }: &Plan) -> Self {
        let by_fields: Vec<_> = FIELDS.into_iter().zip(policies.iter().copied()).collect();
        Self { first: limits(&policies[..1]), all: limits(policies), with_new_keys: guarded(&by_fields, *new_keys) }
    }

    fn request(&self, call: &Call) -> Request {
        let limits = match (call.verb, call.source) {
            (Verb::Decide(_), None) => &self.all,
            (Verb::Decide(_), Some(_)) => &self.with_new_keys,
            _ => &self.first,
        };
        let key = |index: usize| match FIELDS.get(index).filter(|_| index < self.all.len()) {
            Some(&"user") => format!("user {}/{index}", call.user),
            Some(_) => format!("tenant {}/{index}", call.tenant),
            None => format!("source {:?}", call.source),
        };
        let keys = (0..limits.len()).map(|index| Key::from_normal(key(index).as_bytes())).collect();
        Request { limits: limits.clone(), keys, verb: call.verb, when: When::Now }
    }
}

/// A state a key, and the steps of the algorithms.
#[derive(Default)]
struct Model(HashMap<Vec<u8>, State>);

impl Model {
    fn state(&mut self, policy: &Policy, key: &Key) -> &mut State {
        self.0.entry(key.as_bytes().to_vec()).or_insert_with(|| policy.fresh())
    }

    /// A reset is done; it decides nothing.
    fn answer(&mut self, request: &Request, now: Micros) -> Option<Vec<Outcome>> {
        let (policy, key) = request.parts().map(|(limit, key)| (limit.policy, key)).next()?;
        let outcome = match request.verb {
            Verb::Decide(ask) => return Some(self.decide(request, ask, now)),
            Verb::Block(length) => policy.block(self.state(&policy, key), now, now + length),
            Verb::Unblock => policy.unblock(self.state(&policy, key), now),
            _ => {
                self.0.remove(key.as_bytes());
                return None;
            }
        };
        Some(vec![outcome])
    }

    fn decide(&mut self, request: &Request, ask: Ask, now: Micros) -> Vec<Outcome> {
        let (mut granted, mut newcomers) = (ask.cost, Newcomers::default());
        let mut looks = Vec::new();
        for (limit, key) in request.parts() {
            let mut state = self.state(&limit.policy, key).clone();
            let mut look = |least| limit.policy.step(&mut state, now, Ask::look(least));
            if limit.role == Role::NewKeys {
                looks.push(newcomers.told(look(newcomers.units())));
                continue;
            }
            let look = look(ask.least);
            newcomers.see(limit, look.reset_at <= now);
            granted = granted.min(look.remaining);
            looks.push(look);
        }
        if granted == 0 || looks.iter().any(|look| !look.allowed) {
            return looks;
        }
        let take = |((limit, key), look): ((&Limit, &Key), Outcome)| {
            let units = if limit.role == Role::NewKeys { newcomers.units() } else { granted };
            if units == 0 { look } else { limit.policy.step(self.state(&limit.policy, key), now, Ask::all(units)) }
        };
        request.parts().zip(looks).map(take).collect()
    }
}

/// How often what these tests are about has been met.
#[derive(Default)]
struct Met {
    /// Some limits would have admitted a call, and others not.
    torn: Cell<usize>,
    /// Somebody new was one too many.
    too_new: Cell<usize>,
    /// Calls that came in a batch with others.
    joined: Cell<usize>,
}

impl Met {
    fn note(&self, batch: &[Request], request: &Request, outcomes: &[Outcome]) {
        let add = |cell: &Cell<usize>, is: bool| cell.set(cell.get() + usize::from(is));
        let refused = outcomes.iter().filter(|outcome| !outcome.allowed).count();
        add(&self.torn, refused > 0 && refused < outcomes.len());
        add(&self.too_new, request.limits.has_new_keys() && outcomes.last().is_some_and(|outcome| !outcome.allowed));
        add(&self.joined, batch.len() > 1);
    }

    /// Each often enough to be tested.
    fn assert(&self, cases: u32) {
        let met = [&self.torn, &self.too_new, &self.joined].map(Cell::get);
        assert!(met.iter().all(|met| *met > usize::try_from(cases).unwrap() / 100), "{met:?}");
    }
}

fn decides_one_by_one(store: &dyn Subject, plan: &Plan, met: &Met) -> Result<(), TestCaseError> {
    let (kinds, mut model, mut now) = (Kinds::new(plan), Model::default(), START);
    for batch in plan.calls.chunk_by(|_, next| next.joins) {
        now = after(now, batch[0].gap);
        store.set_clock(now);
        let requests: Vec<Request> = batch.iter().map(|call| kinds.request(call)).collect();
        let answers = store.requests(&requests).unwrap();
        let mut left = answers.as_slice();
        for (index, request) in requests.iter().enumerate() {
            let (own, others) = left.split_at(request.keys.len());
            left = others;
            let seen: Vec<Outcome> = own.iter().map(|answer| answer.clone().unwrap()).collect();
            if let Some(outcomes) = model.answer(request, now) {
                met.note(&requests, request, &outcomes);
                prop_assert_eq!(seen, outcomes, "call {} of {:?} at {:?}", index, batch, now);
            }
        }
        prop_assert!(left.is_empty());
    }
    Ok(())
}

#[test]
fn memory_and_shared_memory_decide_a_batch_as_its_calls_one_by_one() {
    let (cases, met) = (cases(10_000), Met::default());
    let (expected, mut runner) = (cases.cases, TestRunner::new(cases));
    let compare = |plan: Plan| {
        decides_one_by_one(&InMemory::new(), &plan, &met)?;
        decides_one_by_one(&InShared::new(), &plan, &met)
    };
    runner.run(&plan(), compare).unwrap();
    met.assert(expected);
}

/// A batch is one script call, whose keys are read together.
#[test]
fn redis_decides_a_batch_as_its_calls_one_by_one() {
    let (redis, cases, met) = (OnRedis::on_manual_time(), cases(1_000), Met::default());
    let (expected, mut runner) = (cases.cases, TestRunner::new(cases));
    let compare = |plan: Plan| {
        redis.flush();
        decides_one_by_one(&redis, &plan, &met)
    };
    runner.run(&plan(), compare).unwrap();
    met.assert(expected);
}
