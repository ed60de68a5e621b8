//! That Redis is asked by functions where it has them, and by scripts where not; and that neither is ever run twice.

use once_cell::sync::Lazy;

use super::subject::{OnRedis, Subject, request, requests};
use super::{CAPACITY, policies};
use crate::algorithm::{Ask, FixedWindow, Policy};
use crate::clock::Micros;
use crate::store::Verb;
use crate::store::redis::script::{ENGINE, Script};

/// So much that none of these tests is refused.
fn plenty() -> Policy {
    Policy::FixedWindow(FixedWindow::new(1_000_000, Micros::from_millis(3_600_000), false))
}

#[test]
fn the_function_is_called_and_nothing_else() {
    let redis = OnRedis::on_manual_time();
    for (index, policy) in policies().iter().enumerate() {
        redis.take(policy, &format!("key {index}"), 1);
    }
    let calls = u64::try_from(policies().len()).unwrap();
    // One call has found that there is no library, one has checked the one that was loaded.
    assert_eq!(redis.count_of("fcall"), (calls + 2, 0));
    assert_eq!(redis.count_of("function|load"), (1, 0));
    assert_eq!([redis.count_of("evalsha"), redis.count_of("eval")], [(0, 0); 2]);
}

/// As after a restart without persistence, or on a server that a failover has put in its place.
#[test]
fn a_library_that_redis_has_forgotten_is_loaded_again_and_each_call_counts_once() {
    let redis = OnRedis::on_manual_time();
    for policy in policies() {
        redis.flush();
        for taken in 1..=CAPACITY {
            redis.say::<()>(&[b"FUNCTION", b"FLUSH"]);
            redis.say::<()>(&[b"SCRIPT", b"FLUSH"]);
            assert_eq!(redis.take(&policy, "key", 1).remaining, CAPACITY - taken);
        }
    }
    assert_eq!(redis.count_of("evalsha"), (0, 0));
}

#[test]
fn libraries_may_be_flushed_while_calls_are_under_way() {
    let redis = OnRedis::on_manual_time();
    let batches = vec![requests(&plenty(), &[request("key", Verb::Decide(Ask::all(1)))]); 200];
    let mut flushes = 0;
    for round in 1..=5 {
        let answers = redis.at_once(&batches, || {
            flushes += 1;
            if flushes % 7 == 0 {
                redis.say::<()>(&[b"FUNCTION", b"FLUSH"]);
            }
        });
        assert!(answers.iter().all(|answers| answers.as_ref().unwrap()[0].as_ref().unwrap().allowed));
        let looked = redis.decide(&plenty(), "key", Ask::look(1));
        assert_eq!(looked.remaining, 1_000_000 - 200 * round, "each has counted once");
    }
}

/// A user may lack the right to either, and an older server has neither.
#[test]
fn where_functions_are_not_permitted_scripts_serve_and_it_is_asked_once() {
    for right in ["-fcall", "-function", "-function|load"] {
        let redis = OnRedis::after(&["ACL", "SETUSER", "default", right]);
        for policy in policies() {
            redis.flush();
            assert_eq!(redis.take(&policy, "key", 1).remaining, CAPACITY - 1);
        }
        let refused = redis.count_of(if right == "-fcall" { "fcall" } else { "function|load" });
        assert_eq!(refused, (0, 1), "{right}");
        let asked = redis.count_of("fcall");
        assert!(asked.0 + asked.1 <= 2, "{right}: {asked:?}");
        assert!(redis.count_of("evalsha").0 > 12, "{right}");
    }
}

/// A right that is taken away while the library is there.
#[test]
fn a_user_who_may_call_no_functions_any_more_is_served_by_scripts() {
    let redis = OnRedis::on_manual_time();
    assert_eq!(redis.take(&plenty(), "key", 1).remaining, 999_999);
    redis.say::<()>(&[b"ACL", b"SETUSER", b"default", b"-fcall"]);
    for taken in 2..=4 {
        assert_eq!(redis.take(&plenty(), "key", 1).remaining, 1_000_000 - taken);
    }
    assert_eq!(redis.count_of("fcall").1, 1);
}

/// During a deploy two versions of this library call the same Redis.
#[test]
fn two_versions_stand_beside_each_other() {
    static OTHER: Lazy<Script> =
        Lazy::new(|| Script::new(concat!(include_str!("../../../lua/clock.lua"), "-- Of another version.\n")));
    let redis = OnRedis::start(&ENGINE);
    let other = redis.beside(&OTHER);
    let batch = requests(&plenty(), &[request("key", Verb::Decide(Ask::all(1)))]);
    for taken in 1..=6 {
        let answers = if taken % 2 == 0 { redis.requests(&batch) } else { redis.requests_by(&other, &OTHER, &batch) };
        assert_eq!(answers.unwrap()[0].as_ref().unwrap().remaining, 1_000_000 - taken);
    }
    let listed: Vec<redis::Value> = redis.say(&[b"FUNCTION", b"LIST"]);
    assert_eq!(listed.len(), 2);
    assert_eq!(redis.count_of("evalsha"), (0, 0));
}

/// What a function has kept of one call must not reach into the next.
#[test]
fn a_call_after_one_that_failed_begins_anew() {
    let redis = OnRedis::on_manual_time();
    let [policy, ..] = policies();
    redis.say::<()>(&[b"LPUSH", b"rl:default:test:bad", b"42"]);
    let take = |key| request(key, Verb::Decide(Ask::all(1)));
    for taken in 1..=3 {
        let answers = redis.answers(&policy, &[take("bad"), take("good")]).unwrap();
        assert!(answers[0].is_err());
        assert_eq!(answers[1].as_ref().unwrap().remaining, CAPACITY - 2 * taken + 1);
        assert_eq!(redis.take(&policy, "good", 1).remaining, CAPACITY - 2 * taken);
    }
}
