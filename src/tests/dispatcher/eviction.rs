//! A Redis that may throw keys away.

use super::caller::{Caller, Change};
use crate::tests::server::Server;

/// Ends every connection; answers when the limiter has a new one, and the store has answered what it asked before this call.
fn reconnect(server: &Server, caller: &mut Caller) {
    let changes = caller.changes().len();
    server.say(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    caller.wait_until("it is back", |caller| {
        caller.changes().len() > changes && caller.changes().last() == Some(&Change::Up)
    });
    let ticket = caller.take("key");
    assert!(caller.decision(ticket).allowed);
}

fn evict_by(server: &Server, policy: &str) {
    server.say(&["CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", policy]);
}

#[test]
fn each_policy_that_evicts_is_told_once() {
    let server = Server::start();
    evict_by(&server, "allkeys-lru");
    let mut caller = Caller::connected(&server.url(), &[]);
    caller.wait_until("it is told", |caller| caller.evictions() == ["allkeys-lru"]);
    reconnect(&server, &mut caller);
    assert_eq!(caller.evictions(), ["allkeys-lru"], "that is no news");
    evict_by(&server, "volatile-ttl");
    reconnect(&server, &mut caller);
    caller.wait_until("it is told", |caller| caller.evictions() == ["allkeys-lru", "volatile-ttl"]);
}

#[test]
fn nothing_is_told_of_a_redis_that_keeps_its_keys() {
    let server = Server::start();
    // A policy without a bound evicts nothing, nor does a bound without a policy.
    server.say(&["CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "allkeys-lru"]);
    let mut caller = Caller::connected(&server.url(), &[]);
    evict_by(&server, "noeviction");
    reconnect(&server, &mut caller);
    evict_by(&server, "allkeys-random");
    reconnect(&server, &mut caller);
    caller.wait_until("it is told of the last", |caller| caller.evictions() == ["allkeys-random"]);
}
