//! Windows of the calendar on each store: what the log of `tests/calendar/model.rs` says, to the microsecond.

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use super::subject::{InMemory, InShared, OnRedis, Subject, ThroughClient, request};
use crate::algorithm::{Ask, Calendar, Change, Policy};
use crate::calendar::{Period, Unit};
use crate::clock::Micros;
use crate::error::Error;
use crate::store::{Verb, When};
use crate::tests::calendar::model::Log;
use crate::tests::calendar::{HOUR, periods, schedule};
use crate::tests::cases;
use crate::tests::schedule::Op;

fn verb(op: Op) -> Verb {
    match op {
        Op::Ask(ask) => Verb::Decide(ask),
        Op::Change(Change::Refund(units)) => Verb::Refund(units),
        Op::Change(Change::Penalize(units)) => Verb::Penalize(units),
        Op::Change(other) => panic!("no calendar can {other:?}"),
    }
}

fn agrees(store: &impl Subject, calendar: Calendar, calls: &[(Micros, Op)]) -> Result<(), TestCaseError> {
    agrees_with(store, calendar, calls, |now| store.set_clock(now))
}

fn agrees_with(
    store: &impl Subject,
    calendar: Calendar,
    calls: &[(Micros, Op)],
    set_clock: impl Fn(Micros),
) -> Result<(), TestCaseError> {
    let policy = Policy::Calendar(calendar);
    store.reset(&policy, "key");
    let mut log = Log::new(calendar);
    for (i, (now, op)) in calls.iter().enumerate() {
        set_clock(*now);
        let told = store.outcome(&policy, request("key", verb(*op)));
        prop_assert_eq!(told, Ok(log.tell(*now, *op)), "call {}, {:?} at {:?}", i, op, now);
    }
    Ok(())
}

#[test]
fn each_store_tells_what_the_log_says() {
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    let hour = HOUR.cast_signed();
    for gaps in [0..9 * hour, 0..20 * 24 * hour] {
        TestRunner::new(cases(60))
            .run(&schedule(gaps), |(calendar, calls)| {
                // The clocks of these are not set back between two cases.
                agrees(&InMemory::new(), calendar, &calls)?;
                agrees(&InShared::new(), calendar, &calls)?;
                agrees(&redis, calendar, &calls)?;
                agrees(&client, calendar, &calls)
            })
            .unwrap();
    }
}

/// The process's clock is anywhere in the period before, the same or the one after: nobody can tell.
#[test]
fn clocks_that_are_less_than_a_period_apart_change_nothing() {
    let redis = OnRedis::on_manual_time();
    let hour = HOUR.cast_signed();
    for gaps in [0..9 * hour, -80 * hour..99 * hour] {
        TestRunner::new(cases(100))
            .run(&(schedule(gaps), 0..1_000u64), |((calendar, calls), share)| {
                agrees_with(&redis, calendar, &calls, |now| {
                    redis.set_clock(now);
                    let [before, _, _, after] = calendar.periods().around(now);
                    redis.set_own_clock(Micros(before.0 + (after - before).0 / 1_000 * share));
                })
            })
            .unwrap();
    }
}

fn in_paris(unit: Unit) -> (Policy, Micros) {
    let paris = periods(unit, "Europe/Paris");
    // In the shortest day of 2026.
    (Policy::Calendar(Calendar::new(10, paris)), Micros(1_774_746_000_000_000))
}

/// It must not be decided by a wrong period: neither more admitted nor somebody refused until some other day.
#[test]
fn clocks_that_are_farther_apart_are_an_error_of_the_key_that_is_no_failure_of_redis() {
    let redis = OnRedis::on_manual_time();
    let (policy, now) = in_paris(Unit::Day);
    let Policy::Calendar(calendar) = policy else { panic!("it is one") };
    let [before, _, _, after] = calendar.periods().around(now);
    for (moment, is_told) in [(before, true), (before - Micros(1), false), (after - Micros(1), true), (after, false)] {
        redis.set_clock(moment);
        redis.set_own_clock(now);
        let verbs = [
            Verb::Decide(Ask::all(1)),
            Verb::Decide(Ask::look(1)),
            Verb::Refund(1),
            Verb::Penalize(1),
            Verb::Reserve { cost: 1, patience: Micros(1) },
        ];
        for verb in verbs {
            let answers = redis.answers(&policy, &[request("key", verb), request("key", verb)]).unwrap();
            for answer in answers {
                match answer {
                    Ok(_) => assert!(is_told, "{verb:?} at {moment:?}"),
                    Err(error) => {
                        assert!(!is_told && matches!(error, Error::PartUnavailable(_)), "{error:?} of {verb:?}");
                        assert!(
                            !error.is_transient() && error.to_string().contains("period of the calendar"),
                            "{error}"
                        );
                    }
                }
            }
        }
        let beside = Policy::Calendar(Calendar::new(10, periods(Unit::Month, "Europe/Paris")));
        let answers = redis.try_together(&[policy, beside], &["a", "b"], Ask::all(1)).unwrap();
        assert!(answers.iter().all(|answer| answer.is_ok() == is_told), "{answers:?} at {moment:?}");
        // It is that key's alone, and of what the others lost nothing is left.
        assert_eq!(redis.decide(&beside, "b", Ask::look(1)).remaining, if is_told { 9 } else { 10 });
        redis.say::<()>(&[b"FLUSHALL"]);
    }
}

/// Those that come at once are decided in one step in Redis, and what each is told is reckoned here.
#[test]
fn calls_that_are_merged_are_told_what_each_would_be() {
    let redis = OnRedis::on_manual_time();
    let (policy, now) = in_paris(Unit::Week);
    let Policy::Calendar(calendar) = policy else { panic!("it is one") };
    let end = calendar.periods().at(now).end;
    for moment in [end - Micros(1), end] {
        redis.set_clock(moment);
        redis.set_own_clock(now);
        let mut log = Log::new(calendar);
        let batch: Vec<_> = [3, 3, 1, 3, 3, 1].map(|cost| request("key", Verb::Decide(Ask::all(cost)))).into();
        for (told, (_, verb)) in redis.answers(&policy, &batch).unwrap().into_iter().zip(&batch) {
            let Verb::Decide(ask) = verb else { panic!("they are decisions") };
            assert_eq!(told, Ok(log.tell(moment, Op::Ask(*ask))), "{ask:?} at {moment:?}");
        }
    }
}

/// A block ends at its own time, and what is refused until midnight is refused until then beneath it.
#[test]
fn blocks_and_dated_calls_are_as_with_any_window() {
    let redis = OnRedis::on_manual_time();
    let (policy, now) = in_paris(Unit::Day);
    let Policy::Calendar(calendar) = policy else { panic!("it is one") };
    let Period { begin, end } = calendar.periods().at(now);
    let memory = InMemory::new();
    let stores: [&dyn Subject; 2] = [&memory, &redis];
    for store in stores {
        store.set_clock(now);
        let blocked = store.act(&policy, "key", Verb::Block(Micros(1_000)));
        assert_eq!((blocked.allowed, blocked.retry_after), (false, Micros(1_000)));
        store.act(&policy, "key", Verb::Unblock);
        // Of yesterday, and so none of today's.
        let yesterday = When::Dated(begin - Micros(1));
        assert_eq!(store.dated(&policy, "key", Verb::Decide(Ask::all(4)), yesterday).remaining, 6);
        let today = store.dated(&policy, "key", Verb::Decide(Ask::all(10)), When::Dated(begin));
        assert_eq!((today.granted, today.reset_at), (10, end));
        // Not before what was seen last.
        let refused = store.dated(&policy, "key", Verb::Decide(Ask::all(1)), yesterday);
        assert_eq!((refused.allowed, refused.retry_after), (false, end - begin));
        let refused = store.take(&policy, "key", 1);
        assert_eq!((refused.allowed, refused.retry_after, refused.reset_at), (false, end - now, end));
        store.set_clock(end - Micros(1));
        assert_eq!(store.take(&policy, "key", 1).retry_after, Micros(1));
        store.set_clock(end);
        assert_eq!(store.take(&policy, "key", 10).granted, 10);
    }
}
