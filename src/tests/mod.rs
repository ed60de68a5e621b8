//! Tests that cross modules: promises, twins, stores, failures. `REDIS_SERVER` names the server's program; without it, PATH.

mod cache;
mod calendar;
mod changes;
mod circuit;
mod client;
mod conformance;
mod dispatcher;
mod fleet;
mod former;
mod input;
mod key;
mod leases;
mod levels;
mod memory;
mod policies;
mod promise;
mod pseudonym;
mod refusals;
mod rules;
mod runtime;
mod schedule;
mod server;
#[cfg(target_os = "linux")]
mod shared;
mod twins;
mod vectors;

/// Cases of a property test: many more with `RATE_LIMIT_LONG=1`, and few in Miri, which is slow.
pub(crate) fn cases(normal: u32) -> proptest::test_runner::Config {
    let long = std::env::var_os("RATE_LIMIT_LONG").is_some_and(|value| value == "1");
    proptest::test_runner::Config {
        cases: if cfg!(miri) {
            10
        } else if long {
            normal * 20
        } else {
            normal
        },
        failure_persistence: None,
        ..Default::default()
    }
}
