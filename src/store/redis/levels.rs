//! At what level each instance of a fleet is. `lua/levels.lua` is the other half of this file.

use once_cell::sync::Lazy;
use redis::Value;

use super::script::{Packed, Script};
use crate::adaptive::{Share, Sum};
use crate::error::Error;
use crate::fleet::Announcement;
use crate::wire;

/// The script that production runs.
pub static LEVELS: Lazy<Script> = Lazy::new(|| script(include_str!("../../../lua/clock.lua")));

/// The script on the time that `clock` tells.
pub(crate) fn script(clock: &str) -> Script {
    Script::assemble(&[clock, include_str!("../../../lua/levels.lua")])
}

/// An instance's level as a call of the script.
pub fn pack(announcement: &Announcement, level: Share) -> Packed {
    let mut argument = Vec::with_capacity(9 + announcement.instance.len());
    wire::put::<7>(&mut argument, announcement.holds.0);
    wire::put::<2>(&mut argument, level.parts());
    argument.extend_from_slice(announcement.instance.as_bytes());
    Packed::of_one(announcement.name.as_bytes(), argument)
}

/// What they add up to, as the script has replied.
pub fn read(reply: &Value) -> Result<Sum, Error> {
    let number = |value: &Value| if let Value::Int(number) = value { u64::try_from(*number).ok() } else { None };
    match reply {
        Value::Array(parts) => match &parts[..] {
            [instances, parts] => number(instances).zip(number(parts)),
            _ => None,
        },
        _ => None,
    }
    .and_then(|(instances, parts)| Sum::of(instances, parts))
    .ok_or_else(|| Error::StoreUnavailable("what the levels add up to has an unknown form".into()))
}
