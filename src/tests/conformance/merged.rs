//! Decisions on one key that come in one batch: the key is read and written once, and each is told what it would be told alone.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::subject::{Deed, NAMESPACE, OnRedis, Subject, request};
use super::{CAPACITY, WINDOW, policies};
use crate::algorithm::{Ask, Outcome, Policy, SlidingWindow};
use crate::clock::Micros;
use crate::error::Error;
use crate::store::Verb;
use crate::store::redis::script::ENGINE;
use crate::tests::schedule::{self, START, after};

/// The same done so many times in a row.
#[derive(Clone, Debug)]
struct Calls {
    gap: i64,
    key: bool,
    /// Whether they travel with those before, at the same moment.
    joins: bool,
    verb: Verb,
    times: usize,
}

/// Mostly decisions; now and then something else between them.
fn verb(policy: &Policy, ask: Ask) -> impl Strategy<Value = Verb> + use<> {
    let window = policy.numbers()[1];
    prop_oneof![
        20 => Just(Verb::Decide(ask)),
        1 => (1..=window).prop_map(|length| Verb::Block(Micros(length))),
        1 => Just(Verb::Unblock),
        1 => Just(Verb::Refund(ask.cost.max(1))),
        1 => Just(Verb::Reset),
    ]
}

fn plan() -> impl Strategy<Value = (Policy, Vec<Calls>)> {
    schedule::policy().prop_flat_map(|policy| {
        let others = || (any::<bool>(), prop::bool::weighted(0.5), prop_oneof![Just(1), 1..=20usize]);
        let calls = schedule::asks(&policy, true, 30).prop_flat_map(move |asks| {
            let calls = |(gap, ask)| {
                (others(), verb(&policy, ask)).prop_map(move |((key, joins, times), verb)| Calls {
                    gap,
                    key,
                    joins,
                    verb,
                    times,
                })
            };
            asks.into_iter().map(calls).collect::<Vec<_>>()
        });
        (Just(policy), calls)
    })
}

/// Also where the clock jumps back.
#[test]
fn each_call_is_told_what_it_would_be_told_alone() {
    let redis = OnRedis::on_manual_time();
    let compare = |(policy, calls): (Policy, Vec<Calls>)| {
        redis.flush();
        let mut now = START;
        for batch in calls.chunk_by(|_, next| next.joins) {
            now = after(now, batch[0].gap);
            redis.set_clock(now);
            let deeds = |keys: [&str; 2]| -> Vec<Deed> {
                let deed = |calls: &Calls| request(keys[usize::from(calls.key)], calls.verb);
                batch.iter().flat_map(|calls| vec![deed(calls); calls.times]).collect()
            };
            let alone = deeds(["alone", "also alone"]).into_iter().map(|deed| redis.outcome(&policy, deed));
            let alone: Vec<Result<Outcome, Error>> = alone.collect();
            prop_assert_eq!(redis.answers(&policy, &deeds(["one", "another"])), Ok(alone), "{:?} at {:?}", batch, now);
        }
        Ok(())
    };
    TestRunner::new(super::super::cases(500)).run(&plan(), compare).unwrap();
}

/// How often Redis has run a command.
fn count(redis: &OnRedis, command: &str) -> u64 {
    let stats: String = redis.say(&[b"INFO", b"commandstats"]);
    let calls = stats.split_once(&format!("cmdstat_{command}:calls=")).map_or("0", |(_, rest)| rest);
    calls.split(',').next().unwrap().parse().unwrap()
}

#[test]
fn a_key_is_read_and_written_once_for_all_calls_on_it() {
    let redis = OnRedis::on_manual_time();
    let take = |key, cost| request(key, Verb::Decide(Ask::all(cost)));
    let commands = |batch: &[Deed]| {
        let before = ["get", "set", "setrange"].map(|command| count(&redis, command));
        redis.answers(&policies()[0], batch).unwrap();
        let after = ["get", "set", "setrange"].map(|command| count(&redis, command));
        // The clock of these tests is a key, too.
        (after[0] - before[0] - 1, after[1] + after[2] - before[1] - before[2])
    };
    assert_eq!(commands(&vec![take("key", 1); 100]), (1, 1));
    assert_eq!(commands(&vec![take("key", 1); 100]), (1, 0), "all of them are refused");
    let mixed = [take("a", 1), take("b", 2), take("a", 2), take("b", 2), take("a", 1), take("a", 2)];
    assert_eq!(commands(&mixed), (2, 2));
    // What is done in between is done in between.
    let reset = request("a", Verb::Reset);
    assert_eq!(commands(&[take("a", 1), take("a", 1), reset, take("a", 1), take("a", 1)]), (2, 2));
}

#[test]
fn a_value_that_is_no_state_is_the_error_of_each_call_on_its_key_alone() {
    let redis = OnRedis::on_manual_time();
    let take = |key| request(key, Verb::Decide(Ask::all(1)));
    for policy in policies() {
        redis.flush();
        redis.say::<()>(&[b"SET", format!("{NAMESPACE}bad").as_bytes(), b"somebody else's"]);
        redis.say::<()>(&[b"LPUSH", format!("{NAMESPACE}list").as_bytes(), b"42"]);
        let batch = ["good", "bad", "bad", "list", "good", "list", "bad", "good"].map(take);
        let answers = redis.answers(&policy, &batch).unwrap();
        let remaining: Vec<_> = answers
            .iter()
            .map(|answer| match answer {
                Ok(outcome) => Some(outcome.remaining),
                Err(Error::State(_)) => None,
                Err(error) => panic!("{error:?}"),
            })
            .collect();
        let left = |taken| Some(CAPACITY - taken);
        assert_eq!(remaining, [left(1), None, None, None, left(2), None, None, left(3)]);
    }
}

/// The first of them sets when the key expires, and the second finds that this lasts.
#[test]
fn a_key_expires_however_many_kinds_of_calls_were_on_it() {
    let redis = OnRedis::start(&ENGINE);
    for policy in policies() {
        redis.flush();
        redis.answers(&policy, &[1, 1, 2, 2, 1].map(|cost| request("key", Verb::Decide(Ask::all(cost))))).unwrap();
        let left: i64 = redis.say(&[b"PTTL", format!("{NAMESPACE}key").as_bytes()]);
        assert!(left > 0 && left < 4 * WINDOW.0.cast_signed() / 1_000, "{left} ms");
    }
}

/// The state of a key under a fine resolution is long: telling it to a few calls would take longer than deciding them.
#[test]
fn no_reply_is_much_longer_than_its_answers() {
    let redis = OnRedis::on_manual_time();
    let policy = Policy::SlidingWindow(SlidingWindow::new(1_000_000, WINDOW, 1_024));
    for slot in 0..1_000 {
        redis.set_clock(START + Micros(WINDOW.0 / 1_000 * slot));
        redis.take(&policy, "key", 1);
    }
    let sent = || {
        let stats: String = redis.say(&[b"INFO", b"stats"]);
        let (_, rest) = stats.split_once("total_net_output_bytes:").unwrap();
        rest.split_once('\r').unwrap().0.parse::<u64>().unwrap()
    };
    let state: u64 = redis.say(&[b"STRLEN", format!("{NAMESPACE}key").as_bytes()]);
    assert!(state > 11_000, "{state} bytes");
    for calls in [2, 10, 100] {
        let batch = vec![request("key", Verb::Decide(Ask::all(1))); calls];
        let before = sent();
        let told = redis.answers(&policy, &batch).unwrap();
        let bytes = sent() - before;
        assert!(told.iter().all(|told| told.as_ref().unwrap().allowed));
        // The answer to the first question is in it, too.
        assert!(bytes < 512 * calls as u64 + 8_000, "{bytes} bytes for {calls} calls");
    }
}
