//! The tables of hand-computed vectors in which units are held, replayed on each store that can: holds lie over every algorithm, and
//! are no twin that could be asked alone.
//!
//! A table is as in `tests/vectors.rs`, but that each policy names its algorithm. A step may also be
//!
//! - `{ at, hold, ttl, expect }`: hold so many units for so long;
//! - `{ at, settle, of, expect }`: end the hold that ends at `start + of`, and take so many units;
//! - `{ at, renew, of, expect }`: have it end so long after now instead.
//!
//! `expect.ends` is the end of the hold, counted from `start`, and 0 or left out where there is none.

use serde_json::Value;

use super::subject::{InMemory, OnRedis, Subject, ThroughClient};
use crate::algorithm::{Change, Concurrency, Policy};
use crate::clock::Micros;
use crate::store::Verb;
use crate::tests::schedule::Op;
use crate::tests::vectors::{Fields, of_calendar, of_fixed_window, of_token_bucket, read_expected, read_op};

fn policy(given: &Fields<'_>) -> Policy {
    match given.0["algorithm"].as_str() {
        Some("concurrency") => Policy::Concurrency(Concurrency::new(given.number("limit"))),
        Some("fixed-window") => Policy::FixedWindow(of_fixed_window(given)),
        Some("token-bucket") => Policy::TokenBucket(of_token_bucket(given)),
        Some("calendar") => Policy::Calendar(of_calendar(given)),
        other => panic!("{other:?} is none of these"),
    }
}

fn verb(step: &Fields<'_>, start: Micros) -> Verb {
    let of = || start + step.micros("of");
    if let Some(units) = step.optional("hold") {
        return Verb::Hold { units, ttl: step.micros("ttl") };
    }
    if let Some(units) = step.optional("settle") {
        return Verb::Settle { ends: of(), units };
    }
    if let Some(ttl) = step.optional("renew") {
        return Verb::Renew { ends: of(), ttl: Micros(ttl) };
    }
    match read_op(step) {
        Op::Ask(ask) => Verb::Decide(ask),
        Op::Change(Change::Refund(units)) => Verb::Refund(units),
        Op::Change(Change::Penalize(units)) => Verb::Penalize(units),
        Op::Change(other) => panic!("{other:?} is for keys of which nothing is held"),
    }
}

fn replay(table: &str) {
    let (redis, client) = (OnRedis::on_manual_time(), ThroughClient::on_manual_time());
    let table: Vec<Value> = serde_json::from_str(table).unwrap();
    assert!(!table.is_empty());
    for vector in &table {
        redis.flush();
        client.redis.flush();
        let memory = InMemory::new();
        let stores: [(&str, &dyn Subject); 3] = [("memory", &memory), ("Redis", &redis), ("a client", &client)];
        for (store, subject) in stores {
            replay_on(subject, vector, store);
        }
    }
}

fn replay_on(subject: &dyn Subject, vector: &Value, store: &str) {
    let (start, policy) = (Fields(vector).micros("start"), policy(&Fields(&vector["policy"])));
    for (i, step) in vector["steps"].as_array().expect("a vector has steps").iter().enumerate() {
        let fields = Fields(step);
        subject.set_clock(start + fields.micros("at"));
        let told = subject.act(&policy, "key", verb(&fields, start));
        assert_eq!(told, read_expected(step, start), "{}: step {i}, in {store}", vector["name"]);
    }
}

#[test]
fn holds() {
    replay(include_str!("../../../__test__/vectors/holds.json"));
}

#[test]
fn concurrency() {
    replay(include_str!("../../../__test__/vectors/concurrency.json"));
}
