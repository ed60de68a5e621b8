//! JavaScript values as [`Given`]. Own properties alone are read, so a polluted `Object.prototype` changes nothing.

use super::js::{Js, Kind, Value};
use super::text;
use crate::error::Error;
use crate::input::Given;

/// The options that are objects themselves; what is inside of others is nobody's affair here.
const NESTED: [&str; 1] = ["fallback"];

/// Reads a value, and an object's own properties. Fails where a getter throws; then JavaScript is throwing already.
pub(super) fn read(js: Js, value: Value) -> Result<Given, Error> {
    match describe(js, value) {
        Given::Other("an object") => Ok(Given::Record(record(js, value, true)?)),
        given => Ok(given),
    }
}

fn record(js: Js, object: Value, nested: bool) -> Result<Vec<(String, Given)>, Error> {
    let unreadable = || Error::Internal("an option could not be read".into());
    let mut fields = Vec::new();
    for name in js.own_names(object) {
        let value = js.get(object, name).ok_or_else(unreadable)?;
        let name = text::lossy(js, name).ok_or_else(unreadable)?;
        let given = match describe(js, value) {
            Given::Other("an object") if nested && NESTED.contains(&name.as_str()) => {
                Given::Record(record(js, value, false)?)
            }
            given => given,
        };
        fields.push((name, given));
    }
    Ok(fields)
}

/// Reads a value that is not an object; of an object, only that it is one.
pub(super) fn describe(js: Js, value: Value) -> Given {
    match js.kind(value) {
        Kind::Undefined => Given::Missing,
        Kind::Number => js.number(value).map_or(Given::Missing, Given::Number),
        Kind::String => text::lossy(js, value).map_or(Given::Missing, Given::Text),
        Kind::Null => Given::Other("null"),
        Kind::Boolean => Given::Other("a boolean"),
        Kind::BigInt => Given::Other("a bigint"),
        Kind::Symbol => Given::Other("a symbol"),
        Kind::Function => Given::Other("a function"),
        Kind::Object if js.is_array(value) => Given::Other("an array"),
        Kind::Object => Given::Other("an object"),
        Kind::Other => Given::Other("a value of another type"),
    }
}
