//! Values as a caller gave them, and the few questions that are asked of them. Every refusal is worded here.

use std::fmt;
use std::ops::RangeInclusive;

use crate::clock::Micros;
use crate::error::{Class, Error, Rejection};

/// A value of which nothing is known yet.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// Absent, or `undefined`.
    Missing,
    /// Any number, also one that is not finite.
    Number(f64),
    /// A string.
    Text(String),
    /// True or false.
    Flag(bool),
    /// An object's own properties.
    Record(Vec<(String, Given)>),
    /// An array.
    List(Vec<Given>),
    /// Anything else, described: "an array", "null".
    Other(&'static str),
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("nothing"),
            Self::Number(number) if number.is_infinite() => {
                f.write_str(if *number > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => {
                let shown: String = text.chars().take(40).collect();
                let more = if shown.len() < text.len() { "…" } else { "" };
                write!(f, "the string '{shown}{more}'")
            }
            Self::Flag(_) => f.write_str("a boolean"),
            Self::Record(_) => f.write_str("an object"),
            Self::List(_) => f.write_str("an array"),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl Given {
    /// The sentence that refuses this value for `option`: a wrong type where it is not of the kind `fits` accepts.
    pub fn refuse(&self, option: &str, expected: &str, fits: impl Fn(&Self) -> bool) -> Rejection {
        Rejection {
            class: if fits(self) { Class::Range } else { Class::Type },
            message: format!("`{option}` must be {expected}, but {self} was given"),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }
}

/// A whole number within `range`.
pub fn whole(option: &str, given: &Given, range: RangeInclusive<u64>) -> Result<u64, Rejection> {
    if let Some(number) = given_whole(given).filter(|number| range.contains(number)) {
        return Ok(number);
    }
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    Err(given.refuse(option, &expected, Given::is_number))
}

fn given_whole(given: &Given) -> Option<u64> {
    /// From here on a double no longer tells neighbours apart.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match given {
        Given::Number(number) if number.fract() == 0.0 && (0.0..EXACT).contains(number) =>
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the guard leaves whole numbers below 2^53"
            )]
            Some(*number as u64)
        }
        _ => None,
    }
}

/// True or false.
pub fn flag(option: &str, given: &Given) -> Result<bool, Error> {
    match given {
        Given::Flag(flag) => Ok(*flag),
        other => Err(Error::Option(other.refuse(option, "true or false", |_| false))),
    }
}

/// An object's properties.
pub fn record<'a>(option: &str, given: &'a Given, expected: &str) -> Result<&'a [(String, Given)], Error> {
    match given {
        Given::Record(fields) => Ok(fields),
        other => Err(Error::Option(other.refuse(option, expected, |_| false))),
    }
}

/// A string of 1 to `most` characters that `fits`.
pub fn text<'a>(
    option: &str,
    given: &'a Given,
    most: usize,
    expected: &str,
    fits: impl Fn(char) -> bool,
) -> Result<&'a str, Error> {
    match given {
        Given::Text(text) if (1..=most).contains(&text.chars().count()) && text.chars().all(fits) => Ok(text),
        other => Err(Error::Option(other.refuse(option, expected, |given| matches!(given, Given::Text(_))))),
    }
}

/// Options that are fine by themselves, and not together.
pub fn contradiction(message: String) -> Error {
    Error::Option(Rejection { class: Class::Type, message })
}

/// Says of which option's field an error speaks.
pub fn within(option: &str, error: Error) -> Error {
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

/// A length of time within `range`: a number of milliseconds, or a string with a unit. Rounded to the microsecond.
pub fn duration(option: &str, given: &Given, range: RangeInclusive<Micros>) -> Result<Micros, Error> {
    duration_or(option, given, range, "")
}

/// The same, or `false` for none.
pub fn duration_or_none(option: &str, given: &Given, range: RangeInclusive<Micros>) -> Result<Option<Micros>, Error> {
    match given {
        Given::Flag(false) => Ok(None),
        given => duration_or(option, given, range, ", or false").map(Some),
    }
}

/// A window that is no calendar's.
pub fn window(given: &Given, range: RangeInclusive<Micros>) -> Result<Micros, Error> {
    duration_or("window", given, range, ", or a calendar as in { calendar: 'day', timeZone: 'Europe/Paris' }")
}

fn duration_or(option: &str, given: &Given, range: RangeInclusive<Micros>, other: &str) -> Result<Micros, Error> {
    let micros = match given {
        Given::Number(ms) => Some(ms * 1_000.0),
        Given::Text(text) => parse_duration(text),
        _ => None,
    };
    // Whatever is not finite, negative or too large falls outside the range when it is compared as it is.
    if let Some(micros) = micros.map(f64::round)
        && micros.is_finite()
        && let Some(micros) = given_whole(&Given::Number(micros)).map(Micros)
        && range.contains(&micros)
    {
        return Ok(micros);
    }
    let expected = format!(
        "a duration from {} to {}, in milliseconds or with a unit as in '500ms', '10s', '1m', '1h', '1d'{other}",
        show_duration(*range.start()),
        show_duration(*range.end())
    );
    let fits = |given: &Given| matches!(given, Given::Number(_) | Given::Text(_));
    Err(Error::Option(given.refuse(option, &expected, fits)))
}

/// Microseconds of `'1.5s'` and the like. Digits, an optional fraction, a unit; no signs, no spaces, no exponents.
fn parse_duration(text: &str) -> Option<f64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let scale = match unit {
        "ms" => 1e3,
        "s" => 1e6,
        "m" => 60e6,
        "h" => 3_600e6,
        "d" => 86_400e6,
        _ => return None,
    };
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let starts_and_ends_with_digit =
        number.starts_with(|c: char| c.is_ascii_digit()) && number.ends_with(|c: char| c.is_ascii_digit());
    if !plain || !starts_and_ends_with_digit {
        return None;
    }
    number.parse::<f64>().ok().map(|number| number * scale)
}

/// A size within `range`: a number of bytes, or a string with a unit, each of which is 1,024 of the one before.
pub fn size(option: &str, given: &Given, range: RangeInclusive<u64>) -> Result<usize, Error> {
    let bytes = match given {
        Given::Text(text) => parse_size(text),
        given => given_whole(given),
    };
    if let Some(bytes) = bytes.filter(|bytes| range.contains(bytes)) {
        // More than the processor can address is as good as no bound.
        return Ok(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let expected = format!(
        "a size from {} to {}, in bytes or with a unit as in '512kb', '64mb', '1gb'",
        show_size(*range.start()),
        show_size(*range.end())
    );
    let fits = |given: &Given| matches!(given, Given::Number(_) | Given::Text(_));
    Err(Error::Option(given.refuse(option, &expected, fits)))
}

/// Bytes of `'64mb'` and the like: digits and a unit; no signs, no spaces, no fractions.
fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic())?);
    let scale = match unit {
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        "gb" => 1 << 30,
        _ => return None,
    };
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| plain)?.checked_mul(scale)
}

fn show_size(bytes: u64) -> String {
    if bytes >= 1 << 30 { format!("{} gb", bytes >> 30) } else { format!("{} kb", bytes >> 10) }
}

fn show_duration(length: Micros) -> String {
    match length.0 {
        us if us >= 86_400_000_000 && us % 86_400_000_000 == 0 => {
            format!("{} days", us / 86_400_000_000)
        }
        us if us >= 60_000_000 && us % 60_000_000 == 0 => format!("{} m", us / 60_000_000),
        us if us >= 1_000 && us % 1_000 == 0 => format!("{} ms", us / 1_000),
        us => format!("{us} µs"),
    }
}

/// One of a few words.
pub fn word<T: Copy>(option: &str, given: &Given, words: &[(&str, T)]) -> Result<T, Error> {
    if let Given::Text(text) = given
        && let Some((_, value)) = words.iter().find(|(word, _)| word == text)
    {
        return Ok(*value);
    }
    let names: Vec<String> = words.iter().map(|(word, _)| format!("'{word}'")).collect();
    let expected = format!("one of {}", names.join(", "));
    Err(Error::Option(given.refuse(option, &expected, |given| matches!(given, Given::Text(_)))))
}

/// Refuses the first name of `record` that is not among `known`, and suggests the one that was probably meant.
pub fn only_known(place: &str, record: &[(String, Given)], known: &[&str]) -> Result<(), Error> {
    let Some((name, _)) = record.iter().find(|(name, _)| !known.contains(&name.as_str())) else {
        return Ok(());
    };
    let nearest = known
        .iter()
        .map(|known| (distance(&name.to_lowercase(), &known.to_lowercase()), known))
        .min()
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 3));
    Err(Error::UnknownOption(match nearest {
        Some((_, known)) => format!("{place} has no `{name}`: did you mean `{known}`?"),
        None => format!("{place} has no `{name}`: it knows {}", known.join(", ")),
    }))
}

/// Levenshtein's distance: how many letters must be added, removed or replaced.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

/// The value of `name`, `Missing` where there is none.
pub fn field<'a>(record: &'a [(String, Given)], name: &str) -> &'a Given {
    record.iter().find(|(known, _)| known == name).map_or(&Given::Missing, |(_, given)| given)
}

/// Reads an optional value: absent is `default`, anything else is for `read`.
pub fn or_default<'a, T>(
    given: &'a Given,
    default: T,
    read: impl FnOnce(&'a Given) -> Result<T, Error>,
) -> Result<T, Error> {
    if *given == Given::Missing { Ok(default) } else { read(given) }
}
