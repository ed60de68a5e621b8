//! The options of a limiter, each checked once.

use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::Error;
use crate::fallback::OnStoreError;
use crate::input::{self, Given, field};
use crate::policy;
use crate::store::redis::Address;

/// The names that the options may have. `logger` is the binding's affair.
const KNOWN: [&str; 13] = [
    "limit",
    "window",
    "redisUrl",
    "algorithm",
    "burst",
    "resolution",
    "prefix",
    "timeout",
    "maxPending",
    "maxKeys",
    "onStoreError",
    "fallback",
    "logger",
];

/// What a limiter is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The limit.
    pub policy: Policy,
    /// The limit that counts while the store is away.
    pub fallback: Policy,
    /// The store; none decides in memory.
    pub redis: Option<Address>,
    /// What every key in Redis begins with.
    pub prefix: String,
    /// The whole time of a call.
    pub timeout: Micros,
    /// Calls that may wait for Redis.
    pub max_pending: usize,
    /// Keys remembered in memory.
    pub max_keys: usize,
    /// What happens when the store fails.
    pub on_store_error: OnStoreError,
}

impl Settings {
    /// Checks the constructor's argument.
    pub fn read(given: &Given) -> Result<Self, Error> {
        let options = record("options", given, "an object such as { limit: 100, window: '1m' }")?;
        input::only_known("RateLimiter", options, &KNOWN)?;
        let limit = field(options, "limit");
        let window = field(options, "window");
        let of_limit = |limit, window| policy::Options {
            limit,
            window,
            algorithm: field(options, "algorithm"),
            burst: field(options, "burst"),
            resolution: field(options, "resolution"),
        };
        let policy = policy::build(&of_limit(limit, window))?;
        Ok(Self {
            policy,
            fallback: input::or_default(field(options, "fallback"), policy, |given| {
                let fallback = record("fallback", given, "an object such as { limit: 50, window: '1m' }")?;
                input::only_known("`fallback`", fallback, &["limit", "window"])?;
                let own = |name, other| match field(fallback, name) {
                    Given::Missing => other,
                    given => given,
                };
                policy::build(&policy::Options {
                    // A bucket of another size is the limit's own: the fallback's is as large as its limit.
                    burst: if *field(fallback, "limit") == Given::Missing {
                        field(options, "burst")
                    } else {
                        &Given::Missing
                    },
                    ..of_limit(own("limit", limit), own("window", window))
                })
                .map_err(|error| within("fallback", error))
            })?,
            redis: input::or_default(field(options, "redisUrl"), None, |given| Address::parse(given).map(Some))?,
            prefix: input::or_default(field(options, "prefix"), "rl".into(), prefix)?,
            timeout: input::or_default(field(options, "timeout"), Micros::from_millis(100), |given| {
                input::duration("timeout", given, Micros::from_millis(1)..=Micros::from_millis(60_000))
            })?,
            max_pending: input::or_default(field(options, "maxPending"), 16_384, |given| {
                count("maxPending", given, 1 << 20)
            })?,
            max_keys: input::or_default(field(options, "maxKeys"), 1_000_000, |given| {
                count("maxKeys", given, 100_000_000)
            })?,
            on_store_error: input::or_default(field(options, "onStoreError"), OnStoreError::Local, |given| {
                let words = [
                    ("local", OnStoreError::Local),
                    ("allow", OnStoreError::Allow),
                    ("deny", OnStoreError::Deny),
                    ("throw", OnStoreError::Throw),
                ];
                input::word("onStoreError", given, &words)
            })?,
        })
    }
}

/// The `cost` among a call's options.
pub fn read_cost(policy: &Policy, given: &Given) -> Result<u64, Error> {
    if *given == Given::Missing {
        return Ok(1);
    }
    let options = record("options", given, "an object such as { cost: 2 }")?;
    input::only_known("a call", options, &["cost"])?;
    policy::cost(policy, field(options, "cost"))
}

/// The `timeout` among the options of `ready`.
pub fn read_ready_timeout(given: &Given) -> Result<Micros, Error> {
    let default = Micros::from_millis(5_000);
    if *given == Given::Missing {
        return Ok(default);
    }
    let options = record("options", given, "an object such as { timeout: '5s' }")?;
    input::only_known("ready", options, &["timeout"])?;
    input::or_default(field(options, "timeout"), default, |given| {
        input::duration("timeout", given, Micros::from_millis(1)..=Micros::from_millis(3_600_000))
    })
}

fn record<'a>(name: &str, given: &'a Given, expected: &str) -> Result<&'a [(String, Given)], Error> {
    match given {
        Given::Record(fields) => Ok(fields),
        other => Err(Error::Option(other.refuse(name, expected, |_| false))),
    }
}

fn prefix(given: &Given) -> Result<String, Error> {
    match given {
        Given::Text(text) if (1..=128).contains(&text.chars().count()) => Ok(text.clone()),
        given => {
            let fits = |given: &Given| matches!(given, Given::Text(_));
            Err(Error::Option(given.refuse("prefix", "a string of 1 to 128 characters", fits)))
        }
    }
}

fn count(option: &str, given: &Given, most: u64) -> Result<usize, Error> {
    let count = input::whole(option, given, 1..=most).map_err(Error::Option)?;
    Ok(usize::try_from(count).expect("the ranges of counts fit in 32 bits"))
}

/// Says of which option's field an error speaks.
fn within(option: &str, error: Error) -> Error {
    match error {
        Error::Option(mut rejection) => {
            rejection.message = match rejection.message.strip_prefix('`') {
                Some(rest) => format!("`{option}.{rest}"),
                None => format!("in `{option}`: {}", rejection.message),
            };
            Error::Option(rejection)
        }
        other => other,
    }
}
