//! The seam between what is decided and where its state lives. A store owns atomicity and nothing else.

pub mod cache;
pub mod client;
mod memory;
mod reach;
pub mod redis;
#[cfg(target_os = "linux")]
mod shared;
#[cfg(not(target_os = "linux"))]
#[path = "shared/elsewhere.rs"]
mod shared;
mod slot;
mod spread;

pub use memory::{DEFAULT_BYTES, Memory};
pub use reach::{Announcing, Exchanging, Gate, Heard, Levelling, Link, Listening, Reach, Surveying};
pub use shared::Shared;
#[cfg(test)]
pub(crate) use shared::Site;

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::algorithm::{Ask, Lease, Outcome};
use crate::clock::Micros;
use crate::decision::{Decision, Source, Which};
use crate::error::Error;
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::trials;

/// What is done with the keys of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Take what is asked, or only look where nothing is asked. Of several limits: from all of them, or from none.
    Decide(Ask),
    /// Take `cost` units even where they will only be there later, if that is within `patience`.
    Reserve {
        /// Units to take, all or nothing.
        cost: u64,
        /// How long the caller would wait.
        patience: Micros,
    },
    /// Decide a call, and lease it more units for those that come after it.
    Lease(Lease),
    /// Give back units that were leased and not used.
    GiveBack {
        /// How many.
        units: u64,
        /// When they were booked.
        booked: Micros,
    },
    /// Keep units back until they are settled. Of several limits: of all of them, or of none.
    Hold {
        /// How many, all or nothing.
        units: u64,
        /// After how long they are free again by themselves.
        ttl: Micros,
    },
    /// End a hold, and take what was used of it, whether it is there or not.
    Settle {
        /// When the hold ends, by which it is named.
        ends: Micros,
        /// What was used.
        units: u64,
    },
    /// Have a hold last for so long from now on.
    Renew {
        /// When the hold ends, by which it is named.
        ends: Micros,
        /// How long it lasts.
        ttl: Micros,
    },
    /// Give back so many units.
    Refund(u64),
    /// Take so many units, whether they are there or not.
    Penalize(u64),
    /// Refuse everything for so long.
    Block(Micros),
    /// End a block.
    Unblock,
    /// Forget the keys.
    Reset,
}

/// When a request happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// At the store's present.
    Now,
    /// At this moment as far as the store believes it: not after its present, nor before the key's last change, so that no
    /// caller can move another's time.
    Dated(Micros),
    /// At this moment, which is the store's present. For stores in memory that replay what has happened.
    Replayed(Micros),
}

/// One thing to do with one caller, under each of its limits.
#[derive(Clone, Debug)]
pub struct Request {
    /// By what is decided.
    pub limits: Arc<Limits>,
    /// Whose states: a key for each of the limits.
    pub keys: SmallVec<[Key; 1]>,
    /// What to do.
    pub verb: Verb,
    /// When.
    pub when: When,
}

impl Verb {
    /// Whether it is a decision that counts as one: a look and what only changes a state are none.
    pub fn is_counted(&self) -> bool {
        matches!(
            self,
            Self::Decide(Ask { cost: 1.., .. })
                | Self::Lease(Lease { cost: 1.., .. })
                | Self::Reserve { .. }
                | Self::Hold { .. }
        )
    }

    /// Whether it changes the state otherwise than a decision does, which only takes.
    pub fn is_change(&self) -> bool {
        !matches!(
            self,
            Self::Decide(_) | Self::Lease(_) | Self::Reserve { .. } | Self::Hold { .. } | Self::Renew { .. }
        )
    }
}

impl Request {
    /// Each limit with its key.
    pub fn parts(&self) -> impl Iterator<Item = (&Limit, &Key)> {
        self.limits.iter().zip(&self.keys)
    }

    /// The same as far as it is about limits in force, where there are any.
    pub fn in_force(&self) -> Option<Cow<'_, Self>> {
        if !self.limits.has_trials() {
            return Some(Cow::Borrowed(self));
        }
        let limits = self.limits.in_force()?.clone();
        let keys = self.keys[..limits.len()].iter().cloned().collect();
        Some(Cow::Owned(Self { limits, keys, ..*self }))
    }

    /// What outcomes say together, which are told under the policies that `which` names.
    #[inline]
    pub fn decision(&self, which: Which, outcomes: &[Outcome], source: Source) -> Decision {
        if self.limits.has_trials() {
            return trials::decision(self, which, outcomes, source);
        }
        Decision::new(&self.limits, which, outcomes, source)
    }
}

/// An answer for each key of each request, in their order, or the reason that none was answered. Where one key of a request
/// that decides together fails, all of them do.
pub type Answers = Result<Vec<Result<Outcome, Error>>, Error>;

/// A batch under way. Dropping it does not undo it.
pub type Answering = Pin<Box<dyn Future<Output = Answers> + Send>>;

/// Decides batches, each request atomically and requests on one key in their order.
pub trait Store: Send + Sync + 'static {
    /// Starts a batch.
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering;
}
