//! How long what a slot of the overflow says is of meaning, in ticks that suit its limit.

use smallvec::SmallVec;

use crate::algorithm::{Policy, State};
use crate::clock::Micros;

/// After so many ticks they begin anew.
pub(super) const TICKS: u64 = 1 << 12;

/// In so many ticks a limit is as good as new, at most: a quarter of what can be told apart.
const LENGTH: u64 = 1_000;

/// The kind of what belongs to keys under different limits.
pub(super) const COMMON: usize = 15;

/// The length of a tick, and after how many of them so many units are as good as none.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    tick: u64,
    lasts: [u16; 16],
}

impl Pace {
    fn of(policy: &Policy) -> Self {
        Self::new(|units| policy.lasts(units).0)
    }

    /// Of units each of which lasts for `length`.
    pub(super) fn of_all(length: u64) -> Self {
        Self::new(|_| length)
    }

    fn new(lasts: impl Fn(u64) -> u64) -> Self {
        let tick = lasts(15).div_ceil(LENGTH).max(1);
        let ticks = |units: usize| u16::try_from(lasts(units as u64).div_ceil(tick)).unwrap_or(u16::MAX);
        Self { tick, lasts: std::array::from_fn(|units| if units == 0 { 0 } else { ticks(units) }) }
    }

    /// How long the most units last.
    pub(super) fn length(&self) -> u64 {
        self.tick * u64::from(self.lasts[15])
    }

    /// The tick at which a moment is over.
    pub(super) fn tick(&self, at: u64) -> u64 {
        at.div_ceil(self.tick)
    }

    /// The same, as far as a slot has room for it.
    pub(super) fn wrapped(&self, at: u64) -> u16 {
        (self.tick(at) % TICKS) as u16
    }

    /// The moment of `units` that were used at a tick, or no later; `None` if they are as good as none by `now`.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "at most 15")]
    pub(super) fn at(&self, tick: u64, units: u64, now: u64) -> Option<u64> {
        // A moment within this tick was rounded up to the next.
        let next = now / self.tick + 1;
        let age = next.wrapping_sub(tick) % TICKS;
        // Of another pace it may have been rounded up beyond the present.
        (age <= u64::from(self.lasts[units as usize])).then(|| ((next - age) * self.tick).min(now))
    }
}

/// The limits that slots name.
pub(super) struct Kinds {
    known: SmallVec<[(Policy, Pace); 1]>,
    /// That of all of them, and of all that could not be named.
    pub(super) common: Pace,
}

impl Default for Kinds {
    fn default() -> Self {
        Self { known: SmallVec::new(), common: Pace::of_all(1) }
    }
}

impl Kinds {
    /// How long the units of the shortest of them last.
    pub(super) fn shortest(&self) -> u64 {
        self.known.iter().map(|(_, pace)| pace.length()).min().unwrap_or_else(|| self.common.length()).max(1)
    }

    /// The kind of a policy that was added.
    pub(super) fn find(&self, policy: &Policy) -> Option<usize> {
        self.known.iter().position(|(known, _)| known == policy)
    }

    /// Names one more; without a name left it is one of several. What is common must last as long already.
    pub(super) fn add(&mut self, policy: &Policy) -> usize {
        if self.known.len() == COMMON {
            return COMMON;
        }
        self.known.push((*policy, Pace::of(policy)));
        self.known.len() - 1
    }

    /// The only policy of a state's algorithm, if what it counts lasts as long.
    pub(super) fn only_like(&self, state: &State, lasts: Micros) -> Option<usize> {
        let like = |policy: &Policy| std::mem::discriminant(&policy.fresh()) == std::mem::discriminant(state);
        let mut alike = self.known.iter().enumerate().filter(|(_, (policy, _))| like(policy));
        let (kind, (policy, _)) = alike.next()?;
        (alike.next().is_none() && policy.lasts(1) == lasts).then_some(kind)
    }

    /// The pace of a kind.
    #[inline]
    pub(super) fn pace(&self, kind: usize) -> &Pace {
        self.known.get(kind).map_or(&self.common, |(_, pace)| pace)
    }
}
