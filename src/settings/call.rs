//! The options of one call, as they were given. What they mean for a limiter is the limiter's affair.

use crate::clock::Micros;
use crate::error::Error;
use crate::input::{self, Given, field};
use crate::policy;

/// What a call may say beside its key.
const KNOWN: [&str; 7] = ["cost", "upTo", "action", "limit", "window", "timestamp", "priority"];

/// The latest timestamp: 2^53 microseconds, in the year 2255.
const LAST_TIMESTAMP_MS: f64 = 9_007_199_254_740.0;

/// The longest time that a call may ask to wait or a key to be blocked.
const LONGEST: Micros = policy::MAX_WINDOW;

/// The options of a call.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Units to take, checked against the limit when that is known.
    pub cost: Option<Given>,
    /// Whether fewer units than `cost` are enough.
    pub up_to: bool,
    /// What is done; each action is counted apart.
    pub action: Option<String>,
    /// A limit that only the caller knows: limit and window.
    pub own: Option<(Given, Given)>,
    /// Which calls it gives way with, where the limits give way under load.
    pub priority: Option<String>,
    /// Whether it goes by the whole limits, whatever has given way: to tell of a refusal what it is due to.
    pub is_whole: bool,
    /// When the call happened.
    pub timestamp: Option<Micros>,
}

impl CallOptions {
    /// Reads the options of a call of the method `name`, which may have those of `allowed`.
    pub fn read(name: &str, given: &Given, allowed: &[&str]) -> Result<Self, Error> {
        if *given == Given::Missing {
            return Ok(Self::default());
        }
        let options = input::record("options", given, "an object such as { cost: 2 }")?;
        input::only_known(name, options, allowed)?;
        let missing = |name| *field(options, name) == Given::Missing;
        if !missing("upTo") && !missing("cost") {
            return Err(input::contradiction(
                "`cost` and `upTo` were both given: a call takes all of `cost`, or as much as there is up to `upTo`"
                    .into(),
            ));
        }
        if let Some(lone) = match (missing("limit"), missing("window")) {
            (true, false) => Some("window"),
            (false, true) => Some("limit"),
            _ => None,
        } {
            return Err(input::contradiction(format!(
                "`{lone}` was given alone: a call's own limit has both, as in {{ limit: 10, window: '1m' }}"
            )));
        }
        let up_to = !missing("upTo");
        let cost = field(options, if up_to { "upTo" } else { "cost" });
        Ok(Self {
            cost: (*cost != Given::Missing).then(|| cost.clone()),
            up_to,
            action: input::or_default(field(options, "action"), None, |given| action(given).map(Some))?,
            own: (!missing("limit")).then(|| (field(options, "limit").clone(), field(options, "window").clone())),
            priority: input::or_default(field(options, "priority"), None, |given| {
                input::text("priority", given, 64, "one of the names in `adaptive.priorities`", |_| true)
                    .map(|name| Some(name.to_owned()))
            })?,
            is_whole: false,
            timestamp: input::or_default(field(options, "timestamp"), None, |given| timestamp(given).map(Some))?,
        })
    }

    /// All that a call may say.
    pub fn known() -> &'static [&'static str] {
        &KNOWN
    }
}

pub(super) fn action(given: &Given) -> Result<String, Error> {
    let expected = "a non-empty string of up to 128 characters";
    input::text("action", given, 128, expected, |_| true).map(str::to_owned)
}

fn timestamp(given: &Given) -> Result<Micros, Error> {
    match given {
        Given::Number(ms) if (0.0..=LAST_TIMESTAMP_MS).contains(ms) =>
        {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range above")]
            Ok(Micros((ms * 1_000.0).round() as u64))
        }
        other => Err(Error::Option(other.refuse(
            "timestamp",
            "a time in milliseconds since 1970, as Date.now() gives it, before the year 2255",
            |given| matches!(given, Given::Number(_)),
        ))),
    }
}

/// The length of a block.
pub fn read_duration(given: &Given) -> Result<Micros, Error> {
    input::duration("duration", given, Micros(1)..=LONGEST)
}

/// How long a caller would wait.
pub fn read_patience(given: &Given) -> Result<Micros, Error> {
    input::duration("maxWait", given, Micros::ZERO..=Micros(86_400_000_000))
}

/// How long a hold lasts by itself, where nothing is said of it.
const DEFAULT_TTL: Micros = Micros::from_millis(30_000);

/// The longest that a hold may last: it is as long in the way of others if nobody settles it.
pub(super) const LONGEST_TTL: Micros = Micros::from_millis(86_400_000);

/// How long a hold lasts that nobody settles.
pub fn read_ttl(given: &Given) -> Result<Micros, Error> {
    input::or_default(given, DEFAULT_TTL, |given| input::duration("ttl", given, Micros::from_millis(1)..=LONGEST_TTL))
}

/// When a hold ends, as it was told. What is no such moment is no hold's.
pub fn read_ends(given: &Given) -> Micros {
    match given {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the range")]
        Given::Number(ends) if (0.0..9_007_199_254_740_992.0).contains(ends) => Micros(*ends as u64),
        _ => Micros::ZERO,
    }
}
