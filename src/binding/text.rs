//! JavaScript strings as bytes.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use super::js::{Js, Value};
use crate::error::Error;
use crate::key::{MAX_LEN, normalize};

/// Room for a key of the greatest length, for one character more by which a longer one is told, and for a NUL.
pub(super) type Buffer = [MaybeUninit<u8>; MAX_LEN + 5];

/// An empty [`Buffer`].
pub(super) const ROOM: Buffer = [MaybeUninit::uninit(); MAX_LEN + 5];

/// The first byte of U+FFFD, which Node writes in place of a lone surrogate.
const REPLACED: u8 = 0xEF;

/// A string for reading by people; what is not Unicode is replaced. `None` for anything but a string.
pub(super) fn lossy(js: Js, value: Value) -> Option<String> {
    js.utf16(value).map(|units| String::from_utf16_lossy(&units))
}

/// Reads a key into `buffer`, or onto the heap where it is long or no proper Unicode, and normalises it.
#[inline]
pub(super) fn key(js: Js, value: Value, buffer: &mut Buffer) -> Result<Cow<'_, [u8]>, Error> {
    let Some(length) = js.utf8(value, buffer) else {
        let given = super::given::describe(js, value);
        return Err(Error::Key(format!("a key must be a non-empty string, but {given} was given")));
    };
    // SAFETY: Node has written the first `length` bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), length) };
    if length > MAX_LEN || bytes.contains(&REPLACED) {
        return unusual_key(js, value);
    }
    normalize(bytes)
}

#[cold]
fn unusual_key(js: Js, value: Value) -> Result<Cow<'static, [u8]>, Error> {
    let units = js.utf16(value).unwrap_or_default();
    Ok(Cow::Owned(normalize(&wtf8(&units))?.into_owned()))
}

/// UTF-8 in which lone surrogates keep their number (WTF-8), so that keys which differ in one stay distinct.
fn wtf8(units: &[u16]) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::wtf8;

    #[test]
    fn lone_surrogates_keep_their_number() {
        assert_eq!(wtf8(&[0xD800]), [0xED, 0xA0, 0x80]);
        assert_eq!(wtf8(&[0xDFFF]), [0xED, 0xBF, 0xBF]);
        assert_eq!(wtf8(&"aé😀".encode_utf16().collect::<Vec<_>>()), "aé😀".as_bytes());
    }
}
