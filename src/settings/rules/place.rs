//! Where patterns were given, which is said of those that are wrong.

use std::fmt;

use crate::error::{Class, Error, Rejection};
use crate::input::contradiction;
use crate::rules::{Alike, Pattern, Patterns};

/// The most patterns of one limiter, those of all its lists together.
pub const MOST_PATTERNS: usize = 100_000;

/// The longest pattern, in characters.
const LONGEST_PATTERN: usize = 256;

/// Where a pattern was given.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Such as `deny`, or `deny.ip`.
    pub(super) list: &'a str,
    /// None in an object, where the pattern is the name.
    pub(super) index: Option<usize>,
    pub(super) text: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, index, text } = self;
        match index {
            Some(index) => write!(f, "`{list}[{index}]` ('{text}')"),
            None => write!(f, "`{list}` of '{text}'"),
        }
    }
}

impl Place<'_> {
    /// What stands there.
    pub(super) fn pattern(&self) -> Result<Pattern, Error> {
        let wrong = |what: String| {
            Error::Option(Rejection { class: Class::Range, message: format!("{self} is a pattern {what}") })
        };
        let length = self.text.chars().count();
        if !(1..=LONGEST_PATTERN).contains(&length) {
            return Err(wrong(format!("of {length} characters: give it 1 to {LONGEST_PATTERN}")));
        }
        Pattern::read(self.text).map_err(wrong)
    }
}

/// All that stand there, of `what` they match. None of them may match the same as another.
pub(super) fn compile(places: &[Place<'_>], what: &str) -> Result<Patterns, Error> {
    at_most(places.len())?;
    let patterns = places.iter().map(Place::pattern).collect::<Result<Vec<_>, _>>()?;
    Patterns::new(&patterns).map_err(|Alike(one, other)| {
        let (one, other) = (places[one.min(other)], places[one.max(other)]);
        contradiction(format!("{one} and {other} match the same {what}: leave one of them out"))
    })
}

/// Refuses more patterns than a limiter may have.
pub(super) fn at_most(count: usize) -> Result<(), Error> {
    if count <= MOST_PATTERNS {
        return Ok(());
    }
    let message =
        format!("a limiter has up to {MOST_PATTERNS} patterns, but {count} were given: use prefixes and networks");
    Err(Error::Option(Rejection { class: Class::Range, message }))
}
