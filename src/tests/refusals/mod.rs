//! Known refusals: when they hold, and what ends them.

mod never_false;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::schedule::START;
use crate::algorithm::{Ask, FixedWindow, Outcome, Policy};
use crate::clock::Micros;
use crate::decision::{Decision, Source};
use crate::key::Key;
use crate::limits::{By, Limit, Limits};
use crate::refusals::Refusals;
use crate::store::{Request, Verb, When};

const SECOND: Micros = Micros::from_millis(1_000);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn one(limit: u64) -> Arc<Limits> {
    let policy = Policy::FixedWindow(FixedWindow::new(limit, SECOND, false));
    Arc::new(Limits::new([Limit::new("rl", None, None, By::Key, policy, policy)]))
}

/// Limits by two fields of a key.
fn two() -> Arc<Limits> {
    let policy = Policy::FixedWindow(FixedWindow::new(1, SECOND, false));
    let limit = |name: &str| Limit::new("rl", Some(name), None, By::Field(name.into()), policy, policy);
    Arc::new(Limits::new([limit("user"), limit("ip")]))
}

fn request(limits: &Arc<Limits>, keys: &[&str], verb: Verb) -> Request {
    let keys = keys.iter().map(|key| Key::from_normal(key.as_bytes())).collect();
    Request { limits: limits.clone(), keys, verb, when: When::Now }
}

fn take(limits: &Arc<Limits>, cost: u64) -> Request {
    request(limits, &["key"], Verb::Decide(Ask::all(cost)))
}

fn refused(wait_ms: u64) -> Outcome {
    let retry_after = Micros::from_millis(wait_ms);
    Outcome { allowed: false, retry_after, ..Outcome::forgotten(Micros::ZERO) }
}

/// The moment at which a test begins, and what is known.
struct Scene {
    refusals: Refusals,
    start: Instant,
}

impl Scene {
    fn new() -> Self {
        Self { refusals: Refusals::new(SECOND, true), start: Instant::now() }
    }

    fn at(&self, after_ms: u64) -> Instant {
        self.start + ms(after_ms)
    }

    /// The store refuses a request, which was sent and came back then.
    fn refuse(&self, request: &Request, wait_ms: u64, sent: u64, landed: u64) {
        let outcomes = vec![refused(wait_ms); request.keys.len()];
        let decision = Decision::new(&request.limits, |limit| &limit.policy, &outcomes, Source::Redis);
        self.refusals.learn(request, &outcomes, &decision, self.at(sent), self.at(landed));
    }

    fn find(&self, request: &Request, after_ms: u64) -> Option<Decision> {
        self.refusals.find(request, true, self.at(after_ms))
    }
}

#[test]
fn a_refusal_holds_for_as_long_as_was_said_from_when_it_was_asked_for() {
    let (scene, call) = (Scene::new(), take(&one(1), 1));
    assert!(scene.refusals.is_empty());
    scene.refuse(&call, 500, 10, 30);
    assert!(!scene.refusals.is_empty());
    let told = scene.find(&call, 31).unwrap();
    assert_eq!((told.allowed, told.source, told.retry_after_ms), (false, Source::DenyCache, 499));
    // It came back at 30, when Redis had said it at the latest.
    assert_eq!(scene.find(&call, 509).unwrap().retry_after_ms, 21);
    assert_eq!(scene.find(&call, 510), None);
    assert!(scene.refusals.is_empty(), "nobody looks again");
}

#[test]
fn it_is_asked_again_at_the_latest_when_that_was_set() {
    let (scene, call) = (Scene::new(), take(&one(1), 1));
    scene.refuse(&call, 3_600_000, 0, 1);
    assert_eq!(scene.find(&call, 999).unwrap().retry_after_ms, 3_600_000 - 998);
    assert_eq!(scene.find(&call, 1_000), None);
}

#[test]
fn a_refusal_that_is_over_when_it_comes_is_not_kept() {
    let (scene, call) = (Scene::new(), take(&one(1), 1));
    scene.refuse(&call, 20, 0, 20);
    assert!(scene.refusals.is_empty());
}

#[test]
fn it_is_about_one_key_and_these_numbers() {
    let scene = Scene::new();
    let limits = one(1);
    scene.refuse(&take(&limits, 1), 500, 0, 1);
    assert_eq!(scene.find(&request(&limits, &["other"], Verb::Decide(Ask::all(1))), 2), None);
    assert_eq!(scene.find(&take(&one(2), 1), 2), None, "a limit that was changed");
    assert!(scene.find(&take(&one(1), 1), 2).is_some(), "the same once more");
    let action =
        Limit::new("rl", None, Some("upload"), By::Key, limits.only().unwrap().policy, limits.only().unwrap().policy);
    assert_eq!(scene.find(&take(&Arc::new(Limits::new([action])), 1), 2), None);
}

#[test]
fn it_refuses_what_costs_more_but_only_whoever_wants_no_times() {
    let (scene, limits) = (Scene::new(), one(9));
    scene.refuse(&take(&limits, 3), 500, 0, 1);
    assert_eq!(scene.find(&take(&limits, 2), 2), None, "there may be room for two");
    assert_eq!(scene.find(&take(&limits, 4), 2), None, "its wait is not known");
    assert!(!scene.refusals.find(&take(&limits, 4), false, scene.at(2)).unwrap().allowed);
    let up_to = |cost, least| request(&limits, &["key"], Verb::Decide(Ask { cost, least }));
    assert_eq!(scene.find(&up_to(9, 1), 2), None);
    // One of fewer units takes its place, and stays there.
    scene.refuse(&up_to(9, 1), 400, 2, 3);
    scene.refuse(&take(&limits, 3), 500, 4, 5);
    assert_eq!(scene.find(&take(&limits, 1), 6).unwrap().retry_after_ms, 397);
    assert_eq!(scene.find(&take(&limits, 3), 6), None);
}

#[test]
fn nothing_is_known_of_what_is_no_decision_at_the_present() {
    let (scene, limits) = (Scene::new(), one(1));
    let dated = Request { when: When::Dated(START), ..take(&limits, 1) };
    let patience = Micros::ZERO;
    let others = [
        dated,
        request(&limits, &["key"], Verb::Decide(Ask::look(1))),
        request(&limits, &["key"], Verb::Reserve { cost: 1, patience }),
        request(&limits, &["key"], Verb::Penalize(1)),
    ];
    for other in &others {
        scene.refuse(other, 500, 0, 1);
    }
    assert!(scene.refusals.is_empty());
    scene.refuse(&take(&limits, 1), 500, 0, 1);
    for other in &others {
        assert_eq!(scene.find(other, 2), None);
    }
}

#[test]
fn who_is_new_is_always_asked() {
    let scene = Scene::new();
    let policy = Policy::FixedWindow(FixedWindow::new(1, SECOND, false));
    let new_keys = Limit::new("rl", Some("newKeys"), None, By::Field("ip".into()), policy, policy);
    let limits = Limits::new([Limit::new("rl", None, None, By::Field("user".into()), policy, policy)]);
    let guarded = limits.guarded_by(&new_keys).guarded().unwrap().clone();
    let call = request(&guarded, &["alice", "ip"], Verb::Decide(Ask::all(1)));
    scene.refuse(&call, 500, 0, 1);
    assert_eq!(scene.find(&call, 2), None);
}

#[test]
fn a_change_ends_it_and_whatever_was_asked_before_the_change() {
    let (scene, limits) = (Scene::new(), one(1));
    let call = take(&limits, 1);
    for (round, verb) in
        [Verb::Refund(1), Verb::Reset, Verb::Unblock, Verb::Block(SECOND), Verb::Penalize(1)].iter().enumerate()
    {
        let from = 100 * round as u64;
        scene.refuse(&call, 500, from, from + 5);
        scene.refusals.changed(&request(&limits, &["key"], *verb), scene.at(from + 10));
        assert_eq!(scene.find(&call, from + 11), None, "{verb:?}");
        scene.refuse(&call, 500, from + 10, from + 20);
        assert_eq!(scene.find(&call, from + 21), None, "{verb:?}: it was asked before");
        scene.refuse(&call, 500, from + 11, from + 22);
        assert!(scene.find(&call, from + 23).is_some(), "{verb:?}: it was asked after");
        scene.refuse(&call, 500, from + 9, from + 24);
        scene.refusals.changed(&request(&limits, &["other"], *verb), scene.at(from + 25));
        assert!(scene.find(&call, from + 26).is_some(), "{verb:?}: another key");
    }
}

/// What was said before a change is not believed either when a refusal has taken the change's place.
#[test]
fn what_was_asked_earlier_does_not_replace_what_was_asked_later() {
    let (scene, limits) = (Scene::new(), one(1));
    let call = take(&limits, 1);
    scene.refusals.changed(&request(&limits, &["key"], Verb::Reset), scene.at(10));
    scene.refuse(&call, 100, 11, 12);
    scene.refuse(&call, 500, 9, 13);
    assert!(scene.find(&call, 14).is_some());
    assert_eq!(scene.find(&call, 150), None);
}

#[test]
fn a_change_that_another_made_is_known_by_the_key_s_name() {
    let (scene, call) = (Scene::new(), take(&one(1), 1));
    scene.refuse(&call, 500, 0, 1);
    scene.refusals.heard(b"rl:default:fixed-window:other", scene.at(2));
    assert!(scene.find(&call, 3).is_some());
    scene.refusals.heard(b"rl:default:fixed-window:key", scene.at(4));
    assert_eq!(scene.find(&call, 5), None);
}

#[test]
fn what_was_not_heard_ends_everything() {
    let (scene, call) = (Scene::new(), take(&one(1), 1));
    scene.refuse(&call, 500, 0, 1);
    scene.refusals.forget(scene.at(2));
    assert!(scene.refusals.is_empty());
    scene.refuse(&call, 500, 2, 3);
    assert!(scene.refusals.is_empty(), "asked before");
    scene.refuse(&call, 500, 3, 4);
    assert!(scene.find(&call, 5).is_some());
}

#[test]
fn several_limits_are_known_together_and_end_with_any_of_them() {
    let (scene, limits) = (Scene::new(), two());
    let call = request(&limits, &["alice", "ip"], Verb::Decide(Ask::all(1)));
    let user = Arc::new(Limits::new(limits.iter().take(1).cloned()));
    for round in 0..3 {
        let from = 100 * round;
        scene.refuse(&call, 500, from + 10, from + 20);
        let told = scene.find(&call, from + 30).unwrap();
        let named = told.named.unwrap();
        assert_eq!((named.each[1].1.retry_after_ms, told.retry_after_ms), (490, 490));
        for other in [["alice", "other"], ["other", "ip"], ["ip", "alice"]] {
            assert_eq!(scene.find(&request(&limits, &other, Verb::Decide(Ask::all(1))), from + 30), None);
        }
        match round {
            0 => scene.refusals.changed(&request(&user, &["alice"], Verb::Reset), scene.at(from + 40)),
            1 => scene.refusals.changed(&request(&limits, &["other", "ip"], Verb::Refund(1)), scene.at(from + 40)),
            _ => scene.refusals.heard(b"rl:ip:fixed-window:ip", scene.at(from + 40)),
        }
        assert_eq!(scene.find(&call, from + 41), None, "round {round}");
        scene.refuse(&call, 500, from + 40, from + 42);
        assert_eq!(scene.find(&call, from + 43), None, "round {round}: asked before");
    }
}

/// However many keys are refused or changed, it takes no more room, and what was thrown away is not believed against a change.
#[test]
fn a_flood_of_keys_takes_no_more_than_two_mebibytes_and_makes_no_refusal_false() {
    let (scene, limits) = (Scene::new(), one(1));
    let key = |i: usize| request(&limits, &[&format!("{i:040}")], Verb::Decide(Ask::all(1)));
    scene.refusals.changed(&take(&limits, 1), scene.at(5));
    for i in 0..50_000 {
        scene.refuse(&key(i), 900, 6, 7);
        assert!(scene.refusals.bytes() <= 2 << 20);
    }
    assert!(scene.find(&key(49_999), 8).is_some());
    assert_eq!(scene.find(&key(0), 8), None, "thrown away");
    scene.refuse(&take(&limits, 1), 900, 5, 9);
    assert_eq!(scene.find(&take(&limits, 1), 10), None, "the change was thrown away, and is not forgotten");
    for i in 0..50_000 {
        scene.refusals.changed(&key(i), scene.at(11));
        assert!(scene.refusals.bytes() <= 2 << 20);
    }
}
