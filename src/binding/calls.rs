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
use super::{error, given, holds, policy, text};
use crate::adaptive::Share;
use crate::algorithm::Ask;
use crate::clock::Micros;
use crate::decision::Decision;
use crate::dispatcher::Ticket;
use crate::error::Error;
use crate::input::Given;
use crate::limiter::{Called, Deed, Limiter, Trust};
use crate::settings::{self, CallOptions, read_duration, read_patience};
use crate::store::Verb;

/// A limiter in its environment.
pub(super) struct Bound {
    pub(super) limiter: Limiter,
    pub(super) environment: Rc<Environment>,
}

type Callback = unsafe extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// The functions' names and what they run.
const CALLS: [(&str, Callback); 25] = [
    ("isAllowed", is_allowed),
    ("isAllowedSync", is_allowed_sync),
    ("check", check),
    ("peek", peek),
    ("whole", whole),
    ("observe", observe),
    ("patience", patience),
    ("reserve", reserve),
    ("refund", refund),
    ("giveBack", give_back),
    ("penalty", penalty),
    ("hold", holds::hold),
    ("settle", holds::settle),
    ("renew", holds::renew),
    ("block", block),
    ("unblock", unblock),
    ("reset", reset),
    ("configure", configure),
    ("update", update),
    ("routeOf", route_of),
    ("explain", explain),
    ("publish", publish),
    ("ready", ready),
    ("close", close),
    ("finish", finish),
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

/// What a call was given: a key, where it takes one first, and what most calls leave out.
#[derive(Clone, Copy)]
pub(super) struct Arguments {
    pub(super) first: Value,
    pub(super) second: Option<Value>,
    pub(super) third: Option<Value>,
}

/// Runs `work` on the function's limiter; its error is thrown, and a panic becomes an error.
#[inline]
pub(super) fn run(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    work: impl FnOnce(Js, &Bound, Arguments) -> Result<Value, Error>,
) -> sys::napi_value {
    let js = Js::new(env);
    let ([first, second, third], count, data) = js.arguments(info);
    let given = Arguments { first, second: (count > 1).then_some(second), third: (count > 2).then_some(third) };
    // SAFETY: `bind` made this function with a counted `Bound`, which lives as long as the function, and so during its call.
    let bound = unsafe { &*data.cast_const().cast::<Bound>() };
    guarded(js, || work(js, bound, given))
}

pub(super) fn guarded(js: Js, work: impl FnOnce() -> Result<Value, Error>) -> sys::napi_value {
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
        self.environment.called();
        Ok(promise)
    }

    /// Decides by the key alone, or by whatever else is said.
    #[inline]
    fn decide(
        &self,
        js: Js,
        name: &str,
        Arguments { first, second, .. }: Arguments,
        deed: Deed,
        wants: Wants,
    ) -> Result<Value, Error> {
        if second.is_some() || !self.limiter.is_simple() {
            return self.unusual(js, name, first, second, deed, wants);
        }
        let mut buffer = text::Buffer::new();
        let Some(key) = text::key(js, first, &mut buffer)? else {
            return self.unusual(js, name, first, None, deed, wants);
        };
        let ask = if deed == Deed::Look { Ask::look(1) } else { Ask::all(1) };
        match self.limiter.decide_here(&key, ask, |decision| self.show(js, &decision, wants))? {
            Some(answer) => Ok(answer),
            None => self.promise(js, wants, |ticket| {
                self.limiter.ask(ticket, self.limiter.simple(&key, Verb::Decide(ask)));
            }),
        }
    }

    #[cold]
    fn unusual(
        &self,
        js: Js,
        name: &str,
        key: Value,
        options: Option<Value>,
        deed: Deed,
        wants: Wants,
    ) -> Result<Value, Error> {
        let options = self.options(js, name, options, CallOptions::known())?;
        let called = self.called(js, key, deed, &options)?;
        self.answer(js, called, wants)
    }

    pub(super) fn called(&self, js: Js, key: Value, deed: Deed, options: &CallOptions) -> Result<Called, Error> {
        let given = text::who(js, key)?;
        if !self.limiter.has_rules() {
            return self.limiter.request(&given.normal()?, deed, options).map(Called::Counted);
        }
        self.limiter.called(&given, deed, options)
    }

    fn options(&self, js: Js, name: &str, options: Option<Value>, known: &[&str]) -> Result<CallOptions, Error> {
        options.map_or_else(
            || Ok(CallOptions::default()),
            |options| CallOptions::read(name, &given::read(js, options)?, known),
        )
    }

    /// Answers here, or asks. What is known of the keys may refuse it.
    fn answer(&self, js: Js, called: Called, wants: Wants) -> Result<Value, Error> {
        let trust = if wants == Wants::Decision { Trust::Times } else { Trust::Refusal };
        self.answer_by(js, called, wants, trust)
    }

    pub(super) fn answer_by(&self, js: Js, called: Called, wants: Wants, trust: Trust) -> Result<Value, Error> {
        let request = match called {
            Called::Counted(request) => request,
            Called::Listed(request, allowed) => {
                return Ok(self.show(js, &self.limiter.answer_by_list(&request, allowed)?, wants));
            }
        };
        match self.limiter.answer_here(&request, trust)? {
            Some(decision) => Ok(self.show(js, &decision, wants)),
            None => self.promise(js, wants, |ticket| self.limiter.ask(ticket, request)),
        }
    }

    /// What is known at once: a boolean, or a decision that is written where JavaScript reads it.
    #[inline]
    pub(super) fn show(&self, js: Js, decision: &Decision, wants: Wants) -> Value {
        match wants {
            Wants::Boolean => js.boolean(decision.allowed),
            Wants::Decision => self.environment.show(js, decision),
            Wants::Hold => self.environment.show_hold(js, decision),
            Wants::Nothing => js.undefined(),
        }
    }
}

unsafe extern "C" fn is_allowed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| bound.decide(js, "isAllowed", given, Deed::Take, Wants::Boolean))
}

unsafe extern "C" fn is_allowed_sync(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| {
        if !bound.limiter.is_local() {
            return Err(Error::NotLocal);
        }
        bound.decide(js, "isAllowedSync", given, Deed::Take, Wants::Boolean)
    })
}

unsafe extern "C" fn check(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| bound.decide(js, "check", given, Deed::Take, Wants::Decision))
}

unsafe extern "C" fn peek(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| bound.decide(js, "peek", given, Deed::Look, Wants::Decision))
}

/// `whole(key, options)`: what `peek` would say if nothing had given way under load.
unsafe extern "C" fn whole(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, second, .. }| {
        let options = bound.options(js, "peek", second, CallOptions::known())?;
        let options = CallOptions { is_whole: true, ..options };
        let called = bound.called(js, first, Deed::Look, &options)?;
        bound.answer(js, called, Wants::Decision)
    })
}

/// `observe(now, load)`, in milliseconds of a clock that only runs on: the level in force, this process's own, of how many
/// instances it is the mean, and what is left for each class, in parts of 1.
unsafe extern "C" fn observe(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, second, .. }| {
        let number = |value| js.number(value).unwrap_or(f64::NAN);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it stops at the ends of the range"
        )]
        let now = Micros((number(first) * 1_000.0) as u64);
        let Some((standing, shares)) = bound.limiter.observe(now, second.map_or(f64::NAN, number)) else {
            return Ok(js.undefined());
        };
        #[expect(clippy::cast_precision_loss, reason = "thousandths")]
        let parts = shares.iter().map(|share| share.parts() as f64 / Share::PARTS as f64);
        let stands = [standing.level, standing.own, standing.instances.into()];
        let numbers: Vec<Value> = stands.into_iter().chain(parts).map(|number| js.double(number)).collect();
        Ok(js.array(numbers.into_iter()))
    })
}

/// `patience(maxWait)`: how many milliseconds that is.
unsafe extern "C" fn patience(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, _, Arguments { first: max_wait, .. }| {
        let patience = read_patience(&given::read(js, max_wait)?)?;
        #[expect(clippy::cast_precision_loss, reason = "a day at most")]
        let micros = patience.0 as f64;
        Ok(js.double(micros / 1_000.0))
    })
}

/// `reserve(key, options, patience)`: what `acquire` is made of.
unsafe extern "C" fn reserve(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, second, third }| {
        let patience = read_patience(&given::read_optional(js, third)?)?;
        // `maxWait` and `signal` have been taken out, but whoever misspells one of them is to be told of it.
        let known = ["cost", "action", "limit", "window", "maxWait", "signal", "priority"];
        let options = bound.options(js, "acquire", second, &known)?;
        let called = bound.called(js, first, Deed::Reserve(patience), &options)?;
        // Whoever waits goes by what the store says now.
        bound.answer_by(js, called, Wants::Decision, Trust::Nothing)
    })
}

/// `refund(key, cost, options)`, and the like.
fn change(js: Js, bound: &Bound, name: &str, given: Arguments, deed: Deed) -> Result<Called, Error> {
    let Arguments { first, second, third } = given;
    let mut options = bound.options(js, name, third, &["action", "limit", "window", "timestamp", "priority"])?;
    let cost = given::read_optional(js, second)?;
    options.cost = (cost != Given::Missing).then_some(cost);
    bound.called(js, first, deed, &options)
}

unsafe extern "C" fn refund(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| {
        let called = change(js, bound, "refund", given, Deed::Refund)?;
        bound.answer(js, called, Wants::Decision)
    })
}

/// `giveBack(key, cost, options)`: a refund of what `acquire` has booked. A limiter that has been closed still tells the store of
/// it, until it is finished; what it knew by itself is gone with it.
unsafe extern "C" fn give_back(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| {
        // Of who is on a list nothing was taken.
        let Called::Counted(request) = change(js, bound, "refund", given, Deed::Refund)? else {
            return Ok(js.undefined());
        };
        match bound.limiter.must_be_open() {
            Ok(()) => bound.answer(js, Called::Counted(request), Wants::Nothing),
            Err(_) if bound.limiter.can_be_asked() => {
                bound.promise(js, Wants::Nothing, |ticket| bound.limiter.ask(ticket, request))
            }
            Err(_) => Ok(js.undefined()),
        }
    })
}

unsafe extern "C" fn penalty(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| {
        let called = change(js, bound, "penalty", given, Deed::Penalize)?;
        bound.answer(js, called, Wants::Decision)
    })
}

/// `block(key, duration, options)`.
unsafe extern "C" fn block(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, second, third }| {
        let duration = read_duration(&given::read_optional(js, second)?)?;
        let options = bound.options(js, "block", third, &["action", "timestamp"])?;
        let request = bound.limiter.request_for(&text::who(js, first)?.normal()?, Verb::Block(duration), &options)?;
        bound.answer(js, Called::Counted(request), Wants::Nothing)
    })
}

/// `unblock(key, options)`, and the like.
fn forget(js: Js, bound: &Bound, name: &str, given: Arguments, verb: Verb) -> Result<Value, Error> {
    let options = bound.options(js, name, given.second, &["action"])?;
    let request = bound.limiter.request_for(&text::who(js, given.first)?.normal()?, verb, &options)?;
    bound.answer(js, Called::Counted(request), Wants::Nothing)
}

unsafe extern "C" fn unblock(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| forget(js, bound, "unblock", given, Verb::Unblock))
}

unsafe extern "C" fn reset(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| forget(js, bound, "reset", given, Verb::Reset))
}

/// `configure(key, { limit, window } | null)`.
unsafe extern "C" fn configure(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, second, .. }| {
        let own = given::read_optional(js, second)?;
        bound.limiter.configure(&text::who(js, first)?.normal()?, &own)?;
        Ok(js.undefined())
    })
}

/// `update(options)`.
unsafe extern "C" fn update(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first: options, .. }| {
        bound.limiter.update(&given::read(js, options)?)?;
        Ok(js.undefined())
    })
}

/// `explain(key, options)`: `{ from, pattern, limits }`, each of these as `policies()` has it and with its key's name in Redis.
unsafe extern "C" fn explain(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, second, .. }| {
        let options = bound.options(js, "explain", second, CallOptions::known())?;
        let explained = bound.limiter.explain(&text::who(js, first)?, &options)?;
        let limits = explained.limits.iter().map(|(limit, name)| {
            let object = policy::show(js, limit);
            js.set(object, "key", js.string(name));
            object
        });
        let answer = js.object();
        js.set(answer, "from", js.string(explained.origin.name()));
        if let Some(pattern) = &explained.pattern {
            js.set(answer, "pattern", js.string(pattern));
        }
        js.set(answer, "limits", js.array(limits));
        Ok(answer)
    })
}

/// `routeOf(action)`: the action of `actions` under whose limit it falls, `undefined` where there is none.
unsafe extern "C" fn route_of(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, .. }| {
        let action = text::lossy(js, first).unwrap_or_default();
        Ok(bound.limiter.route_of(&action).map_or_else(|| js.undefined(), |name| js.string(&name)))
    })
}

unsafe extern "C" fn ready(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first: options, .. }| {
        let timeout = settings::read_ready_timeout(&given::read(js, options)?)?;
        bound.limiter.must_be_open()?;
        if bound.limiter.is_local() {
            return Ok(js.undefined());
        }
        bound.promise(js, Wants::Nothing, |ticket| bound.limiter.ready(ticket, timeout))
    })
}

/// `publish(asked)`: what `lua/policies.lua` is asked, whose answer it promises.
unsafe extern "C" fn publish(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first: asked, .. }| {
        bound.limiter.must_be_open()?;
        match text::lossy(js, asked) {
            Some(asked) if bound.limiter.shares_policies() => {
                bound.promise(js, Wants::Nothing, |ticket| bound.limiter.publish(ticket, asked))
            }
            _ => Err(Error::Internal("nothing is shared, or no text was handed in".into())),
        }
    })
}

/// `checkOptions(options)`: throws what the constructor would say of them, and makes nothing.
pub(super) unsafe extern "C" fn check_options(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let js = Js::new(env);
    let ([options], _, _) = js.arguments::<1>(info);
    guarded(js, || settings::Settings::read(&given::read(js, options)?).map(|_| js.undefined()))
}

unsafe extern "C" fn close(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, _| {
        bound.limiter.close();
        Ok(js.undefined())
    })
}

/// Called once, after `close`: `index.js` keeps the promise.
unsafe extern "C" fn finish(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, _| {
        if bound.limiter.is_local() {
            return Ok(js.undefined());
        }
        bound.promise(js, Wants::Nothing, |ticket| bound.limiter.finish(ticket))
    })
}

/// `install(row, decisionOf, tell, work, release)`: what `index.js` hands in when it is loaded.
pub(super) unsafe extern "C" fn install(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let js = Js::new(env);
    let ([row, decision_of, tell, work, release], _, _) = js.arguments::<5>(info);
    guarded(js, || {
        let environment = Environment::of(js).ok_or_else(|| Error::Internal("no environment".into()))?;
        match js.doubles(row) {
            Some((numbers, COLUMNS)) => environment.row.place(numbers),
            _ => return Err(Error::Internal("the row has another form".into())),
        }
        // The array must stay where it is for as long as it is written to.
        js.keep(row);
        environment.install(js, [decision_of, tell, work, release]);
        Ok(js.undefined())
    })
}
