//! Durations: what is accepted is what the grammar says, within the range, and off by no more than a double's rounding.

#![no_main]

use distributed_rate_limiter::clock::Micros;
use distributed_rate_limiter::input::{Given, duration, whole};
use distributed_rate_limiter::policy::MAX_WINDOW;
use distributed_rate_limiter_fuzz::is_worded;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, arbitrary::Arbitrary)]
enum Input {
    Text(String),
    Number(f64),
    Made { whole: u64, fraction: Option<u32>, unit: u8 },
}

fuzz_target!(|input: Input| {
    let given = match input {
        Input::Text(text) => Given::Text(text),
        Input::Number(number) => Given::Number(number),
        Input::Made { whole, fraction, unit } => {
            let unit = ["ms", "s", "m", "h", "d"][usize::from(unit) % 5];
            let fraction = fraction.map(|digits| format!(".{digits}")).unwrap_or_default();
            Given::Text(format!("{}{fraction}{unit}", whole >> (unit.len() * 8)))
        }
    };
    for range in [Micros(1)..=MAX_WINDOW, Micros::ZERO..=Micros(86_400_000_000)] {
        let read = duration("window", &given, range.clone());
        if let Err(error) = &read {
            is_worded(error);
        }
        match exact(&given) {
            // In the middle of the range it is taken, and it is what was said.
            Some(exact) => {
                let (least, most) = (i128::from(range.start().0) * NANO, i128::from(range.end().0) * NANO);
                // A double has 53 bits, and there are two roundings before that to the microsecond.
                let slack = NANO / 2 + (exact >> 51) + 1;
                match read {
                    Ok(micros) => {
                        let off = (i128::from(micros.0) * NANO - exact).abs();
                        assert!(off <= slack, "{given:?} became {micros:?}, {off} / 10^12 off");
                        assert!(range.contains(&micros), "{given:?} became {micros:?}");
                    }
                    Err(error) => assert!(exact < least + slack || exact > most - slack, "{given:?}: {error}"),
                }
            }
            None => match (&given, read) {
                (Given::Text(text), Ok(micros)) => assert!(is_plain(text), "{text:?} became {micros:?}"),
                (_, Ok(micros)) => assert!(range.contains(&micros)),
                (_, Err(_)) => {}
            },
        }
    }
    if let Ok(number) = whole("limit", &given, 1..=1 << 32) {
        assert_eq!(given, Given::Number(number as f64));
    }
});

/// Parts of a microsecond.
const NANO: i128 = 1_000_000_000_000;

/// Digits, perhaps a point and digits, a unit.
fn is_plain(text: &str) -> bool {
    split(text).is_some()
}

fn split(text: &str) -> Option<(&str, &str, i128)> {
    let (number, scale) =
        [("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000)]
            .into_iter()
            .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    let (whole, fraction) = number.split_once('.').map_or((number, "0"), |parts| parts);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(fraction)).then_some((whole, fraction, scale))
}

/// What a text says, in parts of a microsecond; none where it is no duration, or has more digits than fit.
fn exact(given: &Given) -> Option<i128> {
    let Given::Text(text) = given else { return None };
    let (whole, fraction, scale) = split(text)?;
    if whole.len() > 12 || fraction.len() > 12 {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<12}").parse().ok()?;
    Some(whole.parse::<i128>().ok()? * scale * NANO + fraction * scale)
}
