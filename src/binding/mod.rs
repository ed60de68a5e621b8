//! The only code that knows Node-API: it converts, calls and settles. No rule of the limiter lives here.
//!
//! The class `RateLimiter` is made by `#[napi]`. What is called once a request is not: a method of such a class costs several
//! times what a decision in memory does, so [`calls`] are plain functions bound to one limiter, which `index.js` holds.

mod calls;
mod class;
mod client;
mod driver;
mod environment;
mod error;
mod given;
mod glibc;
mod holds;
mod js;
mod pending;
mod policy;
mod row;
mod stats;
mod text;

use napi::bindgen_prelude::Object;
use napi::{Env, JsValue};
use napi_derive::napi;

use crate::settings;
use environment::Environment;
use js::Js;

/// Runs once in each environment that loads the addon: the main thread, and every worker.
#[napi(module_exports)]
pub(crate) fn init(exports: Object, env: Env) -> napi::Result<()> {
    let js = Js::new(env.raw());
    Environment::create(js);
    let install = js.function("install", calls::install, std::ptr::null_mut());
    let settle_job = js.function("settleJob", client::settle_job, std::ptr::null_mut());
    let exports = js::Value::new(exports.raw());
    let check_options = js.function("checkOptions", calls::check_options, std::ptr::null_mut());
    let period_of = js.function("periodOf", policy::period_of, std::ptr::null_mut());
    js.set(exports, "install", install);
    js.set(exports, "checkOptions", check_options);
    js.set(exports, "periodOf", period_of);
    let names = |options: Vec<&str>| js.strings(options.into_iter());
    js.set(exports, "describingOptions", names(settings::describing().collect()));
    js.set(exports, "fixedOptions", names(settings::fixed().collect()));
    js.set(exports, "settleJob", settle_job);
    Ok(())
}
