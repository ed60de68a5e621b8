//! That no refusal is false, whatever is on its way and in whichever order it comes back.

use std::sync::Arc;
use std::time::Instant;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{SECOND, request};
use crate::algorithm::{Ask, Outcome};
use crate::clock::{ManualClock, Micros};
use crate::decision::{Decision, Source};
use crate::limits::{By, Limit, Limits};
use crate::refusals::Refusals;
use crate::store::{Memory, Request, Verb};
use crate::tests::cases;
use crate::tests::schedule::{START, policy};

/// A step of a process that keeps refusals, of its store, or of another process.
#[derive(Clone, Debug)]
enum Step {
    /// For so many thousandths of a window, or of two seconds.
    Waits(u64),
    /// Calls on these keys, which are to be one batch.
    Gathers(Vec<(usize, Deed)>),
    /// Sends the first batch that is not sent.
    Sends,
    /// The store does the first batch that it has not done.
    Executes,
    /// One of those that it has done comes back, perhaps when nobody waits for it any more.
    Lands(Index, bool),
    /// Another process changes a key.
    Elsewhere(usize, Deed),
    /// It is heard of the first of these changes.
    Hears,
    /// Calls on a key.
    Calls(usize, u64),
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Take(u64),
    Refund(u64),
    Reset,
    Block(u64),
    Unblock,
}

impl Deed {
    fn verb(self) -> Verb {
        match self {
            Self::Take(cost) => Verb::Decide(Ask::all(cost)),
            Self::Refund(units) => Verb::Refund(units),
            Self::Reset => Verb::Reset,
            Self::Block(micros) => Verb::Block(Micros(micros)),
            Self::Unblock => Verb::Unblock,
        }
    }
}

const KEYS: [&str; 2] = ["a", "b"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let deed = prop_oneof![
        6 => (1..4u64).prop_map(Deed::Take),
        1 => (1..4u64).prop_map(Deed::Refund),
        1 => Just(Deed::Reset),
        1 => (1..2_000_000u64).prop_map(Deed::Block),
        1 => Just(Deed::Unblock),
    ];
    let keyed = (0..KEYS.len(), deed);
    let step = prop_oneof![
        2 => (0..300u64).prop_map(Step::Waits),
        4 => prop::collection::vec(keyed.clone(), 1..4).prop_map(Step::Gathers),
        4 => Just(Step::Sends),
        4 => Just(Step::Executes),
        4 => (any::<Index>(), prop::bool::weighted(0.2)).prop_map(|(index, is_late)| Step::Lands(index, is_late)),
        1 => keyed.prop_map(|(key, deed)| Step::Elsewhere(key, deed)),
        1 => Just(Step::Hears),
        6 => (0..KEYS.len(), 1..4u64).prop_map(|(key, cost)| Step::Calls(key, cost)),
    ];
    prop::collection::vec(step, 1..120)
}

/// A batch on its way.
struct Batch {
    requests: Vec<Request>,
    sent_at: Option<Instant>,
    outcomes: Option<Vec<Vec<Outcome>>>,
}

proptest! {
    #![proptest_config(cases(2_000))]

    /// What is refused here the store would refuse as well, whatever is on its way and in whichever order it comes back: unless a
    /// change by this process is not yet settled, or one by another is not yet heard of, and that for no longer than was set.
    #[test]
    fn no_refusal_is_false(policy in policy(), steps in steps()) {
        let limits = Arc::new(Limits::new([Limit::new("rl", None, None, By::Key, policy, policy)]));
        let clock = Arc::new(ManualClock::at(START));
        let store = Memory::new(1 << 20, clock.clone());
        let refusals = Refusals::new(SECOND, true);
        let start = Instant::now();
        let mut passed = Micros::ZERO;
        let mut batches: Vec<Batch> = Vec::new();
        // Changes elsewhere: of which key, since when.
        let mut unheard: Vec<(usize, Micros)> = Vec::new();
        let make = |key: usize, verb| request(&limits, &[KEYS[key]], verb);
        for step in steps {
            let now = start + passed.as_duration();
            match step {
                Step::Waits(thousandths) => {
                    let micros = (policy.window().0.min(2 * SECOND.0) * thousandths).div_ceil(1_000);
                    passed = passed + Micros(micros);
                    clock.advance(Micros(micros));
                }
                Step::Gathers(calls) => {
                    let requests: Vec<_> = calls.iter().map(|(key, deed)| make(*key, deed.verb())).collect();
                    for change in requests.iter().filter(|request| request.verb.is_change()) {
                        refusals.changed(change, now);
                    }
                    batches.push(Batch { requests, sent_at: None, outcomes: None });
                }
                Step::Sends => {
                    if let Some(batch) = batches.iter_mut().find(|batch| batch.sent_at.is_none()) {
                        batch.sent_at = Some(now);
                    }
                }
                Step::Executes => {
                    if let Some(batch) = batches.iter_mut().find(|batch| batch.outcomes.is_none() && batch.sent_at.is_some()) {
                        let answer = |request| store.answer(request, |limit| &limit.policy).to_vec();
                        batch.outcomes = Some(batch.requests.iter().map(answer).collect());
                    }
                }
                Step::Lands(index, is_late) => {
                    let done = batches.iter().filter(|batch| batch.outcomes.is_some()).count();
                    if done > 0 {
                        let Batch { requests, sent_at, outcomes } = batches.remove(index.index(done));
                        for change in requests.iter().filter(|request| request.verb.is_change()) {
                            refusals.changed(change, now);
                        }
                        for (request, outcomes) in requests.iter().zip(outcomes.unwrap()).filter(|_| !is_late) {
                            let decision = Decision::new(&limits, |limit| &limit.policy, &outcomes, Source::Redis);
                            refusals.learn(request, &outcomes, &decision, sent_at.unwrap(), now);
                        }
                    }
                }
                Step::Elsewhere(key, deed) => {
                    let request = make(key, deed.verb());
                    store.answer(&request, |limit| &limit.policy);
                    if request.verb.is_change() {
                        unheard.push((key, passed));
                    }
                }
                Step::Hears => {
                    if !unheard.is_empty() {
                        let (key, _) = unheard.remove(0);
                        refusals.heard(format!("rl:default:{}:{}", policy.name(), KEYS[key]).as_bytes(), now);
                    }
                }
                Step::Calls(key, cost) => {
                    let Some(told) = refusals.find(&make(key, Verb::Decide(Ask::all(cost))), true, now) else { continue };
                    let is_changing = |request: &Request| {
                        request.verb.is_change() && request.keys[0].as_bytes() == KEYS[key].as_bytes()
                    };
                    if batches.iter().any(|batch| batch.requests.iter().any(is_changing)) {
                        continue;
                    }
                    let look = store.answer(&make(key, Verb::Decide(Ask::look(cost))), |limit| &limit.policy)[0];
                    let may_be_false =
                        unheard.iter().rfind(|(changed, _)| *changed == key).is_some_and(|(_, since)| passed.0 - since.0 < SECOND.0);
                    prop_assert!(!look.allowed || may_be_false, "{told:?}");
                }
            }
        }
    }
}
