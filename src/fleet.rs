//! How many instances share a store, as far as this one has heard: by what each of them may decide when it is away.
//!
//! While the store answers each instance announces itself there and is told how many have. What it heard last it keeps through an
//! outage, and then decides by its share of the fallback's limit, so that all of them together decide by about one limit.
//!
//! One that has heard nothing, since it began in an outage, cannot know how many others do the same. It decides by one unit.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Micros;
use crate::limits::{Limit, Limits};

/// How often an instance announces itself.
pub const HEARTBEAT: Duration = Duration::from_secs(1);

/// For how long an announcement holds: two that are lost take nobody out.
pub const HOLDS: Micros = Micros::from_millis(3_000);

/// One instance among those that share a store.
#[derive(Debug)]
pub struct Fleet {
    /// What the list of the instances is called in the store.
    name: String,
    /// This one, which no other is called.
    instance: String,
    /// How many it goes by; 0 while nothing was heard.
    size: AtomicU64,
}

/// What an instance says to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The list that it is on.
    pub name: String,
    /// Who it is.
    pub instance: String,
    /// How long it stays on the list; nothing takes it off.
    pub holds: Micros,
}

/// What no other instance is called.
pub fn instance() -> String {
    // The standard library's hash keys are random, and differ from one to the next.
    let random = || RandomState::new().hash_one(0u8);
    format!("{:016x}{:016x}", random(), random())
}

impl Fleet {
    /// An instance of a limiter whose keys begin with `prefix`.
    pub fn new(prefix: &str) -> Self {
        Self {
            // No key of a limit has so few parts.
            name: format!("{prefix}:fleet"),
            instance: instance(),
            size: AtomicU64::new(0),
        }
    }

    /// How many instances this one goes by, if it has heard.
    pub fn size(&self) -> Option<u64> {
        Some(self.size.load(Ordering::Relaxed)).filter(|size| *size > 0)
    }

    /// There are so many.
    pub fn resize(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// What it says to be on the list for `holds`.
    pub fn announcement(&self, holds: Micros) -> Announcement {
        Announcement { name: self.name.clone(), instance: self.instance.clone(), holds }
    }

    /// What this instance decides by in place of the store, where instances share any of `limits`.
    pub fn share(&self, limits: &Limits) -> Option<Limits> {
        if !limits.iter().any(|limit| limit.is_shared) {
            return None;
        }
        // Divided by that many, everything is one unit.
        let instances = self.size().unwrap_or(u64::MAX);
        let own = |limit: &Limit| {
            if limit.is_shared { limit.with(limit.policy, limit.fallback.share(instances)) } else { limit.clone() }
        };
        Some(Limits::new(limits.iter().map(own)))
    }
}
