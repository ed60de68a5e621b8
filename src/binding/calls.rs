//! The functions that JavaScript calls, each bound to one limiter.
//!
//! What is decided at once comes back as it is (`true`, `false`; for decisions `undefined`, with the row written), and
//! `index.js` answers with a ready-made promise. What must be asked comes back as a promise. Bad arguments are thrown.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::rc::Rc;

use napi::sys;

use super::environment::Environment;
use super::js::{Js, Value};
use super::pending::Wants;
use super::row::COLUMNS;
use super::{error, given, text};
use crate::algorithm::Ask;
use crate::decision::Decision;
use crate::dispatcher::Ticket;
use crate::error::Error;
use crate::limiter::Limiter;
use crate::settings;
use crate::store::Verb;

/// A limiter in its environment.
pub(super) struct Bound {
    pub(super) limiter: Limiter,
    pub(super) environment: Rc<Environment>,
}

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// The functions' names and what they run.
const CALLS: [(&str, Callback); 7] = [
    ("isAllowed", is_allowed),
    ("isAllowedSync", is_allowed_sync),
    ("check", check),
    ("peek", peek),
    ("reset", reset),
    ("ready", ready),
    ("close", close),
];

/// An object of functions that keep `bound` alive for as long as one of them is.
pub(super) fn bind(js: Js, bound: &Rc<Bound>) -> Value {
    let calls = js.object();
    for (name, callback) in CALLS {
        let data: *mut c_void = Rc::into_raw(bound.clone()).cast_mut().cast();
        let function = js.function(name, callback, data);
        js.finalize(function, data, release);
        js.set(calls, name, function);
    }
    calls
}

unsafe extern "C" fn release(_: sys::napi_env, data: *mut c_void, _: *mut c_void) {
    // SAFETY: the count that `bind` left for this function, taken once, when the function is gone.
    drop(unsafe { Rc::from_raw(data.cast_const().cast::<Bound>()) });
}

/// What a call was given: a key, where it takes one first, and options, which most calls leave out.
struct Given {
    first: Value,
    options: Option<Value>,
}

/// Runs `work` on the function's limiter; its error is thrown, and a panic becomes an error.
#[inline]
fn run(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    work: impl FnOnce(Js, &Bound, Given) -> Result<Value, Error>,
) -> sys::napi_value {
    let js = Js::new(env);
    let ([first, options], count, data) = js.arguments(info);
    let given = Given { first, options: (count > 1).then_some(options) };
    // SAFETY: `bind` made this function with a counted `Bound`, which lives as long as the function, and so during its call.
    let bound = unsafe { &*data.cast_const().cast::<Bound>() };
    guarded(js, || work(js, bound, given))
}

fn guarded(js: Js, work: impl FnOnce() -> Result<Value, Error>) -> sys::napi_value {
    let result =
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Internal("a call panicked".into())));
    match result {
        Ok(value) => value.raw(),
        Err(error) => {
            // A getter among the options may have thrown already: that is the caller's own error.
            if !js.is_throwing() {
                error::throw(js, &error);
            }
            ptr::null_mut()
        }
    }
}

impl Bound {
    /// A promise that `send` has somebody settle.
    #[inline]
    fn promise(&self, js: Js, wants: Wants, send: impl FnOnce(Ticket)) -> Result<Value, Error> {
        let (ticket, promise) = self.environment.promise(js, wants)?;
        send(ticket);
        Ok(promise)
    }

    /// Decides here, or asks.
    #[inline]
    fn decide(
        &self,
        js: Js,
        key: Value,
        ask: Ask,
        wants: Wants,
        here: impl FnOnce(Decision) -> Value,
    ) -> Result<Value, Error> {
        let mut buffer = text::Buffer::new();
        let key = text::key(js, key, &mut buffer)?;
        match self.limiter.decide_here(&key, ask)? {
            Some(decision) => Ok(here(decision)),
            None => self.promise(js, wants, |ticket| self.limiter.ask(ticket, &key, Verb::Decide(ask))),
        }
    }

    /// The `cost` among a call's options.
    #[inline]
    fn cost(&self, js: Js, options: Option<Value>) -> Result<u64, Error> {
        options.map_or(Ok(1), |options| settings::read_cost(self.limiter.policy(), &given::read(js, options)?))
    }

    /// Writes the decision where JavaScript reads it.
    fn show(&self, js: Js, decision: &Decision) -> Value {
        self.environment.row.write(decision);
        js.undefined()
    }
}

unsafe extern "C" fn is_allowed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Given { first: key, options }| {
        let ask = Ask::all(bound.cost(js, options)?);
        bound.decide(js, key, ask, Wants::Boolean, |decision| js.boolean(decision.allowed))
    })
}

unsafe extern "C" fn is_allowed_sync(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Given { first: key, options }| {
        if !bound.limiter.is_local() {
            return Err(Error::NotLocal);
        }
        let ask = Ask::all(bound.cost(js, options)?);
        bound.decide(js, key, ask, Wants::Boolean, |decision| js.boolean(decision.allowed))
    })
}

unsafe extern "C" fn check(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Given { first: key, options }| {
        let ask = Ask::all(bound.cost(js, options)?);
        bound.decide(js, key, ask, Wants::Decision, |decision| bound.show(js, &decision))
    })
}

unsafe extern "C" fn peek(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Given { first: key, options }| {
        let ask = Ask::look(bound.cost(js, options)?);
        bound.decide(js, key, ask, Wants::Decision, |decision| bound.show(js, &decision))
    })
}

unsafe extern "C" fn reset(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Given { first: key, .. }| {
        let mut buffer = text::Buffer::new();
        let key = text::key(js, key, &mut buffer)?;
        if !bound.limiter.reset_here(&key)? {
            return Ok(js.undefined());
        }
        bound.promise(js, Wants::Nothing, |ticket| bound.limiter.ask(ticket, &key, Verb::Reset))
    })
}

unsafe extern "C" fn ready(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Given { first: options, .. }| {
        let timeout = settings::read_ready_timeout(&given::read(js, options)?)?;
        bound.limiter.must_be_open()?;
        if bound.limiter.is_local() {
            return Ok(js.undefined());
        }
        bound.promise(js, Wants::Nothing, |ticket| bound.limiter.ready(ticket, timeout))
    })
}

/// Called once: `index.js` keeps the promise.
unsafe extern "C" fn close(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, _| {
        bound.limiter.close();
        if bound.limiter.is_local() {
            return Ok(js.undefined());
        }
        bound.promise(js, Wants::Nothing, |ticket| bound.limiter.finish(ticket))
    })
}

/// `install(row, decisionOf, tell)`: what `index.js` hands in when it is loaded.
pub(super) unsafe extern "C" fn install(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let js = Js::new(env);
    let ([row, decision_of, tell], _, _) = js.arguments::<3>(info);
    guarded(js, || {
        let environment = Environment::of(js).ok_or_else(|| Error::Internal("no environment".into()))?;
        match js.doubles(row) {
            Some((numbers, COLUMNS)) => environment.row.place(numbers),
            _ => return Err(Error::Internal("the row has another form".into())),
        }
        // The array must stay where it is for as long as it is written to.
        js.keep(row);
        environment.install(js, decision_of, tell);
        Ok(js.undefined())
    })
}
