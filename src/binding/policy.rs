//! A limit as JavaScript sees it; see `Policy` in `index.d.ts`.

use napi::sys;

use super::calls::guarded;
use super::given;
use super::js::{Js, Value};
use crate::calendar::{Period, Unit};
use crate::clock::Micros;
use crate::input;
use crate::policy::periods;
use crate::settings::{Burst, Described};

/// One limit as an object. What does not apply to it is left out.
pub(super) fn show(js: Js, policy: &Described) -> Value {
    let object = js.object();
    js.set(object, "name", js.string(&policy.name));
    js.set(object, "algorithm", js.string(policy.algorithm));
    js.set(object, "limit", whole(js, policy.limit));
    js.set(object, "windowMs", millis(js, policy.window));
    if let Some(periods) = policy.calendar {
        let window = js.object();
        js.set(window, "calendar", js.string(periods.unit().name()));
        js.set(window, "timeZone", js.string(periods.zone()));
        if periods.unit() == Unit::WeekFromSunday {
            js.set(window, "weekStart", js.string("sunday"));
        }
        js.set(object, "window", window);
    }
    match policy.burst {
        Some(Burst::Units(units)) => js.set(object, "burst", whole(js, units)),
        Some(Burst::Extra(extra, window)) => {
            let burst = js.object();
            js.set(burst, "extra", whole(js, extra));
            js.set(burst, "windowMs", millis(js, window));
            js.set(object, "burst", burst);
        }
        None => {}
    }
    let texts = [("by", policy.by.as_deref()), ("action", policy.action.as_deref()), ("role", policy.role)];
    for (name, text) in texts {
        if let Some(text) = text {
            js.set(object, name, js.string(text));
        }
    }
    object
}

/// `periodOf(window, at)`: when the calendar's period begins and ends in which a moment lies, all in milliseconds since the epoch.
pub(super) unsafe extern "C" fn period_of(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    let js = Js::new(env);
    let ([window, at], _, _) = js.arguments::<2>(info);
    guarded(js, || {
        let window = given::read(js, window)?;
        let periods = periods(input::record("window", &window, "an object such as { calendar: 'day' }")?)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it stops at the ends of the range"
        )]
        let at = Micros((js.number(at).unwrap_or(f64::NAN) * 1_000.0) as u64);
        let Period { begin, end } = periods.at(at);
        Ok(js.array([begin, end].map(|bound| millis(js, bound)).into_iter()))
    })
}

#[expect(clippy::cast_precision_loss, reason = "limits end at 2^32")]
fn whole(js: Js, number: u64) -> Value {
    js.double(number as f64)
}

/// Whole microseconds, up to the year 2255: a double of milliseconds tells them apart.
#[expect(clippy::cast_precision_loss, reason = "that year is less than 2^53 microseconds away")]
fn millis(js: Js, length: Micros) -> Value {
    js.double(length.0 as f64 / 1_000.0)
}
