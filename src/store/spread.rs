//! Batches over a store that is spread over slots: one call of the script for each slot, all at the same time.
//!
//! A request under several limits whose keys lie in different slots cannot be decided in one call. It takes from one slot after
//! the other, in the order of the slots, and what was taken is given back when one of them refuses. So it never takes too much;
//! a call beside it may be refused for the moment until it is given back; and where it breaks off between the two, what was
//! taken is missing until it comes back by itself.
//!
//! Limits that are tried are asked when those in force have answered, each for itself.
//!
//! With a limit on new keys all keys are looked at first, which tells whether the call brings somebody new; then that limit's unit is
//! taken, and the others after it. So a call that is refused for being new writes nothing anywhere, and nobody new gets in without
//! a unit but one whose key ran out between the look and the taking. Two first calls of somebody at once may take a unit each.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::future::{join, join_all, try_join_all};

use super::redis::script::Packed;
use super::{Answering, Answers, Gate, Request, Verb, When, slot};
use crate::algorithm::{Ask, Outcome};
use crate::clock::Clock;
use crate::error::Error;
use crate::limits::{Limit, Limits};
use crate::metrics::Counter;
use crate::newcomers::Newcomers;
use crate::trials;

/// Runs calls of the script, each on the server that has its slot. An object, and what it runs is boxed: what follows is compiled
/// once, and not for each kind of connection, which would be a tenth of the addon.
pub(super) trait Run: Send + Sync + 'static {
    /// Where it is counted how many calls are merged.
    fn merged(&self) -> &Counter;

    /// What this side takes for the present.
    fn clock(&self) -> &'static dyn Clock;

    /// Runs one whose keys all lie in `slot`.
    fn run(&self, slot: u16, call: Packed) -> Running;
}

/// A call under way.
pub(super) type Running = Pin<Box<dyn Future<Output = Ran> + Send>>;

/// Whoever runs them, held by each call that is under way.
pub(super) type Runner = Arc<dyn Run>;

/// What came of a call.
pub(super) enum Ran {
    Answered(Answers),
    /// Nothing was done: its slot is being moved to another server, and its keys are on both. One by one they are found.
    Divided,
}

/// Where the answers of a request belong among those of its batch.
type Places = Range<usize>;

/// The slot of each key of a request. `prefix` is what somebody puts before all of them.
fn slots_of(prefix: &[u8], request: &Request) -> impl Iterator<Item = u16> {
    request.parts().map(|(limit, key)| {
        let mut name = prefix.to_vec();
        limit.append_name(&mut name, key.as_bytes());
        slot::of(&name)
    })
}

/// Refuses what cannot be done over several slots: each server has a time of its own, and a hold is named by its end under all limits.
pub(super) fn gate(prefix: Vec<u8>) -> Gate {
    Box::new(move |request| {
        if !matches!(request.verb, Verb::Hold { .. }) || request.keys.len() == 1 {
            return Ok(());
        }
        let mut slots = slots_of(&prefix, request);
        let first = slots.next();
        if slots.all(|slot| Some(slot) == first) {
            return Ok(());
        }
        Err(Error::Unsupported(
            "`reserve` under several limits needs all keys of a call in one slot of the cluster: give the limiter `hashTag`"
                .into(),
        ))
    })
}

/// Decides a batch. Where one of the slots fails, it is those keys that do.
pub(super) fn decide(runner: &Runner, prefix: &[u8], batch: &mut dyn Iterator<Item = &Request>) -> Answering {
    let mut calls: BTreeMap<u16, Vec<(Places, Request)>> = BTreeMap::new();
    let mut scattered = Vec::new();
    let mut keys = 0;
    for request in batch {
        let slots: Vec<u16> = slots_of(prefix, request).collect();
        let places = keys..keys + slots.len();
        keys = places.end;
        if slots.iter().all(|slot| *slot == slots[0]) {
            calls.entry(slots[0]).or_default().push((places, request.clone()));
        } else if let Verb::Decide(ask) = request.verb
            && (ask.cost > 0 || request.limits.has_new_keys())
        {
            let deciding = decide_in_turn(runner.clone(), request.clone(), slots, ask);
            scattered.push(async move { vec![(places, deciding.await)] });
        } else {
            // Nothing that one key is told depends on another.
            for ((index, slot), place) in slots.into_iter().enumerate().zip(places) {
                calls.entry(slot).or_default().push((place..place + 1, part(request, &[index])));
            }
        }
    }
    let parts: Vec<_> = calls.into_iter().map(|(slot, requests)| run(runner.clone(), slot, requests)).collect();
    Box::pin(async move {
        let (parts, scattered) = join(join_all(parts), join_all(scattered)).await;
        let all: Vec<(Places, Answers)> = parts.into_iter().chain(scattered).flatten().collect();
        let is_well = all.iter().any(|(_, answers)| answers.is_ok());
        let mut placed: Vec<Result<Outcome, Error>> = Vec::new();
        placed.resize(keys, Err(Error::Internal("a key was in no call".into())));
        for (places, answers) in all {
            match answers {
                Ok(answers) => places.zip(answers).for_each(|(place, answer)| placed[place] = answer),
                Err(error) => placed[places].fill(Err(if is_well { error.of_a_part() } else { error })),
            }
        }
        Ok(placed)
    })
}

/// Runs the requests of one slot, each with its place, in one call where that is possible.
async fn run(runner: Runner, slot: u16, requests: Vec<(Places, Request)>) -> Vec<(Places, Answers)> {
    let call = Packed::of(&mut requests.iter().map(|(_, request)| request), runner.clock());
    runner.merged().add(call.merged());
    match runner.run(slot, call).await {
        Ran::Answered(Ok(answers)) => {
            let mut answers = answers.into_iter();
            let own = |(places, _): (Places, Request)| {
                let own = answers.by_ref().take(places.len()).collect();
                (places, Ok(own))
            };
            requests.into_iter().map(own).collect()
        }
        Ran::Answered(Err(error)) => requests.into_iter().map(|(places, _)| (places, Err(error.clone()))).collect(),
        Ran::Divided => {
            let alone = requests.into_iter().map(|(places, request)| {
                let asking = ask(&runner, slot, request);
                async move { (places, asking.await.map(|outcomes| outcomes.into_iter().map(Ok).collect())) }
            });
            join_all(alone).await
        }
    }
}

/// The request as far as it is about some of its keys.
fn part(request: &Request, indexes: &[usize]) -> Request {
    let all: Vec<&Limit> = request.limits.iter().collect();
    Request {
        limits: Arc::new(Limits::new(indexes.iter().map(|index| all[*index].clone()))),
        keys: indexes.iter().map(|index| request.keys[*index].clone()).collect(),
        ..request.clone()
    }
}

/// Asks about a part of a request. Where one of its keys fails, all of it does.
async fn ask(runner: &Runner, slot: u16, request: Request) -> Result<Vec<Outcome>, Error> {
    match runner.run(slot, Packed::of(&mut std::iter::once(&request), runner.clock())).await {
        Ran::Answered(answers) => answers?.into_iter().collect(),
        Ran::Divided => Err(Error::PartAway("its keys are being moved to another server".into())),
    }
}

/// Decides a request whose keys lie in several slots.
async fn decide_in_turn(runner: Runner, request: Request, slots: Vec<u16>, wanted: Ask) -> Answers {
    let answers = if request.limits.has_new_keys() {
        admit_in_turn(runner, request, slots, wanted).await
    } else if request.limits.has_trials() {
        try_in_turn(runner, request, slots, wanted).await
    } else {
        take_in_turn(runner, request, slots, wanted).await
    };
    // Where one of them is away, others may have taken, and may not have been given it back.
    answers.map_err(Error::perhaps_sent)
}

/// Takes from the slots of a request one after the other, always in the same order, or gives back what was taken.
async fn take_in_turn(runner: Runner, request: Request, slots: Vec<u16>, wanted: Ask) -> Answers {
    let mut groups: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (index, slot) in slots.iter().enumerate() {
        groups.entry(*slot).or_default().push(index);
    }
    let mut outcomes = vec![Outcome::forgotten(crate::clock::Micros::ZERO); slots.len()];
    let mut taken: Vec<(u16, u64)> = Vec::new();
    let (mut units, mut refusal) = (wanted.cost, None);
    for (slot, indexes) in &groups {
        let verb = Verb::Decide(Ask { cost: units, least: wanted.least });
        match ask(&runner, *slot, Request { verb, ..part(&request, indexes) }).await {
            Ok(answers) => {
                let granted = answers.iter().map(|outcome| outcome.granted).min().unwrap_or(0);
                for (index, outcome) in indexes.iter().zip(answers) {
                    outcomes[*index] = outcome;
                }
                if granted == 0 {
                    refusal = Some(Ok(()));
                    break;
                }
                units = granted;
                taken.push((*slot, granted));
            }
            Err(error) => {
                refusal = Some(Err(error));
                break;
            }
        }
    }
    let kept = if refusal.is_some() { 0 } else { units };
    let surplus: Vec<(u16, u64)> =
        taken.iter().map(|(slot, granted)| (*slot, granted - kept)).filter(|(_, units)| *units > 0).collect();
    let giving_back = surplus.iter().map(|(slot, units)| {
        ask(&runner, *slot, Request { verb: Verb::Refund(*units), when: When::Now, ..part(&request, &groups[slot]) })
    });
    // What cannot be given back is missing until it comes back by itself: stricter, and nobody's error.
    join_all(giving_back).await;
    for (slot, units) in surplus {
        for index in &groups[&slot] {
            let outcome = &mut outcomes[*index];
            outcome.granted -= units;
            outcome.remaining += units;
        }
    }
    if let Some(refusal) = refusal {
        refusal?;
        // Those that were not asked say what they have, for the caller's headers.
        let unasked = groups.iter().skip(taken.len() + 1).map(|(slot, indexes)| {
            let looking = Request { verb: Verb::Decide(Ask::look(wanted.least)), ..part(&request, indexes) };
            let running = ask(&runner, *slot, looking);
            async move { Ok::<_, Error>((indexes, running.await?)) }
        });
        for (indexes, answers) in try_join_all(unasked).await? {
            for (index, outcome) in indexes.iter().zip(answers) {
                outcomes[*index] = outcome;
            }
        }
    }
    Ok(outcomes.into_iter().map(Ok).collect())
}

/// Decides by the limits in force, then asks those that are tried. Where one of these fails, it is that one alone.
async fn try_in_turn(runner: Runner, request: Request, mut slots: Vec<u16>, wanted: Ask) -> Answers {
    let mut outcomes = Vec::new();
    let tried = slots.split_off(request.limits.in_force().map_or(0, |limits| limits.len()));
    if let Some(own) = request.in_force() {
        let taking = take_in_turn(runner.clone(), own.into_owned(), slots, wanted);
        outcomes = taking.await?.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let mut answers: Vec<Result<Outcome, Error>> = outcomes.iter().copied().map(Ok).collect();
    // One after the other, since few are tried, and mostly one.
    for (limit, slot) in request.limits.iter().skip(outcomes.len()).zip(tried) {
        let verb = Verb::Decide(trials::ask_of(limit, wanted, &outcomes));
        let own = Request { verb, ..part(&request, &[answers.len()]) };
        answers.push(ask(&runner, slot, own).await.map(|outcomes| outcomes[0]));
    }
    Ok(answers)
}

/// Decides a request whose last limit is the one on new keys.
async fn admit_in_turn(runner: Runner, request: Request, slots: Vec<u16>, wanted: Ask) -> Answers {
    let last = slots.len() - 1;
    let about = |indexes: &[usize], ask: Ask| Request { verb: Verb::Decide(ask), ..part(&request, indexes) };
    let looks = (0..=last).map(|index| {
        let least = if index == last { 1 } else { wanted.least };
        ask(&runner, slots[index], about(&[index], Ask::look(least)))
    });
    let mut outcomes = try_join_all(looks).await?.concat();
    let mut newcomers = Newcomers::default();
    for (limit, look) in request.limits.iter().zip(&outcomes) {
        // A key has all its units exactly where nothing of it counts. When that would be is told in its server's time.
        newcomers.see(limit, look.remaining == limit.policy.capacity());
    }
    outcomes[last] = newcomers.told(outcomes[last]);
    let full: Vec<usize> = (0..last).filter(|index| !outcomes[*index].allowed).collect();
    if wanted.cost > 0 && full.is_empty() {
        if newcomers.units() > 0 {
            outcomes[last] = ask(&runner, slots[last], about(&[last], Ask::all(1))).await?[0];
        }
        if outcomes[last].allowed {
            let others: Vec<usize> = (0..last).collect();
            let taking = take_in_turn(runner.clone(), about(&others, wanted), slots[..last].to_vec(), wanted);
            // Where that fails it may have been done, so the unit stays taken.
            let taken: Vec<Outcome> = taking.await?.into_iter().collect::<Result<_, _>>()?;
            let is_refused = taken.iter().any(|outcome| !outcome.allowed);
            outcomes.splice(..last, taken);
            if is_refused && outcomes[last].granted > 0 {
                let giving_back = Request { verb: Verb::Refund(1), when: When::Now, ..part(&request, &[last]) };
                // What cannot be given back is missing until it comes back by itself.
                let _ = ask(&runner, slots[last], giving_back).await;
                outcomes[last].granted = 0;
                outcomes[last].remaining += 1;
            }
        }
    } else if wanted.cost > 0 {
        // A look mends nothing that a clock which jumped back has left, a refusal does: and more than there can be is always refused.
        let limits: Vec<&Limit> = request.limits.iter().collect();
        let asking = full.iter().map(|index| {
            let least = limits[*index].policy.capacity() + 1;
            ask(&runner, slots[*index], about(&[*index], Ask { cost: 1, least }))
        });
        join_all(asking).await;
    }
    Ok(outcomes.into_iter().map(Ok).collect())
}
