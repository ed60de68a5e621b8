//! What is done with units that are kept back: `reserve`, a concurrency limit's `acquire`, and how both end.

use napi::sys;

use super::calls::{Arguments, Bound, run};
use super::given;
use super::js::{Js, Value};
use super::pending::Wants;
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{Given, field};
use crate::limiter::{Called, Deed, Trust};
use crate::settings::{CallOptions, read_ends, read_ttl};

/// `hold(key, options, ttl)`: what `reserve` is made of, and with a `ttl` of its own `acquire` of a concurrency limit.
pub(super) unsafe extern "C" fn hold(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, Arguments { first, second, third }| {
        let given = given::read_optional(js, second)?;
        let own = given::read_optional(js, third)?;
        let (name, known) = match own {
            Given::Missing => ("reserve", ["cost", "action", "ttl"]),
            // These two have been taken out, but whoever misspells one of them is to be told of it.
            _ => ("acquire", ["cost", "maxWait", "signal"]),
        };
        let options = CallOptions::read(name, &given, &known)?;
        let ttl = match (&given, &own) {
            (Given::Record(fields), Given::Missing) => read_ttl(field(fields, "ttl"))?,
            _ => read_ttl(&own)?,
        };
        let called = bound.called(js, first, Deed::Hold(ttl), &options)?;
        bound.answer_by(js, called, Wants::Hold, Trust::Nothing)
    })
}

/// `settle(key, actual, hold)`, and the like: `hold` is `{ action, ends, here }`, the last of which says that the fallback has made it.
fn about_hold(
    js: Js,
    bound: &Bound,
    given: Arguments,
    deed: fn(Micros, &Given) -> Result<Deed, Error>,
) -> Result<Value, Error> {
    let hold = given::read_optional(js, given.third)?;
    let mut options = CallOptions::read("settle", &hold, &["action", "ends", "here"])?;
    let said = |name| if let Given::Record(fields) = &hold { field(fields, name) } else { &Given::Missing };
    let number = given::read_optional(js, given.second)?;
    let ends = read_ends(said("ends"));
    let deed = deed(ends, &number)?;
    options.cost = matches!(deed, Deed::Settle(_)).then_some(number);
    let request = match bound.called(js, given.first, deed, &options)? {
        // What was held before its key came on a list is held, and is to be settled.
        Called::Listed(request, _) if ends > Micros::ZERO => request,
        Called::Counted(request) => request,
        listed @ Called::Listed(..) => return bound.answer_by(js, listed, Wants::Hold, Trust::Nothing),
    };
    if *said("here") == Given::Flag(true) {
        let decision = bound.limiter.answer_in_place(&request)?;
        return Ok(decision.map_or_else(|| js.undefined(), |decision| bound.show(js, &decision, Wants::Hold)));
    }
    bound.answer_by(js, Called::Counted(request), Wants::Hold, Trust::Nothing)
}

pub(super) unsafe extern "C" fn settle(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| about_hold(js, bound, given, |ends, _| Ok(Deed::Settle(ends))))
}

/// `renew(key, ttl, hold)`.
pub(super) unsafe extern "C" fn renew(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    run(env, info, |js, bound, given| {
        about_hold(js, bound, given, |ends, ttl| Ok(Deed::Renew { ends, ttl: read_ttl(ttl)? }))
    })
}
