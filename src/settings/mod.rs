//! The options of a limiter and of its calls, each checked once.

mod adaptive;
mod call;
mod concurrency;
mod described;
mod frame;
mod lease;
mod new_keys;
mod plan;
mod policies;
mod rules;
mod servers;
mod shared;
mod template;
mod trials;

pub use call::{CallOptions, read_duration, read_ends, read_patience, read_ttl};
pub use described::{Burst, Described};
pub use frame::{Frame, describing, fixed};
pub use plan::Plan;
pub use rules::{MOST_PATTERNS, Own, Routes, Rules, Ruling};
pub use shared::SharedMemory;
pub use template::Template;

use crate::adaptive::Adaptive;
use crate::clock::Micros;
use crate::error::Error;
use crate::fallback::OnStoreError;
use crate::input::{self, Given, field};
use crate::leases::Terms;
use crate::pseudonym::Pseudonyms;
use crate::store::DEFAULT_BYTES;
use crate::store::redis::{Servers, Topology};

/// The fewest bytes that a store in memory can be told to keep to, and the most.
const LEAST_MEMORY: u64 = 64 << 10;
const MOST_MEMORY: u64 = 256 << 30;

/// For how long a refusal is known where nothing is said of it.
const LONGEST_REFUSAL: Micros = Micros::from_millis(1_000);

/// The names that the options may have. `logger` is the binding's affair, as is what a client is.
pub const OPTIONS: [&str; 37] = [
    "limit",
    "window",
    "limits",
    "actions",
    "newKeys",
    "overrides",
    "allow",
    "deny",
    "policies",
    "shadow",
    "candidate",
    "redisUrl",
    "cluster",
    "sentinel",
    "tls",
    "clientName",
    "redisClient",
    "cacheClient",
    "shared",
    "algorithm",
    "burst",
    "resolution",
    "align",
    "clock",
    "prefix",
    "hashTag",
    "hashKeys",
    "timeout",
    "maxPending",
    "driver",
    "maxMemory",
    "denyCache",
    "lease",
    "adaptive",
    "onStoreError",
    "fallback",
    "logger",
];

/// What works beside the calls, where a store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// The event loop of the thread that calls.
    Loop,
    /// A thread of its own.
    Thread,
}

/// What a limiter is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is decided by.
    pub plan: Plan,
    /// What stays the same when that is changed.
    pub frame: Frame,
    /// The store; none decides in memory.
    pub redis: Option<Servers>,
    /// Whether the store is reached through a client of the application's.
    pub has_client: bool,
    /// Whether the store is a cache behind a client of the application's.
    pub has_cache: bool,
    /// The memory that processes share, where it is the store.
    pub shared: Option<SharedMemory>,
    /// The whole time of a call.
    pub timeout: Micros,
    /// Calls that may wait for Redis.
    pub max_pending: usize,
    /// What works beside the calls, where that is said.
    pub driver: Option<Driver>,
    /// Bytes that keys may take in memory.
    pub max_memory: usize,
    /// For how long a refusal may be known without asking, where that is wanted.
    pub deny_cache: Option<Micros>,
    /// What may be leased of a key, where that is wanted.
    pub lease: Option<Terms>,
    /// The name of the policies that a fleet shares, where it does.
    pub policies: Option<String>,
    /// By what the limits give way under load, where they do.
    pub adaptive: Option<Adaptive>,
    /// What happens when the store fails.
    pub on_store_error: OnStoreError,
    /// Whether the calls' own timestamps are the clock.
    pub replays: bool,
    /// What stands in the place of keys, where nobody is to read them.
    pub pseudonyms: Option<Pseudonyms>,
}

impl Settings {
    /// Checks the constructor's argument.
    pub fn read(given: &Given) -> Result<Self, Error> {
        let options = input::record("options", given, "an object such as { limit: 100, window: '1m' }")?;
        input::only_known("RateLimiter", options, &OPTIONS)?;
        let redis = servers::read(options)?;
        let (frame, plan) = Frame::read(options)?;
        let has_cache = frame.has_cache;
        let settings = Self {
            plan,
            lease: frame.lease,
            frame,
            adaptive: adaptive::read(options)?,
            deny_cache: deny_cache(field(options, "denyCache"), redis.is_some())?,
            policies: policies::read(options, redis.is_some())?,
            redis,
            has_client: *field(options, "redisClient") != Given::Missing,
            has_cache,
            shared: shared::read(options)?,
            timeout: input::or_default(field(options, "timeout"), Micros::from_millis(100), timeout)?,
            max_pending: input::or_default(field(options, "maxPending"), 16_384, |given| {
                count("maxPending", given, 1 << 20)
            })?,
            driver: input::or_default(field(options, "driver"), None, |given| {
                input::word("driver", given, &[("loop", Some(Driver::Loop)), ("thread", Some(Driver::Thread))])
            })?,
            max_memory: input::or_default(field(options, "maxMemory"), DEFAULT_BYTES, max_memory)?,
            on_store_error: input::or_default(field(options, "onStoreError"), OnStoreError::Local, |given| {
                let words = [
                    ("local", OnStoreError::Local),
                    ("allow", OnStoreError::Allow),
                    ("deny", OnStoreError::Deny),
                    ("throw", OnStoreError::Throw),
                ];
                input::word("onStoreError", given, &words)
            })?,
            replays: input::or_default(field(options, "clock"), false, |given| {
                input::word("clock", given, &[("store", false), ("timestamps", true)])
            })?,
            pseudonyms: match options.iter().find(|(name, _)| name == "hashKeys") {
                Some((_, given)) => Pseudonyms::read(given)?,
                None => None,
            },
        };
        settings.one_store(options)?;
        Ok(settings)
    }

    /// Whether everything is decided in this process's memory.
    pub fn is_local(&self) -> bool {
        self.redis.is_none() && !self.has_client && !self.has_cache
    }

    /// Whether the store is one server of which we know.
    pub(crate) fn has_one_server(&self) -> bool {
        self.redis.as_ref().is_some_and(|servers| !matches!(servers.topology, Topology::Cluster(_)))
    }

    /// A limiter has one store at most, and only its own memory can be told what time it is.
    fn one_store(&self, options: &[(String, Given)]) -> Result<(), Error> {
        let stores = ["redisUrl", "sentinel", "redisClient", "cacheClient", "shared"];
        let mut given = stores.into_iter().filter(|name| *field(options, name) != Given::Missing);
        let Some(first) = given.next() else { return Ok(()) };
        if let Some(second) = given.next() {
            return Err(input::contradiction(format!(
                "`{first}` and `{second}` were both given: a limiter has one store, so leave one of them out"
            )));
        }
        if self.replays {
            return Err(input::contradiction(format!(
                "`clock: 'timestamps'` is for a limiter that decides in memory, but `{first}` was given: leave one of them out"
            )));
        }
        Ok(())
    }
}

/// The whole time of a call.
fn timeout(given: &Given) -> Result<Micros, Error> {
    input::duration("timeout", given, Micros::from_millis(1)..=Micros::from_millis(60_000))
}

/// What keys may take.
fn max_memory(given: &Given) -> Result<usize, Error> {
    input::size("maxMemory", given, LEAST_MEMORY..=MOST_MEMORY)
}

/// For how long a refusal may be known. Where the changes of others cannot be heard it is not, unless it is said.
fn deny_cache(given: &Given, is_heard: bool) -> Result<Option<Micros>, Error> {
    input::or_default(given, is_heard.then_some(LONGEST_REFUSAL), |given| {
        input::duration_or_none("denyCache", given, Micros::from_millis(1)..=Micros::from_millis(60_000))
    })
}

/// Refuses a `cacheClient` that is nothing of the kind.
pub fn refuse_cache(given: &Given) -> Error {
    let expected = "an object with the methods get(key), set(key, value, expiryMs), incrementAndGet(key, expiryMs) and decrementAndGet(key)";
    Error::Option(given.refuse("cacheClient", expected, |_| false))
}

/// Refuses a `redisClient` that is nothing of the kind.
pub fn refuse_client(given: &Given) -> Error {
    let expected = "a client of ioredis, iovalkey, redis (node-redis) or @valkey/valkey-glide, or an object with the methods evalsha(sha, keys, args) and eval(text, keys, args)";
    Error::Option(given.refuse("redisClient", expected, |_| false))
}

/// The `timeout` among the options of `ready`.
pub fn read_ready_timeout(given: &Given) -> Result<Micros, Error> {
    let default = Micros::from_millis(5_000);
    if *given == Given::Missing {
        return Ok(default);
    }
    let options = input::record("options", given, "an object such as { timeout: '5s' }")?;
    input::only_known("ready", options, &["timeout"])?;
    input::or_default(field(options, "timeout"), default, |given| {
        input::duration("timeout", given, Micros::from_millis(1)..=Micros::from_millis(3_600_000))
    })
}

fn count(option: &str, given: &Given, most: u64) -> Result<usize, Error> {
    let count = input::whole(option, given, 1..=most).map_err(Error::Option)?;
    Ok(usize::try_from(count).expect("the ranges of counts fit in 32 bits"))
}
