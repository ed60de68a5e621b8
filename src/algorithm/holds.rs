//! Units of a key that are kept back until somebody says how many were used, or until the hold ends by itself.
//!
//! Holds lie over a key's state, as a block does and beneath it, so every algorithm has them. What is held is not spent: it is missing
//! from what others may take, and nothing else. Settling a hold takes what was really used from the state beneath, and what is left
//! of it is free at once.
//!
//! A hold is named by the microsecond at which it ends, which no two of a key have in common. So nobody has to make up a name for it,
//! and whoever holds it knows until when.

use super::{Ask, Change, Outcome, Policy, State, block};
use crate::clock::Micros;
use crate::wire;

/// Holds that a key has at most: as a value they are 49 kB, which is written anew with each of them.
pub const MOST_HOLDS: usize = 4_096;

/// What the state of a held key begins with, where others have their version.
const HELD: u8 = 3;

/// What lies over the state of a key of which units are held.
#[derive(Clone, Debug)]
pub struct Held {
    /// The first to end first.
    holds: Vec<Hold>,
    /// Of all of them.
    units: u64,
    /// What is decided by when they have ended.
    pub(super) beneath: State,
}

#[derive(Clone, Copy, Debug)]
struct Hold {
    ends: Micros,
    units: u64,
}

impl Held {
    fn find(&self, ends: Micros) -> Result<usize, usize> {
        self.holds.binary_search_by_key(&ends, |hold| hold.ends)
    }

    fn insert(&mut self, hold: Hold) {
        if let Err(place) = self.find(hold.ends) {
            self.units += hold.units;
            self.holds.insert(place, hold);
        }
    }

    /// Takes out those that have ended.
    fn end(&mut self, now: Micros) {
        let ended = self.holds.partition_point(|hold| hold.ends <= now);
        let units: u64 = self.holds.drain(..ended).map(|hold| hold.units).sum();
        self.units -= units;
    }

    fn last_end(&self) -> Micros {
        self.holds.last().map_or(Micros::ZERO, |hold| hold.ends)
    }

    pub(super) fn heap(&self) -> usize {
        block(size_of::<Self>()) + block(self.holds.capacity() * size_of::<Hold>()) + self.beneath.heap()
    }

    pub(super) fn encode(&self, kept: Micros) -> Vec<u8> {
        let mut out = vec![HELD];
        wire::put::<7>(&mut out, self.units);
        wire::put::<2>(&mut out, self.holds.len() as u64);
        for hold in &self.holds {
            wire::put::<7>(&mut out, hold.ends.0);
            wire::put::<5>(&mut out, hold.units);
        }
        out.extend(self.beneath.encode(kept));
        out
    }
}

impl State {
    /// What lies beneath a block.
    fn unblocked(&mut self) -> &mut Self {
        match self {
            Self::Blocked(blocked) => &mut blocked.beneath,
            other => other,
        }
    }

    /// What the algorithm itself counts, beneath whatever lies over it.
    pub(super) fn own(&mut self) -> &mut Self {
        match self.unblocked() {
            Self::Held(held) => &mut held.beneath,
            own => own,
        }
    }

    /// The first moment from `ends` on at which no hold ends. Each ends later than the one before, so those without a gap are found by
    /// halves.
    pub(crate) fn free_end(&mut self, ends: Micros) -> Micros {
        let Self::Held(held) = self.unblocked() else { return ends };
        let Ok(first) = held.find(ends) else { return ends };
        let (mut low, mut high) = (first, held.holds.len());
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            if held.holds[middle].ends == ends + Micros((middle - first) as u64) {
                low = middle;
            } else {
                high = middle;
            }
        }
        ends + Micros((low - first + 1) as u64)
    }

    /// Takes out the hold that ends then, if it has not ended yet. Answers its units.
    fn remove_hold(&mut self, now: Micros, ends: Micros) -> Option<u64> {
        let Self::Held(held) = self.unblocked() else { return None };
        let place = held.find(ends).ok().filter(|_| ends > now)?;
        let Hold { units, .. } = held.holds.remove(place);
        held.units -= units;
        Some(units)
    }
}

impl Policy {
    /// What [`Held::encode`] has written, or the state of a key that nothing is held of.
    pub(super) fn restore_held(&self, value: &[u8]) -> Option<State> {
        let Some(mut rest) = value.strip_prefix(&[HELD]) else { return self.restore_own(value) };
        let units = wire::take::<7>(&mut rest)?;
        let count = wire::take::<2>(&mut rest)?;
        let hold = |_| Some(Hold { ends: Micros(wire::take::<7>(&mut rest)?), units: wire::take::<5>(&mut rest)? });
        let holds = (0..count).map(hold).collect::<Option<Vec<_>>>()?;
        // What does not add up was damaged.
        if holds.iter().map(|hold| hold.units).sum::<u64>() != units
            || !holds.is_sorted_by(|one, next| one.ends < next.ends)
        {
            return None;
        }
        let beneath = if rest.is_empty() { self.fresh() } else { self.restore_own(rest)? };
        Some(State::Held(Box::new(Held { holds, units, beneath })))
    }

    /// Says whether `units` can be held, and takes nothing. A key that has as many holds as it may have is refused until one ends.
    pub fn look_to_hold(&self, state: &mut State, now: Micros, units: u64) -> Outcome {
        let look = self.step(state, now, Ask::look(units));
        match state {
            State::Held(held) if held.holds.len() >= MOST_HOLDS => {
                let retry_after = look.retry_after.max(held.holds[0].ends - now);
                Outcome { allowed: false, retry_after, delay: Micros::ZERO, ..look }
            }
            _ => look,
        }
    }

    /// Holds `units` until `ends`, where a [look](Self::look_to_hold) has just allowed it and no other hold has that end.
    pub fn hold(&self, state: &mut State, now: Micros, units: u64, ends: Micros) -> Outcome {
        let place = state.unblocked();
        if !matches!(place, State::Held(_)) {
            let beneath = std::mem::replace(place, self.fresh());
            *place = State::Held(Box::new(Held { holds: Vec::with_capacity(1), units: 0, beneath }));
        }
        if let State::Held(held) = place {
            held.insert(Hold { ends, units });
        }
        let left = self.step(state, now, Ask { cost: 0, least: 0 });
        Outcome { granted: units, booked: ends, ..left }
    }

    /// Ends the hold that ends at `ends`, and takes `units` whether they are there or not: what was used of it. Answers what a call of
    /// one unit is told then, and in `booked` the end of the hold, zero where it was gone.
    pub fn settle(&self, state: &mut State, now: Micros, ends: Micros, units: u64) -> Outcome {
        let held = state.remove_hold(now, ends);
        if units > 0 {
            self.change_own(state.own(), now, Change::Penalize(units));
        }
        let booked = if held.is_some() { ends } else { Micros::ZERO };
        Outcome { booked, ..self.step(state, now, Ask::look(1)) }
    }

    /// Has the hold that ends at `ends` end so much after now instead. Answers as [`settle`](Self::settle) does, `booked` being the new
    /// end.
    pub fn renew(&self, state: &mut State, now: Micros, ends: Micros, ttl: Micros) -> Outcome {
        let mut booked = Micros::ZERO;
        if let Some(units) = state.remove_hold(now, ends) {
            booked = state.free_end(now + ttl);
            self.hold(state, now, units, booked);
        }
        Outcome { booked, ..self.step(state, now, Ask::look(1)) }
    }

    /// A step beneath holds.
    #[cold]
    pub(super) fn step_held(&self, state: &mut State, now: Micros, ask: Ask) -> Outcome {
        let State::Held(held) = state else { return self.step(state, now, ask) };
        held.end(now);
        if held.holds.is_empty() {
            *state = std::mem::replace(&mut held.beneath, self.fresh());
            return self.step(state, now, ask);
        }
        let look = self.step(&mut held.beneath, now, Ask { cost: 0, least: 0 });
        let free = look.remaining.saturating_sub(held.units);
        let told = match ask.of(free) {
            Some(0) => Outcome { remaining: free, ..look },
            Some(units) => Outcome { remaining: free - units, ..self.step(&mut held.beneath, now, Ask::all(units)) },
            None => Outcome {
                allowed: false,
                granted: 0,
                remaining: free,
                retry_after: self.wait_under(held, now, ask.least),
                delay: Micros::ZERO,
                ..look
            },
        };
        Outcome { reset_at: told.reset_at.max(held.last_end()), ..told }
    }

    /// How long until there are `least` units, if nothing is settled and nothing else taken: the first moment at which so many holds have
    /// ended, and so much has come back beneath, that both are enough.
    ///
    /// With each hold that ends the wait for the rest becomes shorter, and the end itself comes later. So the moment is where the two
    /// cross, which is looked for near the first of them and then by halves.
    fn wait_under(&self, held: &mut Held, now: Micros, least: u64) -> Micros {
        let count = held.holds.len();
        let Held { holds, units, beneath } = held;
        // What is still held after each end that was asked for.
        let mut left = vec![*units];
        // How long until there is room for the call beside what is held after so many ends. Never, where there is no such room.
        let mut wait = |ended: usize| {
            while left.len() <= ended {
                left.push(left[left.len() - 1] - holds[left.len() - 1].units);
            }
            let wanted = least + left[ended];
            let fits = wanted <= self.capacity() || ended == count;
            fits.then(|| self.step(beneath, now, Ask::look(wanted)).retry_after)
        };
        let until = |ended: usize| holds[ended - 1].ends - now;
        let mut comes_first = |ended: usize| wait(ended).is_some_and(|wait| until(ended) >= wait);
        let (mut low, mut high) = (0, 1);
        while !comes_first(high) {
            if high == count {
                return wait(count).unwrap_or(Micros::ZERO);
            }
            (low, high) = (high, (2 * high).min(count));
        }
        while high - low > 1 {
            let middle = usize::midpoint(low, high);
            if comes_first(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        wait(low).map_or(until(high), |wait| wait.min(until(high)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Concurrency;
    use super::*;

    #[test]
    fn what_does_not_add_up_is_not_restored() {
        let policy = Policy::Concurrency(Concurrency::new(10));
        let mut state = policy.fresh();
        for (units, ends) in [(3, 11), (2, 12)] {
            policy.hold(&mut state, Micros(1), units, Micros(ends));
        }
        let written = state.encode(Micros::ZERO);
        let restored = |damage: &dyn Fn(&mut Vec<u8>)| {
            let mut value = written.clone();
            damage(&mut value);
            policy.restore_held(&value).is_some()
        };
        assert!(restored(&|_| ()));
        // Behind the version: of all units the lowest byte is the seventh, of the first end it is the sixteenth, of the second the 28th.
        assert_eq!((written[7], written[16], written[28]), (5, 11, 12));
        assert!(!restored(&|value| value[7] = 4), "less than are held");
        assert!(!restored(&|value| value[7] = 6), "more");
        assert!(!restored(&|value| value.copy_within(10..17, 22)), "two that end at once");
        assert!(!restored(&|value| value[22..29].fill(0)), "one that ends before another");
    }
}
