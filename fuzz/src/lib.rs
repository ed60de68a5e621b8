//! What the targets share: options as somebody might give them, policies made of them, and random verbs.

use arbitrary::{Arbitrary, Result, Unstructured};
use distributed_rate_limiter::algorithm::{Ask, Policy};
use distributed_rate_limiter::error::Error;
use distributed_rate_limiter::input::Given;
use distributed_rate_limiter::policy::{self, MAX_UNITS};
use distributed_rate_limiter::settings::OPTIONS;

/// Beside the options themselves, what means something inside of one, and what does not: a name that nobody knows is refused before
/// its value is read.
const NAMES: [&str; 21] = [
    "share",
    "name",
    "by",
    "extra",
    "cost",
    "upTo",
    "action",
    "timestamp",
    "maxWait",
    "signal",
    "urls",
    "username",
    "database",
    "password",
    "ca",
    "cert",
    "key",
    "serverName",
    "__proto__",
    "constructor",
    "windwo",
];

/// Texts that some option accepts.
const WORDS: [&str; 26] = [
    "sliding-window",
    "sliding-counter",
    "fixed-window",
    "token-bucket",
    "leaky-bucket",
    "configured",
    "global",
    "user",
    "ip",
    "store",
    "timestamps",
    "local",
    "allow",
    "deny",
    "throw",
    "fleet",
    "1m",
    "10s",
    "500ms",
    "1.5h",
    "3650d",
    "0.001ms",
    "redis://localhost:6379",
    "redis://user:password@[::1]:7000/3",
    "valkey://localhost",
    "a secret of 24 letters..",
];

/// Numbers at the edges of ranges.
const EDGES: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.001,
    0.5,
    16.0,
    32.0,
    1_024.0,
    1_025.0,
    60_000.0,
    4_294_967_296.0,
    4_294_967_297.0,
    9_007_199_254_740_992.0,
    f64::NAN,
    f64::INFINITY,
];

/// A value of any form, no deeper than `depth`.
pub fn given(u: &mut Unstructured<'_>, depth: u8) -> Result<Given> {
    Ok(match u.int_in_range(0..=if depth == 0 { 8 } else { 12 })? {
        0 => Given::Missing,
        1 => Given::Number(u.arbitrary()?),
        2 => Given::Number(*u.choose(&EDGES)?),
        3 => Given::Number(f64::from(u.arbitrary::<u16>()?)),
        4 => Given::Text(u.arbitrary()?),
        5 | 6 => Given::Text((*u.choose(&WORDS)?).to_owned()),
        7 => Given::Flag(u.arbitrary()?),
        8 => Given::Other("null"),
        9 => Given::List((0..u.int_in_range(0..=17)?).map(|_| given(u, depth - 1)).collect::<Result<_>>()?),
        _ => Given::Record(record(u, depth - 1)?),
    })
}

/// An object's properties, most of them of names that somebody knows. Names are unique, as they are in JavaScript.
pub fn record(u: &mut Unstructured<'_>, depth: u8) -> Result<Vec<(String, Given)>> {
    let mut fields: Vec<(String, Given)> = Vec::new();
    for _ in 0..u.int_in_range(0..=8)? {
        let name = match u.int_in_range(0..=15)? {
            0 => u.arbitrary()?,
            1..=5 => (*u.choose(&NAMES)?).to_owned(),
            _ => (*u.choose(&OPTIONS)?).to_owned(),
        };
        let value = given(u, depth)?;
        if fields.iter().all(|(other, _)| *other != name) {
            fields.push((name, value));
        }
    }
    Ok(fields)
}

/// The options of a limit that is good, with whatever else is said.
pub fn options(u: &mut Unstructured<'_>) -> Result<Given> {
    let mut fields = record(u, 4)?;
    if u.ratio(3, 4)? {
        for (name, value) in [("limit", Given::Number(100.0)), ("window", Given::Text("1m".into()))] {
            if fields.iter().all(|(other, _)| other != name && other != "limits") {
                fields.push((name.to_owned(), value));
            }
        }
    }
    Ok(Given::Record(fields))
}

/// A refusal has a code, and says something.
pub fn is_worded(error: &Error) {
    assert!(error.code().starts_with("ERR_RATE_LIMIT_"), "{}", error.code());
    assert_ne!(error.code(), "ERR_RATE_LIMIT_INTERNAL", "{error}");
    assert!(error.to_string().len() > 20, "{error}");
}

/// A number from 1 to `most`, of any size equally likely.
pub fn magnitude(u: &mut Unstructured<'_>, most: u64) -> Result<u64> {
    let bits = u.int_in_range(0..=63 - most.leading_zeros())?;
    Ok((u.arbitrary::<u64>()? & ((1u64 << bits) - 1) | (1u64 << bits)).min(most))
}

/// The numbers of a limit, as a caller would give them.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    pub algorithm: &'static str,
    pub limit: u64,
    pub window: u64,
    pub burst: Option<u64>,
    /// Of a windowed algorithm's extra.
    pub burst_window: u64,
    pub resolution: Option<u64>,
    pub align: bool,
}

impl<'a> Arbitrary<'a> for Numbers {
    fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
        const LONGEST: u64 = policy::MAX_WINDOW.0;
        let small = |u: &mut Unstructured<'a>| -> Result<bool> { u.ratio(2, 3) };
        let limit = if small(u)? { u.int_in_range(1..=20)? } else { magnitude(u, MAX_UNITS)? };
        let window = if small(u)? { u.int_in_range(1..=1_000)? } else { magnitude(u, LONGEST)? };
        let burst = if u.arbitrary()? { Some(magnitude(u, MAX_UNITS)? - u64::from(u.ratio(1, 8)?)) } else { None };
        Ok(Self {
            algorithm: u.choose(&WORDS[..5])?,
            limit,
            window,
            burst,
            burst_window: magnitude(u, LONGEST)?,
            resolution: if u.arbitrary()? { Some(u.int_in_range(1..=1_024)?) } else { None },
            align: u.arbitrary()?,
        })
    }
}

impl Numbers {
    /// The policy of these numbers; none where they do not go together.
    pub fn policy(&self) -> Option<Policy> {
        let number = |number: u64| Given::Number(number as f64);
        let micros = |micros: u64| Given::Number(micros as f64 / 1_000.0);
        let is_bucket = self.algorithm.ends_with("bucket");
        let burst = match self.burst {
            None => Given::Missing,
            Some(units) if is_bucket => number(units),
            Some(extra) => {
                let fields = [("extra", number(extra)), ("window", micros(self.burst_window))];
                Given::Record(fields.map(|(name, given)| (name.to_owned(), given)).into())
            }
        };
        let only_for = |algorithm, given| if self.algorithm == algorithm { given } else { Given::Missing };
        policy::build(&policy::Options {
            limit: &number(self.limit),
            window: &micros(self.window),
            algorithm: &Given::Text(self.algorithm.into()),
            burst: &burst,
            resolution: &only_for("sliding-window", self.resolution.map_or(Given::Missing, number)),
            align: &only_for("fixed-window", Given::Flag(self.align)),
        })
        .ok()
    }
}

/// Units of which a call may ask.
pub fn units(u: &mut Unstructured<'_>, most: u64) -> Result<u64> {
    Ok(match u.int_in_range(0..=3)? {
        0 => 1,
        1 => most,
        2 => u.int_in_range(1..=most)?,
        _ => magnitude(u, most)?,
    })
}

/// What a call may ask.
pub fn ask(u: &mut Unstructured<'_>, capacity: u64) -> Result<Ask> {
    let cost = units(u, capacity)?;
    Ok(match u.int_in_range(0..=7)? {
        0 => Ask::look(cost),
        1 => Ask { cost, least: 1 },
        _ => Ask::all(cost),
    })
}
