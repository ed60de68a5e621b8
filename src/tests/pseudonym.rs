//! Pseudonyms: those of HMAC-SHA-256, one a key, of one length; and a secret that is never shown.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::algorithm::Policy;
use crate::clock::ManualClock;
use crate::error::{Class, Error};
use crate::input::Given;
use crate::key::{Key, append_escaped, normalize};
use crate::limiter::{Deed, Limiter, Who};
use crate::pseudonym::Pseudonyms;
use crate::settings::{CallOptions, Settings};

const SECRET: &str = "a secret of all servers";

fn in_redis(key: &Key) -> String {
    let mut out = Vec::new();
    append_escaped(&mut out, key.as_bytes());
    String::from_utf8(out).unwrap()
}

fn refusal(given: &Given) -> Error {
    Pseudonyms::read(given).expect_err("it was accepted")
}

/// RFC 4231, the first half of the digests of its test cases 2 and 6, the latter with a secret longer than a block.
#[test]
fn a_pseudonym_is_hmac_sha_256() {
    let of = |secret: &[u8], key: &[u8]| in_redis(&Pseudonyms::new(secret).of(key));
    assert_eq!(of(b"Jefe", b"what do ya want for nothing?"), "%hmac:5bdcc146bf60754e6a042426089575c7");
    let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
    assert_eq!(of(&[0xAA; 131], long), "%hmac:60e431591ee0b67f0d8a26aacbf5b77f");
}

proptest! {
    #![proptest_config(super::cases(1_000))]

    #[test]
    fn keys_stay_apart_and_become_equally_long(
        one in prop::collection::vec(0..=0xFCu8, 1..2_000),
        other in prop::collection::vec(0..=0xFCu8, 1..2_000),
        secret in "\\PC{16,40}",
    ) {
        let pseudonyms = Pseudonyms::new(secret.as_bytes());
        let of = |key: &[u8]| in_redis(&pseudonyms.of(&normalize(key).unwrap()));
        prop_assert_eq!(one == other, of(&one) == of(&other));
        prop_assert_eq!(of(&one).len(), "%hmac:".len() + 32);
        prop_assert_ne!(of(&one), in_redis(&Pseudonyms::new(b"another secret").of(&normalize(&one).unwrap())));
    }
}

/// A caller who knows what somebody's key is called must not be able to be that somebody.
#[test]
fn a_key_that_spells_a_pseudonym_is_another_key() {
    let theirs = in_redis(&Pseudonyms::new(SECRET.as_bytes()).of(b"somebody"));
    let mut spelt = Vec::new();
    append_escaped(&mut spelt, &normalize(theirs.as_bytes()).unwrap());
    assert_ne!(String::from_utf8(spelt).unwrap(), theirs);
}

#[test]
fn what_is_no_secret_is_refused_and_never_quoted() {
    let text = |text: &str| Given::Text(text.into());
    for (given, class, says) in [
        (text(""), Class::Range, "a string of 0 was given"),
        (text("p1anted-pa55wor"), Class::Range, "a string of 15 was given"),
        (text(&"p1anted".repeat(147)), Class::Range, "a string of 1029 was given"),
        (Given::Flag(true), Class::Type, "true was given, and a digest without a secret"),
        (Given::Missing, Class::Type, "undefined was given: is a variable of the environment not set?"),
        (Given::Other("null"), Class::Type, "null was given"),
        (Given::Number(5.0), Class::Type, "a number was given"),
        (Given::Record(Vec::new()), Class::Type, "an object was given"),
    ] {
        let error = refusal(&given);
        let message = error.to_string();
        assert_eq!((error.code(), error.class()), ("ERR_RATE_LIMIT_OPTION", class), "{message}");
        assert!(message.contains("`hashKeys` must be a secret of 16 to 1024 characters"), "{message}");
        assert!(message.contains(says) && !message.contains("p1anted"), "{message}");
    }
    assert!(Pseudonyms::read(&Given::Flag(false)).unwrap().is_none());
    assert!(Pseudonyms::read(&text(&"é".repeat(16))).unwrap().is_some());
}

#[test]
fn a_secret_is_not_shown_by_the_settings() {
    let settings = Settings::read(&options(&[])).unwrap();
    let shown = format!("{settings:?}");
    assert!(shown.contains("Pseudonyms") && !shown.contains(SECRET), "{shown}");
}

fn options(more: &[(&str, Given)]) -> Given {
    let own =
        [("limit", Given::Number(2.0)), ("window", Given::Text("1m".into())), ("hashKeys", Given::Text(SECRET.into()))];
    let all = own.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)).chain(more);
    Given::Record(all.map(|(name, given)| ((*name).into(), given.clone())).collect())
}

/// Whatever a request is made of, no store gets a key as it was given.
#[test]
fn no_request_holds_a_key_as_it_was_given() {
    let by_field = |name: &str, field: &str| {
        let fields = [("name", name), ("window", "1m"), ("by", field)];
        let mut fields: Vec<_> = fields.iter().map(|(k, v)| ((*k).to_owned(), Given::Text((*v).into()))).collect();
        fields.push(("limit".into(), Given::Number(2.0)));
        Given::Record(fields)
    };
    let several = options(&[
        ("limit", Given::Missing),
        ("window", Given::Missing),
        ("limits", Given::List(vec![by_field("users", "user"), by_field("all", "global")])),
    ]);
    let clock = Arc::new(ManualClock::default());
    let one = Limiter::in_memory(&Settings::read(&options(&[])).unwrap(), clock.clone());
    let both = Limiter::in_memory(&Settings::read(&several).unwrap(), clock);
    assert!(!one.is_simple(), "the way of simple calls takes keys as they are");

    let mut seen = HashSet::new();
    let mut look = |limiter: &Limiter, who: &Who<'_>, action: Option<&str>| {
        let call = CallOptions { action: action.map(str::to_owned), ..CallOptions::default() };
        let request = limiter.request(who, Deed::Take, &call).unwrap();
        for (limit, key) in request.parts() {
            let mut name = Vec::new();
            limit.append_name(&mut name, key.as_bytes());
            seen.insert(String::from_utf8(name).unwrap());
        }
    };
    let mail = || b"mail@example.com".into();
    look(&one, &Who::Key(mail()), None);
    look(&one, &Who::Key(mail()), Some("download"));
    look(&both, &Who::Fields(vec![("user".into(), mail())]), None);
    let hidden = "%hmac:".to_owned() + &in_redis(&Pseudonyms::new(SECRET.as_bytes()).of(b"mail@example.com"))[6..];
    let expected = [
        format!("rl:default:sliding-window:{hidden}"),
        format!("rl:default@download:sliding-window:{hidden}"),
        format!("rl:users:sliding-window:{hidden}"),
        "rl:all:sliding-window:global".to_owned(),
    ];
    assert_eq!(seen, HashSet::from(expected));
}

/// The limit that `configure` gives is looked up by the same name.
#[test]
fn a_configured_limit_is_that_of_its_key() {
    let limiter = Limiter::in_memory(&Settings::read(&options(&[])).unwrap(), Arc::new(ManualClock::default()));
    let own = vec![("limit".to_owned(), Given::Number(9.0)), ("window".to_owned(), Given::Text("1m".into()))];
    limiter.configure(&Who::Key(b"one".into()), &Given::Record(own)).unwrap();
    let capacity = |key: &'static [u8]| {
        let request = limiter.request(&Who::Key(key.into()), Deed::Take, &CallOptions::default()).unwrap();
        request.limits.only().map(|limit| limit.policy).as_ref().map(Policy::capacity)
    };
    assert_eq!((capacity(b"one"), capacity(b"other")), (Some(9), Some(2)));
}
