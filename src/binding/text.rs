//! JavaScript strings as bytes.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::js::{Js, Value};
use crate::error::Error;
use crate::key::{MAX_LEN, normalize, wtf8};

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

/// Reads a key into `buffer`, or onto the heap where it is long or not ASCII, and normalises it.
///
/// As UTF-16, since that is a plain copy for V8, where its UTF-8 costs twice as much and hides lone surrogates.
#[inline]
pub(super) fn key(js: Js, value: Value, buffer: &mut Buffer) -> Result<Cow<'_, [u8]>, Error> {
    let Some(units) = js.utf16_into(value, &mut buffer.units) else {
        let given = super::given::describe(js, value);
        return Err(Error::Key(format!("a key must be a non-empty string, but {given} was given")));
    };
    if units.len() > MAX_LEN || units.iter().any(|unit| *unit >= 0x80) {
        return unusual_key(js, value);
    }
    for (byte, unit) in buffer.bytes.iter_mut().zip(units) {
        #[expect(clippy::cast_possible_truncation, reason = "below 0x80")]
        byte.write(*unit as u8);
    }
    // SAFETY: the loop has written as many bytes as there are units, which are at most MAX_LEN.
    normalize(unsafe { std::slice::from_raw_parts(buffer.bytes.as_ptr().cast(), units.len()) })
}

#[cold]
fn unusual_key(js: Js, value: Value) -> Result<Cow<'static, [u8]>, Error> {
    let units = js.utf16(value).unwrap_or_default();
    Ok(Cow::Owned(normalize(&wtf8(&units))?.into_owned()))
}
