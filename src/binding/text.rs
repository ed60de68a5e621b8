//! JavaScript strings as bytes.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::js::{Js, Kind, Value};
use crate::error::Error;
use crate::key::{MAX_LEN, normalize, wtf8};
use crate::limiter::Who;

/// A key's UTF-16 as Node writes it, with a NUL, and its bytes where all of it is ASCII.
pub(super) struct Buffer {
    units: [MaybeUninit<u16>; MAX_LEN + 2],
    bytes: [MaybeUninit<u8>; MAX_LEN],
}

impl Buffer {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            units: [const { MaybeUninit::uninit() }; MAX_LEN + 2],
            bytes: [const { MaybeUninit::uninit() }; MAX_LEN],
        }
    }
}

/// A string for reading by people; what is not Unicode is replaced. `None` for anything but a string.
pub(super) fn lossy(js: Js, value: Value) -> Option<String> {
    js.utf16(value).map(|units| String::from_utf16_lossy(&units))
}

/// Reads a key into `buffer`, or onto the heap where it is long or not ASCII, and normalises it. `None` for anything but a
/// string.
///
/// As UTF-16, since that is a plain copy for V8, where its UTF-8 costs twice as much and hides lone surrogates.
#[inline]
pub(super) fn key(js: Js, value: Value, buffer: &mut Buffer) -> Result<Option<Cow<'_, [u8]>>, Error> {
    let Some(units) = js.utf16_into(value, &mut buffer.units) else {
        return Ok(None);
    };
    if units.len() > MAX_LEN || units.iter().any(|unit| *unit >= 0x80) {
        return unusual_key(js, value).map(Some);
    }
    for (byte, unit) in buffer.bytes.iter_mut().zip(units) {
        #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
        byte.write(*unit as u8);
    }
    // SAFETY: the loop has written as many bytes as there are units, which are at most MAX_LEN.
    normalize(unsafe { std::slice::from_raw_parts(buffer.bytes.as_ptr().cast(), units.len()) }).map(Some)
}

#[cold]
fn unusual_key(js: Js, value: Value) -> Result<Cow<'static, [u8]>, Error> {
    Ok(Cow::Owned(normalize(&as_given(js, value))?.into_owned()))
}

fn as_given(js: Js, value: Value) -> Cow<'static, [u8]> {
    Cow::Owned(wtf8(&js.utf16(value).unwrap_or_default()))
}

/// Whom a call is about, as it was given: a string, or an object with a string for each field.
#[cold]
pub(super) fn who(js: Js, value: Value) -> Result<Who<'static>, Error> {
    match js.kind(value) {
        Kind::String => Ok(Who::Key(as_given(js, value))),
        Kind::Object if !js.is_array(value) => {
            let field = |name| {
                let unreadable = || Error::Internal("a key could not be read".into());
                let given = js.get(value, name).ok_or_else(unreadable)?;
                let name = lossy(js, name).ok_or_else(unreadable)?;
                if js.kind(given) != Kind::String {
                    let given = super::given::describe(js, given);
                    return Err(Error::Key(format!(
                        "`{name}` of a key must be a non-empty string, but {given} was given"
                    )));
                }
                let key = as_given(js, given);
                if key.is_empty() {
                    return Err(Error::Key(format!(
                        "`{name}` of a key must be a non-empty string, but the empty string was given"
                    )));
                }
                Ok((name, key))
            };
            Ok(Who::Fields(js.own_names(value).into_iter().map(field).collect::<Result<_, _>>()?))
        }
        _ => {
            let given = super::given::describe(js, value);
            Err(Error::Key(format!("a key must be a non-empty string, but {given} was given")))
        }
    }
}
