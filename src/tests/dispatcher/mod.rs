//! A limiter on Redis as its driver sees it: what gathers, what waits, what is settled, how it ends.

mod arrears;
mod caller;
mod eviction;
mod faults;
mod fleet;
mod levels;
mod lost;
mod manual;
mod order;
mod trial;

use std::convert::identity;

use super::server::Server;
use crate::algorithm::Ask;
use crate::clock::Micros;
use crate::decision::Source;
use crate::error::Error;
use crate::input::Given;
use crate::metrics::StoreState;
use crate::store::Verb;
use caller::{Called, Caller, Change};

fn text(text: &str) -> Given {
    Given::Text(text.into())
}

#[test]
fn a_call_that_finds_redis_idle_is_sent_at_once_and_alone() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[]);
    for calls in 1..=10 {
        let ticket = caller.take("key");
        assert_eq!(caller.decision(ticket).source, Source::Redis);
        let stats = caller.limiter().stats();
        assert_eq!((stats.batches(), stats.batched_calls), (calls, calls));
    }
}

#[test]
fn calls_that_find_redis_busy_gather_and_travel_together() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[]);
    server.signal("STOP");
    for batches in 1..=2 {
        caller.take("key");
        caller.wait_until("a batch is sent", |caller| caller.limiter().stats().batches() == batches);
    }
    // Both places in flight are taken: whatever is called now waits for one.
    for _ in 0..100 {
        caller.take("key");
    }
    server.signal("CONT");
    caller.wait_for_all();
    let stats = caller.limiter().stats();
    assert_eq!((stats.batches(), stats.batched_calls, stats.pending), (3, 102, 0));
}

/// As many batches as it takes with 128 calls in each, and the caller's thread is woken once for each.
#[test]
fn a_thousand_calls_at_once_take_eight_batches_and_no_more_wakings() {
    let server = Server::start();
    let mut caller = Caller::new(&server.url(), &[]);
    for i in 0..1_000 {
        caller.take(&i.to_string());
    }
    caller.run();
    caller.wait_for_all();
    assert_eq!(caller.decided_by(Source::Redis, 0..1_000), 1_000);
    let stats = caller.limiter().stats();
    assert_eq!((stats.batches(), stats.batched_calls, stats.allowed), (8, 1_000, 1_000));
    assert_eq!(stats.store, StoreState::Up);
    // One more tells that the store is up.
    assert!(caller.wakes() <= 9, "{} wakings", caller.wakes());
}

/// What is merged costs Redis next to nothing, so that more of it may travel together: 512 calls, of which 128 are of other keys.
#[test]
fn a_thousand_calls_on_one_key_take_two_batches() {
    let server = Server::start();
    let mut caller = Caller::new(&server.url(), &[]);
    for i in 0..1_024 {
        caller.take(if i % 8 == 7 && i < 512 { "other" } else { "key" });
    }
    caller.run();
    caller.wait_for_all();
    assert_eq!(caller.decided_by(Source::Redis, 0..1_024), 1_024);
    assert_eq!(caller.limiter().stats().batches(), 2);
}

#[test]
fn a_burst_on_a_running_limiter_takes_far_fewer_batches_than_calls() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[]);
    for i in 0..1_000 {
        caller.take(&i.to_string());
    }
    caller.wait_for_all();
    let stats = caller.limiter().stats();
    assert!((8..250).contains(&stats.batches()), "{} batches", stats.batches());
}

#[test]
fn calls_on_one_key_are_decided_in_the_order_in_which_they_were_made() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[("limit", Given::Number(900.0))]);
    let tickets: Vec<_> = (0..1_000).map(|_| caller.take("key")).collect();
    for (i, ticket) in (1..).zip(tickets) {
        let decision = caller.decision(ticket);
        assert_eq!((decision.allowed, decision.remaining), (i <= 900, 900u64.saturating_sub(i)), "call {i}");
    }
}

#[test]
fn a_look_and_a_reset_travel_like_a_call_and_are_not_counted_as_one() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[("limit", Given::Number(10.0))]);
    let take = caller.take("key");
    let look = caller.ask("key", Verb::Decide(Ask::look(1)));
    let reset = caller.ask("key", Verb::Reset);
    let look_again = caller.ask("key", Verb::Decide(Ask::look(1)));
    assert_eq!(caller.decision(take).remaining, 9);
    assert_eq!(caller.decision(look).remaining, 9);
    caller.answer(reset).unwrap();
    assert_eq!(caller.decision(look_again).remaining, 10);
    let stats = caller.limiter().stats();
    assert_eq!((stats.allowed, stats.denied), (1, 0));
}

#[test]
fn one_call_more_than_may_wait_is_decided_at_once() {
    let server = Server::start();
    for (mode, local) in [("local", true), ("throw", false)] {
        let options = [("maxPending", Given::Number(5.0)), ("onStoreError", text(mode))];
        let mut caller = Caller::new(&server.url(), &options);
        for _ in 0..5 {
            assert!(matches!(caller.call(mode), Called::Asked(_)));
        }
        for _ in 0..3 {
            let decided = caller.limiter().decide_here(mode.as_bytes(), Ask::all(1), identity);
            if local {
                assert_eq!(decided.unwrap().unwrap().source, Source::Fallback);
            } else {
                assert_eq!(decided, Err(Error::Overloaded { max_pending: 5 }));
            }
        }
        assert_eq!(caller.limiter().stats().store_errors, 3);
        caller.run();
        caller.wait_for_all();
        assert_eq!(caller.decided_by(Source::Redis, 0..5), 5);
        assert!(matches!(caller.call(mode), Called::Asked(_)), "there is room again");
    }
}

#[test]
fn ready_is_settled_when_the_store_first_answers_and_at_once_from_then_on() {
    let server = Server::start();
    let mut caller = Caller::new(&server.url(), &[]);
    let early = caller.ready(Micros::from_millis(20_000));
    assert_eq!(caller.limiter().stats().store, StoreState::Connecting);
    caller.run();
    assert_eq!(caller.answer(early), Ok(None));
    let late = caller.ready(Micros::from_millis(1));
    assert_eq!(caller.answer(late), Ok(None));
}

#[test]
fn closing_settles_what_was_called_then_itself_and_ends_the_task() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[]);
    for i in 0..1_000 {
        caller.take(&i.to_string());
    }
    let closed = caller.close();
    caller.wait_for_end();
    assert_eq!(caller.answer(closed), Ok(None));
    assert_eq!(caller.order().last(), Some(&closed.0));
    assert_eq!(caller.decided_by(Source::Redis, 0..1_000), 1_000);
    assert_eq!(caller.limiter().decide_here(b"key", Ask::all(1), identity), Err(Error::Closed));
    assert_eq!(caller.reset_here("key"), Err(Error::Closed));
}

#[test]
fn closing_before_the_store_has_answered_settles_ready_with_an_error() {
    let server = Server::start();
    let mut caller = Caller::new(&server.url(), &[]);
    let ready = caller.ready(Micros::from_millis(20_000));
    caller.close();
    caller.run();
    caller.wait_for_end();
    assert_eq!(caller.answer(ready), Err(Error::Closed));
}

/// A limiter that was forgotten must not leave a task, a connection, or a promise.
#[test]
fn dropping_the_limiter_settles_what_was_called_and_ends_the_task_and_its_connection() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[]);
    for i in 0..1_000 {
        caller.take(&i.to_string());
    }
    caller.drop_limiter();
    caller.wait_for_end();
    assert_eq!(caller.decided_by(Source::Redis, 0..1_000), 1_000);
    caller.wait_until("the connection is closed", |_| {
        let clients = format!("{:?}", server.say(&["CLIENT", "LIST"]));
        clients.matches("addr=").count() - clients.matches("laddr=").count() == 1
    });
}

#[test]
fn user_password_and_database_are_those_of_the_url() {
    let server = Server::start();
    server.say(&["ACL", "SETUSER", "me", "on", ">secret", "~*", "+@all"]);
    let url = server.url().replace("redis://", "redis://me:secret@") + "/3";
    let mut caller = Caller::connected(&url, &[("prefix", text("app"))]);
    let ticket = caller.take("key");
    assert_eq!(caller.decision(ticket).source, Source::Redis);
    let mut client = server.client();
    redis::cmd("SELECT").arg(3).exec(&mut client).unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut client).unwrap();
    assert_eq!(keys, ["app:default:sliding-window:key"]);
}

#[test]
fn a_value_that_cannot_be_read_fails_its_own_call_and_says_nothing_of_the_store() {
    let server = Server::start();
    for (mode, thrown) in [("local", false), ("throw", true)] {
        let mut caller = Caller::connected(&server.url(), &[("onStoreError", text(mode))]);
        server.say(&["SET", "rl:default:sliding-window:bad", "42"]);
        for _ in 0..5 {
            let (bad, good) = (caller.take("bad"), caller.take("good"));
            match caller.answer(bad) {
                Ok(decision) => assert!(!thrown && decision.unwrap().source == Source::Fallback),
                Err(error) => assert!(thrown && matches!(error, Error::State(_)), "{error:?}"),
            }
            assert_eq!(caller.decision(good).source, Source::Redis);
        }
        assert_eq!(caller.changes(), [Change::Up]);
        assert_eq!(caller.limiter().stats().store_errors, 5);
    }
}
