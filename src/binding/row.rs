//! A decision as a row of numbers in memory that JavaScript sees.
//!
//! An object built field by field through Node-API costs ten times a decision; a literal that JavaScript fills from these
//! numbers costs next to nothing. `index.js` reads the same columns.

use std::cell::Cell;

use crate::decision::Decision;

/// allowed, granted, limit, remaining, retryAfterMs, retryAfter, resetAt, delayMs, source; then which of the named limits decided.
const OWN: usize = 10;

/// Of each named limit, and behind these of each that is tried: allowed, limit, remaining, retryAfterMs, resetAt.
const EACH: usize = 5;

/// As many as a call may be decided by: 16 limits, and the one on new keys.
const MOST: usize = 17;

/// Behind them stands when a hold ends, in microseconds since the epoch. It is written only where somebody asks for it.
const BOOKED: usize = OWN + EACH * MOST;

pub(super) const COLUMNS: usize = BOOKED + 1;

/// Where the numbers are. Null until `index.js` has handed in its array.
pub(super) struct Row(Cell<*mut f64>);

impl Row {
    pub(super) fn nowhere() -> Self {
        Self(Cell::new(std::ptr::null_mut()))
    }

    /// Uses `numbers`, which are [`COLUMNS`] doubles that live as long as the environment.
    pub(super) fn place(&self, numbers: *mut f64) {
        self.0.set(numbers);
    }

    /// Writes when the hold ends that a decision is about.
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    pub(super) fn write_booked(&self, decision: &Decision) {
        let place = self.0.get();
        if !place.is_null() {
            // SAFETY: as in `write`.
            unsafe { place.add(BOOKED).write(decision.booked as f64) };
        }
    }

    /// Writes a decision for JavaScript to read at once.
    #[expect(clippy::cast_precision_loss, reason = "all of them are below 2^53")]
    pub(super) fn write(&self, decision: &Decision) {
        let place = self.0.get();
        if place.is_null() {
            return;
        }
        let numbers: [f64; OWN] = [
            f64::from(u8::from(decision.allowed)),
            decision.granted as f64,
            decision.limit as f64,
            decision.remaining as f64,
            decision.retry_after_ms as f64,
            decision.retry_after_ms.div_ceil(1_000) as f64,
            decision.reset_at_ms as f64,
            decision.delay_ms as f64,
            f64::from(decision.source as u8),
            decision.named.as_ref().map_or(0.0, |named| named.decisive as f64),
        ];
        // SAFETY: `place` was handed in as so many doubles that stay; JavaScript does not run while this does.
        unsafe { place.cast::<[f64; OWN]>().write(numbers) };
        let Some(named) = &decision.named else { return };
        let tried = named.tried.iter().map(|tried| &tried.decision);
        let each = named.each.iter().map(|(_, decision)| decision).chain(tried).take(MOST);
        for (index, decision) in each.enumerate() {
            let numbers: [f64; EACH] = [
                f64::from(u8::from(decision.allowed)),
                decision.limit as f64,
                decision.remaining as f64,
                decision.retry_after_ms as f64,
                decision.reset_at_ms as f64,
            ];
            // SAFETY: as above; `take` keeps it within the columns.
            unsafe { place.add(OWN + index * EACH).cast::<[f64; EACH]>().write(numbers) };
        }
    }
}
