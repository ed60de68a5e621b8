//! Leases: what processes use is within the limit whenever they use it, and what they do not use comes back.

mod never_over;

use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::smallvec;

use super::schedule::START;
use crate::algorithm::{Ask, Lease, Outcome, Policy, SlidingWindow, TokenBucket};
use crate::clock::Micros;
use crate::decision::Source;
use crate::key::Key;
use crate::leases::{Leases, Terms};
use crate::limits::{By, Limit, Limits};
use crate::store::{Request, Verb, When};

const TTL: Micros = Micros::from_millis(200);

/// A limiter's leases, its only limit, and its own time.
struct Process {
    leases: Leases,
    limits: Arc<Limits>,
    start: Instant,
}

impl Process {
    fn new(max: u64) -> Self {
        let policy = Policy::SlidingWindow(SlidingWindow::new(1_000, Micros::from_millis(10_000), 32));
        let limits = Limits::new([Limit::new("rl", None, None, By::Key, policy, policy)]);
        Self { leases: Leases::new(Terms { max, ttl: TTL }), limits: Arc::new(limits), start: Instant::now() }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn request(&self, key: &str, verb: Verb) -> Request {
        Request {
            limits: self.limits.clone(),
            keys: smallvec![Key::from_normal(key.as_bytes())],
            verb,
            when: When::Now,
        }
    }

    fn wanted(&self, key: &str, ms: u64) -> Option<Lease> {
        self.leases.wanted(&self.request(key, Verb::Decide(Ask::all(1))), self.at(ms))
    }

    /// Calls as often as it takes for a lease to be asked for.
    fn heat(&self, key: &str, ms: u64) -> Lease {
        (0..100).find_map(|_| self.wanted(key, ms)).expect("a key that is asked for so often is leased of")
    }

    /// The store gives `units` more than the call's own to a lease that was sent then.
    fn grant(&self, key: &str, lease: Lease, units: u64, sent: u64, ms: u64) -> Outcome {
        let granted = lease.cost + units;
        let booked = if units > 0 { START } else { Micros::ZERO };
        let outcome = Outcome { granted, remaining: 500, booked, ..Outcome::forgotten(START) };
        let request = self.request(key, Verb::Lease(lease));
        self.leases.granted(&request, &lease, outcome, self.at(sent), self.at(ms))
    }

    /// Has so many units of a key from the first millisecond on.
    fn lease(&self, key: &str, units: u64) {
        let lease = self.heat(key, 0);
        self.grant(key, lease, units, 0, 1);
    }

    fn take(&self, key: &str, cost: u64, ms: u64) -> Option<crate::leases::Taken> {
        let limit = self.limits.only().unwrap();
        self.leases.take(limit, key.as_bytes(), Ask::all(cost), self.at(ms))
    }

    /// What is given back at that moment: units, and when they were booked.
    fn given_back(&self, ms: u64) -> Vec<(u64, Micros)> {
        units(self.leases.ended(self.at(ms)))
    }
}

fn units(requests: Vec<Request>) -> Vec<(u64, Micros)> {
    let verb = |request: Request| match request.verb {
        Verb::GiveBack { units, booked } => (units, booked),
        other => panic!("{other:?} gives nothing back"),
    };
    requests.into_iter().map(verb).collect()
}

#[test]
fn a_key_that_is_seldom_asked_for_is_not_leased_of() {
    let process = Process::new(100);
    for call in 0..100 {
        assert_eq!(process.wanted("key", call * 100), None);
    }
    assert!(process.leases.is_empty());
}

#[test]
fn what_is_leased_is_used_until_it_is_used_up_and_the_next_is_asked_for_in_time() {
    let process = Process::new(100);
    let lease = process.heat("key", 0);
    assert_eq!((lease.cost, lease.term), (1, TTL));
    assert!(process.take("key", 1, 1).is_none(), "nothing has been granted yet");
    assert_eq!(process.wanted("key", 1), None, "one lease is asked for at a time");
    let own = process.grant("key", lease, 8, 0, 2);
    assert_eq!((own.granted, own.remaining), (1, 508), "what the call itself is told");
    let mut ahead = Vec::new();
    for left in (0..8).rev() {
        let taken = process.take("key", 1, 3).expect("there is some left");
        assert_eq!((taken.decision.allowed, taken.decision.remaining), (true, 500 + left));
        assert_eq!(taken.decision.source, Source::Lease);
        ahead.extend(taken.ahead);
    }
    assert_eq!(ahead.len(), 1, "one is asked for ahead");
    assert_eq!(ahead[0].cost, 0);
    assert!(process.take("key", 1, 3).is_none());
    process.grant("key", ahead[0], 16, 3, 4);
    assert!(process.take("key", 17, 5).is_none(), "more than there is");
    assert!(process.take("key", 16, 5).is_some());
}

/// Were it counted from the answer, units would be used after the store has stopped to count them.
#[test]
fn a_lease_ends_so_long_after_it_was_sent() {
    let process = Process::new(100);
    let lease = process.heat("key", 0);
    process.grant("key", lease, 8, 10, 150);
    assert!(process.take("key", 1, 209).is_some());
    assert!(process.take("key", 1, 210).is_none());
    assert_eq!(process.given_back(209), []);
    assert_eq!(process.given_back(350), [(7, START)]);
    assert_eq!(process.given_back(10_000), [], "once");
}

#[test]
fn a_lease_that_has_ended_on_its_way_is_given_back_whole() {
    let process = Process::new(100);
    let lease = process.heat("key", 0);
    process.grant("key", lease, 8, 10, 250);
    assert!(process.take("key", 1, 251).is_none());
    assert_eq!(process.given_back(450), [(8, START)]);
}

#[test]
fn a_key_that_nobody_asks_for_any_more_is_let_go() {
    let process = Process::new(100);
    process.lease("key", 8);
    let mut looks = 0;
    while let Some(due) = process.leases.due() {
        process.leases.ended(due);
        looks += 1;
        assert!(looks < 10, "it is looked at for ever");
    }
    assert!(process.leases.is_empty());
}

#[test]
fn near_the_limit_it_is_asked_for_call_by_call_for_a_while() {
    let process = Process::new(100);
    let lease = process.heat("key", 0);
    process.grant("key", lease, 0, 0, 1);
    assert_eq!(process.wanted("key", 2), None);
    assert_eq!(process.wanted("key", 20), None);
    assert!(process.wanted("key", 26).is_some(), "there may be room again");
}

#[test]
fn a_lease_that_failed_is_asked_for_again() {
    let process = Process::new(100);
    let lease = process.heat("key", 0);
    process.leases.failed(&process.request("key", Verb::Lease(lease)), process.at(1));
    assert!(process.wanted("key", 30).is_some());
}

#[test]
fn leases_are_as_large_as_what_is_used_and_never_larger_than_the_most() {
    let process = Process::new(40);
    let mut lease = process.heat("key", 0);
    // All of each within ten milliseconds: the pace is more than the most.
    for round in 0..10 {
        let ms = round * 10;
        process.grant("key", lease, lease.more, ms, ms);
        let mut ahead = None;
        while let Some(taken) = process.take("key", 1, ms + 9) {
            ahead = ahead.or(taken.ahead);
        }
        lease = ahead.or_else(|| process.wanted("key", ms + 10)).expect("there is nothing left");
        assert!(lease.more <= 40, "{} are more than the most", lease.more);
    }
    assert_eq!(lease.more, 40);
    // Hardly any.
    for round in 1..10 {
        let ms = round * 1_000;
        process.grant("key", lease, lease.more, ms, ms);
        let ahead = process.take("key", 1, ms + 1).and_then(|taken| taken.ahead);
        process.given_back(ms + 300);
        lease = ahead.unwrap_or_else(|| process.heat("key", ms + 900));
    }
    assert!(lease.more <= 16, "{} units are asked for, and a few are used", lease.more);
}

/// A reset forgets what was leased, and a block forbids it. Given back, it would take from whoever came after the reset.
#[test]
fn what_is_leased_of_a_key_that_is_reset_or_blocked_is_void() {
    for verb in [Verb::Reset, Verb::Block(TTL)] {
        let process = Process::new(100);
        process.lease("key", 8);
        process.leases.void(&process.request("key", verb), process.at(2));
        assert!(process.take("key", 1, 3).is_none());
        assert_eq!(process.given_back(1_000), []);
    }
    // Also what was under way.
    let process = Process::new(100);
    let lease = process.heat("key", 0);
    process.leases.void(&process.request("key", Verb::Reset), process.at(2));
    process.grant("key", lease, 8, 1, 3);
    assert!(process.take("key", 1, 4).is_none());
    assert_eq!(process.given_back(1_000), []);
    // But not what is asked for afterwards.
    let lease = process.heat("key", 1_001);
    process.grant("key", lease, 8, 1_001, 1_002);
    assert!(process.take("key", 1, 1_003).is_some());
}

#[test]
fn a_key_is_voided_by_its_name_in_the_store_and_no_other() {
    let process = Process::new(100);
    for key in ["key", "other"] {
        process.lease(key, 8);
    }
    process.leases.heard(b"rl:default:sliding-window:key", process.at(2));
    assert!(process.take("key", 1, 3).is_none());
    assert!(process.take("other", 1, 3).is_some());
}

#[test]
fn another_limit_of_the_key_is_not_decided_by_it() {
    let process = Process::new(100);
    process.lease("key", 8);
    let limit = process.limits.only().unwrap();
    let other = Policy::TokenBucket(TokenBucket::new(5, TTL, 5));
    let configured = limit.with(other, other);
    assert!(process.leases.take(&configured, b"key", Ask::all(1), process.at(2)).is_none());
}

/// Otherwise the second call under the new limit would be decided by units of the old one.
#[test]
fn units_of_one_limit_decide_nothing_under_another_however_often_it_is_asked() {
    let process = Process::new(100);
    process.lease("key", 8);
    let limit = process.limits.only().unwrap();
    let other = Policy::TokenBucket(TokenBucket::new(5, TTL, 5));
    let configured = limit.with(other, other);
    let limits = Arc::new(Limits::new([configured.clone()]));
    let keys = smallvec![Key::from_normal(b"key")];
    let request = Request { limits, keys, verb: Verb::Decide(Ask::all(1)), when: When::Now };
    for ms in 2..30 {
        assert!(process.leases.take(&configured, b"key", Ask::all(1), process.at(ms)).is_none());
        assert_eq!(process.leases.wanted(&request, process.at(ms)), None, "none is leased beside what there is");
    }
    assert_eq!(process.given_back(201), [(8, START)]);
    assert!(process.leases.wanted(&request, process.at(300)).is_some(), "it is free for the new limit");
}

#[test]
fn everything_is_given_back_at_the_end() {
    let process = Process::new(100);
    let keys = ["a", "b", "c"];
    for (units, key) in (1..).zip(keys) {
        process.lease(key, units);
    }
    assert_eq!(process.leases.usable(process.at(2)), (3, 6));
    let mut given_back = units(process.leases.close());
    given_back.sort_unstable();
    assert_eq!(given_back, [(1, START), (2, START), (3, START)]);
    assert!(process.leases.is_empty() && process.leases.due().is_none());
}

/// A flood of keys that are each asked for often must not fill the memory.
#[test]
fn no_more_keys_are_held_than_a_bound() {
    let process = Process::new(100);
    let hot = (0..10_000).filter(|key| (0..20).any(|_| process.wanted(&key.to_string(), 0).is_some())).count();
    assert_eq!(hot, 4_096);
}
