//! The policies that a fleet shares, as they lie in Redis. `lua/policies.lua` is the other half of this file.

use once_cell::sync::Lazy;
use redis::Value;

use super::script::{Packed, Script};
use crate::error::Error;

/// The script.
pub static POLICIES: Lazy<Script> = Lazy::new(|| {
    Script::assemble(&[include_str!("../../../lua/clock.lua"), include_str!("../../../lua/policies.lua")])
});

/// A question or a document as a call of the script.
pub fn pack(key: &str, asked: &str) -> Packed {
    Packed::of_one(key.as_bytes(), asked.as_bytes().to_vec())
}

/// What the script has replied. What somebody else has written there may be anything: whoever reads it compares its sum.
pub fn read(reply: Value) -> Result<Vec<String>, Error> {
    let unknown = || Error::StoreUnavailable("the reply about the policies has an unknown form".into());
    let Value::Array(parts) = reply else { return Err(unknown()) };
    let text = |part| match part {
        Value::BulkString(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(unknown()),
    };
    let parts: Vec<String> = parts.into_iter().map(text).collect::<Result<_, _>>()?;
    if parts.len() < 3 { Err(unknown()) } else { Ok(parts) }
}
