//! What a caller's key becomes: bounded in length, and safe as a part of a Redis key.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use smallvec::SmallVec;

use crate::error::Error;

/// Longer keys, in bytes of UTF-8, are replaced by a digest.
pub const MAX_LEN: usize = 1_024;

/// Opens a digest. No text is encoded with this byte, so a digest never equals a key that was given.
pub(crate) const DIGEST: u8 = 0xFF;

/// Opens a [pseudonym](crate::pseudonym), which no key and no digest equals either.
pub(crate) const PSEUDONYM: u8 = 0xFD;

/// Opens a key that is another's: its owner's length in two bytes, its owner, and itself.
const OWNED: u8 = 0xFC;

/// A caller's key, normalised and owned. Short ones need no allocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(SmallVec<[u8; 40]>);

impl Key {
    /// Owns bytes that [`normalize`] has returned.
    pub fn from_normal(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The same key as one among those of `owner`: another owner's is another key. Without `own` it is the owner's.
    pub fn of_owner(owner: &Self, own: Option<&Self>) -> Self {
        let length = u16::try_from(owner.0.len()).expect("a normalised key is bounded");
        let mut bytes = SmallVec::new();
        bytes.push(OWNED);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(&owner.0);
        bytes.extend_from_slice(own.map_or(&[], Self::as_bytes));
        Self(bytes)
    }

    /// The bytes by which a store tells keys apart.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whose it is, where it is [somebody's](Self::of_owner), and itself, which is empty where the owner is meant.
    pub fn owner_and_own(&self) -> (Option<&[u8]>, &[u8]) {
        owner_and_own(&self.0)
    }
}

fn owner_and_own(key: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match key {
        [OWNED, high, low, rest @ ..] => {
            let (owner, own) = rest.split_at(usize::from(u16::from_be_bytes([*high, *low])));
            (Some(owner), own)
        }
        whole => (None, whole),
    }
}

/// Bounds a key's length: what is longer than [`MAX_LEN`] becomes its SHA-256, which callers cannot make collide.
pub fn normalize(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Error> {
    match bytes.len() {
        0 => Err(Error::Key("a key must be a non-empty string, but the empty string was given".into())),
        1..=MAX_LEN => Ok(Cow::Borrowed(bytes)),
        _ => {
            let mut digest = Vec::with_capacity(33);
            digest.push(DIGEST);
            digest.extend_from_slice(&Sha256::digest(bytes));
            Ok(Cow::Owned(digest))
        }
    }
}

/// UTF-8 in which lone surrogates keep their number (WTF-8), so that keys which differ in one stay distinct.
pub fn wtf8(units: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(units.len() * 2);
    for unit in char::decode_utf16(units.iter().copied()) {
        match unit {
            Ok(character) => bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            Err(lone) => {
                let [high, low] = lone.unpaired_surrogate().to_be_bytes();
                bytes.extend_from_slice(&[0xE0 | high >> 4, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F]);
            }
        }
    }
    bytes
}

/// What every key of one limit begins with in Redis: `prefix:name:algorithm:`.
pub fn namespace(prefix: &str, name: &str, algorithm: &str) -> String {
    format!("{prefix}:{name}:{algorithm}:")
}

/// A caller's word as a part of a namespace: what has a meaning there is escaped.
pub fn escape_segment(word: &str) -> String {
    let mut escaped = String::with_capacity(word.len());
    for character in word.chars() {
        match character {
            ':' | '@' | '{' | '%' => {
                write!(escaped, "%{:02X}", u32::from(character)).expect("writing to a String does not fail");
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// A digest as it stands in a name: `%sha256:` and its hex digits, which no escaped key can be.
pub fn digest_name(digest: &[u8]) -> String {
    marked("%sha256:", digest)
}

/// What stands before the hex digits of a pseudonym.
const PSEUDONYM_MARK: &str = "%hmac:";

fn marked(mark: &str, digest: &[u8]) -> String {
    digest.iter().fold(mark.to_owned(), |mut name, byte| {
        write!(name, "{byte:02x}").expect("writing to a String does not fail");
        name
    })
}

/// A normalised key for people: as it is, and in place of bytes that are no text what stands for them. A digest and a pseudonym are
/// written as in Redis.
pub fn shown(key: &[u8]) -> String {
    match key.split_first() {
        Some((&DIGEST, digest)) => digest_name(digest),
        Some((&PSEUDONYM, digest)) => marked(PSEUDONYM_MARK, digest),
        _ => String::from_utf8_lossy(key).into_owned(),
    }
}

/// Appends a normalised key as it stands in Redis.
///
/// `{` would let the caller choose the key's cluster slot, so it is written `%7B`, and `%` as `%25` to keep keys apart. A
/// digest stands there by its [`digest_name`], a pseudonym likewise as `%hmac:` and its hex digits.
pub fn append_escaped(out: &mut Vec<u8>, key: &[u8]) {
    match key.split_first() {
        Some((&DIGEST, digest)) => return out.extend_from_slice(digest_name(digest).as_bytes()),
        Some((&PSEUDONYM, digest)) => return out.extend_from_slice(marked(PSEUDONYM_MARK, digest).as_bytes()),
        _ => {}
    }
    if !key.iter().any(|byte| matches!(byte, b'{' | b'%')) {
        out.extend_from_slice(key);
        return;
    }
    for &byte in key {
        match byte {
            b'{' => out.extend_from_slice(b"%7B"),
            b'%' => out.extend_from_slice(b"%25"),
            byte => out.push(byte),
        }
    }
}

/// Appends a normalised key in braces, which alone decide then in which slot of a cluster it lies; of one that is
/// [another's](Key::of_owner) its owner is in them. A `}` would end them, so it is written `%7D`.
pub fn append_tagged(out: &mut Vec<u8>, key: &[u8]) {
    let (tag, own) = match owner_and_own(key) {
        (Some(owner), own) => (owner, own),
        (None, whole) => (whole, [].as_slice()),
    };
    out.push(b'{');
    let start = out.len();
    append_escaped(out, tag);
    if out[start..].contains(&b'}') {
        let closed: Vec<u8> = out.drain(start..).collect();
        for byte in closed {
            if byte == b'}' { out.extend_from_slice(b"%7D") } else { out.push(byte) }
        }
    }
    out.push(b'}');
    if !own.is_empty() {
        out.push(b':');
        append_escaped(out, own);
    }
}
