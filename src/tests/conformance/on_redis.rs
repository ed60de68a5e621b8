//! What is said of Redis alone: its clock, its keys, its values, its failures.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::subject::{Deed, NAMESPACE, OnRedis, Subject, request, requests};
use super::{CAPACITY, WINDOW, policies};
use crate::algorithm::{Ask, Policy, SlidingWindow, TokenBucket, WithBurst};
use crate::clock::Micros;
use crate::error::Error;
use crate::policy::MAX_WINDOW;
use crate::store::redis::script::ENGINE;
use crate::store::{Request, Verb, When};
use crate::tests::cases;
use crate::tests::schedule::START;

/// A key of these tests as it stands in Redis.
fn stored(key: &str) -> Vec<u8> {
    format!("{NAMESPACE}{key}").into_bytes()
}

fn take(key: &str) -> Deed {
    request(key, Verb::Decide(Ask::all(1)))
}

/// What a key expires after or at, in milliseconds.
fn expiry(redis: &OnRedis, command: &[u8], key: &str) -> u64 {
    let expiry: i64 = redis.say(&[command, &stored(key)]);
    u64::try_from(expiry).expect("a key without expiry, or none")
}

/// The values that this library would never write, with the reason.
const DAMAGED: [(&str, &[u8]); 8] = [
    ("empty", b""),
    ("text", b"42"),
    ("of another version", b"\x02\0\0\0\0\x01\0\0\0\0\0\0\x01\0\0\0\0\x01"),
    ("of a version only", b"\x01"),
    ("without a group", b"\x01\0\0\0\0\x01"),
    ("cut off", b"\x01\0\0\0\0\x01\0\0\0\0\0\0\x01\0\0\0\0"),
    ("too long", b"\x01\0\0\0\0\x01\0\0\0\0\0\0\x01\0\0\0\0\x01\0"),
    ("a long text", b"somebody else's value, of the length of no state at all"),
];

/// What an aborted script has written stays, so a value that stops the others would let half a batch through uncounted.
#[test]
fn a_value_that_cannot_be_read_is_the_error_of_its_key_alone() {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        redis.flush();
        for (key, value) in DAMAGED {
            redis.say::<()>(&[b"SET", &stored(key), value]);
        }
        redis.say::<()>(&[b"LPUSH", &stored("a list"), b"42"]);
        let bad: Vec<&str> = DAMAGED.iter().map(|(key, _)| *key).chain(["a list"]).collect();
        let batch: Vec<_> = bad.iter().flat_map(|key| [take("good"), take(key)]).chain([take("good")]).collect();
        let answers = redis.answers(&policy, &batch).unwrap();
        for (i, answer) in answers.iter().enumerate() {
            match answer {
                Ok(outcome) => assert_eq!((i % 2, outcome.remaining), (0, CAPACITY - 1 - i as u64 / 2)),
                Err(error) => {
                    assert!(i % 2 == 1 && matches!(error, Error::State(_)), "{error:?} for request {i}");
                    assert!(!error.is_transient(), "one key's value is no failure of Redis");
                }
            }
        }
        for (key, value) in DAMAGED {
            assert_eq!(redis.say::<Vec<u8>>(&[b"GET", &stored(key)]), value, "what is somebody else's is left alone");
        }
        for key in bad {
            redis.reset(&policy, key);
            assert_eq!(redis.take(&policy, key, 1).remaining, CAPACITY - 1, "a reset heals the value '{key}'");
        }
    }
}

/// What an aborted script has written stays, so whatever looks at a value must know how long it is.
#[test]
fn a_dated_call_on_a_value_that_cannot_be_read_is_the_error_of_its_key_alone() {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        redis.flush();
        for (key, value) in DAMAGED {
            redis.say::<()>(&[b"SET", &stored(key), value]);
        }
        let bad = DAMAGED.iter().map(|(key, _)| take(key));
        let batch: Vec<_> = bad.chain([take("good")]).collect();
        let dated =
            requests(&policy, &batch).into_iter().map(|request| Request { when: When::Dated(START), ..request });
        let mut answers = redis.requests(&dated.collect::<Vec<_>>()).unwrap();
        assert_eq!(answers.pop().unwrap().unwrap().remaining, CAPACITY - 1);
        assert!(answers.iter().all(|answer| matches!(answer, Err(Error::State(_)))), "{answers:?}");
    }
}

/// MGET takes them for nothing, and what is written over them would be lost to whoever they belong to.
#[test]
fn what_is_no_string_is_an_error_of_its_key_and_stays_whoever_reads_it() {
    for redis in [OnRedis::on_manual_time(), OnRedis::without_functions()] {
        for policy in policies() {
            redis.flush();
            redis.say::<()>(&[b"LPUSH", &stored("list"), b"42"]);
            let look = request("list", Verb::Decide(Ask::look(1)));
            let too_much = request("list", Verb::Decide(Ask::all(CAPACITY + 1)));
            for asked in [take("list"), look, too_much] {
                for batch in [vec![asked.clone()], vec![take("a"), asked.clone()], vec![asked.clone(), asked.clone()]] {
                    let answers = redis.answers(&policy, &batch).unwrap();
                    assert!(matches!(answers.last(), Some(Err(Error::State(_)))), "{asked:?}: {answers:?}");
                }
            }
            let answers = redis.try_together(&[policy, policy], &["b", "list"], Ask::all(1)).unwrap();
            assert!(answers.iter().all(|answer| matches!(answer, Err(Error::State(_)))), "{answers:?}");
            assert_eq!(redis.take(&policy, "b", 1).remaining, CAPACITY - 1, "nothing was taken of the other");
            assert_eq!(redis.say::<Vec<Vec<u8>>>(&[b"LRANGE", &stored("list"), b"0", b"-1"]), [b"42"]);
        }
    }
}

/// A user who may not read several keys at once, or whose batch names one of them twice.
#[test]
fn keys_are_read_one_by_one_where_they_cannot_be_at_once() {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        redis.flush();
        redis.say::<()>(&[b"ACL", b"SETUSER", b"default", b"-mget"]);
        let batch = [take("a"), take("b")];
        let left = |redis: &OnRedis, batch: &[Deed]| -> Vec<u64> {
            let answers = redis.answers(&policy, batch).unwrap();
            answers.into_iter().map(|answer| answer.unwrap().remaining).collect()
        };
        assert_eq!(left(&redis, &batch), [CAPACITY - 1; 2]);
        redis.say::<()>(&[b"ACL", b"SETUSER", b"default", b"+mget"]);
        assert_eq!(left(&redis, &batch), [CAPACITY - 2; 2]);
        let twice =
            [take("a"), request("a", Verb::Refund(1)), take("a"), take("b"), request("b", Verb::Reset), take("b")];
        let remaining = left(&redis, &twice);
        assert_eq!(
            [remaining[0], remaining[2], remaining[3], remaining[5]],
            [CAPACITY - 3, CAPACITY - 3, CAPACITY - 3, CAPACITY - 1]
        );
    }
}

/// What had been taken of the other keys would stay, if the script ended there.
#[test]
fn a_damaged_state_under_several_limits_is_the_error_of_their_call_alone() {
    let redis = OnRedis::on_manual_time();
    let sliding = SlidingWindow::new(CAPACITY - 3, WINDOW, 32);
    let policy = Policy::SlidingWindowBurst(WithBurst::new(sliding, 3, WINDOW));
    let newest = START.0.to_be_bytes();
    let value = [&[1; 8][..], &[0, 17], &[0, 0, 0, 0, 100], &newest[1..], &[0, 0, 0, 0, 1]].concat();
    redis.say::<()>(&[b"SET", &stored("bad"), &value]);
    let answers = redis.try_together(&[policy, policy], &["good", "bad"], Ask::all(1)).unwrap();
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::State(_)))), "{answers:?}");
    assert_eq!(redis.take(&policy, "good", 1).remaining, CAPACITY - 1);
}

/// A state that another algorithm wrote can only stand here where two limiters were given one namespace.
#[test]
fn a_state_of_another_algorithm_is_an_error_of_its_key() {
    let redis = OnRedis::on_manual_time();
    let [sliding, _, bucket, ..] = policies();
    for (first, second) in [(sliding, bucket), (bucket, sliding)] {
        redis.flush();
        redis.take(&first, "key", 1);
        assert!(matches!(redis.outcome(&second, take("key")), Err(Error::State(_))));
    }
}

/// What is counted from a moment beyond 2^53 would be rounded, so no bucket is full as late as that.
#[test]
fn a_bucket_that_is_full_later_than_a_number_can_say_is_an_error_of_its_key() {
    let redis = OnRedis::on_manual_time();
    let [_, _, bucket, ..] = policies();
    redis.take(&bucket, "key", 1);
    let mut value: Vec<u8> = redis.say(&[b"GET", &stored("key")]);
    value[15..22].copy_from_slice(&(1u64 << 53).to_be_bytes()[1..]);
    redis.say::<()>(&[b"SET", &stored("key"), &value]);
    assert!(matches!(redis.outcome(&bucket, take("key")), Err(Error::State(_))));
}

/// Whatever stands there, an answer comes, and the other keys of the batch have theirs.
#[test]
fn no_value_fails_more_than_its_own_key() {
    let redis = OnRedis::on_manual_time();
    // Of the lengths of states and of the right version more often than chance would have it.
    let bytes = prop::collection::vec(any::<u8>(), 0..44);
    let like_a_state =
        (prop::collection::vec(any::<u8>(), 53), prop::sample::select(vec![13, 18, 20, 25, 27, 30, 37, 42, 54]));
    let like_a_state = like_a_state.prop_map(|(bytes, length)| [&[1], &bytes[..length - 1]].concat());
    // Two states without version and expiry, of which the first has a length that is told.
    let like_two = (prop::collection::vec(any::<u8>(), 58), prop::sample::select(vec![0, 12, 17, 29]), any::<bool>());
    let like_two = like_two.prop_map(|(bytes, length, bucket)| {
        let end = usize::from(length) + if bucket { 19 } else { 0 };
        [&[1], &bytes[..7], &[0, length], &bytes[7..7 + end]].concat()
    });
    let values = prop_oneof![1 => bytes, 3 => like_a_state, 3 => like_two];
    TestRunner::new(cases(500))
        .run(&(prop::sample::select(policies().to_vec()), values), |(policy, value)| {
            redis.say::<()>(&[b"DEL", &stored("good")]);
            redis.say::<()>(&[b"SET", &stored("bad"), &value]);
            // Alone, and several at once.
            for batch in [["bad", "good"].as_slice(), &["bad", "good", "bad", "good", "bad", "bad"]] {
                let batch: Vec<Deed> = batch.iter().copied().map(take).collect();
                let answers = redis.answers(&policy, &batch).unwrap();
                let (good, bad): (Vec<_>, Vec<_>) =
                    batch.iter().zip(answers).partition(|((key, _), _)| key.as_bytes() == b"good");
                prop_assert!(bad.iter().all(|(_, answer)| matches!(answer, Ok(_) | Err(Error::State(_)))), "{:?}", bad);
                prop_assert!(
                    good.iter().all(|(_, answer)| answer.as_ref().is_ok_and(|told| told.allowed)),
                    "{:?}",
                    good
                );
            }
            Ok(())
        })
        .unwrap();
}

/// A log that says 100 units in all, and one in its only group: when there is room cannot be told from it. Were that not seen
/// before it is compared with the bucket's time, the script would end there, and what it has written would stay.
#[test]
fn a_damaged_state_under_a_burst_is_the_error_of_its_key_alone() {
    let redis = OnRedis::on_manual_time();
    let sliding = SlidingWindow::new(CAPACITY - 3, WINDOW, 32);
    let policy = Policy::SlidingWindowBurst(WithBurst::new(sliding, 3, WINDOW));
    let newest = START.0.to_be_bytes();
    let value = [&[1; 8][..], &[0, 17], &[0, 0, 0, 0, 100], &newest[1..], &[0, 0, 0, 0, 1]].concat();
    redis.say::<()>(&[b"SET", &stored("bad"), &value]);
    // More than the limit, so that the log alone is not expected ever to have room.
    let ask = request("bad", Verb::Decide(Ask::all(CAPACITY)));
    let answers = redis.answers(&policy, &[take("good"), ask, take("good")]).unwrap();
    assert!(matches!(answers[1], Err(Error::State(_))), "{:?}", answers[1]);
    assert_eq!(answers[2].as_ref().unwrap().remaining, CAPACITY - 2);
}

/// On Redis's own clock: what is remembered outlives what it stands for, and not by much.
#[test]
fn a_state_expires_when_the_key_is_as_good_as_new() {
    let redis = OnRedis::start(&ENGINE);
    let sliding = |resolution| SlidingWindow::new(CAPACITY, WINDOW, resolution);
    for (policy, longest) in [
        (Policy::SlidingWindow(sliding(32)), WINDOW + sliding(32).slot()),
        (Policy::SlidingWindow(sliding(4)), WINDOW + sliding(4).slot()),
        (Policy::TokenBucket(TokenBucket::new(CAPACITY, WINDOW, CAPACITY)), WINDOW),
        (Policy::TokenBucket(TokenBucket::new(3, WINDOW, CAPACITY)), Micros(3_333_334)),
    ] {
        for cost in [1, policy.capacity() - 1] {
            redis.flush();
            let outcome = redis.take(&policy, "key", cost);
            let ttl = expiry(&redis, b"PTTL", "key");
            let spare = Micros(WINDOW.0 / 8);
            assert!(0 < ttl && ttl <= (longest + spare).as_millis_up() + 2, "{ttl} ms of {longest:?}");
            let at = Micros::from_millis(expiry(&redis, b"PEXPIRETIME", "key"));
            assert!(at >= outcome.reset_at, "forgotten {:?} before it is new", outcome.reset_at - at);
        }
    }
}

/// Redis refuses a PX of 0, and one that Lua has written with an exponent.
#[test]
fn the_shortest_and_the_longest_window_have_an_expiry_that_redis_accepts() {
    let redis = OnRedis::start(&ENGINE);
    for window in [Micros(1), Micros(999), MAX_WINDOW] {
        for policy in [
            Policy::SlidingWindow(SlidingWindow::new(CAPACITY, window, 1)),
            Policy::TokenBucket(TokenBucket::new(CAPACITY, window, CAPACITY)),
        ] {
            redis.flush();
            assert_eq!(redis.take(&policy, "key", CAPACITY).granted, CAPACITY);
        }
    }
}

#[test]
fn nothing_is_written_for_a_look_or_a_refusal() {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        redis.flush();
        redis.decide(&policy, "key", Ask::look(1));
        redis.decide(&policy, "key", Ask { cost: CAPACITY + 1, least: CAPACITY + 1 });
        assert_eq!(redis.say::<u64>(&[b"EXISTS", &stored("key")]), 0);
    }
}

#[test]
fn without_memory_redis_refuses_to_write_and_nothing_is_taken() {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        redis.flush();
        redis.take(&policy, "key", 4);
        redis.say::<()>(&[b"CONFIG", b"SET", b"maxmemory", b"1"]);
        let look = request("key", Verb::Decide(Ask::look(6)));
        let answers = redis.answers(&policy, &[take("key"), look.clone(), take("another")]).unwrap();
        for answer in [&answers[0], &answers[2]] {
            let error = answer.as_ref().unwrap_err();
            assert!(error.is_transient() && error.to_string().contains("OOM"), "{error:?}");
        }
        assert_eq!(answers[1].as_ref().unwrap().remaining, 6, "a look needs no memory");
        let at_once = redis.answers(&policy, &vec![take("key"); 3]).unwrap();
        assert!(at_once.iter().all(|answer| answer.as_ref().is_err_and(Error::is_transient)), "{at_once:?}");
        redis.say::<()>(&[b"CONFIG", b"SET", b"maxmemory", b"0"]);
        assert_eq!(redis.outcome(&policy, look).unwrap().remaining, 6);
        assert!(redis.take(&policy, "another", CAPACITY).allowed);
    }
}

/// As after a failover or a restart: the script is sent again, and what the first try did not do is done once.
#[test]
fn a_script_that_redis_has_forgotten_is_sent_again_and_counts_once() {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        redis.flush();
        for taken in 1..=CAPACITY {
            redis.say::<()>(&[b"SCRIPT", b"FLUSH"]);
            assert_eq!(redis.take(&policy, "key", 1).remaining, CAPACITY - taken);
        }
    }
}

/// A caller's `{` would choose the slot of a cluster, and with it whom to crowd.
#[test]
fn a_key_in_redis_has_the_namespace_and_no_brace_of_the_callers() {
    let redis = OnRedis::on_manual_time();
    let policy = policies()[0];
    let long = "{".repeat(1_025);
    for key in ["{user}", "a{b}c", "{}", "%7Buser}", "plain", &long] {
        redis.take(&policy, key, 1);
    }
    // sha256sum of 1,025 times '{'.
    let digest = "%sha256:9cd70a3c0144d2553e7154f7a8b1bfb4c6166d74d891c69633db5ffb3f9fc75d";
    let expected = ["%7Buser}", "a%7Bb}c", "%7B}", "%257Buser}", "plain", digest].map(stored);
    let mut keys: BTreeSet<Vec<u8>> = redis.say(&[b"KEYS", b"*"]);
    assert!(keys.remove(&b"now"[..]));
    assert_eq!(keys, BTreeSet::from(expected));
}
