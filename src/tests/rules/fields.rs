//! What rules do to calls whose keys have fields: random rules against a matcher that tries all of them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{START, answer, limit, limiter, list, read, record, text_of};
use crate::decision::{Decision, Source};
use crate::error::{Class, Error};
use crate::input::Given;
use crate::limiter::{Called, Deed, Limiter, Origin, Who};
use crate::limits::NEW_KEYS;
use crate::settings::CallOptions;
use crate::store::Verb;

/// Two by `user`, one by `ip`, one of everybody, of which each holds another number.
const LIMITS: [(&str, &str, f64); 4] =
    [("second", "user", 3.0), ("day", "user", 30.0), ("address", "ip", 20.0), ("all", "global", 1_000.0)];

fn named(name: &str, by: &str, units: f64) -> Given {
    let fields =
        [("name", text_of(name)), ("by", text_of(by)), ("limit", Given::Number(units)), ("window", text_of("1d"))];
    record(&fields)
}

fn of_fields(rules: &[(&str, Given)]) -> Limiter {
    let limits = Given::List(LIMITS.map(|(name, by, units)| named(name, by, units)).into());
    let nothing = ["limit", "window"].map(|name| (name, Given::Missing));
    limiter(&[&nothing[..], &[("limits", limits)], rules].concat())
}

fn who<'a>(fields: &[(&str, &'a str)]) -> Who<'a> {
    Who::Fields(fields.iter().map(|(field, key)| ((*field).to_owned(), key.as_bytes().into())).collect())
}

fn both<'a>(user: &'a str, ip: &'a str) -> Who<'a> {
    who(&[("user", user), ("ip", ip)])
}

fn once(limiter: &Limiter, user: &str, ip: &str) -> Decision {
    answer(limiter, &both(user, ip), &CallOptions::default())
}

/// What each limit holds, by its name.
fn held(decision: &Decision) -> BTreeMap<String, u64> {
    let each = &decision.named.as_ref().expect("the limits have names").each;
    each.iter().map(|(name, decision)| (name.to_string(), decision.limit)).collect()
}

/// What a pattern has done.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Said {
    Allow,
    Deny,
    /// The numbers of the limits of that field.
    Numbers(u64, u64),
}

/// The rules of one field, by patterns of prefixes and texts: the longest that matches is the one with the most letters.
type Field = BTreeMap<String, Said>;

fn found(field: &Field, key: &str) -> Option<Said> {
    let matches = |pattern: &&String| match pattern.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix),
        None => *pattern == key,
    };
    let length = |pattern: &&String| (pattern.trim_end_matches('*').len(), !pattern.ends_with('*'));
    field.keys().filter(matches).max_by_key(length).map(|pattern| field[pattern])
}

fn rules() -> impl Strategy<Value = Field> {
    let said = prop_oneof![
        Just(Said::Allow),
        Just(Said::Deny),
        (1..100u64, 1..100u64).prop_map(|(one, other)| Said::Numbers(one, other)),
    ];
    prop::collection::btree_map("[ab]{1,3}\\*?|\\*", said, 0..8)
}

/// The options that say all of it.
fn options(user: &Field, ip: &Field) -> Vec<(&'static str, Given)> {
    let fields = [("user", user), ("ip", ip)];
    let listed = |which: Said| {
        let patterns = |rules: &Field| {
            let each: Vec<&str> = rules.iter().filter(|(_, said)| **said == which).map(|(text, _)| &**text).collect();
            list(&each)
        };
        record(&fields.map(|(field, rules)| (field, patterns(rules))))
    };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let day = |units: u64| record(&[("limit", Given::Number(units as f64)), ("window", text_of("1d"))]);
    let overrides = fields.map(|(field, rules)| {
        let each = rules.iter().filter_map(|(text, said)| match said {
            Said::Numbers(one, other) if field == "user" => {
                Some((&**text, record(&[("limits", record(&[("second", day(*one)), ("day", day(*other))]))])))
            }
            Said::Numbers(one, _) => Some((&**text, day(*one))),
            Said::Allow | Said::Deny => None,
        });
        (field, record(&each.collect::<Vec<_>>()))
    });
    vec![("allow", listed(Said::Allow)), ("deny", listed(Said::Deny)), ("overrides", record(&overrides))]
}

proptest! {
    #![proptest_config(crate::tests::cases(300))]

    #[test]
    fn of_each_field_the_longest_decides_and_of_these_deny_before_allow_before_overrides(
        user in rules(),
        ip in rules(),
        calls in prop::collection::vec(("[ab]{1,4}", "[ab]{1,4}"), 1..20),
    ) {
        let limiter = of_fields(&options(&user, &ip));
        let mut used: BTreeMap<String, u64> = BTreeMap::new();
        for (of_user, of_ip) in &calls {
            let said = [found(&user, of_user), found(&ip, of_ip)];
            let mut expected: BTreeMap<String, u64> =
                [("second", 3), ("day", 30), ("address", 20), ("all", 1_000)].map(|(name, units)| (name.to_owned(), units)).into();
            let decision = once(&limiter, of_user, of_ip);
            let explained = limiter.explain(&both(of_user, of_ip), &CallOptions::default()).unwrap();
            if said.contains(&Some(Said::Deny)) {
                prop_assert_eq!((decision.allowed, decision.source, decision.granted), (false, Source::List, 0));
                prop_assert_eq!(explained.origin, Origin::DenyList);
                continue;
            }
            if said.contains(&Some(Said::Allow)) {
                prop_assert_eq!((decision.allowed, decision.source, decision.granted), (true, Source::List, 1));
                prop_assert_eq!(explained.origin, Origin::AllowList);
                continue;
            }
            if let Some(Said::Numbers(second, day)) = said[0] {
                expected.extend([("second".to_owned(), second), ("day".to_owned(), day)]);
            }
            if let Some(Said::Numbers(address, _)) = said[1] {
                expected.insert("address".to_owned(), address);
            }
            prop_assert_eq!(held(&decision), expected.clone());
            let has_own = said.iter().any(Option::is_some);
            prop_assert_eq!(explained.origin, if has_own { Origin::Override } else { Origin::Default });
            let told: BTreeMap<String, u64> =
                explained.limits.iter().map(|(limit, _)| (limit.name.clone(), limit.limit)).collect();
            prop_assert_eq!(&told, &expected);
            // What lists have decided is not counted, and each limit counts by its own field.
            let keys = [
                ("second", format!("second {of_user}")),
                ("day", format!("day {of_user}")),
                ("address", format!("address {of_ip}")),
                ("all", "all".to_owned()),
            ];
            let fits = keys.iter().all(|(name, key)| used.get(key).copied().unwrap_or(0) < expected[*name]);
            prop_assert_eq!(decision.allowed, fits);
            if fits {
                for (_, key) in keys {
                    *used.entry(key).or_default() += 1;
                }
            }
        }
    }
}

#[test]
fn a_field_that_is_too_long_for_a_store_is_on_the_lists_as_it_was_given() {
    let limiter = of_fields(&[("deny", record(&[("user", list(&["evil:*"]))]))]);
    let long = format!("evil:{}", "x".repeat(5_000));
    let decision = once(&limiter, &long, "10.0.0.1");
    assert_eq!((decision.allowed, decision.source), (false, Source::List));
}

#[test]
fn who_names_no_field_is_on_no_list_of_it() {
    let nothing = ["limit", "window"].map(|name| (name, Given::Missing));
    let of_login = record(&[("by", text_of("ip")), ("limit", Given::Number(2.0)), ("window", text_of("1d"))]);
    let rules = [
        ("limits", Given::List(vec![named("user", "user", 5.0)])),
        ("actions", record(&[("login", of_login)])),
        ("deny", record(&[("ip", list(&["*"]))])),
        ("overrides", record(&[("user", record(&[("vip", limit(9.0))]))])),
    ];
    let limiter = limiter(&[&nothing[..], &rules].concat());
    let login = CallOptions { action: Some("login".to_owned()), ..CallOptions::default() };
    assert_eq!(answer(&limiter, &who(&[("user", "vip")]), &CallOptions::default()).limit, 9);
    let denied = answer(&limiter, &both("vip", "10.0.0.1"), &CallOptions::default());
    assert_eq!((denied.allowed, denied.source), (false, Source::List), "an address by which an action counts");
    assert!(!answer(&limiter, &who(&[("ip", "10.0.0.1")]), &login).allowed);
    let other = CallOptions { action: Some("search".to_owned()), ..CallOptions::default() };
    assert_eq!(answer(&limiter, &who(&[("user", "vip")]), &other).limit, 9, "another action is the limiter's own");
    let missing = limiter.called(&who(&[("ip", "10.0.0.1")]), Deed::Take, &CallOptions::default());
    assert_eq!(missing.unwrap_err().code(), "ERR_RATE_LIMIT_KEY", "bad input is bad for everybody");
}

#[test]
fn the_owner_of_keys_is_a_field_as_others_are() {
    let limiter = of_fields(&[("hashTag", text_of("tenant")), ("deny", record(&[("tenant", list(&["closed"]))]))]);
    let of = |tenant: &str| {
        answer(&limiter, &who(&[("tenant", tenant), ("user", "a"), ("ip", "10.0.0.1")]), &CallOptions::default())
    };
    assert!(!of("closed").allowed);
    assert!(of("open").allowed);
}

#[test]
fn new_keys_are_guarded_whoever_has_limits_of_their_own() {
    let new_keys = record(&[("by", text_of("ip")), ("limit", Given::Number(2.0)), ("window", text_of("1d"))]);
    let limiter = of_fields(&[
        ("newKeys", new_keys),
        ("allow", record(&[("user", list(&["admin:*"]))])),
        (
            "overrides",
            record(&[("user", record(&[("vip:*", record(&[("limits", record(&[("second", limit(9.0))]))]))]))]),
        ),
    ]);
    let new = |user: &str| once(&limiter, user, "10.0.0.1");
    assert_eq!(held(&new("vip:1"))["second"], 9);
    for admin in 0..5 {
        let decision = new(&format!("admin:{admin}"));
        assert_eq!((decision.allowed, decision.source), (true, Source::List));
        let (_, guard) = decision.named.as_ref().unwrap().each.last().unwrap();
        assert_eq!((guard.granted, guard.remaining), (0, 2), "who is not counted brings nobody");
    }
    assert!(new("vip:2").allowed);
    let refused = new("vip:3");
    let named = refused.named.as_ref().unwrap();
    assert_eq!((refused.allowed, &*named.each[named.decisive].0), (false, NEW_KEYS));
    assert!(new("vip:1").allowed, "who is known is not new");
}

#[test]
fn each_limit_has_overrides_by_its_own_algorithm_and_what_is_blocked_is_blocked_there() {
    let bucket = record(&[
        ("name", text_of("bucket")),
        ("by", text_of("user")),
        ("algorithm", text_of("token-bucket")),
        ("limit", Given::Number(2.0)),
        ("window", text_of("1d")),
    ]);
    let nothing = ["limit", "window"].map(|name| (name, Given::Missing));
    let gold = record(&[("limit", Given::Number(5.0)), ("window", text_of("1d")), ("burst", Given::Number(7.0))]);
    let rules = [
        ("limits", Given::List(vec![bucket, named("day", "user", 30.0)])),
        ("policies", record(&[("gold", gold)])),
        (
            "overrides",
            record(&[(
                "user",
                record(&[(
                    "vip",
                    record(&[("limits", record(&[("bucket", record(&[("policy", text_of("gold"))]))]))]),
                )]),
            )]),
        ),
    ];
    let limiter = limiter(&[&nothing[..], &rules].concat());
    let vip = who(&[("user", "vip")]);
    let decision = answer(&limiter, &vip, &CallOptions::default());
    assert_eq!((decision.limit, decision.remaining), (7, 6));
    let block = limiter.request_for(&vip, Verb::Block(START), &CallOptions::default()).unwrap();
    assert_eq!(block.limits.iter().next().unwrap().policy.capacity(), 7);
}

/// The numbers of an override, where they are wrong, and what is said of it.
#[test]
fn what_is_no_rule_by_fields_is_refused_with_a_reason() {
    let refused = |rules: &[(&str, Given)]| -> Error {
        let limits = Given::List(LIMITS.map(|(name, by, units)| named(name, by, units)).into());
        let nothing = ["limit", "window"].map(|name| (name, Given::Missing));
        read(&[&nothing[..], &[("limits", limits)], rules].concat()).expect_err(&format!("{rules:?} was accepted"))
    };
    let overrides = |field: &str, own: Given| [("overrides", record(&[(field, record(&[("a", own)]))]))];
    let of_limits = |each: &[(&str, Given)]| record(&[("limits", record(each))]);
    let many: Vec<String> = (0..60_000).map(|number| format!("user:{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (error, class, says) in [
        (refused(&[("deny", list(&["a"]))]), Some(Class::Type), "`deny` must be an object by the fields of the key"),
        (
            refused(&[("deny", record(&[("ip", text_of("a"))]))]),
            Some(Class::Type),
            "`deny.ip` must be an array of patterns",
        ),
        (
            refused(&[("allow", record(&[("usr", list(&["a"]))]))]),
            None,
            "`allow` has no `usr`: the fields by which anything is counted are `ip`, `user`",
        ),
        (
            refused(&[("deny", record(&[("ip", list(&["10.0.0.1/8"]))]))]),
            Some(Class::Range),
            "`deny.ip[0]` ('10.0.0.1/8') is a pattern",
        ),
        (
            refused(&[("allow", record(&[("ip", list(&["a"]))])), ("deny", record(&[("ip", list(&["b", "a"]))]))]),
            Some(Class::Type),
            "`allow.ip[0]` ('a') and `deny.ip[1]` ('a') match the same keys",
        ),
        (
            refused(&[("deny", record(&[("ip", list(&many)), ("user", list(&many))]))]),
            Some(Class::Range),
            "up to 100000 patterns, but 120000 were given",
        ),
        (refused(&[("overrides", list(&["a"]))]), Some(Class::Type), "`overrides` must be an object by the fields"),
        (refused(&[("overrides", record(&[("a", limit(1.0))]))]), None, "`overrides` has no `a`"),
        (refused(&overrides("global", limit(1.0))), None, "`overrides` has no `global`"),
        (refused(&overrides("ip", limit(0.0))), Some(Class::Range), "`overrides.ip.a.limit` must be a whole number"),
        (
            refused(&overrides("user", limit(1.0))),
            Some(Class::Type),
            "`overrides.user.a` is for one limit, and `second` and `day` count by `user`: say which, as in { limits: { second: ",
        ),
        (
            refused(&overrides("user", of_limits(&[("dy", limit(1.0))]))),
            None,
            "`overrides.user.a.limits` has no `dy`: the limits that count by `user` are `second`, `day`",
        ),
        (refused(&overrides("user", of_limits(&[]))), Some(Class::Type), "`overrides.user.a.limits` names no limit"),
        (
            refused(&overrides("user", record(&[("limits", record(&[])), ("limit", Given::Number(1.0))]))),
            Some(Class::Type),
            "`overrides.user.a.limits` and `overrides.user.a.limit` were both given",
        ),
        (
            refused(&overrides("user", of_limits(&[("day", record(&[("policy", text_of("gold"))]))]))),
            Some(Class::Range),
            "`overrides.user.a.limits.day.policy` is 'gold', which is none of `policies`",
        ),
        (
            refused(&[
                (
                    "newKeys",
                    record(&[("by", text_of("net")), ("limit", Given::Number(2.0)), ("window", text_of("1d"))]),
                ),
                ("overrides", record(&[("net", record(&[("a", limit(1.0))]))])),
            ]),
            Some(Class::Type),
            "`overrides.net` has limits of its own for none of the `limits`",
        ),
    ] {
        let message = error.to_string();
        if let Some(class) = class {
            assert_eq!(error.class(), class, "{message}");
        } else {
            assert_eq!(error.code(), "ERR_RATE_LIMIT_UNKNOWN_OPTION", "{message}");
        }
        assert!(message.contains(says), "'{says}' is missing in: {message}");
    }
}

/// A key that is one text meets no rules about fields, and the other way round: an action may count by another thing than the limiter.
#[test]
fn a_key_of_fields_meets_no_rules_about_texts() {
    let of_login = record(&[("by", text_of("ip")), ("limit", Given::Number(2.0)), ("window", text_of("1d"))]);
    let limiter = limiter(&[("actions", record(&[("login", of_login)])), ("deny", list(&["*"]))]);
    let login = CallOptions { action: Some("login".to_owned()), ..CallOptions::default() };
    let decision = answer(&limiter, &who(&[("ip", "10.0.0.1")]), &login);
    assert_eq!((decision.allowed, decision.source), (true, Source::Memory));
    let called = limiter.called(&Who::Key(b"a".into()), Deed::Take, &CallOptions::default()).unwrap();
    assert!(matches!(called, Called::Listed(_, false)));
}
