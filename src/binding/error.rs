//! The library's errors as JavaScript's: `TypeError`, `RangeError` or `Error`, with a `code`.

use std::ptr;

use napi::sys;

use super::js::{Js, Value};
use crate::error::{Class, Error};

/// Makes the JavaScript error.
pub(super) fn to_js(js: Js, error: &Error) -> Value {
    let code = js.string(error.code());
    let message = js.string(&error.to_string());
    let make = match error.class() {
        Class::Type => sys::napi_create_type_error,
        Class::Range => sys::napi_create_range_error,
        Class::Plain => sys::napi_create_error,
    };
    let mut made = ptr::null_mut();
    // SAFETY: `js` witnesses a live environment on this thread; both values are strings of it.
    unsafe { make(js.raw(), code.raw(), message.raw(), &mut made) };
    Value::new(made)
}

/// Throws it when the running call returns.
pub(super) fn throw(js: Js, error: &Error) {
    js.throw(to_js(js, error));
}
