//! The promise of a windowed algorithm with a burst: what its parts decide together, and in any window at most
//! `extra × (1 + window / burst window)` units more than the algorithm itself promises.

use proptest::prelude::*;

use super::{Model, is_told, model};
use crate::algorithm::{Algorithm, Ask, Change, FixedWindow, Outcome, Policy, State, Windowed, WithBurst};
use crate::clock::Micros;
use crate::tests::schedule::{Op, START};

/// One part, which is itself held to its promise.
struct Part {
    policy: Policy,
    state: State,
    model: Box<dyn Model>,
}

impl Part {
    fn new(policy: Policy) -> Self {
        Self { policy, state: policy.fresh(), model: model(&policy) }
    }

    fn look(&self, now: Micros, units: u64) -> Outcome {
        self.policy.step(&mut self.state.clone(), now, Ask::look(units))
    }

    fn free(&self, now: Micros) -> u64 {
        self.look(now, 0).remaining
    }

    fn apply(&mut self, now: Micros, op: Op) -> Result<(), TestCaseError> {
        let outcome = op.apply(&self.policy, &mut self.state, now);
        self.model.watch(now, op, &outcome)
    }
}

/// What is counted by the windows of a part.
type Counted = Box<dyn Fn(&State, Micros) -> u64>;

pub(super) struct Parts {
    base: Part,
    extra: Part,
    counted: Counted,
    /// The most that the windows admit in any interval of their length.
    most: u64,
    window: Micros,
    /// The bucket's numbers, and what it holds in units of 1/window.
    size: i128,
    scale: i128,
    level: (Micros, i128),
    /// What was taken, less what was given back, from the windows and from the bucket in units of 1/window.
    taken: Vec<(Micros, i128, i128)>,
}

impl Parts {
    /// `most` is what the windows promise of any interval, of their limit.
    pub(super) fn new<A: Windowed + Copy + 'static>(
        limiter: &WithBurst<A>,
        policy: fn(A) -> Policy,
        own: fn(&State) -> &A::State,
        most: fn(u64) -> u64,
    ) -> Self {
        let (base, extra) = limiter.parts();
        let numbers = Policy::TokenBucket(extra).numbers();
        let (size, scale) = (i128::from(numbers[0]), i128::from(numbers[1]));
        let base_policy = policy(base);
        Self {
            window: Micros(base_policy.numbers()[1]),
            base: Part::new(base_policy),
            extra: Part::new(Policy::TokenBucket(extra)),
            counted: Box::new(move |state, now| base.counted(own(state), now)),
            most: most(base.capacity()),
            size,
            scale,
            level: (START, size * scale),
            taken: Vec::new(),
        }
    }

    fn take(&mut self, now: Micros, base: u64, extra: u64) -> Result<(), TestCaseError> {
        for (part, units) in [(&mut self.base, base), (&mut self.extra, extra)] {
            if units > 0 {
                part.apply(now, Op::Ask(Ask::all(units)))?;
            }
        }
        let extra = i128::from(extra) * self.scale;
        self.level.1 -= extra;
        self.taken.push((now, i128::from(base), extra));
        Ok(())
    }

    fn give_back(&mut self, now: Micros, units: u64) -> Result<(), TestCaseError> {
        let base = units.min((self.counted)(&self.base.state, now));
        self.base.apply(now, Op::Change(Change::Refund(base)))?;
        self.extra.apply(now, Op::Change(Change::Refund(units - base)))?;
        let missing = self.size * self.scale - self.level.1;
        let extra = missing.min(i128::from(units - base) * self.scale);
        self.level.1 += extra;
        self.taken.push((now, -i128::from(base), -extra));
        Ok(())
    }

    fn penalize(&mut self, now: Micros, units: u64) -> Result<(), TestCaseError> {
        let base = units.min(self.base.free(now));
        let extra = (units - base).min(self.extra.free(now));
        let debt = units - base - extra;
        let debt_of_base = debt.min(self.base.policy.capacity());
        let (base, extra) = (base + debt_of_base, extra + debt - debt_of_base);
        self.base.apply(now, Op::Change(Change::Penalize(base)))?;
        self.extra.apply(now, Op::Change(Change::Penalize(extra)))?;
        let lowest = self.level.1.min(-self.size * self.scale);
        self.level.1 = lowest.max(self.level.1 - i128::from(extra) * self.scale);
        Ok(())
    }

    /// Whatever the interval that ends now, if it is no longer than a window.
    fn keeps_its_promise(&self, now: Micros) -> Result<(), TestCaseError> {
        let most = i128::from(self.most) * self.scale + self.size * (self.scale + i128::from(self.window.0));
        let mut sum = 0;
        for (_, base, extra) in self.taken.iter().rev().take_while(|(at, ..)| *at + self.window > now) {
            sum += base * self.scale + extra;
            prop_assert!(sum <= most, "{} admitted of {}", sum / self.scale, most / self.scale);
        }
        Ok(())
    }

    /// The soonest of all ways to share out `least` units.
    fn wait(&self, now: Micros, least: u64) -> Micros {
        let of_base = |units| self.base.look(now, units).retry_after;
        let of_extra = |units| self.extra.look(now, units).retry_after;
        let (limit, extra) = (self.base.policy.capacity(), self.extra.policy.capacity());
        let shares = least.saturating_sub(extra)..=least.min(limit);
        shares.map(|share| of_base(share).max(of_extra(least - share))).min().expect("no more than both can hold")
    }
}

impl Model for Parts {
    fn watch(&mut self, now: Micros, op: Op, outcome: &Outcome) -> Result<(), TestCaseError> {
        let gained = i128::from((now - self.level.0).0) * self.size;
        self.level = (now, (self.size * self.scale).min(self.level.1 + gained));
        match op {
            Op::Change(Change::Refund(units)) => self.give_back(now, units)?,
            Op::Change(Change::Penalize(units)) => self.penalize(now, units)?,
            Op::Change(Change::Reserve(_)) => panic!("a window cannot be booked ahead"),
            Op::Change(Change::Lease { .. } | Change::GiveBack { .. }) => panic!("nothing is leased of it"),
            Op::Ask(_) => {}
        }
        let ask = op.ask();
        let base = self.base.free(now);
        is_told(outcome, ask, base + self.extra.free(now))?;
        if outcome.granted > 0 {
            let share = outcome.granted.min(base);
            self.take(now, share, outcome.granted - share)?;
            self.keeps_its_promise(now)?;
        }
        if !outcome.allowed && ask.least < 100 {
            prop_assert_eq!(outcome.retry_after, self.wait(now, ask.least));
        }
        prop_assert_eq!(outcome.reset_at, self.base.look(now, 0).reset_at.max(self.extra.look(now, 0).reset_at));
        Ok(())
    }

    fn longest(&self) -> Micros {
        self.base.model.longest().max(self.extra.model.longest())
    }
}

/// Units of the windows come back soon and those of the bucket do not: were they given back to the bucket, a client that takes
/// one and gives it back, time and again, would fill it.
#[test]
fn what_is_given_back_does_not_fill_the_bucket() {
    let (limit, second, day) = (10, Micros::from_millis(1_000), Micros::from_millis(86_400_000));
    let limiter = WithBurst::new(FixedWindow::new(limit, second, false), 5, day);
    let mut state = Default::default();
    let mut now = START;
    assert!(limiter.step(&mut state, now, Ask::all(limit + 5)).allowed);
    for _ in 0..100 {
        now = now + second;
        assert_eq!(limiter.step(&mut state, now, Ask::all(1)).remaining, limit - 1);
        limiter.refund(&mut state, now, 1);
        assert_eq!(limiter.step(&mut state, now, Ask::look(1)).remaining, limit);
    }
}
