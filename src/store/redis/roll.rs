//! The list of the instances that share a Redis. `lua/fleet.lua` is the other half of this file.

use once_cell::sync::Lazy;
use redis::Value;

use super::script::{Packed, Script};
use crate::error::Error;
use crate::fleet::Announcement;
use crate::wire;

/// The script that production runs.
pub static ROLL: Lazy<Script> = Lazy::new(|| script(include_str!("../../../lua/clock.lua")));

/// The script on the time that `clock` tells.
pub(crate) fn script(clock: &str) -> Script {
    Script::assemble(&[clock, include_str!("../../../lua/fleet.lua")])
}

/// An announcement as a call of the script.
pub fn pack(announcement: &Announcement) -> Packed {
    let mut argument = Vec::with_capacity(7 + announcement.instance.len());
    wire::put::<7>(&mut argument, announcement.holds.0);
    argument.extend_from_slice(announcement.instance.as_bytes());
    Packed::of_one(announcement.name.as_bytes(), argument)
}

/// How many there are, as the script has replied.
pub fn read(reply: &Value) -> Result<u64, Error> {
    match reply {
        Value::Int(count) => u64::try_from(*count).ok(),
        _ => None,
    }
    .ok_or_else(|| Error::StoreUnavailable("the number of instances has an unknown form".into()))
}
