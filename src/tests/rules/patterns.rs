//! Patterns against a matcher that tries all of them, and networks against their bits.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use crate::rules::{Alike, Pattern, Patterns};

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
    #![proptest_config(crate::tests::cases(3_000))]

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
    assert_eq!(found(&["/a/:_x"], "/a/b"), some("/a/:_x"));
    for (text, is_plain) in [("a", true), ("a\\*b", false), ("a*", false), ("/a/:x", false)] {
        assert_eq!(Pattern::read(text).unwrap().is_plain(text), is_plain, "{text}");
    }
    assert_eq!(found(&["10.0.0.0\\/8"], "10.0.0.0/8"), some("10.0.0.0\\/8"), "a text, with its sign escaped");
    for wrong in [
        "a*b",
        "a\\b",
        "\\",
        "/:",
        "/:x*",
        "/:1",
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0.0/",
        "::/129",
        "10.0.0.0/8a",
        "10.0.0.0/+8",
    ] {
        assert!(Pattern::read(wrong).is_err(), "{wrong} was accepted");
    }
    for (one, other) in [("/a/:x", "/a/:y"), ("10.0.0.1", "10.0.0.1/32"), ("10.0.0.1", "::ffff:10.0.0.1"), ("*", "*")] {
        let read = [one, "other", other].map(|text| Pattern::read(text).unwrap());
        assert_eq!(Patterns::new(&read).err(), Some(Alike(0, 2)), "{one} and {other}");
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
