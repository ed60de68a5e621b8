//! A decision as a row of numbers in memory that JavaScript sees.
//!
//! An object built field by field through Node-API costs ten times a decision; a literal that JavaScript fills from these
//! numbers costs next to nothing. `index.js` reads the same columns.

use std::cell::Cell;

use crate::decision::Decision;

/// allowed, limit, remaining, retryAfterMs, retryAfter, resetAt, delayMs, source.
pub(super) const COLUMNS: usize = 8;

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

    /// Writes a decision for JavaScript to read at once.
    #[expect(clippy::cast_precision_loss, reason = "all of them are below 2^53")]
    pub(super) fn write(&self, decision: &Decision) {
        let numbers = [
            f64::from(u8::from(decision.allowed)),
            decision.limit as f64,
            decision.remaining as f64,
            decision.retry_after_ms as f64,
            decision.retry_after_ms.div_ceil(1_000) as f64,
            decision.reset_at_ms as f64,
            decision.delay_ms as f64,
            f64::from(decision.source as u8),
        ];
        let place: *mut [f64; COLUMNS] = self.0.get().cast();
        if !place.is_null() {
            // SAFETY: `place` was handed in as so many doubles that stay; JavaScript does not run while this does.
            unsafe { place.write(numbers) };
        }
    }
}
