//! Token bucket as GCRA (ITU-T I.371, the generic cell rate algorithm): one theoretical arrival time a key.
//!
//! A bucket of `burst` units refills at `limit / window`, continuously. Its state is the moment at which it will be full, the
//! *theoretical arrival time* (TAT): a unit moves it `window / limit` into the future, and a call is admitted while the TAT
//! stays within `burst` units of now. `window / limit` is seldom a whole number of microseconds, and rounding it would be a
//! different limit, so each moment is whole microseconds and a remainder over `limit`.
//!
//! Penalties and bookings bring the TAT further ahead than an empty bucket's, so how far ahead it lies does not tell that the
//! clock has jumped back. The moment of the last change does: when it lies in the future, both move back by the same length,
//! and whoever had to wait waits as long as before.

use smallvec::smallvec;

use super::{Algorithm, Ask, Numbers, Outcome, VERSION};
use crate::arithmetic::quotient;
use crate::clock::Micros;
use crate::wire;

/// A bucket of `burst` units, refilled at `limit / window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenBucket {
    limit: u64,
    window: u64,
    burst: u64,
    /// How long one unit takes to come back.
    unit: Span,
    /// How long an empty bucket takes to fill.
    fill: Span,
}

/// What is left of a bucket's history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    /// When it will be full; in the past when it is.
    tat: Span,
    /// When that was last changed. A present that is earlier means that the clock has jumped back.
    seen: Micros,
}

/// `whole + rest / limit` microseconds, with `rest < limit`; a moment or a length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    whole: u64,
    rest: u64,
}

impl Span {
    fn at(moment: Micros) -> Self {
        Self { whole: moment.0, rest: 0 }
    }

    fn plus(self, other: Self, limit: u64) -> Self {
        let rest = self.rest + other.rest;
        let carry = u64::from(rest >= limit);
        Self { whole: self.whole + other.whole + carry, rest: rest - carry * limit }
    }

    /// `self - other`, which must not be negative.
    fn minus(self, other: Self, limit: u64) -> Self {
        let borrow = u64::from(self.rest < other.rest);
        Self { whole: self.whole - other.whole - borrow, rest: self.rest + borrow * limit - other.rest }
    }

    /// The first whole microsecond that is not earlier.
    fn up(self) -> Micros {
        Micros(self.whole + u64::from(self.rest > 0))
    }
}

impl TokenBucket {
    /// `burst` units at once, refilled at `limit` a `window`.
    pub(crate) fn new(limit: u64, window: Micros, burst: u64) -> Self {
        let mut bucket = Self { limit, window: window.0, burst, unit: Span::default(), fill: Span::default() };
        bucket.unit = bucket.divide(1);
        bucket.fill = bucket.divide(burst);
        bucket
    }

    /// How long `units` take to come back. Nearly all calls ask for one, and a division is a good part of a decision.
    fn span(&self, units: u64) -> Span {
        if units == 1 { self.unit } else { self.divide(units) }
    }

    /// `units * window / limit`.
    fn divide(&self, units: u64) -> Span {
        if let Some(product) = units.checked_mul(self.window) {
            return Span { whole: product / self.limit, rest: product % self.limit };
        }
        let product = u128::from(units) * u128::from(self.window);
        let limit = u128::from(self.limit);
        // Only what nobody can have taken is longer than the range, and all of it is enough to give back.
        Span { whole: narrow(product / limit), rest: narrow(product % limit) }
    }

    /// How many whole units come back within `span`.
    fn units(&self, span: Span) -> u64 {
        match span.whole.checked_mul(self.limit).and_then(|scaled| scaled.checked_add(span.rest)) {
            Some(scaled) => quotient(scaled, self.window),
            None => {
                let scaled = u128::from(span.whole) * u128::from(self.limit) + u128::from(span.rest);
                narrow(scaled / u128::from(self.window))
            }
        }
    }

    /// When the bucket will be full, which is `now` where it is.
    pub(super) fn full_at(&self, bucket: &Bucket, now: Micros) -> Micros {
        self.tat(bucket, now).0.up()
    }

    /// From where on units are booked that may be used at any moment of `term`: none of them earlier than at its end.
    fn booked(&self, bucket: &Bucket, now: Micros, term: Micros) -> Span {
        self.tat(bucket, now).0.max(Span::at(now + term))
    }

    /// What the stored moment means now, never before `now` (a full bucket stays full), and whether the clock has jumped back
    /// since it was stored.
    fn tat(&self, bucket: &Bucket, now: Micros) -> (Span, bool) {
        let mut tat = bucket.tat;
        if tat.rest >= self.limit {
            // Written under another limit: rounding up by less than a microsecond grants nothing.
            tat = Span { whole: tat.whole + 1, rest: 0 };
        }
        let ahead = bucket.seen - now;
        tat.whole = tat.whole.saturating_sub(ahead.0);
        (tat.max(Span::at(now)), ahead > Micros::ZERO)
    }
}

/// Stops at the largest number.
fn narrow(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

impl Algorithm for TokenBucket {
    type State = Bucket;

    const NAME: &'static str = "token-bucket";

    #[inline(never)]
    fn step(&self, bucket: &mut Bucket, now: Micros, ask: Ask) -> Outcome {
        let (mut tat, jumped) = self.tat(bucket, now);
        let empty = Span::at(now).plus(self.fill, self.limit);
        let free = if tat < empty { self.units(empty.minus(tat, self.limit)) } else { 0 };
        let granted = ask.of(free);
        match granted {
            Some(units) if units > 0 => {
                tat = tat.plus(self.span(units), self.limit);
                *bucket = Bucket { tat, seen: now };
            }
            _ if jumped => *bucket = Bucket { tat, seen: now },
            _ => {}
        }
        let wait = || tat.plus(self.span(ask.least), self.limit).minus(empty, self.limit).up();
        Outcome::of(granted, free, wait, tat.up())
    }

    fn refund(&self, bucket: &mut Bucket, now: Micros, units: u64) {
        let (tat, _) = self.tat(bucket, now);
        let given = self.span(units);
        let full = tat.minus(Span::at(now), self.limit) <= given;
        *bucket = if full { Bucket::default() } else { Bucket { tat: tat.minus(given, self.limit), seen: now } };
    }

    fn penalize(&self, bucket: &mut Bucket, now: Micros, units: u64) {
        let (tat, jumped) = self.tat(bucket, now);
        let most = Span::at(now).plus(self.fill, self.limit).plus(self.fill, self.limit);
        // Twice the burst brings even a full bucket to the bound.
        let owed = tat.plus(self.span(units.min(2 * self.burst)), self.limit).min(most);
        if owed > tat {
            *bucket = Bucket { tat: owed, seen: now };
        } else if jumped {
            *bucket = Bucket { tat, seen: now };
        }
    }

    fn reserve(&self, bucket: &mut Bucket, now: Micros, units: u64) -> bool {
        let (tat, _) = self.tat(bucket, now);
        *bucket = Bucket { tat: tat.plus(self.span(units), self.limit), seen: now };
        true
    }

    /// As many as an empty bucket has room for above what a full one may lack at the end of the term.
    fn spare(&self, bucket: &Bucket, now: Micros, _free: u64, term: Micros) -> u64 {
        let booked = self.booked(bucket, now, term);
        let empty = Span::at(now).plus(self.fill, self.limit);
        if booked < empty { self.units(empty.minus(booked, self.limit)) } else { 0 }
    }

    fn lease(&self, bucket: &mut Bucket, now: Micros, units: u64, term: Micros) {
        let booked = self.booked(bucket, now, term);
        *bucket = Bucket { tat: booked.plus(self.span(units), self.limit), seen: now };
    }

    /// Only where nothing has changed since: a unit that others have been booked behind leaves no gap that could be told. What was
    /// decided at the same moment has only made the lease a smaller one; but nothing may be booked ahead.
    fn give_back(&self, bucket: &mut Bucket, now: Micros, units: u64, booked: Micros) {
        let (tat, jumped) = self.tat(bucket, now);
        if jumped {
            *bucket = Bucket { tat, seen: now };
            return;
        }
        let given = self.span(units);
        let empty = Span::at(booked).plus(self.fill, self.limit);
        let is_last = bucket.seen == booked && bucket.tat.rest < self.limit && bucket.tat <= empty;
        if is_last && Span::at(booked).plus(given, self.limit) <= bucket.tat {
            bucket.tat = bucket.tat.minus(given, self.limit);
            if bucket.tat <= Span::at(now) {
                *bucket = Bucket::default();
            }
        }
    }

    fn seen(bucket: &Bucket) -> Micros {
        bucket.seen
    }

    fn capacity(&self) -> u64 {
        self.burst
    }

    fn scaled(&self, parts: u64, of: u64) -> Self {
        let of_each = |units: u64| (units * parts).div_ceil(of);
        Self::new(of_each(self.limit), Micros(self.window), of_each(self.burst))
    }

    fn numbers(&self) -> Numbers {
        smallvec![self.limit, self.window, self.burst]
    }

    fn encode(bucket: &Bucket, kept: Micros) -> Vec<u8> {
        let mut out = Vec::with_capacity(27);
        out.push(VERSION);
        wire::put::<7>(&mut out, kept.0);
        wire::put::<7>(&mut out, bucket.seen.0);
        wire::put::<7>(&mut out, bucket.tat.whole);
        wire::put::<5>(&mut out, bucket.tat.rest);
        out
    }

    fn decode(mut body: &[u8]) -> Option<Bucket> {
        let seen = Micros(wire::take::<7>(&mut body)?);
        let whole = wire::take::<7>(&mut body)?;
        let rest = wire::take::<5>(&mut body)?;
        body.is_empty().then_some(Bucket { tat: Span { whole, rest }, seen })
    }
}
