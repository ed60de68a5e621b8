//! Sliding window: a log of arrivals, grouped by slots of absolute time.
//!
//! In any rolling interval of length `window` (half-open) the admitted cost never exceeds `limit`. Arrivals within one slot
//! share a group that is forgotten `window` after its **newest** member, so grouping can only make the log stricter: a unit
//! comes back less than a slot late. Memory is at most `resolution + 1` groups, whatever the limit. Slots are of absolute
//! time, since a group that grew with each arrival would be kept alive for ever by a steady stream.
//!
//! The log is the "sliding window log" of the literature; the grouping is this library's own.

use std::collections::VecDeque;

use smallvec::smallvec;

use super::{Algorithm, Ask, Numbers, Outcome, VERSION, Windowed, block};
use crate::arithmetic::quotient;
use crate::clock::Micros;
use crate::wire;

/// A limit on every rolling window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlidingWindow {
    limit: u64,
    window: Micros,
    slot: u64,
}

/// What was admitted within the last window.
///
/// Most keys are quiet: one group needs no memory but the state's own, and no second place to look at, which costs more than
/// the arithmetic.
#[derive(Clone, Debug)]
pub enum Log {
    /// At most one group; none where it counts nothing.
    One(Group),
    /// Several.
    Many(Box<Groups>),
}

/// Arrivals of one slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Group {
    /// When the newest member was admitted.
    newest: Micros,
    count: u64,
}

/// Several groups, oldest first.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The sum of all counts.
    total: u64,
    list: VecDeque<Group>,
}

impl Default for Log {
    fn default() -> Self {
        Self::One(Group::default())
    }
}

impl Log {
    fn total(&self) -> u64 {
        match self {
            Self::One(group) => group.count,
            Self::Many(groups) => groups.total,
        }
    }

    /// Oldest first.
    fn groups(&self) -> impl Iterator<Item = &Group> {
        let (one, many) = match self {
            Self::One(group) => (Some(group).filter(|group| group.count > 0), None),
            Self::Many(groups) => (None, Some(&groups.list)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    #[inline]
    fn newest(&self) -> Option<Micros> {
        match self {
            Self::One(group) => (group.count > 0).then_some(group.newest),
            Self::Many(groups) => groups.list.back().map(|group| group.newest),
        }
    }

    /// Makes one group of each two, which counts until the newer one's end: coarser, hence only stricter. Answers whether there
    /// were two.
    fn halve(&mut self) -> bool {
        let Self::Many(groups) = self else { return false };
        let mut halved = VecDeque::with_capacity(groups.list.len().div_ceil(2));
        while let Some(older) = groups.list.pop_front() {
            let newer = groups.list.pop_front();
            halved.push_back(
                newer.map_or(older, |newer| Group { newest: newer.newest, count: older.count + newer.count }),
            );
        }
        match halved.len() {
            0 | 1 => *self = Self::One(halved.pop_front().unwrap_or_default()),
            _ => groups.list = halved,
        }
        true
    }

    fn push(&mut self, group: Group) {
        match self {
            Self::One(one) if one.count == 0 => *one = group,
            Self::One(one) => {
                let list = VecDeque::from([*one, group]);
                *self = Self::Many(Box::new(Groups { total: one.count + group.count, list }));
            }
            Self::Many(groups) => {
                groups.total += group.count;
                groups.list.push_back(group);
            }
        }
    }

    /// Takes up to `units` out of the newest group for which that is wanted.
    fn take_out(&mut self, units: u64, is_wanted: impl Fn(&Group) -> bool) {
        match self {
            Self::One(one) if one.count > units => one.count -= if is_wanted(one) { units } else { 0 },
            Self::One(one) if one.count > 0 && is_wanted(one) => *self = Self::default(),
            Self::One(_) => {}
            Self::Many(groups) => {
                let Some(index) = groups.list.iter().rposition(is_wanted) else { return };
                let taken = units.min(groups.list[index].count);
                groups.total -= taken;
                groups.list[index].count -= taken;
                if groups.list[index].count == 0 {
                    groups.list.remove(index);
                }
                if groups.list.is_empty() {
                    *self = Self::default();
                }
            }
        }
    }

    /// Gives back up to `units`, from the oldest groups on: what is given back from the newest would leave the window last.
    fn give_back(&mut self, mut units: u64) {
        if units >= self.total() {
            *self = Self::default();
            return;
        }
        match self {
            Self::One(one) => one.count -= units,
            Self::Many(groups) => {
                groups.total -= units;
                while let Some(oldest) = groups.list.front_mut() {
                    if oldest.count > units {
                        oldest.count -= units;
                        break;
                    }
                    units -= oldest.count;
                    groups.list.pop_front();
                }
            }
        }
    }
}

impl SlidingWindow {
    /// `limit` units in any `window`, counted in `resolution` slots; to the microsecond where `limit <= resolution`, since
    /// then a group a unit is no more memory than a group a slot.
    pub(crate) fn new(limit: u64, window: Micros, resolution: u64) -> Self {
        let slot = if limit <= resolution { 1 } else { window.0.div_ceil(resolution) };
        Self { limit, window, slot }
    }

    /// How late a spent unit may come back: less than this.
    pub fn slot(&self) -> Micros {
        Micros(self.slot)
    }

    #[inline]
    fn forget(&self, log: &mut Log, now: Micros) {
        let gone = |group: &Group| group.newest + self.window <= now;
        match log {
            Log::One(one) if one.count == 0 || !gone(one) => {}
            Log::One(_) => *log = Log::default(),
            Log::Many(groups) => {
                while let Some(oldest) = groups.list.front()
                    && gone(oldest)
                {
                    groups.total -= oldest.count;
                    groups.list.pop_front();
                }
                if groups.list.is_empty() {
                    *log = Log::default();
                }
            }
        }
    }

    /// After the clock jumped back, what lies in the future is brought to the present: no later than it can have been, and no
    /// key waits longer than one window.
    #[inline]
    fn clamp(&self, log: &mut Log, now: Micros) {
        match log {
            Log::One(one) => one.newest = one.newest.min(now),
            Log::Many(groups) => {
                let mut ahead = 0;
                while let Some(newest) = groups.list.back()
                    && newest.newest > now
                {
                    ahead += newest.count;
                    groups.list.pop_back();
                }
                if ahead > 0 {
                    groups.total -= ahead;
                    self.append(log, now, ahead);
                }
            }
        }
    }

    fn append(&self, log: &mut Log, now: Micros, count: u64) {
        let (last, total) = match log {
            Log::One(one) => (Some(one).filter(|one| one.count > 0), None),
            Log::Many(groups) => (groups.list.back_mut(), Some(&mut groups.total)),
        };
        match last {
            Some(last) if self.same_slot(last.newest, now) => {
                last.newest = now;
                last.count += count;
                if let Some(total) = total {
                    *total += count;
                }
            }
            _ => log.push(Group { newest: now, count }),
        }
    }

    /// Whether `earlier` is in the slot of `now`.
    fn same_slot(&self, earlier: Micros, now: Micros) -> bool {
        let age = now.0 - earlier.0;
        age < self.slot && age <= now.0 - quotient(now.0, self.slot) * self.slot
    }

    /// When enough has been forgotten for `least` units to fit.
    fn room_at(&self, log: &Log, least: u64) -> Option<Micros> {
        let mut missing = (log.total() + least).saturating_sub(self.limit);
        let group = log.groups().find(|group| {
            missing = missing.saturating_sub(group.count);
            missing == 0
        })?;
        Some(group.newest + self.window)
    }
}

impl Algorithm for SlidingWindow {
    type State = Log;

    const NAME: &'static str = "sliding-window";

    #[inline(never)]
    fn step(&self, log: &mut Log, now: Micros, ask: Ask) -> Outcome {
        self.forget(log, now);
        self.clamp(log, now);
        let free = self.limit.saturating_sub(log.total());
        let granted = ask.of(free);
        if let Some(granted) = granted.filter(|granted| *granted > 0) {
            self.append(log, now, granted);
        }
        let wait = || self.room_at(log, ask.least).map_or(self.window, |at| at - now);
        let reset_at = log.newest().map_or(now, |newest| newest + self.window);
        Outcome::of(granted, free, wait, reset_at)
    }

    fn refund(&self, log: &mut Log, now: Micros, units: u64) {
        self.forget(log, now);
        self.clamp(log, now);
        log.give_back(units);
    }

    fn penalize(&self, log: &mut Log, now: Micros, units: u64) {
        self.forget(log, now);
        self.clamp(log, now);
        let debt = units.min((2 * self.limit).saturating_sub(log.total()));
        if debt > 0 {
            self.append(log, now, debt);
        }
    }

    /// All of them: of a limit that leases every unit counts for as much longer as a lease lasts.
    fn spare(&self, _log: &Log, _now: Micros, free: u64, _term: Micros) -> u64 {
        free
    }

    fn lease(&self, log: &mut Log, now: Micros, units: u64, _term: Micros) {
        self.step(log, now, Ask::all(units));
    }

    /// Out of the group of the slot in which they were leased. One that was begun after a reset ends no sooner than it was booked in.
    fn give_back(&self, log: &mut Log, now: Micros, units: u64, booked: Micros) {
        self.forget(log, now);
        self.clamp(log, now);
        let is_own = |group: &Group| group.newest >= booked && group.newest.0 / self.slot == booked.0 / self.slot;
        log.take_out(units, is_own);
    }

    fn lasting(self, longer: Micros) -> Self {
        Self { window: self.window + longer, ..self }
    }

    fn seen(log: &Log) -> Micros {
        log.newest().unwrap_or_default()
    }

    fn units(log: &Log) -> Option<u64> {
        Some(log.total())
    }

    #[inline]
    fn heap(log: &Log) -> usize {
        match log {
            Log::One(_) => 0,
            Log::Many(groups) => block(size_of::<Groups>()) + block(groups.list.capacity() * size_of::<Group>()),
        }
    }

    #[inline]
    fn is_flat(log: &Log) -> bool {
        matches!(log, Log::One(_))
    }

    fn compact(log: &mut Log) -> bool {
        log.halve()
    }

    fn capacity(&self) -> u64 {
        self.limit
    }

    /// In the same slots, so that what was counted in them stays comparable.
    fn scaled(&self, parts: u64, of: u64) -> Self {
        Self { limit: (self.limit * parts).div_ceil(of), ..*self }
    }

    fn numbers(&self) -> Numbers {
        smallvec![self.limit, self.window.0, self.slot]
    }

    fn encode(log: &Log, kept: Micros) -> Vec<u8> {
        let groups = if let Log::Many(groups) = log { groups.list.len() } else { 1 };
        let mut out = Vec::with_capacity(13 + 12 * groups);
        out.push(VERSION);
        wire::put::<7>(&mut out, kept.0);
        wire::put::<5>(&mut out, log.total());
        for group in log.groups() {
            wire::put::<7>(&mut out, group.newest.0);
            wire::put::<5>(&mut out, group.count);
        }
        out
    }

    fn decode(mut body: &[u8]) -> Option<Log> {
        let total = wire::take::<5>(&mut body)?;
        let group =
            |body: &mut &[u8]| Some(Group { newest: Micros(wire::take::<7>(body)?), count: wire::take::<5>(body)? });
        let first = group(&mut body)?;
        if body.is_empty() {
            return (first.count == total).then_some(Log::One(first));
        }
        // With room for one more, which mostly comes next.
        let mut list = VecDeque::with_capacity(2 + body.len() / 12);
        list.push_back(first);
        while !body.is_empty() {
            list.push_back(group(&mut body)?);
        }
        let sum: u64 = list.iter().map(|group| group.count).sum();
        (sum == total).then(|| Log::Many(Box::new(Groups { total, list })))
    }
}

impl Windowed for SlidingWindow {
    fn counted(&self, log: &Log, now: Micros) -> u64 {
        log.groups().filter(|group| group.newest + self.window > now).map(|group| group.count).sum()
    }
}
