//! Options of any form: each is accepted, and then fit to decide by, or refused with a code and a sentence.

#![no_main]

use std::sync::Arc;

use arbitrary::Unstructured;
use distributed_rate_limiter::algorithm::Ask;
use distributed_rate_limiter::clock::{ManualClock, Micros};
use distributed_rate_limiter::input::Given;
use distributed_rate_limiter::limiter::{Deed, Limiter, Trust, Who};
use distributed_rate_limiter::policy::MAX_UNITS;
use distributed_rate_limiter::settings::{CallOptions, Settings, read_duration, read_patience, read_ready_timeout};
use distributed_rate_limiter_fuzz::{given, is_worded, options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = run(&mut Unstructured::new(data));
});

fn run(u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let anything = given(u, 4)?;
    for error in [
        Settings::read(&anything).err(),
        CallOptions::read("check", &anything, CallOptions::known()).err(),
        read_ready_timeout(&anything).err(),
        read_duration(&anything).err(),
        read_patience(&anything).err(),
    ] {
        error.iter().for_each(is_worded);
    }
    let settings = match Settings::read(&options(u)?) {
        Ok(settings) => settings,
        Err(error) => {
            is_worded(&error);
            return Ok(());
        }
    };
    let all = std::iter::once(&settings.plan.limits).chain(settings.plan.actions.values());
    for limit in all.flat_map(|limits| limits.iter()).chain(&settings.plan.new_keys) {
        for policy in [limit.policy, limit.fallback] {
            assert!((1..=MAX_UNITS).contains(&policy.capacity()), "{policy:?}");
            assert!(policy.numbers().iter().all(|number| *number < 1 << 53), "{policy:?}");
        }
    }
    // A table of a million places for each input would be all that is measured.
    let settings = Settings { max_memory: settings.max_memory.min(1 << 20), ..settings };
    let clock = Arc::new(ManualClock::at(Micros(1_795_219_200_000_000)));
    let limiter = Limiter::in_memory(&settings, clock);
    let call = match CallOptions::read(
        "check",
        &Given::Record(distributed_rate_limiter_fuzz::record(u, 1)?),
        CallOptions::known(),
    ) {
        Ok(call) => call,
        Err(error) => return Ok(is_worded(&error)),
    };
    let user = || ("user".to_owned(), b"somebody"[..].into());
    let who = match u.int_in_range(0..=2)? {
        0 => Who::Key(b"somebody"[..].into()),
        1 => Who::Fields(vec![user()]),
        _ => Who::Fields(vec![user(), ("ip".to_owned(), b"somewhere"[..].into())]),
    };
    match limiter.request(&who, Deed::Take, &call) {
        Ok(request) => {
            let decision =
                limiter.answer_here(&request, Trust::Times).expect("memory always decides").expect("at once");
            assert!(decision.allowed || decision.retry_after_ms > 0, "{decision:?}");
        }
        Err(error) => is_worded(&error),
    }
    if limiter.is_simple() {
        limiter.decide_here(b"other", Ask::all(1), drop).expect("memory always decides");
    }
    Ok(())
}
