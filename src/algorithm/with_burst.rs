//! A windowed algorithm with a burst: a token bucket beside it, from which what the windows refuse may still be taken.
//!
//! A call takes from the windows what is free there, and the rest from the bucket, of `extra` units refilled over a window of
//! its own; it is refused where both together have too little. So in any window there are at most `extra × (1 + window /
//! burst window)` units more than the algorithm itself promises: for the sliding window, at most `limit` and these.
//!
//! What is given back goes to the windows first, and only what they do not count any more to the bucket. The bucket's units are
//! the scarcer ones: were it first, a client could take units of the windows and give them back until its bucket is full. Each
//! part keeps its own promise over what was taken from it less what was given back to it, hence so does their sum.
//!
//! A penalty takes what is free in the same order as a call. What goes beyond is debt: of the windows, as far as they take it,
//! and above their limit of the bucket.

use super::token_bucket::Bucket;
use super::{Algorithm, Ask, Numbers, Outcome, TokenBucket, VERSION, block};
use crate::clock::Micros;
use crate::wire;

/// Asks for nothing, to be told what is there.
const LOOK: Ask = Ask { cost: 0, least: 0 };

/// What a burst can be added to: an algorithm that counts units and forgets them with time.
pub trait Windowed: Algorithm {
    /// Units that are counted at `now`: as many as a refund can give back.
    fn counted(&self, state: &Self::State, now: Micros) -> u64;
}

/// A limit on windows, and a bucket of units beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithBurst<A> {
    base: A,
    extra: TokenBucket,
}

/// The histories of the windows and of the bucket.
#[derive(Clone, Debug, Default)]
pub struct Both<S> {
    base: S,
    extra: Bucket,
}

impl<A: Windowed> WithBurst<A> {
    /// What `base` admits, and up to `extra` units above it that come back within `window`.
    pub(crate) fn new(base: A, extra: u64, window: Micros) -> Self {
        Self { base, extra: TokenBucket::new(extra, window, extra) }
    }

    /// What it is made of.
    #[cfg(test)]
    pub(crate) fn parts(&self) -> (A, TokenBucket)
    where
        A: Copy,
    {
        (self.base, self.extra)
    }

    /// How long until `least` units are there, over all ways to share them out: the more the windows give, the longer they are
    /// waited for, and the shorter the bucket is.
    fn wait(&self, both: &mut Both<A::State>, now: Micros, least: u64) -> Micros {
        let Both { base, extra } = both;
        let mut of_base = |units| self.base.step(base, now, Ask::look(units)).retry_after;
        let of_extra = |units| self.extra.step(&mut { *extra }, now, Ask::look(units)).retry_after;
        let most = least.min(self.base.capacity());
        let fewest = least.saturating_sub(self.extra.capacity()).min(most);
        // The fewest units of the windows that are waited for as long as the bucket's share is, if there are any.
        let (mut low, mut high) = (fewest, most);
        while low < high {
            let middle = low + (high - low) / 2;
            if of_base(middle) >= of_extra(least - middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        let wait = of_base(low).max(of_extra(least - low));
        if low > fewest { wait.min(of_extra(least - low + 1)) } else { wait }
    }
}

impl<A: Windowed> Algorithm for WithBurst<A> {
    /// In a place of its own, so that the states of other algorithms need not be as large.
    type State = Box<Both<A::State>>;

    const NAME: &'static str = A::NAME;

    #[inline(never)]
    fn step(&self, both: &mut Self::State, now: Micros, ask: Ask) -> Outcome {
        let jumped = TokenBucket::seen(&both.extra) > now;
        // Mostly this is all there is to do; and where it is refused it takes nothing, but tells what is there.
        let all = Ask { cost: ask.cost, least: ask.least.max(ask.cost) };
        let mut of_base = self.base.step(&mut both.base, now, all);
        let mut of_extra = self.extra.step(&mut both.extra, now, LOOK);
        let free = of_base.granted + of_base.remaining + of_extra.remaining;
        let granted = ask.of(free);
        let missing = granted.unwrap_or(0) - of_base.granted;
        if missing > 0 {
            let share = missing.min(of_base.remaining);
            if share > 0 {
                of_base = self.base.step(&mut both.base, now, Ask::all(share));
            }
            if missing > share {
                of_extra = self.extra.step(&mut both.extra, now, Ask::all(missing - share));
            }
        }
        if of_base.granted == 0 && (of_extra.granted > 0 || jumped) {
            // Only the bucket has changed. What is written with it is without what the windows have forgotten.
            self.base.refund(&mut both.base, now, 0);
        }
        let reset_at = of_base.reset_at.max(of_extra.reset_at);
        Outcome::of(granted, free, || self.wait(both, now, ask.least), reset_at)
    }

    fn refund(&self, both: &mut Self::State, now: Micros, units: u64) {
        let counted = units.min(self.base.counted(&both.base, now));
        self.base.refund(&mut both.base, now, counted);
        self.extra.refund(&mut both.extra, now, units - counted);
    }

    fn penalize(&self, both: &mut Self::State, now: Micros, units: u64) {
        self.base.refund(&mut both.base, now, 0);
        let base = units.min(self.base.step(&mut both.base, now, LOOK).remaining);
        let extra = (units - base).min(self.extra.step(&mut both.extra, now, LOOK).remaining);
        let debt = units - base - extra;
        let debt_of_base = debt.min(self.base.capacity());
        self.base.penalize(&mut both.base, now, base + debt_of_base);
        self.extra.penalize(&mut both.extra, now, extra + debt - debt_of_base);
    }

    fn seen(both: &Self::State) -> Micros {
        A::seen(&both.base).max(TokenBucket::seen(&both.extra))
    }

    /// Only while nothing was taken from the bucket, whose units come back at a pace of their own.
    fn units(both: &Self::State) -> Option<u64> {
        (TokenBucket::seen(&both.extra) == Micros::ZERO).then(|| A::units(&both.base)).flatten()
    }

    #[inline]
    fn heap(both: &Self::State) -> usize {
        block(size_of::<Both<A::State>>()) + A::heap(&both.base)
    }

    #[inline]
    fn is_flat(_: &Self::State) -> bool {
        false
    }

    fn compact(both: &mut Self::State) -> bool {
        A::compact(&mut both.base)
    }

    fn regular(&self) -> u64 {
        self.base.capacity()
    }

    fn capacity(&self) -> u64 {
        self.base.capacity() + self.extra.capacity()
    }

    fn scaled(&self, parts: u64, of: u64) -> Self {
        Self { base: self.base.scaled(parts, of), extra: self.extra.scaled(parts, of) }
    }

    /// Those of the windows, then `extra` and the bucket's window.
    fn numbers(&self) -> Numbers {
        let mut numbers = self.base.numbers();
        numbers.extend(self.extra.numbers().into_iter().take(2));
        numbers
    }

    fn encode(both: &Self::State, kept: Micros) -> Vec<u8> {
        let base = body::<A>(&both.base);
        let mut out = vec![VERSION];
        wire::put::<7>(&mut out, kept.0);
        wire::put::<2>(&mut out, base.len() as u64);
        out.extend(base);
        out.extend(body::<TokenBucket>(&both.extra));
        out
    }

    fn decode(mut body: &[u8]) -> Option<Self::State> {
        let length = usize::try_from(wire::take::<2>(&mut body)?).ok()?;
        let (base, extra) = body.split_at_checked(length)?;
        Some(Box::new(Both { base: state::<A>(base)?, extra: state::<TokenBucket>(extra)? }))
    }
}

/// The other way round: a part's state of what [`body`] gave.
fn state<A: Algorithm>(body: &[u8]) -> Option<A::State> {
    if body.is_empty() { Some(A::State::default()) } else { A::decode(body) }
}

/// A part's state without version and expiry, which the whole has once; empty where it counts nothing.
fn body<A: Algorithm>(state: &A::State) -> Vec<u8> {
    let encoded = |state| A::encode(state, Micros::ZERO).split_off(8);
    let (own, fresh) = (encoded(state), encoded(&A::State::default()));
    if own == fresh { Vec::new() } else { own }
}
