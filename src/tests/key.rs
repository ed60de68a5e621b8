//! Keys: none becomes another's, none chooses its slot in a cluster, none is longer than it may be.

use std::borrow::Cow;

use proptest::prelude::*;

use crate::error::Class;
use crate::key::{self, Key, MAX_LEN, append_escaped, append_tagged, normalize};

/// A caller's key as it stands in Redis, without the namespace.
fn in_redis(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_escaped(&mut out, &normalize(key).unwrap());
    out
}

/// The same of a key in braces, or of one that is another's.
fn tagged(owner: &[u8], own: Option<&[u8]>) -> Vec<u8> {
    let [owner, own] = [Some(owner), own].map(|key| key.map(|key| Key::from_normal(&normalize(key).unwrap())));
    let owner = owner.unwrap();
    let mut out = Vec::new();
    append_tagged(&mut out, Key::of_owner(&owner, own.as_ref()).as_bytes());
    if own.is_none() {
        let mut alone = Vec::new();
        append_tagged(&mut alone, owner.as_bytes());
        assert_eq!(alone, out, "an owner's own key is the one that it has alone");
    }
    out
}

/// The key that was given, read back from what stands in Redis; `None` for a digest. That there is such a function is the
/// proof that no two keys become one.
fn read_back(mut stored: &[u8]) -> Option<Vec<u8>> {
    let mut key = Vec::new();
    while let Some((&byte, rest)) = stored.split_first() {
        stored = rest;
        if byte != b'%' {
            key.push(byte);
            continue;
        }
        let (escape, rest) = stored.split_at_checked(2)?;
        stored = rest;
        key.push(match escape {
            b"7B" => b'{',
            b"25" => b'%',
            _ => return None,
        });
    }
    Some(key)
}

/// Text, with many of the characters that mean something here; and bytes that no text has, but for those that mark what is not
/// the key itself.
fn short_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        2 => "[%{}:7B25sha\u{0}é😀]{1,40}".prop_map(String::into_bytes),
        1 => "\\PC{1,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(0..=0xFBu8, 1..=MAX_LEN),
        1 => Just(format!("%sha256:{}", "0".repeat(64)).into_bytes()),
        1 => Just(format!("%hmac:{}", "0".repeat(32)).into_bytes()),
    ]
}

fn long_key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..=0xFBu8, MAX_LEN + 1..MAX_LEN + 40)
}

proptest! {
    #![proptest_config(super::cases(3_000))]

    #[test]
    fn a_short_key_can_be_read_back_from_redis(key in short_key()) {
        prop_assert_eq!(read_back(&in_redis(&key)), Some(key));
    }

    #[test]
    fn no_brace_that_opens_a_hash_tag_survives(key in prop_oneof![short_key(), long_key()]) {
        let opens = in_redis(&key).contains(&b'{');
        prop_assert!(!opens);
    }

    /// Were a digest told by its hex digits alone, a caller could write the text of somebody else's.
    #[test]
    fn a_key_that_looks_like_a_digest_in_redis_is_not_that_digest(long in long_key()) {
        let stored = in_redis(&long);
        prop_assert_eq!(read_back(&stored), None);
        let forged = in_redis(&stored);
        prop_assert_ne!(&forged, &stored);
        prop_assert_eq!(read_back(&forged), Some(stored));
    }

    /// The owner alone is between the first braces, so all of an owner's keys have one slot; and no two become one.
    #[test]
    fn keys_of_owners_stay_apart_and_have_their_slot(
        one in (short_key(), prop::option::of(short_key())),
        other in (short_key(), prop::option::of(short_key())),
    ) {
        let [a, b] = [&one, &other].map(|(owner, own)| tagged(owner, own.as_deref()));
        prop_assert_eq!(one == other, a == b);
        let tag = |name: &[u8]| name[1..].split(|byte| *byte == b'}').next().unwrap().to_vec();
        prop_assert_eq!(one.0 == other.0, tag(&a) == tag(&b));
        prop_assert_eq!(a[0], b'{');
    }

    #[test]
    fn different_keys_stay_different(one in short_key(), other in short_key(), long in long_key(), flip in any::<usize>()) {
        prop_assert_eq!(one == other, in_redis(&one) == in_redis(&other));
        let mut longer = long.clone();
        let at = flip % longer.len();
        longer[at] ^= 1;
        prop_assert_ne!(in_redis(&long), in_redis(&longer), "a bit at {}", at);
    }
}

#[test]
fn what_each_key_becomes() {
    for (given, stored) in [
        ("user:7", "user:7"),
        ("{user}", "%7Buser}"),
        ("%7B", "%257B"),
        ("100%", "100%25"),
        ("a\0b\nc", "a\0b\nc"),
        ("é😀", "é😀"),
    ] {
        assert_eq!(String::from_utf8(in_redis(given.as_bytes())).unwrap(), stored);
    }
}

#[test]
fn what_each_key_of_an_owner_becomes() {
    for (owner, own, stored) in [
        ("t1", None, "{t1}"),
        ("t1", Some("u1"), "{t1}:u1"),
        ("{t}", Some("{u}"), "{%7Bt%7D}:%7Bu}"),
        ("t}:u", Some("1"), "{t%7D:u}:1"),
        ("t%7D", Some("1"), "{t%257D}:1"),
    ] {
        assert_eq!(String::from_utf8(tagged(owner.as_bytes(), own.map(str::as_bytes))).unwrap(), stored);
    }
}

#[test]
fn up_to_1_kib_a_key_is_kept_and_beyond_it_is_a_digest() {
    let kept = "a".repeat(1_024);
    assert_eq!(in_redis(kept.as_bytes()), kept.as_bytes());
    // sha256sum of 1,025 times 'a'.
    let digest = b"%sha256:4a82297889eb505cf6b5cbdf69977afab4632d6557539782f657bd7dc78091a5";
    assert_eq!(in_redis("a".repeat(1_025).as_bytes()), digest);
}

/// Bytes are counted, as Redis does, not characters.
#[test]
fn the_length_of_a_key_is_that_of_its_utf_8() {
    assert!(matches!(normalize("é".repeat(512).as_bytes()), Ok(Cow::Borrowed(_))));
    assert_eq!(normalize("é".repeat(513).as_bytes()).unwrap().len(), 33);
}

/// A lone surrogate, as the binding hands it in, is neither another one nor the replacement character.
#[test]
fn lone_surrogates_stay_distinct() {
    let keys = [&b"\xED\xA0\x80"[..], b"\xED\xB0\x80", "\u{FFFD}".as_bytes()].map(in_redis);
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
}

#[test]
fn the_empty_key_is_refused() {
    let error = normalize(b"").unwrap_err();
    assert_eq!((error.code(), error.class()), ("ERR_RATE_LIMIT_KEY", Class::Type));
    assert!(error.to_string().contains("non-empty string"), "{error}");
}

#[test]
fn a_namespace_names_prefix_limit_and_algorithm_and_no_numbers() {
    assert_eq!(key::namespace("rl", "default", "token-bucket"), "rl:default:token-bucket:");
}

#[test]
fn wtf8_is_utf8_but_for_lone_surrogates() {
    let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
    assert_eq!(key::wtf8(&units("aé€😀")), "aé€😀".as_bytes());
    assert_eq!(key::wtf8(&[0xD800]), [0xED, 0xA0, 0x80]);
    assert_eq!(key::wtf8(&[0x61, 0xDFFF]), [0x61, 0xED, 0xBF, 0xBF]);
}
