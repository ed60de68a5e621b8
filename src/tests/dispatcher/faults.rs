//! The dispatcher while Redis is absent, hung, killed, restarted, or refuses to work.

use std::convert::identity;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use super::caller::{Called, Caller, Change};
use super::text;
use crate::algorithm::Ask;
use crate::clock::Micros;
use crate::decision::Source;
use crate::error::Error;
use crate::input::Given;
use crate::metrics::StoreState;
use crate::store::Verb;
use crate::tests::server::Server;

/// A timeout for those tests in which it passes.
fn soon() -> (&'static str, Given) {
    ("timeout", text("50ms"))
}

/// A server where one has just been.
fn restart(port: u16) -> Server {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if let Some(server) = Server::start_at(port) {
            return server;
        }
    }
    panic!("no server could be started on port {port} again");
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What Redis has counted for a key.
fn counted(caller: &mut Caller, key: &str) -> u64 {
    let look = caller.ask(key, Verb::Decide(Ask::look(1)));
    let decision = caller.decision(look);
    assert_eq!(decision.source, Source::Redis);
    decision.limit - decision.remaining
}

#[test]
fn while_redis_hangs_every_call_is_settled_by_its_deadline() {
    for mode in ["local", "allow", "deny", "throw"] {
        let server = Server::start();
        let mut caller = Caller::connected(&server.url(), &[soon(), ("onStoreError", text(mode))]);
        server.signal("STOP");
        // More than is in flight at a time, so that some are sent and some still wait.
        let tickets: Vec<_> = (0..600).map(|i| caller.take(&i.to_string())).collect();
        caller.wait_for_all();
        for ticket in tickets {
            match (mode, caller.answer(ticket)) {
                ("throw", Err(Error::StoreTimeout { after })) => assert_eq!(after, Micros::from_millis(50)),
                ("throw", Err(Error::StoreUnavailable(_))) => {}
                ("throw", other) => panic!("{other:?}"),
                (_, answer) => {
                    let decision = answer.unwrap().unwrap();
                    assert_eq!((decision.source, decision.allowed), (Source::Fallback, mode != "deny"));
                }
            }
        }
        let stats = caller.limiter().stats();
        assert_eq!((stats.store_errors, stats.pending, stats.batched_calls), (600, 0, 0));
    }
}

#[test]
fn one_late_batch_is_no_outage() {
    let server = Server::start();
    // Longer than a busy machine makes the next batch late.
    let mut caller = Caller::connected(&server.url(), &[("timeout", text("500ms"))]);
    server.signal("STOP");
    let late = caller.take("key");
    assert_eq!(caller.decision(late).source, Source::Fallback);
    server.signal("CONT");
    caller.wait_for_redis("key");
    assert_eq!(caller.changes(), [Change::Up]);
    assert_eq!(caller.limiter().stats().circuit_opened, 0);
}

/// Were late batches merely waited for, both places in flight would stay taken and nothing could ever be sent again.
#[test]
fn two_late_batches_open_the_circuit_and_it_closes_when_redis_goes_on() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[soon()]);
    server.signal("STOP");
    for _ in 0..2 {
        let late = caller.take("key");
        assert_eq!(caller.decision(late).source, Source::Fallback);
    }
    caller.wait_for(Change::Down);
    assert!(caller.cause().contains("did not answer within 50 ms"), "{}", caller.cause());
    assert!(matches!(caller.call("key"), Called::Here(decision) if decision.source == Source::Fallback));
    let stats = caller.limiter().stats();
    assert_eq!((stats.store, stats.circuit_opened, stats.batches()), (StoreState::Down, 1, 2));
    server.signal("CONT");
    caller.wait_for(Change::Up);
    caller.wait_for_redis("key");
}

/// Behind a large batch that hangs, a few calls would gather for ever: neither sent, so that the circuit never learns of the
/// outage, nor, without anything left to expire, looked at again.
#[test]
fn a_few_calls_behind_a_large_batch_that_hangs_are_sent_and_open_the_circuit() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[soon()]);
    caller.gathered(|caller| {
        server.signal("STOP");
        for _ in 0..100 {
            caller.take("key");
        }
    });
    caller.wait_for_all();
    assert_eq!(caller.limiter().stats().batches(), 1);
    let late = caller.take("key");
    assert_eq!(caller.decision(late).source, Source::Fallback);
    caller.wait_for(Change::Down);
}

#[test]
fn a_killed_redis_is_told_of_once_and_used_again_once_it_is_back() {
    let server = Server::start();
    let port = server.port;
    let mut caller = Caller::connected(&server.url(), &[]);
    caller.wait_for_redis("key");
    drop(server);
    caller.wait_for(Change::Down);
    for _ in 0..100 {
        assert!(matches!(caller.call("key"), Called::Here(decision) if decision.source == Source::Fallback));
    }
    let _server = restart(port);
    caller.wait_for(Change::Up);
    // The server came back empty.
    assert_eq!(caller.wait_for_redis("another key").remaining, 999_999);
    assert_eq!(caller.changes(), [Change::Up, Change::Down, Change::Up]);
}

#[test]
fn a_limiter_that_started_without_redis_uses_it_once_it_is_there() {
    let port = free_port();
    let mut caller = Caller::new(&url(port), &[]);
    let (early, ready) = (caller.take("key"), caller.ready(Micros::from_millis(20_000)));
    caller.run();
    assert_eq!(caller.decision(early).source, Source::Fallback);
    caller.wait_for(Change::Down);
    assert!(caller.cause().contains(&format!("127.0.0.1:{port}")), "{}", caller.cause());
    let _server = restart(port);
    assert_eq!(caller.answer(ready), Ok(None));
    caller.wait_for_redis("key");
    assert_eq!(caller.changes(), [Change::Down, Change::Up]);
}

#[test]
fn ready_is_rejected_when_its_time_has_passed() {
    let mut caller = Caller::new(&url(free_port()), &[]);
    caller.run();
    let ready = caller.ready(Micros::from_millis(30));
    let error = caller.answer(ready).unwrap_err();
    assert_eq!(error.code(), "ERR_RATE_LIMIT_STORE_UNAVAILABLE", "{error}");
}

/// What was to be forgotten is still there, so it must not look as if it were gone.
#[test]
fn a_reset_that_redis_was_not_told_of_is_an_error_whatever_the_mode() {
    for mode in ["local", "allow", "deny", "throw"] {
        let mut caller = Caller::new(&url(free_port()), &[("onStoreError", text(mode))]);
        caller.run();
        caller.wait_for(Change::Down);
        // Known to be away, and found to be away when asked all the same.
        let refused = caller.reset_here("key");
        assert!(matches!(refused, Err(Error::StoreUnavailable(_))), "{refused:?}");
        let reset = caller.ask("key", Verb::Reset);
        assert!(matches!(caller.answer(reset), Err(Error::StoreUnavailable(_))));
    }
}

#[test]
fn a_reset_forgets_what_this_process_counted_in_place_of_redis() {
    let mut caller = Caller::new(&url(free_port()), &[("limit", Given::Number(1.0))]);
    caller.run();
    caller.wait_for(Change::Down);
    let allowed =
        |caller: &Caller| caller.limiter().decide_here(b"key", Ask::all(1), identity).unwrap().unwrap().allowed;
    assert!(allowed(&caller) && !allowed(&caller));
    let reset = caller.ask("key", Verb::Reset);
    caller.answer(reset).unwrap_err();
    assert!(allowed(&caller));
}

#[test]
fn closing_ends_also_when_redis_hangs_or_was_never_there() {
    let server = Server::start();
    let mut hung = Caller::connected(&server.url(), &[soon()]);
    server.signal("STOP");
    let mut absent = Caller::new(&url(free_port()), &[soon()]);
    absent.run();
    for caller in [&mut hung, &mut absent] {
        for i in 0..600 {
            caller.take(&i.to_string());
        }
        let closed = caller.close();
        caller.wait_for_end();
        assert_eq!(caller.order().last(), Some(&closed.0));
        assert_eq!(caller.decided_by(Source::Fallback, 0..600), 600);
    }
}

/// One batch is too few for the circuit to open, and it may never land.
#[test]
fn closing_ends_also_when_the_only_batch_never_lands() {
    let server = Server::start();
    for closes_early in [true, false] {
        let mut caller = Caller::connected(&server.url(), &[soon()]);
        server.signal("STOP");
        let late = caller.take("key");
        if !closes_early {
            assert_eq!(caller.decision(late).source, Source::Fallback);
        }
        let closed = caller.close();
        caller.wait_for_end();
        assert_eq!(caller.order(), [late.0, closed.0]);
        server.signal("CONT");
    }
}

/// A server that answers every probe and fails at work, for three reasons that operators know.
#[test]
fn a_redis_that_refuses_to_write_is_not_believed_and_used_again_once_it_writes() {
    for (breaks, heals, says) in [
        (&["CONFIG", "SET", "maxmemory", "1"][..], &["CONFIG", "SET", "maxmemory", "0"][..], "OOM"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "READONLY"),
        (&["ACL", "SETUSER", "default", "-set"], &["ACL", "SETUSER", "default", "+set"], "script"),
    ] {
        let server = Server::start();
        let mut caller = Caller::connected(&server.url(), &[("onStoreError", text("throw"))]);
        server.say(breaks);
        for _ in 0..2 {
            let refused = caller.take("key");
            let error = caller.answer(refused).unwrap_err();
            assert!(matches!(error, Error::StoreUnavailable(_)) && error.is_transient(), "{error:?}");
        }
        caller.wait_until("the circuit opens", |caller| caller.changes().contains(&Change::Down));
        assert!(caller.cause().contains(says), "'{says}' is missing in: {}", caller.cause());
        // Each probe finds it well and each call finds it ill: told every time, that would be a storm of news.
        for _ in 0..60 {
            let ticket = caller.take("key");
            caller.answer(ticket).unwrap_err();
            std::thread::sleep(Duration::from_millis(10));
        }
        // At the start up, then down, up once more on its word, and down.
        assert!(caller.changes().len() <= 4, "{:?}", caller.changes());
        server.say(heals);
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            assert!(Instant::now() < end, "{says} is over, and Redis is still not asked");
            let ticket = caller.take("key");
            if let Ok(Some(decision)) = caller.answer(ticket) {
                assert_eq!((decision.source, decision.remaining), (Source::Redis, 999_999), "nothing was taken before");
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        caller.wait_until("it is told", |caller| caller.changes().last() == Some(&Change::Up));
    }
}

#[test]
fn a_redis_that_lets_nobody_in_is_down_and_says_why() {
    let server = Server::start();
    let mut client = server.client();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", "secret"]).exec(&mut client).unwrap();
    let wrong = server.url().replace("redis://", "redis://:wrong@");
    for (url, says) in [(server.url(), "NOAUTH"), (wrong, "authentication failed")] {
        let mut caller = Caller::new(&url, &[]);
        caller.run();
        caller.wait_for(Change::Down);
        assert!(caller.cause().contains(says), "'{says}' is missing in: {}", caller.cause());
        assert!(!caller.cause().contains("wrong@"));
    }
    let right = server.url().replace("redis://", "redis://:secret@");
    Caller::connected(&right, &[]).wait_for_redis("key");
}

/// A server that gives `reply` to every command of a connection up to its first call of the function, and none from then on. Tells when
/// a connection has ended.
fn impostor(reply: &'static str) -> (u16, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ended, ends) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, ended) = (stream.unwrap(), ended.clone());
            std::thread::spawn(move || {
                let mut answers = true;
                for line in BufReader::new(stream.try_clone().unwrap()).split(b'\n').map_while(Result::ok) {
                    // The line that says how many words follow, and the first of them.
                    if answers && line.starts_with(b"*") && stream.write_all(reply.as_bytes()).is_err() {
                        break;
                    }
                    answers &= !line.starts_with(b"FCALL");
                }
                // Nobody listens where the test has ended.
                let _ = ended.send(());
            });
        }
    });
    (port, ends)
}

/// A connection to a free port of one's own may even be a connection to oneself, which echoes every command.
#[test]
fn what_answers_but_not_as_the_script_does_is_not_taken_for_redis() {
    let (port, _) = impostor("+OK\r\n");
    let mut caller = Caller::new(&url(port), &[]);
    caller.run();
    caller.wait_until("something is said of the store", |caller| !caller.changes().is_empty());
    assert_eq!(caller.changes(), [Change::Down]);
    assert!(caller.cause().contains("unknown form"), "{}", caller.cause());
}

/// Were it kept until the server has answered what it owes, a long outage would collect one for each time that it came back.
#[test]
fn a_connection_that_hangs_is_closed_when_the_circuit_opens() {
    let (port, ends) = impostor("*1\r\n$0\r\n\r\n");
    let mut caller = Caller::connected(&url(port), &[soon()]);
    for _ in 0..2 {
        let late = caller.take("key");
        assert_eq!(caller.decision(late).source, Source::Fallback);
    }
    ends.recv_timeout(Duration::from_secs(10)).expect("the connection was kept");
}

/// A reply that was lost may have been counted: whoever sends such a call again counts it twice.
#[test]
fn nothing_that_was_under_way_when_redis_died_is_sent_to_the_next_one() {
    let server = Server::start();
    let port = server.port;
    // Redis is told nothing of what this process admits meanwhile.
    let mut caller = Caller::connected(&server.url(), &[("onStoreError", text("allow"))]);
    server.signal("STOP");
    for _ in 0..600 {
        caller.take("key");
    }
    caller.wait_until("batches are under way", |caller| caller.limiter().stats().batches() == 2);
    drop(server);
    let _server = restart(port);
    caller.wait_for_all();
    assert_eq!(caller.decided_by(Source::Fallback, 0..600), 600);
    caller.wait_until("Redis is back", |caller| caller.changes() == [Change::Up, Change::Down, Change::Up]);
    assert_eq!(counted(&mut caller, "key"), 0);
}

/// What hung was counted when the server went on, though nobody waited any more; it must not be counted again.
#[test]
fn what_hung_is_counted_once_at_most() {
    let server = Server::start();
    let mut caller = Caller::connected(&server.url(), &[soon()]);
    server.signal("STOP");
    let called = 600;
    for _ in 0..called {
        caller.take("key");
    }
    caller.wait_for_all();
    caller.wait_for(Change::Down);
    assert!(caller.limiter().stats().batches() <= 8);
    server.signal("CONT");
    caller.wait_for(Change::Up);
    let counted = counted(&mut caller, "key");
    assert!(counted <= called, "{counted} counted of {called} calls");
}

/// Calls until `end`, with some hundreds pending at any time.
fn load(caller: &mut Caller, calls: usize) {
    for i in 0..calls {
        caller.call("key");
        caller.take_in_all();
        if i % 300 == 0 {
            let most = 600;
            caller.wait_until("calls are answered", |caller| caller.limiter().stats().pending < most);
        }
    }
}

#[test]
fn under_load_and_restarts_every_ticket_is_settled_once_and_nothing_is_counted_twice() {
    let mut server = Server::start();
    let port = server.port;
    // Redis is told nothing of what this process admits meanwhile: what it has counted it has decided.
    let options = [("timeout", text("500ms")), ("onStoreError", text("allow"))];
    let mut caller = Caller::connected(&url(port), &options);
    let mut asked_before = 0;
    for _ in 0..4 {
        load(&mut caller, 3_000);
        caller.wait_for_all();
        let decided = caller.decided_by(Source::Redis, asked_before..caller.asked());
        let asked = caller.asked() - asked_before;
        caller.wait_for_redis("other");
        let counted = counted(&mut caller, "key");
        assert!(decided > 0 && (decided..=asked).contains(&counted), "{decided} <= {counted} <= {asked}");
        // Killed with hundreds of calls pending; more come while it is away.
        for _ in 0..500 {
            caller.call("key");
        }
        asked_before = caller.asked();
        drop(server);
        load(&mut caller, 1_000);
        caller.wait_for(Change::Down);
        server = restart(port);
        caller.wait_for(Change::Up);
    }
    caller.close();
    caller.wait_for_end();
    let stats = caller.limiter().stats();
    let by = |source| caller.decided_by(source, 0..caller.asked());
    // The looks of `counted` are tickets, but no decisions.
    assert_eq!(stats.by_source[Source::Redis as usize], by(Source::Redis) - 4);
    assert_eq!(stats.by_source[Source::Fallback as usize], by(Source::Fallback) + caller.decided_here());
    assert_eq!(stats.by_source[Source::Fallback as usize], stats.store_errors);
    assert_eq!((stats.pending, stats.circuit_opened), (0, 4));
}
