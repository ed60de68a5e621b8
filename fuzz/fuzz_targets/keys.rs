//! Keys of any UTF-16: different ones stay different in a store, bounded in length, and choose no cluster slot.

#![no_main]

use distributed_rate_limiter::key::{MAX_LEN, append_escaped, escape_segment, normalize, wtf8};
use distributed_rate_limiter::pseudonym::Pseudonyms;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Vec<u16>, Vec<u16>, u8, String, String)| {
    let (one, other, stretch, word, another) = input;
    // The fuzzer seldom grows an input beyond the bound by itself, and only around it is there something to see.
    let long = |units: &[u16]| units.repeat(1 + usize::from(stretch));
    let pseudonyms = Pseudonyms::new(b"a secret of all servers");
    for (one, other) in [(one.clone(), other.clone()), (long(&one), long(&other)), (one.clone(), long(&one))] {
        let (bytes, others) = (wtf8(&one), wtf8(&other));
        assert_eq!(one == other, bytes == others, "wtf8 of {one:?} and {other:?}");
        if let Ok(text) = String::from_utf16(&one) {
            assert_eq!(text.as_bytes(), bytes);
        }
        if let (Some(stored), Some(theirs)) = (stored(&bytes), stored(&others)) {
            assert_eq!(bytes == others, stored == theirs, "{bytes:?} and {others:?}");
            let hidden = |bytes: &[u8]| pseudonyms.of(&normalize(bytes).expect("it is not empty"));
            assert_eq!(bytes == others, hidden(&bytes) == hidden(&others), "{bytes:?} and {others:?}");
            assert_eq!(escaped(hidden(&bytes).as_bytes()).len(), 38);
        }
    }
    assert_eq!(word == another, escape_segment(&word) == escape_segment(&another), "{word:?} and {another:?}");
    assert!(!escape_segment(&word).contains([':', '@', '{']), "{word:?}");
});

/// A key as it stands in Redis; none for the empty one.
fn stored(bytes: &[u8]) -> Option<Vec<u8>> {
    let normal = match normalize(bytes) {
        Ok(normal) => normal,
        Err(error) => {
            assert!(bytes.is_empty(), "{error}");
            return None;
        }
    };
    assert!(normal.len() <= MAX_LEN);
    let stored = escaped(&normal);
    assert!(stored.len() <= 3 * MAX_LEN && !stored.contains(&b'{'), "{stored:?}");
    // A digest's name is no key's.
    assert_eq!(bytes.len() > MAX_LEN, stored.starts_with(b"%sha256:"));
    assert!(!stored.starts_with(b"%hmac:"));
    Some(stored)
}

fn escaped(key: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_escaped(&mut out, key);
    out
}
