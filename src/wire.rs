//! Fixed-width big-endian integers, as `struct.pack('>I7')` and `('>I5')` write them in Lua.

/// Appends the lowest `N` bytes of `value`.
pub(crate) fn put<const N: usize>(out: &mut Vec<u8>, value: u64) {
    debug_assert!(value >> (8 * N) == 0, "{value} does not fit in {N} bytes");
    out.extend_from_slice(&value.to_be_bytes()[8 - N..]);
}

/// Takes `N` bytes off the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_at_checked(N)?;
    *bytes = rest;
    Some(head.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}
