//! The names of actions, as far as they are patterns.

use super::place::{self, Place};
use crate::error::Error;
use crate::rules::Patterns;

/// The patterns among the names of actions, and what each is called; none where every name is a text that stands for itself.
pub(in crate::settings) fn read<'a>(actions: impl Iterator<Item = &'a String>) -> Result<Option<Routes>, Error> {
    let mut names: Vec<String> = actions.cloned().collect();
    names.sort_unstable();
    let places: Vec<Place<'_>> = names.iter().map(|text| Place { list: "actions", index: None, text }).collect();
    let is_plain = |place: &Place<'_>| Ok::<_, Error>(place.pattern()?.is_plain(place.text));
    if places.iter().map(is_plain).collect::<Result<Vec<_>, _>>()?.into_iter().all(|is_plain| is_plain) {
        return Ok(None);
    }
    let patterns = place::compile(&places, "actions")?;
    Ok(Some(Routes { patterns, names }))
}

/// The names of actions, by the patterns that these are.
#[derive(Clone, Debug)]
pub struct Routes {
    patterns: Patterns,
    names: Vec<String>,
}

impl Routes {
    /// The name of the longest that matches.
    pub fn find(&self, action: &str) -> Option<&str> {
        self.patterns.find(action.as_bytes()).map(|number| self.names[number].as_str())
    }
}
