//! Whether a Redis may throw keys away. `lua/eviction.lua` is the other half of this file.

use once_cell::sync::Lazy;
use redis::Value;

use super::script::{Packed, Script};

/// The script.
pub static EVICTION: Lazy<Script> = Lazy::new(|| Script::assemble(&[include_str!("../../../lua/eviction.lua")]));

/// A call of it.
pub fn pack() -> Packed {
    Packed::default()
}

/// The policy by which keys are evicted, as the script has replied.
pub fn read(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(policy) => Some(String::from_utf8_lossy(policy).chars().take(32).collect()),
        _ => None,
    }
}
