//! A key's history in two numbers, for whom there is no room for more: so many units, as if all had been used at one moment.
//!
//! Where that moment is the last at which any of them was used, it is never laxer than the history itself: of each algorithm,
//! a unit that was used later counts for as long or longer. And it goes on as the algorithm does: units leave a window
//! together, and come back to a bucket one by one.

use super::{Ask, Change, Policy, State};
use crate::clock::Micros;

impl Policy {
    /// The state of a key that was never seen before, and used `units` at `at`: as many as there are, the rest as debt.
    pub(crate) fn spent(&self, units: u64, at: Micros) -> State {
        let mut state = self.fresh();
        if units > 0 {
            self.change(&mut state, at, Change::Penalize(units));
        }
        state
    }

    /// Units that are in use at `now`, rounded up; all of them for a key in debt.
    pub(crate) fn used(&self, state: &State, now: Micros) -> u64 {
        self.capacity() - self.step(&mut state.clone(), now, Ask { cost: 0, least: 0 }).remaining
    }

    /// Whether a key's window begins when it comes, and not when the clock says so or with each unit.
    pub(crate) fn begins_with_a_call(&self) -> bool {
        matches!(self, Self::FixedWindow(_) | Self::FixedWindowBurst(_)) && self.numbers()[2] == 0
    }

    /// Whether units of a window count for less and less in the next one.
    pub(crate) fn wanes(&self) -> bool {
        matches!(self, Self::SlidingCounter(_) | Self::SlidingCounterBurst(_))
    }

    /// How long a key is not as good as new that has used `units`, at the longest.
    pub(crate) fn lasts(&self, units: u64) -> Micros {
        if let Self::Calendar(calendar) = self {
            return if units == 0 { Micros::ZERO } else { calendar.periods().most() };
        }
        // Where windows are the clock's, one that has just begun lasts longest.
        let window = Micros(self.numbers()[1]);
        let mut state = self.fresh();
        self.change(&mut state, window, Change::Penalize(units.min(self.regular()))).reset_at - window
    }
}
