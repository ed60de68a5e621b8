//! JavaScript values as [`Given`]. Own properties alone are read, so a polluted `Object.prototype` changes nothing.

use super::js::{Js, Kind, Value};
use super::text;
use crate::error::Error;
use crate::input::Given;

/// The options in which there is something to read; what is inside of others (a client, a logger) is nobody's affair here.
const NESTED: [&str; 16] = [
    "limits",
    "actions",
    "newKeys",
    "candidate",
    "overrides",
    "allow",
    "deny",
    "policies",
    "window",
    "burst",
    "fallback",
    "redisUrl",
    "sentinel",
    "tls",
    "lease",
    "adaptive",
];

/// Options are nowhere deeper than this: `overrides`, a field, a pattern, its `limits`, one of them, the window of that, a name.
const DEPTH: u8 = 7;

/// Reads a value, and an object's own properties. Fails where a getter throws; then JavaScript is throwing already.
pub(super) fn read(js: Js, value: Value) -> Result<Given, Error> {
    match describe(js, value) {
        Given::Record(_) => Ok(Given::Record(record(js, value, DEPTH, |name| NESTED.contains(&name))?)),
        given => Ok(given),
    }
}

/// Reads an argument that may be left out.
pub(super) fn read_optional(js: Js, value: Option<Value>) -> Result<Given, Error> {
    value.map_or(Ok(Given::Missing), |value| read(js, value))
}

fn record(js: Js, object: Value, depth: u8, enters: impl Fn(&str) -> bool) -> Result<Vec<(String, Given)>, Error> {
    let unreadable = || Error::Internal("an option could not be read".into());
    let mut fields = Vec::new();
    for name in js.own_names(object) {
        let value = js.get(object, name).ok_or_else(unreadable)?;
        let name = text::lossy(js, name).ok_or_else(unreadable)?;
        let given = if enters(&name) { inside(js, value, depth - 1)? } else { describe(js, value) };
        fields.push((name, given));
    }
    Ok(fields)
}

/// Reads a value with everything that is in it. Bytes are what a file holds: a certificate is a text.
fn inside(js: Js, value: Value, depth: u8) -> Result<Given, Error> {
    if let Some(bytes) = js.bytes(value) {
        return Ok(Given::Text(String::from_utf8_lossy(&bytes).into_owned()));
    }
    match describe(js, value) {
        Given::Record(_) if depth > 0 => Ok(Given::Record(record(js, value, depth, |_| true)?)),
        Given::List(_) if depth > 0 => {
            let elements = js.elements(value).into_iter().map(|element| inside(js, element, depth - 1));
            Ok(Given::List(elements.collect::<Result<_, _>>()?))
        }
        given => Ok(given),
    }
}

/// Reads a value that is not an object; of an object or an array, only that it is one.
pub(super) fn describe(js: Js, value: Value) -> Given {
    match js.kind(value) {
        Kind::Undefined => Given::Missing,
        Kind::Number => js.number(value).map_or(Given::Missing, Given::Number),
        Kind::String => text::lossy(js, value).map_or(Given::Missing, Given::Text),
        Kind::Null => Given::Other("null"),
        Kind::Boolean => Given::Flag(js.truth(value)),
        Kind::BigInt => Given::Other("a bigint"),
        Kind::Symbol => Given::Other("a symbol"),
        Kind::Function => Given::Other("a function"),
        Kind::Object if js.is_array(value) => Given::List(Vec::new()),
        Kind::Object => Given::Record(Vec::new()),
        Kind::Other => Given::Other("a value of another type"),
    }
}
