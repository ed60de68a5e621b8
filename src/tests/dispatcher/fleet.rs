//! Instances that announce themselves beside their calls.

use super::caller::{Called, Caller, Change};
use super::text;
use crate::input::Given;
use crate::tests::server::Server;

fn shared() -> [(&'static str, Given); 2] {
    let fallback = Given::Record(vec![("share".into(), text("fleet"))]);
    [("limit", Given::Number(100.0)), ("fallback", fallback)]
}

fn wait_for_fleet(caller: &mut Caller, size: u64) {
    caller.wait_until("it has heard of so many", |caller| caller.limiter().fleet() == Some(size));
}

/// How many of many calls on one key are admitted here.
fn admitted(caller: &mut Caller, key: &str) -> usize {
    let calls = (0..200).map(|_| caller.call(key));
    let allowed = |called: &Called| matches!(called, Called::Here(decision) if decision.allowed);
    calls.filter(allowed).count()
}

#[test]
fn each_decides_by_its_share_of_those_it_has_last_heard_of() {
    let server = Server::start();
    let mut fleet = [(); 3].map(|()| Caller::connected(&server.url(), &shared()));
    for caller in &mut fleet {
        wait_for_fleet(caller, 3);
        assert_eq!(caller.limiter().stats().batches(), 0, "an announcement is no call");
    }
    drop(server);
    for caller in &mut fleet {
        caller.wait_for(Change::Down);
        assert_eq!(admitted(caller, "key"), 34);
        assert_eq!(caller.limiter().fleet(), Some(3), "what was heard stays");
    }
}

#[test]
fn one_that_began_in_an_outage_decides_by_one_unit_a_key() {
    let url = Server::start().url();
    let mut caller = Caller::new(&url, &shared());
    caller.run();
    caller.wait_for(Change::Down);
    assert_eq!(caller.limiter().fleet(), None);
    assert_eq!([admitted(&mut caller, "a"), admitted(&mut caller, "b")], [1, 1]);
}

/// Otherwise the others would go on with a share that is too small until its announcement has ended.
#[test]
fn one_that_is_closed_is_off_the_list_when_that_is_settled() {
    let server = Server::start();
    let mut stays = Caller::connected(&server.url(), &shared());
    wait_for_fleet(&mut stays, 1);
    let mut leaves = Caller::connected(&server.url(), &shared());
    wait_for_fleet(&mut leaves, 2);
    let closed = leaves.close();
    leaves.answer(closed).unwrap();
    assert_eq!(server.say(&["ZCARD", "rl:fleet"]), redis::Value::Int(1));
}

/// How many a server has been sent, where nobody makes calls: each is one call of a script.
fn announcements(server: &Server) -> u64 {
    let stats = format!("{:?}", server.say(&["INFO", "commandstats"]));
    let calls = stats.split("cmdstat_evalsha:calls=").nth(1).unwrap();
    calls.split(',').next().unwrap().parse().unwrap()
}

/// A Redis that has come back empty knows those alone who were faster, and each of these would take a whole limit if it were lost
/// again at once.
#[test]
fn a_smaller_fleet_is_believed_when_it_was_heard_of_as_often_as_an_announcement_holds() {
    let server = Server::start();
    let mut stays = Caller::connected(&server.url(), &shared());
    let mut leaves = Caller::connected(&server.url(), &shared());
    for caller in [&mut stays, &mut leaves] {
        wait_for_fleet(caller, 2);
    }
    let before = announcements(&server);
    leaves.close();
    leaves.wait_for_end();
    stays.wait_until("the smaller number is believed", |caller| caller.limiter().fleet() == Some(1));
    // The farewell is one; between it and the first look another may have been heard already.
    let beats = announcements(&server) - before - 1;
    assert!(beats >= 3, "after {beats} announcements");
}

#[test]
fn without_the_right_to_announce_the_limiter_works_and_says_so_once() {
    let server = Server::start();
    server.say(&["ACL", "SETUSER", "me", "on", ">secret", "~*", "+@all", "-zadd"]);
    let url = server.url().replace("redis://", "redis://me:secret@");
    let mut caller = Caller::connected(&url, &shared());
    caller.wait_until("it is told", |caller| !caller.unheard().is_empty());
    assert_eq!(caller.unheard()[0].code(), "ERR_RATE_LIMIT_STORE_UNAVAILABLE");
    let before = announcements(&server);
    caller.wait_until("it is refused again and again", |_| announcements(&server) >= before + 2);
    let ticket = caller.take("key");
    assert!(caller.decision(ticket).allowed);
    assert_eq!((caller.limiter().fleet(), caller.changes()), (None, &[Change::Up][..]));
    assert_eq!(caller.limiter().stats().circuit_opened, 0);
    server.say(&["ACL", "SETUSER", "me", "+zadd"]);
    wait_for_fleet(&mut caller, 1);
    assert_eq!(caller.unheard().len(), 1);
}

/// Calls that wait would wait for nothing of theirs.
#[test]
fn an_announcement_that_hangs_delays_no_closing_for_longer_than_a_call() {
    let server = Server::start();
    let mut options = shared().to_vec();
    options.push(("timeout", text("50ms")));
    let mut caller = Caller::connected(&server.url(), &options);
    wait_for_fleet(&mut caller, 1);
    server.signal("STOP");
    let closed = caller.close();
    caller.answer(closed).unwrap();
    caller.wait_for_end();
}
