//! What a caller's key is called where nobody is to read it: a digest that only the holders of a secret can make.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Class, Error, Rejection};
use crate::input::Given;
use crate::key::{Key, PSEUDONYM};

/// Bytes that are kept of a digest: 128 bits, of which no two keys' are ever alike.
const LENGTH: usize = 16;

/// What is accepted as a secret, in characters. Less could be guessed.
const SECRET: std::ops::RangeInclusive<usize> = 16..=1_024;

/// Makes pseudonyms by HMAC-SHA-256 (RFC 2104) under one secret. Never shows it.
///
/// A digest without a secret would hide nothing: who reads the store tries every mail address that there is.
#[derive(Clone)]
pub struct Pseudonyms {
    /// The state after the secret, which is the same for every key.
    keyed: Hmac<Sha256>,
}

impl Pseudonyms {
    /// Reads the option `hashKeys`: a secret, or `false` for none. `undefined` is not the same as nothing here: where the
    /// variable of an environment is not set, personal data would end up in the store without a word.
    pub fn read(given: &Given) -> Result<Option<Self>, Error> {
        // What was given is never quoted, as other options are: it may be a secret, only too short a one.
        let given = match given {
            Given::Flag(false) => return Ok(None),
            Given::Text(secret) => match secret.chars().count() {
                count if SECRET.contains(&count) => return Ok(Some(Self::new(secret.as_bytes()))),
                count => (Class::Range, format!("a string of {count} was given")),
            },
            Given::Flag(true) => {
                (Class::Type, "true was given, and a digest without a secret can be undone by trying".to_owned())
            }
            Given::Number(_) => (Class::Type, "a number was given".to_owned()),
            Given::Missing => {
                (Class::Type, "undefined was given: is a variable of the environment not set?".to_owned())
            }
            other => (Class::Type, format!("{other} was given")),
        };
        let (class, given) = given;
        let (least, most) = (SECRET.start(), SECRET.end());
        Err(Error::Option(Rejection {
            class,
            message: format!(
                "`hashKeys` must be a secret of {least} to {most} characters that all servers share, or false, but {given}"
            ),
        }))
    }

    /// Under these bytes.
    pub fn new(secret: &[u8]) -> Self {
        Self { keyed: Hmac::new_from_slice(secret).expect("HMAC takes a secret of any length") }
    }

    /// The pseudonym of a [normalised](crate::key::normalize) key, which is of one length for all.
    pub fn of(&self, key: &[u8]) -> Key {
        let digest = self.keyed.clone().chain_update(key).finalize().into_bytes();
        let mut bytes = [PSEUDONYM; 1 + LENGTH];
        bytes[1..].copy_from_slice(&digest[..LENGTH]);
        Key::from_normal(&bytes)
    }
}

impl fmt::Debug for Pseudonyms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pseudonyms")
    }
}
