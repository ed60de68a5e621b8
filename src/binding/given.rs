//! JavaScript values as [`Given`]. Own properties alone are read, so a polluted `Object.prototype` changes nothing.

use super::js::{Js, Kind, Value};
use super::text;
use crate::input::Given;

/// The options that are objects themselves; what is inside of others is nobody's affair here.
const NESTED: [&str; 1] = ["fallback"];

/// Reads a value, and an object's own properties.
pub(super) fn read(js: Js, value: Value) -> Given {
    match plain(js, value) {
        Given::Other("an object") => Given::Record(record(js, value, true)),
        given => given,
    }
}

fn record(js: Js, object: Value, nested: bool) -> Vec<(String, Given)> {
    let names = js.own_names(object);
    names
        .into_iter()
        .filter_map(|name| {
            let value = js.get(object, name)?;
            let name = text::lossy(js, name)?;
            let given = match plain(js, value) {
                Given::Other("an object") if nested && NESTED.contains(&name.as_str()) => {
                    Given::Record(record(js, value, false))
                }
                given => given,
            };
            Some((name, given))
        })
        .collect()
}

fn plain(js: Js, value: Value) -> Given {
    match js.kind(value) {
        Kind::Undefined => Given::Missing,
        Kind::Number => js.number(value).map_or(Given::Missing, Given::Number),
        Kind::String => text::lossy(js, value).map_or(Given::Missing, Given::Text),
        Kind::Null => Given::Other("null"),
        Kind::Boolean => Given::Other("a boolean"),
        Kind::Symbol => Given::Other("a symbol"),
        Kind::Function => Given::Other("a function"),
        Kind::Object if js.is_array(value) => Given::Other("an array"),
        Kind::Object => Given::Other("an object"),
        Kind::Other => Given::Other("a value of another type"),
    }
}
