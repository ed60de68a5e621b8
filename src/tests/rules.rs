//! Patterns against a matcher that tries all of them, networks against their bits, and what rules do to calls.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use proptest::prelude::*;

use crate::clock::{ManualClock, Micros};
use crate::decision::{Decision, Source};
use crate::error::{Class, Error};
use crate::input::Given;
use crate::limiter::{Called, Deed, Limiter, Trust, Who};
use crate::rules::{Alike, Pattern, Patterns};
use crate::settings::{CallOptions, Settings};

/// A pattern in the words of the documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Literal(char),
    Segment,
    Rest,
}

type Naive = Vec<Word>;

fn spelt(pattern: &[Word]) -> String {
    let spell = |word: &Word| match word {
        Word::Literal(sign) if "*:\\".contains(*sign) => format!("\\{sign}"),
        Word::Literal(sign) => sign.to_string(),
        Word::Segment => ":name".to_owned(),
        Word::Rest => "*".to_owned(),
    };
    pattern.iter().map(spell).collect()
}

fn matches(pattern: &[Word], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [Word::Rest, ..] => true,
        [Word::Literal(sign), rest @ ..] => text.first() == Some(sign) && matches(rest, &text[1..]),
        [Word::Segment, rest @ ..] => {
            let length = text.iter().take_while(|sign| **sign != '/').count();
            length > 0 && matches(rest, &text[length..])
        }
    }
}

/// The order as it is documented: literal characters; without a `*`; the first literal part that is longer.
fn is_longer(one: &[Word], other: &[Word]) -> bool {
    let parts = |pattern: &[Word]| -> Vec<usize> {
        pattern
            .split(|word| *word == Word::Segment)
            .map(|part| part.iter().filter(|word| matches!(word, Word::Literal(_))).count())
            .collect()
    };
    let literals = |pattern: &[Word]| parts(pattern).iter().sum::<usize>();
    let has_rest = |pattern: &[Word]| pattern.last() == Some(&Word::Rest);
    if literals(one) != literals(other) {
        return literals(one) > literals(other);
    }
    if has_rest(one) != has_rest(other) {
        return has_rest(other);
    }
    let differing = parts(one).into_iter().zip(parts(other)).find(|(one, other)| one != other);
    differing.is_some_and(|(one, other)| one > other)
}

/// Segments of few signs, so that patterns meet each other and texts.
fn pattern() -> impl Strategy<Value = Naive> {
    let segment = prop_oneof![
        3 => prop::collection::vec(prop::sample::select(vec!['a', 'b', '*', ':', '\\']), 0..3)
            .prop_map(|signs| signs.into_iter().map(Word::Literal).collect::<Naive>()),
        2 => Just(vec![Word::Segment]),
    ];
    (prop::collection::vec(segment, 1..4), any::<bool>()).prop_map(|(segments, has_rest)| {
        let mut pattern: Naive = Vec::new();
        for segment in segments {
            pattern.push(Word::Literal('/'));
            pattern.extend(segment);
        }
        if has_rest {
            // After a name it would be a part of it.
            if pattern.last() == Some(&Word::Segment) {
                pattern.push(Word::Literal('/'));
            }
            pattern.push(Word::Rest);
        }
        pattern
    })
}

fn text() -> impl Strategy<Value = String> {
    let segment = prop::collection::vec(prop::sample::select(vec!['a', 'b', '*', ':', '\\']), 0..3);
    prop::collection::vec(segment, 1..5).prop_map(|segments| {
        segments.into_iter().map(|signs| format!("/{}", signs.into_iter().collect::<String>())).collect()
    })
}

fn compiled(patterns: &[Naive]) -> Patterns {
    let read: Vec<Pattern> = patterns.iter().map(|pattern| Pattern::read(&spelt(pattern)).unwrap()).collect();
    Patterns::new(&read).unwrap()
}

proptest! {
    #![proptest_config(super::cases(3_000))]

    #[test]
    fn the_longest_of_all_that_match_is_found(
        patterns in prop::collection::vec(pattern(), 1..30),
        texts in prop::collection::vec(text(), 1..20),
    ) {
        let mut apart: Vec<Naive> = Vec::new();
        for pattern in patterns {
            if !apart.contains(&pattern) {
                apart.push(pattern);
            }
        }
        let found = compiled(&apart);
        for text in texts.into_iter().chain(apart.iter().map(|pattern| spelt(pattern).replace('\\', ""))) {
            let signs: Vec<char> = text.chars().collect();
            let mut longest: Option<usize> = None;
            for (number, pattern) in apart.iter().enumerate().filter(|(_, pattern)| matches(pattern, &signs)) {
                if longest.is_none_or(|other| is_longer(pattern, &apart[other])) {
                    longest = Some(number);
                }
            }
            prop_assert_eq!(found.find(text.as_bytes()), longest, "{} among {:?}", text, apart);
        }
    }

    /// Whatever is written is read, or refused; and two that are the same are told apart by nothing.
    #[test]
    fn any_text_is_a_pattern_or_refused(text in "[ab/*:\\\\.0-9]{0,12}", key in "[ab/*:\\\\.0-9]{0,12}") {
        if let Ok(pattern) = Pattern::read(&text) {
            let one = Patterns::new(std::slice::from_ref(&pattern)).unwrap();
            one.find(key.as_bytes());
            prop_assert_eq!(Patterns::new(&[pattern.clone(), pattern]).err(), Some(Alike(0, 1)));
        }
    }

    #[test]
    fn the_smallest_network_that_holds_an_address_is_found(
        networks in prop::collection::vec((any::<bool>(), 0..=255u8, 0..=255u8, 0..=128u8), 1..40),
        addresses in prop::collection::vec((any::<bool>(), 0..=255u8, 0..=255u8), 1..20),
    ) {
        let mut apart: Vec<(IpAddr, u8)> = Vec::new();
        for (is_v6, high, low, length) in networks {
            let (address, length) = network(address(is_v6, high, low), length);
            if !apart.contains(&(address, length)) {
                apart.push((address, length));
            }
        }
        let read: Vec<Pattern> =
            apart.iter().map(|(address, length)| Pattern::read(&format!("{address}/{length}")).unwrap()).collect();
        let found = Patterns::new(&read).unwrap();
        for (is_v6, high, low) in addresses {
            let address = address(is_v6, high, low);
            let holding = apart.iter().enumerate().filter(|(_, (network, length))| holds(*network, *length, address));
            let smallest = holding.max_by_key(|(_, (_, length))| *length).map(|(number, _)| number);
            prop_assert_eq!(found.find(address.to_string().as_bytes()), smallest, "{} among {:?}", address, apart);
            if let IpAddr::V4(address) = address {
                let mapped = format!("::ffff:{address}");
                prop_assert_eq!(found.find(mapped.as_bytes()), smallest, "{} among {:?}", mapped, apart);
            }
        }
    }
}

/// Addresses that differ in few places, so that networks hold them.
fn address(is_v6: bool, high: u8, low: u8) -> IpAddr {
    if is_v6 {
        Ipv6Addr::new(0x2001 | u16::from(high & 1), u16::from(high & 0xC0), 0, 0, 0, 0, u16::from(high), u16::from(low))
            .into()
    } else {
        Ipv4Addr::new(10 | high & 1, high & 0xC0, high, low).into()
    }
}

fn bits(address: IpAddr) -> Vec<bool> {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    octets.into_iter().flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1 == 1)).collect()
}

fn holds(network: IpAddr, length: u8, address: IpAddr) -> bool {
    let length = usize::from(length);
    network.is_ipv4() == address.is_ipv4() && bits(network)[..length] == bits(address)[..length]
}

/// The first address of the network, bit by bit.
fn network(address: IpAddr, length: u8) -> (IpAddr, u8) {
    let length = if address.is_ipv4() { length % 33 } else { length };
    let kept = |octets: &[u8], at: usize| {
        (0..8).fold(0u8, |octet, bit| {
            let is_kept = at * 8 + bit < usize::from(length);
            octet | if is_kept { octets[at] & 0x80 >> bit } else { 0 }
        })
    };
    let first: IpAddr = match address {
        IpAddr::V4(address) => <[u8; 4]>::into(std::array::from_fn(|at| kept(&address.octets(), at))),
        IpAddr::V6(address) => <[u8; 16]>::into(std::array::from_fn(|at| kept(&address.octets(), at))),
    };
    (first, length)
}

#[test]
fn patterns_are_read_as_they_are_documented() {
    let found = |patterns: &[&str], text: &str| {
        let read: Vec<Pattern> = patterns.iter().map(|text| Pattern::read(text).unwrap()).collect();
        Patterns::new(&read).unwrap().find(text.as_bytes()).map(|number| patterns[number].to_owned())
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(found(&["user:42", "user:*", "*"], "user:42"), some("user:42"));
    assert_eq!(found(&["user:42", "user:*", "*"], "user:"), some("user:*"), "any rest may be none");
    assert_eq!(found(&["user:42", "user:*", "*"], "use"), some("*"));
    assert_eq!(found(&["user:42", "user:*"], "use"), None);
    assert_eq!(found(&["/a/:x", "/a/*"], "/a/b"), some("/a/:x"), "a segment is less than any rest");
    assert_eq!(found(&["/a/:x", "/a/*"], "/a/b/c"), some("/a/*"));
    assert_eq!(found(&["/a/:x"], "/a/"), None, "a segment is not empty");
    assert_eq!(found(&["/:x/long", "/a/*"], "/a/long"), some("/:x/long"), "six literal characters and three");
    assert_eq!(found(&["/:x/b", "/b/:x"], "/b/b"), some("/b/:x"), "the first part that differs is longer");
    assert_eq!(found(&["a\\*b", "a*"], "a*b"), some("a\\*b"));
    assert_eq!(found(&["a\\*b"], "axb"), None);
    assert_eq!(found(&["10.*", "10.0.0.0/8"], "10.1.2.3"), some("10.0.0.0/8"), "a network before any text");
    assert_eq!(found(&["10.0.0.0/8", "10.1.2.3"], "10.1.2.3"), some("10.1.2.3"));
    assert_eq!(found(&["10.0.0.0/8"], "::ffff:10.1.2.3"), some("10.0.0.0/8"));
    assert_eq!(found(&["::ffff:10.0.0.0/104"], "10.1.2.3"), some("::ffff:10.0.0.0/104"));
    assert_eq!(found(&["::/0"], "10.1.2.3"), None, "the families are apart");
    assert_eq!(
        found(&["2001:db8::/32"], "2001:db8:1:200::/56"),
        some("2001:db8::/32"),
        "as a guard counts IPv6 clients"
    );
    assert_eq!(found(&["2001:db8:1:2::1"], "2001:db8:1::/56"), None, "a network is not in one of its addresses");
    assert_eq!(found(&["fe80::/10"], "fe80::1%eth0"), some("fe80::/10"));
    assert_eq!(found(&["10.0.0.0\\/8"], "10.0.0.0/8"), some("10.0.0.0\\/8"), "a text, with its sign escaped");
    for wrong in
        ["a*b", "a\\b", "\\", "/:", "/:x*", "/:1", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "::/129", "10.0.0.0/8a"]
    {
        assert!(Pattern::read(wrong).is_err(), "{wrong} was accepted");
    }
    for (one, other) in [("/a/:x", "/a/:y"), ("10.0.0.1", "10.0.0.1/32"), ("10.0.0.1", "::ffff:10.0.0.1"), ("*", "*")] {
        let read = [one, "other", other].map(|text| Pattern::read(text).unwrap());
        assert_eq!(Patterns::new(&read).err(), Some(Alike(0, 2)), "{one} and {other}");
    }
}

fn text_of(text: &str) -> Given {
    Given::Text(text.into())
}

fn record(fields: &[(&str, Given)]) -> Given {
    Given::Record(fields.iter().map(|(name, given)| ((*name).into(), given.clone())).collect())
}

fn list(patterns: &[&str]) -> Given {
    Given::List(patterns.iter().map(|text| text_of(text)).collect())
}

fn limit(limit: f64) -> Given {
    record(&[("limit", Given::Number(limit)), ("window", text_of("1m"))])
}

fn read(fields: &[(&str, Given)]) -> Result<Settings, Error> {
    let mut all = vec![("limit", Given::Number(3.0)), ("window", text_of("1m"))];
    all.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
    all.extend_from_slice(fields);
    Settings::read(&record(&all))
}

const START: Micros = Micros(1_000_000_000_000);

fn limiter(fields: &[(&str, Given)]) -> Limiter {
    Limiter::in_memory(&read(fields).unwrap(), Arc::new(ManualClock::at(START)))
}

fn ask(limiter: &Limiter, key: &str, options: &CallOptions) -> Decision {
    match limiter.called(&Who::Key(key.as_bytes().into()), Deed::Take, options).unwrap() {
        Called::Counted(request) => limiter.answer_here(&request, Trust::Nothing).unwrap().unwrap(),
        Called::Listed(request, allowed) => limiter.answer_by_list(&request, allowed).unwrap(),
    }
}

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

#[test]
fn what_is_no_rule_is_refused_with_a_reason() {
    let extends = |name: &str| record(&[("extends", text_of(name)), ("limit", Given::Number(1.0))]);
    let many: Vec<String> = (0..=100_000).map(|number| format!("user:{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let long = "x".repeat(257);
    let by = record(&[
        ("name", text_of("n")),
        ("by", text_of("user")),
        ("limit", Given::Number(1.0)),
        ("window", text_of("1m")),
    ]);
    let two = |name: &str| record(&[("name", text_of(name)), ("limit", Given::Number(1.0)), ("window", text_of("1m"))]);
    let several = |limits: &[Given], more: (&'static str, Given)| {
        let all = record(&[("limits", Given::List(limits.to_vec())), more]);
        Settings::read(&all).unwrap_err()
    };
    let refused = |fields: &[(&str, Given)]| read(fields).expect_err(&format!("{fields:?} was accepted"));
    for (error, class, says) in [
        (refused(&[("allow", text_of("a"))]), Class::Type, "`allow` must be an array of patterns"),
        (refused(&[("deny", Given::List(vec![Given::Number(1.0)]))]), Class::Type, "`deny[0]` must be a pattern"),
        (refused(&[("deny", list(&[""]))]), Class::Range, "`deny[0]` ('') is a pattern of 0 characters"),
        (refused(&[("deny", list(&[&long]))]), Class::Range, "of 257 characters: give it 1 to 256"),
        (
            refused(&[("deny", list(&["ok", "a*b"]))]),
            Class::Range,
            "`deny[1]` ('a*b') is a pattern whose `*` is not at the end",
        ),
        (refused(&[("allow", list(&["10.0.0.1/8"]))]), Class::Range, "the network 10.0.0.0/8: write that"),
        (
            refused(&[("allow", list(&["a"])), ("deny", list(&["b", "a"]))]),
            Class::Type,
            "`allow[0]` ('a') and `deny[1]` ('a') match the same keys",
        ),
        (
            refused(&[("allow", list(&["/a/:x"])), ("overrides", record(&[("/a/:y", limit(1.0))]))]),
            Class::Type,
            "`allow[0]` ('/a/:x') and `overrides` of '/a/:y' match the same keys",
        ),
        (
            refused(&[("actions", record(&[("/a/:x", limit(1.0)), ("/a/:y", limit(1.0))]))]),
            Class::Type,
            "`actions` of '/a/:x' and `actions` of '/a/:y' match the same actions",
        ),
        (refused(&[("deny", list(&many))]), Class::Range, "up to 100000 patterns, but 100001 were given"),
        (refused(&[("overrides", list(&["a"]))]), Class::Type, "`overrides` must be an object"),
        (
            refused(&[("overrides", record(&[("a", limit(0.0))]))]),
            Class::Range,
            "`overrides.a.limit` must be a whole number",
        ),
        (
            refused(&[("overrides", record(&[("a", record(&[("limt", Given::Number(1.0))]))]))]),
            Class::Type,
            "did you mean `limit`?",
        ),
        (
            refused(&[("overrides", record(&[("a", record(&[("policy", text_of("gold"))]))]))]),
            Class::Range,
            "`overrides.a.policy` is 'gold', which is none of `policies`",
        ),
        (
            refused(&[(
                "overrides",
                record(&[("a", record(&[("policy", text_of("g")), ("limit", Given::Number(1.0))]))]),
            )]),
            Class::Type,
            "were both given",
        ),
        (
            refused(&[(
                "overrides",
                record(&[(
                    "a",
                    record(&[
                        ("limit", Given::Number(1.0)),
                        ("window", text_of("1m")),
                        ("burst", record(&[("extra", Given::Number(1.0)), ("window", text_of("1m"))])),
                    ]),
                )]),
            )]),
            Class::Type,
            "`overrides.a.burst` was given where",
        ),
        (
            refused(&[("policies", record(&[("a", extends("b")), ("b", extends("c")), ("c", extends("b"))]))]),
            Class::Type,
            "in a loop, b → c → b",
        ),
        (refused(&[("policies", record(&[("a", extends("a"))]))]), Class::Type, "in a loop, a → a"),
        (refused(&[("policies", record(&[("a", extends("b"))]))]), Class::Range, "`policies.a.extends` is 'b'"),
        (refused(&[("policies", record(&[("a b", limit(1.0))]))]), Class::Range, "a name is 1 to 64 letters"),
        (
            refused(&[("policies", record(&[("a", record(&[("limit", Given::Number(1.0))]))]))]),
            Class::Type,
            "`policies.a.window` must be a duration",
        ),
        (
            several(std::slice::from_ref(&by), ("deny", list(&["a"]))),
            Class::Type,
            "`deny` is for keys that are one text",
        ),
        (
            several(&[two("x"), two("y")], ("overrides", record(&[("a", limit(1.0))]))),
            Class::Type,
            "`overrides` is for a limiter with one limit",
        ),
    ] {
        let message = error.to_string();
        assert_eq!(error.class(), class, "{message}");
        assert!(message.contains(says), "'{says}' is missing in: {message}");
    }
}

#[test]
fn a_hundred_thousand_patterns_are_found_among() {
    let texts: Vec<String> = (0..100_000).map(|number| format!("user:{number}:*")).collect();
    let read: Vec<Pattern> = texts.iter().map(|text| Pattern::read(text).unwrap()).collect();
    let patterns = Patterns::new(&read).unwrap();
    for number in [0, 1, 9, 10, 99_999] {
        assert_eq!(patterns.find(format!("user:{number}:x").as_bytes()), Some(number));
    }
    assert_eq!(patterns.find(b"user:100000:x"), None);
}
