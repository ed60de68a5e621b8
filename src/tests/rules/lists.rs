//! What rules do to calls whose keys are one text.

use std::sync::Arc;

use super::{START, ask, limit, limiter, list, record, text_of};
use crate::clock::ManualClock;
use crate::decision::Source;
use crate::error::Error;
use crate::input::Given;
use crate::limiter::{Called, Deed, Limiter, Who};
use crate::settings::{CallOptions, Settings};

#[test]
fn the_longest_of_all_lists_decides() {
    let limiter = limiter(&[
        ("allow", list(&["internal:*", "evil:friend", "10.1.0.0/16"])),
        ("deny", list(&["internal:mallory", "evil:*", "10.0.0.0/8"])),
        ("overrides", record(&[("internal:metered:*", limit(7.0)), ("evil:known", limit(1.0))])),
    ]);
    assert!(!limiter.is_simple());
    for (key, allowed, units, source) in [
        ("alice", true, 3, Source::Memory),
        ("internal:x", true, 3, Source::List),
        ("internal:mallory", false, 3, Source::List),
        ("internal:metered:x", true, 7, Source::Memory),
        ("evil:x", false, 3, Source::List),
        ("evil:friend", true, 3, Source::List),
        ("evil:known", true, 1, Source::Memory),
        ("10.2.3.4", false, 3, Source::List),
        ("::ffff:10.1.3.4", true, 3, Source::List),
    ] {
        let decision = ask(&limiter, key, &CallOptions::default());
        assert_eq!((decision.allowed, decision.limit, decision.source), (allowed, units, source), "{key}");
    }
    let stats = limiter.stats();
    assert_eq!((stats.lists.allowed, stats.lists.denied), (3, 3));
    assert_eq!((stats.allowed, stats.denied), (6, 3));
    let (_, default) = &stats.limits[0];
    assert_eq!((default.allowed, default.denied), (3, 0), "what a list decides is no limit's");
}

#[test]
fn a_list_counts_nothing_and_says_all_that_a_response_needs() {
    let limiter = limiter(&[("allow", list(&["a"])), ("deny", list(&["d"]))]);
    let once = |key| ask(&limiter, key, &CallOptions::default());
    for _ in 0..10 {
        let allowed = once("a");
        assert_eq!((allowed.granted, allowed.remaining, allowed.retry_after_ms), (1, 3, 0));
        assert_eq!(allowed.reset_at_ms, START.as_millis_up());
    }
    let denied = once("d");
    assert_eq!((denied.granted, denied.remaining, denied.retry_after_ms), (0, 0, 86_400_000));
    assert_eq!(denied.reset_at_ms, START.as_millis_up() + 86_400_000);
    assert_eq!(limiter.keys(), 0);
    let ask_too_much = CallOptions { cost: Some(Given::Number(4.0)), ..CallOptions::default() };
    let refused = limiter.called(&Who::Key(b"a".into()), Deed::Take, &ask_too_much);
    assert_eq!(refused.unwrap_err().code(), "ERR_RATE_LIMIT_COST", "bad input is bad for everybody");
    limiter.close();
    let who = Who::Key(b"a".into());
    let Called::Listed(request, _) = limiter.called(&who, Deed::Take, &CallOptions::default()).unwrap() else {
        panic!("it is on a list")
    };
    assert_eq!(limiter.answer_by_list(&request, true), Err(Error::Closed));
}

#[test]
fn configure_beats_an_override_and_the_calls_own_limit_both() {
    let limiter = limiter(&[("overrides", record(&[("vip:*", limit(10.0))]))]);
    let units = |options: &CallOptions| ask(&limiter, "vip:1", options).limit;
    assert_eq!(units(&CallOptions::default()), 10);
    limiter.configure(&Who::Key(b"vip:1".into()), &limit(20.0)).unwrap();
    assert_eq!(units(&CallOptions::default()), 20);
    let own = CallOptions { own: Some((Given::Number(30.0), text_of("1m"))), ..CallOptions::default() };
    assert_eq!(units(&own), 30);
    limiter.configure(&Who::Key(b"vip:1".into()), &Given::Other("null")).unwrap();
    assert_eq!(units(&CallOptions::default()), 10);
    let left = ask(&limiter, "vip:1", &CallOptions::default()).remaining;
    assert_eq!(left, 5, "whatever the limit was, what was taken is taken");
}

#[test]
fn a_key_without_a_limit_has_one_by_an_override_or_needs_none_on_a_list() {
    let limiter = Limiter::in_memory(
        &Settings::read(&record(&[
            ("limit", text_of("configured")),
            ("overrides", record(&[("vip:*", limit(10.0))])),
            ("deny", list(&["mallory"])),
        ]))
        .unwrap(),
        Arc::new(ManualClock::at(START)),
    );
    assert_eq!(ask(&limiter, "vip:1", &CallOptions::default()).limit, 10);
    assert!(!ask(&limiter, "mallory", &CallOptions::default()).allowed);
    let who = Who::Key(b"alice".into());
    let other = limiter.called(&who, Deed::Take, &CallOptions::default());
    assert_eq!(other.unwrap_err().code(), "ERR_RATE_LIMIT_NO_LIMIT");
}

#[test]
fn actions_meet_the_longest_pattern_and_are_counted_by_it() {
    let limiter = limiter(&[(
        "actions",
        record(&[("GET /api/*", limit(20.0)), ("GET /api/users/:id", limit(10.0)), ("GET /api/users/me", limit(5.0))]),
    )]);
    let act = |action: &str| {
        let options = CallOptions { action: Some(action.to_owned()), ..CallOptions::default() };
        let decision = ask(&limiter, "alice", &options);
        (decision.limit, decision.remaining)
    };
    assert_eq!(act("GET /api/users/1"), (10, 9));
    assert_eq!(act("GET /api/users/2"), (10, 8), "one limit for all that it matches");
    assert_eq!(act("GET /api/users/:id"), (10, 7), "its own text, too");
    assert_eq!(act("GET /api/users/me"), (5, 4));
    assert_eq!(act("GET /api/users/1/posts"), (20, 19));
    assert_eq!(act("POST /api/users"), (3, 2), "what matches nothing is counted apart, under the limiter's own limit");
    assert_eq!(act("POST /api/users/1"), (3, 2));
    assert_eq!(limiter.route_of("GET /api/users/7"), Some("GET /api/users/:id".to_owned()));
    assert_eq!(limiter.route_of("POST /"), None);
}

#[test]
fn policies_have_names_and_extend_each_other() {
    let policies = record(&[
        ("platinum", record(&[("extends", text_of("gold")), ("limit", Given::Number(50.0))])),
        ("gold", record(&[("limit", Given::Number(10.0)), ("window", text_of("2m"))])),
    ]);
    let overrides =
        record(&[("a", record(&[("policy", text_of("gold"))])), ("b", record(&[("policy", text_of("platinum"))]))]);
    let limiter = limiter(&[("policies", policies), ("overrides", overrides)]);
    assert_eq!(ask(&limiter, "a", &CallOptions::default()).limit, 10);
    let platinum = ask(&limiter, "b", &CallOptions { cost: Some(Given::Number(50.0)), ..CallOptions::default() });
    assert_eq!((platinum.limit, platinum.allowed), (50, true));
    assert!(platinum.reset_at_ms > START.as_millis_up() + 119_000, "the window of the one that it extends");
}
