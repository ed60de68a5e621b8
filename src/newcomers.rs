//! Which of a call's identities are new, and what the limit on new keys says to the call that brings them.
//!
//! An identity is what the call names in one field, and is new where nothing of it counts under any of the limits by that field:
//! each of their keys is as good as one that was never seen. So it is the limits themselves that say for how long somebody is
//! known, there is no list of identities beside them, and every store says the same at the same moment.

use crate::algorithm::Outcome;
use crate::limits::{Limit, Role};

/// What is known so far of a call's identities. A call has few limits, so a bit each is enough.
#[derive(Clone, Copy, Debug, Default)]
pub struct Newcomers {
    named: u32,
    known: u32,
}

impl Newcomers {
    /// What was seen of the key of a limit: whether nothing of it counts.
    pub fn see(&mut self, limit: &Limit, is_new: bool) {
        if let Role::Of(identity) = limit.role {
            let bit = 1 << u32::from(identity);
            self.named |= bit;
            self.known |= if is_new { 0 } else { bit };
        }
    }

    /// What the call takes of the limit on new keys, once all the others were seen: one unit, however many it brings.
    pub fn units(self) -> u64 {
        u64::from(self.named & !self.known != 0)
    }

    /// What that limit says, of which `look` tells whether those units are there: nothing to a call that brings nobody.
    pub fn told(self, look: Outcome) -> Outcome {
        if self.units() > 0 { look } else { look.unasked() }
    }
}
