//! The option `adaptive`: whether the limits give way under load, down to what, and whose first. What the load is read from is
//! checked here, too, and read in JavaScript.

use std::sync::Arc;

use crate::adaptive::{Adaptive, Classes};
use crate::clock::Micros;
use crate::error::{Class, Error, Rejection};
use crate::input::{self, Given, contradiction, field, within};

/// The signals that are read by themselves.
const SIGNALS: [&str; 3] = ["eventLoopLag", "cpu", "latency"];

/// The most signals, and classes, of one limiter.
const MOST: usize = 16;

/// The least of the limits that is left where nothing is said of it.
const DEFAULT_MIN: f64 = 0.2;

const EXPECTED: &str = "an object such as { signals: ['eventLoopLag'], min: 0.2 }, or false";

/// Reads it, if it is given.
pub(super) fn read(options: &[(String, Given)]) -> Result<Option<Adaptive>, Error> {
    let given = field(options, "adaptive");
    if matches!(given, Given::Missing | Given::Flag(false)) {
        return Ok(None);
    }
    let fields = input::record("adaptive", given, EXPECTED)?;
    input::only_known("`adaptive`", fields, &["signals", "targets", "min", "priorities", "scope"])?;
    let read = || {
        signals(field(fields, "signals"))?;
        targets(field(fields, "targets"))?;
        let min = fraction("min", field(fields, "min"), 0.01, 1.0)?.unwrap_or(DEFAULT_MIN);
        let adaptive = Adaptive::new(min, priorities(field(fields, "priorities"))?);
        let is_of_fleet = input::or_default(field(fields, "scope"), false, |given| {
            input::word("scope", given, &[("instance", false), ("fleet", true)])
        })?;
        Ok(if is_of_fleet { adaptive.of_fleet() } else { adaptive })
    };
    let adaptive = read().map_err(|error| within("adaptive", error))?;
    if !matches!(field(options, "lease"), Given::Missing | Given::Flag(false)) {
        return Err(contradiction(
            "`adaptive` and `lease` were both given: units that are leased cannot give way, so leave one of them out"
                .into(),
        ));
    }
    let has_redis = ["redisUrl", "sentinel", "redisClient"].iter().any(|name| *field(options, name) != Given::Missing);
    if adaptive.is_of_fleet() && !has_redis {
        return Err(contradiction(
            "`adaptive.scope` is 'fleet', whose instances tell each other of their load through Redis: give `redisUrl`, `sentinel` or `redisClient` as well, or leave `scope` out"
                .into(),
        ));
    }
    Ok(Some(adaptive))
}

fn signals(given: &Given) -> Result<(), Error> {
    let expected = "a list of up to 16 of 'eventLoopLag', 'cpu', 'latency' and functions, each once";
    let refused = || Err(Error::Option(given.refuse("signals", expected, |given| matches!(given, Given::List(_)))));
    let list = match given {
        Given::Missing => return Ok(()),
        Given::List(list) if (1..=MOST).contains(&list.len()) => list,
        _ => return refused(),
    };
    for (index, signal) in list.iter().enumerate() {
        match signal {
            Given::Text(name) if SIGNALS.contains(&name.as_str()) && !list[..index].contains(signal) => {}
            Given::Other("a function") => {}
            other => {
                let is_text = |given: &Given| matches!(given, Given::Text(_));
                return Err(Error::Option(other.refuse("signals", expected, is_text)));
            }
        }
    }
    Ok(())
}

fn targets(given: &Given) -> Result<(), Error> {
    if *given == Given::Missing {
        return Ok(());
    }
    let fields = input::record("targets", given, "an object such as { eventLoopLag: '50ms', cpu: 0.9 }")?;
    let read = || {
        input::only_known("`targets`", fields, &SIGNALS)?;
        for name in ["eventLoopLag", "latency"] {
            input::or_default(field(fields, name), Micros::ZERO, |given| {
                input::duration(name, given, Micros::from_millis(1)..=Micros::from_millis(60_000))
            })?;
        }
        fraction("cpu", field(fields, "cpu"), 0.01, 1_024.0)
    };
    read().map(drop).map_err(|error| within("targets", error))
}

/// A number that need not be whole.
fn fraction(name: &str, given: &Given, least: f64, most: f64) -> Result<Option<f64>, Error> {
    match given {
        Given::Missing => Ok(None),
        Given::Number(number) if (least..=most).contains(number) => Ok(Some(*number)),
        other => {
            let expected = format!("a number from {least} to {most}");
            Err(Error::Option(other.refuse(name, &expected, |given| matches!(given, Given::Number(_)))))
        }
    }
}

fn priorities(given: &Given) -> Result<Classes, Error> {
    let expected = "a list of 1 to 16 names, the lowest priority first, each once";
    let list = match given {
        Given::Missing => return Ok(Classes::default()),
        Given::List(list) if (1..=MOST).contains(&list.len()) => list,
        _ => {
            let is_list = |given: &Given| matches!(given, Given::List(_));
            return Err(Error::Option(given.refuse("priorities", expected, is_list)));
        }
    };
    let mut names: Vec<Arc<str>> = Vec::new();
    for given in list {
        let name = input::text("priorities", given, 64, expected, |_| true)?;
        if names.iter().any(|known| **known == *name) {
            return Err(Error::Option(Rejection {
                class: Class::Range,
                message: format!("`priorities` must be {expected}, but '{name}' was given twice"),
            }));
        }
        names.push(name.into());
    }
    Ok(Classes::new(names))
}
