//! What is simulated, as it was asked for on the command line.

use distributed_rate_limiter::algorithm::Policy;
use distributed_rate_limiter::clock::Micros;
use distributed_rate_limiter::error::Error;
use distributed_rate_limiter::input::Given;
use distributed_rate_limiter::leases::Terms;
use distributed_rate_limiter::policy::{self, Options};

/// The algorithms whose units can be leased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sliding-window`.
    SlidingWindow,
    /// `token-bucket`, which holds as much as its limit.
    TokenBucket,
}

/// What a gateway does beside asking. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Nothing: each call is an operation on Redis.
    Strict,
    /// Calls on one key that leave in the same batch are one.
    Merged,
    /// A key that is known to be refused is not asked for.
    Known,
    /// Units of a hot key are taken ahead.
    Leased,
}

/// How calls come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Independently, everywhere alike.
    Steady,
    /// Independently, but in each period at one gateway in so many, and at none of the others.
    Wandering {
        /// How long it stays.
        period_us: u64,
        /// One in so many.
        one_in: usize,
    },
    /// In one part in so many of each period, everywhere, and never in the rest of it.
    Together {
        /// How long one after the other begins.
        period_us: u64,
        /// One part in so many.
        one_in: u64,
    },
    /// All calls of a period at once, at one gateway after the other, as a timer makes them.
    Ticking {
        /// How long one after the other.
        period_us: u64,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct World {
    /// Processes that decide.
    pub gateways: usize,
    /// Nodes of Redis. One is no cluster: a batch is one call of the script then.
    pub nodes: usize,
    /// Keys that may be asked for.
    pub keys: u64,
    /// Of their Zipf law.
    pub exponent: f64,
    /// Calls a second, of all gateways together.
    pub rate: f64,
    /// How they come.
    pub shape: Shape,
    /// Units of each key in a window.
    pub limit: u64,
    /// The window.
    pub window_us: u64,
    /// The algorithm.
    pub kind: Kind,
    /// What gateways do.
    pub mode: Mode,
    /// Units of a lease at most.
    pub lease_max: u64,
    /// How long it lasts.
    pub lease_us: u64,
    /// How long a refusal is known at most.
    pub deny_us: u64,
    /// How long a message is on its way, on average.
    pub way_us: f64,
    /// How long after a call a gateway that was idle looks at what is to be sent.
    pub wake_us: u64,
    /// What a call of the script costs Redis, and what each key in it does.
    pub call_ns: u64,
    /// See above.
    pub key_ns: u64,
    /// How many times as fast nodes are as these say, while what they spend is told by these: 1 for queues as they are, more where
    /// operations are to be counted that nodes so slow could not do.
    pub speed: u64,
    /// How long is simulated before anything is measured, and how long is measured.
    pub warm_s: f64,
    /// See above.
    pub seconds: f64,
    /// Keys whose state is kept, from the first rank. Whoever is rarer is far from its limit, and is always admitted.
    pub exact: u64,
    /// The same seed gives the same report.
    pub seed: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            gateways: 10,
            nodes: 1,
            keys: 1_000,
            exponent: 1.0,
            rate: 100_000.0,
            shape: Shape::Steady,
            limit: 100,
            window_us: 1_000_000,
            kind: Kind::SlidingWindow,
            mode: Mode::Leased,
            lease_max: 1_000,
            lease_us: 20_000,
            deny_us: 1_000_000,
            way_us: 125.0,
            wake_us: 20,
            call_ns: 15_000,
            key_ns: 5_600,
            speed: 1,
            warm_s: 2.0,
            seconds: 2.0,
            exact: 200_000,
            seed: 1,
        }
    }
}

impl World {
    /// What each key is decided by where nothing is leased.
    pub fn policy(&self) -> Policy {
        policy(self.kind, self.limit, self.window_us).expect("numbers within their ranges make a policy")
    }

    /// What may be leased, if anything may.
    pub fn terms(&self) -> Option<Terms> {
        (self.mode == Mode::Leased).then_some(Terms { max: self.lease_max, ttl: Micros(self.lease_us) })
    }

    /// From `--name value …`, every name being that of a field, in its unit.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let (mut world, mut arguments) = (Self::default(), arguments.into_iter());
        let (mut shape, mut period_us, mut one_in) = ("steady".to_owned(), 100_000, 4);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("`{name}` needs a value after it"))?;
            match name.as_str() {
                "--gateways" => world.gateways = number(&name, &value, 1, 10_000)?,
                "--nodes" => world.nodes = number(&name, &value, 1, 1_024)?,
                "--keys" => world.keys = number(&name, &value, 1, 1_000_000_000)?,
                "--exponent" => world.exponent = real(&name, &value, 0.0, 3.0)?,
                "--rate" => world.rate = real(&name, &value, 1.0, 1e8)?,
                "--shape" => shape = value,
                "--period-us" => period_us = number(&name, &value, 1, 1_000_000_000)?,
                "--one-in" => one_in = number(&name, &value, 1, 10_000)?,
                "--limit" => world.limit = number(&name, &value, 1, 1 << 32)?,
                "--window-us" => world.window_us = number(&name, &value, 1, 86_400_000_000)?,
                "--algorithm" => {
                    world.kind = word(
                        &name,
                        &value,
                        &[("sliding-window", Kind::SlidingWindow), ("token-bucket", Kind::TokenBucket)],
                    )?;
                }
                "--mode" => {
                    let modes = [
                        ("strict", Mode::Strict),
                        ("merged", Mode::Merged),
                        ("known", Mode::Known),
                        ("leased", Mode::Leased),
                    ];
                    world.mode = word(&name, &value, &modes)?;
                }
                "--lease-max" => world.lease_max = number(&name, &value, 1, 1_000_000)?,
                "--lease-us" => world.lease_us = number(&name, &value, 1_000, 60_000_000)?,
                "--deny-us" => world.deny_us = number(&name, &value, 1, 60_000_000)?,
                "--way-us" => world.way_us = real(&name, &value, 0.0, 1e6)?,
                "--wake-us" => world.wake_us = number(&name, &value, 0, 1_000_000)?,
                "--call-ns" => world.call_ns = number(&name, &value, 0, 1_000_000_000)?,
                "--key-ns" => world.key_ns = number(&name, &value, 0, 1_000_000_000)?,
                "--speed" => world.speed = number(&name, &value, 1, 1_000_000)?,
                "--warm-s" => world.warm_s = real(&name, &value, 0.0, 1e5)?,
                "--seconds" => world.seconds = real(&name, &value, 0.001, 1e5)?,
                "--exact" => world.exact = number(&name, &value, 1, 10_000_000)?,
                "--seed" => world.seed = number(&name, &value, 0, u64::MAX)?,
                _ => return Err(format!("`{name}` is no option: see simulator/src/world.rs for those there are")),
            }
        }
        let shapes = [
            ("steady", Shape::Steady),
            ("wandering", Shape::Wandering { period_us, one_in }),
            ("together", Shape::Together { period_us, one_in: one_in as u64 }),
            ("ticking", Shape::Ticking { period_us }),
        ];
        world.shape = word("--shape", &shape, &shapes)?;
        if world.mode == Mode::Leased && world.lease_us > world.window_us {
            return Err("`--lease-us` must not be longer than `--window-us`".into());
        }
        policy(world.kind, world.limit, world.window_us).map_err(|error| error.to_string())?;
        Ok(world)
    }
}

/// As the option of the limiter makes it.
fn policy(kind: Kind, limit: u64, window_us: u64) -> Result<Policy, Error> {
    let algorithm = match kind {
        Kind::SlidingWindow => "sliding-window",
        Kind::TokenBucket => "token-bucket",
    };
    policy::build(&Options {
        limit: &Given::Number(limit as f64),
        window: &Given::Number(window_us as f64 / 1_000.0),
        algorithm: &Given::Text(algorithm.into()),
        burst: &Given::Missing,
        resolution: &Given::Missing,
        align: &Given::Missing,
    })
}

fn number<N: TryFrom<u64>>(name: &str, given: &str, least: u64, most: u64) -> Result<N, String> {
    let number = given.parse().ok().filter(|number| (least..=most).contains(number));
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("`{name}` must be a whole number from {least} to {most}, but {given} was given"))
}

fn real(name: &str, given: &str, least: f64, most: f64) -> Result<f64, String> {
    let number = given.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{name}` must be a number from {least} to {most}, but {given} was given"))
}

fn word<T: Copy>(name: &str, given: &str, known: &[(&str, T)]) -> Result<T, String> {
    let found = known.iter().find(|(word, _)| *word == given).map(|(_, meant)| *meant);
    found.ok_or_else(|| {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        format!("`{name}` must be one of {}, but {given} was given", words.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<World, String> {
        World::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_and_bad_ones_are_refused_with_a_sentence() {
        let world = parse("--gateways 16 --mode strict --shape wandering --one-in 8 --rate 2.5e5").unwrap();
        assert_eq!((world.gateways, world.mode, world.rate), (16, Mode::Strict, 250_000.0));
        assert_eq!(world.shape, Shape::Wandering { period_us: 100_000, one_in: 8 });
        for bad in
            ["--gateways 0", "--gateways", "--mode fast", "--rate x", "--rate NaN", "--x 1", "--lease-us 1000001"]
        {
            assert!(parse(bad).unwrap_err().len() > 20, "{bad}");
        }
    }
}
