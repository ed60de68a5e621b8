//! The options of a limit on what is under way at once: those of a limiter that are about its store, and how many.

use std::sync::Arc;

use super::Settings;
use super::call::LONGEST_TTL;
use crate::algorithm::{Concurrency, MOST_HOLDS, Policy};
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{self, Given, field};
use crate::limits::{By, Limit, Limits};

/// The names that they may have.
const OPTIONS: [&str; 16] = [
    "limit",
    "ttl",
    "redisUrl",
    "cluster",
    "sentinel",
    "tls",
    "clientName",
    "redisClient",
    "prefix",
    "hashKeys",
    "timeout",
    "maxPending",
    "driver",
    "maxMemory",
    "onStoreError",
    "logger",
];

/// Between its renewals a permit must live through a pause of the process and a slow answer.
const SHORTEST_TTL: Micros = Micros::from_millis(100);

impl Settings {
    /// Checks the argument of the constructor of a `ConcurrencyLimiter`.
    pub fn read_concurrency(given: &Given) -> Result<Self, Error> {
        let options = input::record("options", given, "an object such as { limit: 10 }")?;
        input::only_known("ConcurrencyLimiter", options, &OPTIONS)?;
        let limit = input::whole("limit", field(options, "limit"), 1..=MOST_HOLDS as u64).map_err(Error::Option)?;
        input::or_default(field(options, "ttl"), (), |given| {
            input::duration("ttl", given, SHORTEST_TTL..=LONGEST_TTL).map(drop)
        })?;
        let is_own = |name: &str| matches!(name, "limit" | "ttl");
        let mut others: Vec<_> = options.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
        // Any numbers: what they make is replaced.
        others.extend(["limit", "window"].map(|name| (name.to_owned(), Given::Number(1_000.0))));
        let mut settings = Self::read(&Given::Record(others))?;
        let policy = Policy::Concurrency(Concurrency::new(limit));
        let only = Limit::new(&settings.plan.prefix, None, None, By::Key, policy, policy);
        settings.plan.limits = Arc::new(Limits::new([only]));
        // Somebody may let go at any moment, and then a refusal that is known would be untrue.
        settings.deny_cache = None;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::OPTIONS;
    use crate::settings::fixed;

    /// Whoever gives limiters one more option is asked here whether a limit on what is under way has it as well.
    #[test]
    fn its_options_are_those_of_a_limiter_but_for_some() {
        let (own, others): (Vec<_>, Vec<_>) = OPTIONS.into_iter().partition(|name| fixed().all(|known| known != *name));
        assert_eq!(own, ["limit", "ttl"]);
        let left_out: Vec<_> = fixed().filter(|name| !others.contains(name)).collect();
        assert_eq!(left_out, ["cacheClient", "shared", "clock", "hashTag", "denyCache", "lease", "adaptive"]);
    }
}
