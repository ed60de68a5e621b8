//! Literal beginnings in the order of their letters, each knowing the longest other that it begins with.
//!
//! All beginnings of a text stand before it in that order, and whatever stands between one of them and the text begins with it, too. So
//! the last one that is not after the text leads, from each to the one that it begins with, to all that the text begins with.

use super::Alike;

/// Begins with no other.
const NONE: u32 = u32::MAX;

/// A pattern where it ends: how long it is among all, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    pub(super) rank: u32,
    pub(super) number: u32,
}

/// A pattern, or what is left of it after the segments before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<'a> {
    pub(super) parts: &'a [Vec<u8>],
    pub(super) has_rest: bool,
    pub(super) slot: Slot,
}

/// What may stand at one place of a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Level(Box<[Entry]>);

#[derive(Clone, Debug)]
struct Entry {
    literal: Box<[u8]>,
    /// The longest other that it begins with.
    before: u32,
    /// The pattern that ends here.
    whole: Option<Slot>,
    /// The pattern that goes on with anything.
    rest: Option<Slot>,
    /// What goes on with a segment, by what comes after that.
    segment: Option<Box<Level>>,
}

impl Level {
    pub(super) fn new(patterns: &mut [Ranked<'_>]) -> Result<Self, Alike> {
        patterns.sort_unstable_by(|one, other| one.parts[0].cmp(&other.parts[0]));
        let mut entries: Vec<Entry> = Vec::new();
        for group in patterns.chunk_by_mut(|one, other| one.parts[0] == other.parts[0]) {
            let literal = group[0].parts[0].as_slice();
            let mut before = u32::try_from(entries.len()).expect("patterns are bounded").wrapping_sub(1);
            while before != NONE && !literal.starts_with(&entries[before as usize].literal) {
                before = entries[before as usize].before;
            }
            entries.push(Entry::new(literal.into(), before, group)?);
        }
        Ok(Self(entries.into()))
    }

    /// Leaves the longest pattern that matches in `best`, where that is longer than what is there.
    pub(super) fn find(&self, text: &[u8], best: &mut Option<Slot>) {
        let after = self.0.partition_point(|entry| *entry.literal <= *text);
        let Some(mut at) = after.checked_sub(1) else { return };
        let same = self.0[at].literal.iter().zip(text).take_while(|(one, other)| one == other).count();
        loop {
            let entry = &self.0[at];
            if entry.literal.len() <= same {
                entry.find(&text[entry.literal.len()..], best);
            }
            at = entry.before as usize;
            if at == NONE as usize {
                return;
            }
        }
    }
}

impl Entry {
    fn new(literal: Box<[u8]>, before: u32, group: &[Ranked<'_>]) -> Result<Self, Alike> {
        let mut entry = Self { literal, before, whole: None, rest: None, segment: None };
        let mut longer: Vec<Ranked<'_>> = Vec::new();
        for pattern in group {
            if pattern.parts.len() > 1 {
                longer.push(Ranked { parts: &pattern.parts[1..], ..*pattern });
                continue;
            }
            let place = if pattern.has_rest { &mut entry.rest } else { &mut entry.whole };
            if let Some(other) = place.replace(pattern.slot) {
                return Err(Alike(other.number as usize, pattern.slot.number as usize));
            }
        }
        if !longer.is_empty() {
            entry.segment = Some(Box::new(Level::new(&mut longer)?));
        }
        Ok(entry)
    }

    fn find(&self, left: &[u8], best: &mut Option<Slot>) {
        let whole = self.whole.filter(|_| left.is_empty());
        *best = (*best).max(whole).max(self.rest);
        if let Some(level) = &self.segment {
            let length = left.iter().position(|byte| *byte == b'/').unwrap_or(left.len());
            if length > 0 {
                level.find(&left[length..], best);
            }
        }
    }
}
