//! The counters of a limiter as JavaScript's values. What has names as keys comes as a list: `lib/stats.js` makes an object of it, in which
//! no name can mean anything else.

#![expect(clippy::cast_precision_loss, reason = "nobody counts to 2^53")]

use std::sync::Arc;

use napi::bindgen_prelude::{Either, Null};
use napi_derive::napi;

use crate::decision::Source;
use crate::limiter::Limiter;
use crate::metrics::{Count, Disagreements, Picture, Ranked};

/// See `Stats` in `index.d.ts`.
#[napi(object)]
pub struct Stats {
    /// Calls admitted.
    pub allowed: f64,
    /// Calls refused.
    pub denied: f64,
    /// Decisions by who made them.
    pub sources: Sources,
    /// Those of lists, on which the keys were.
    pub lists: Listed,
    /// By the limit that decided.
    pub limits: Vec<Named>,
    /// By the action.
    pub actions: Vec<Named>,
    /// Calls that the store did not decide.
    pub store_errors: f64,
    /// Batches sent.
    pub batches: f64,
    /// Calls that the store decided in time.
    pub batched_calls: f64,
    /// Calls that travelled merged with another on their key.
    pub merged: f64,
    /// Milliseconds from when a batch was sent until it was answered.
    pub latency: Histogram,
    /// Calls in each batch.
    pub batch_sizes: Histogram,
    /// Calls waiting now.
    pub pending: f64,
    /// Keys in this process's memory.
    pub keys: f64,
    /// Bytes held of them.
    pub bytes: f64,
    /// How the store is doing.
    pub store: String,
    /// Whether it is asked.
    pub circuit: String,
    /// How often the circuit has opened.
    pub circuit_opened: f64,
    /// Keys of which Redis was told what it had missed.
    pub told: f64,
    /// Instances that share the fallback's limit; `null` while that is not known.
    pub fleet: Either<f64, Null>,
    /// What is leased.
    pub leases: Leased,
    /// By the limit that is tried.
    pub shadow: Vec<Tried>,
    /// The keys that are refused most.
    pub top_denied: Vec<Denied>,
}

/// Decisions by who made them.
#[napi(object)]
pub struct Sources {
    /// The shared store.
    pub redis: f64,
    /// This process, which is the only store.
    pub memory: f64,
    /// This process, in place of a store that did not answer.
    pub fallback: f64,
    /// The shared store, through a client of the application's.
    pub client: f64,
    /// This process, which had been told by the store that the key is refused until later.
    #[napi(js_name = "deny-cache")]
    pub deny_cache: f64,
    /// This process, of units that the store had leased to it.
    pub lease: f64,
    /// Memory that the processes of one machine share.
    pub shared: f64,
    /// A list, on which the key was.
    pub list: f64,
}

/// Decisions of lists.
#[napi(object)]
pub struct Listed {
    /// Calls admitted.
    pub allowed: f64,
    /// Calls refused.
    pub denied: f64,
}

/// Decisions of one kind.
#[napi(object)]
pub struct Named {
    /// What it is called.
    pub name: String,
    /// Calls admitted.
    pub allowed: f64,
    /// Calls refused.
    pub denied: f64,
}

/// What a limit that is tried would have changed.
#[napi(object)]
pub struct Tried {
    /// What it is called.
    pub name: String,
    /// Nothing.
    pub agreed: f64,
    /// A call was admitted, and would have been refused.
    pub would_deny: f64,
    /// A call was refused, and would have been admitted.
    pub would_allow: f64,
}

/// How often a number was how large.
#[napi(object)]
pub struct Histogram {
    /// Upper bounds, inclusive.
    pub bounds: Vec<f64>,
    /// One more than there are bounds.
    pub counts: Vec<f64>,
    /// Of all that was recorded.
    pub sum: f64,
    /// How much that was.
    pub count: f64,
}

/// What is leased.
#[napi(object)]
pub struct Leased {
    /// Keys.
    pub held: f64,
    /// Units of them that are left.
    pub units: f64,
}

/// A key that is refused often.
#[napi(object)]
pub struct Denied {
    /// As it is shown.
    pub key: String,
    /// How often it was.
    pub denied: f64,
}

impl Stats {
    /// Of a limiter, now.
    pub(super) fn of(limiter: &Limiter) -> Self {
        let stats = limiter.stats();
        let from = |source: Source| stats.by_source[source as usize] as f64;
        let (held, units) = limiter.leased();
        Self {
            allowed: stats.allowed as f64,
            denied: stats.denied as f64,
            sources: Sources {
                redis: from(Source::Redis),
                memory: from(Source::Memory),
                fallback: from(Source::Fallback),
                client: from(Source::Client),
                deny_cache: from(Source::DenyCache),
                lease: from(Source::Lease),
                shared: from(Source::Shared),
                list: from(Source::List),
            },
            lists: Listed { allowed: stats.lists.allowed as f64, denied: stats.lists.denied as f64 },
            limits: named(&stats.limits),
            actions: named(&stats.actions),
            store_errors: stats.store_errors as f64,
            batches: stats.batches() as f64,
            batched_calls: stats.batched_calls as f64,
            merged: limiter.merged() as f64,
            latency: Histogram::of(stats.latency),
            batch_sizes: Histogram::of(stats.batch_sizes),
            pending: stats.pending as f64,
            keys: limiter.keys() as f64,
            bytes: limiter.bytes() as f64,
            store: stats.store.name().to_owned(),
            circuit: stats.circuit.name().to_owned(),
            circuit_opened: stats.circuit_opened as f64,
            told: stats.told as f64,
            fleet: limiter.fleet().map_or(Either::B(Null), |size| Either::A(size as f64)),
            leases: Leased { held: held as f64, units: units as f64 },
            shadow: stats.trials.iter().map(Tried::of).collect(),
            top_denied: stats.top_denied.into_iter().map(Denied::of).collect(),
        }
    }
}

impl Histogram {
    fn of(picture: Picture) -> Self {
        let count = picture.count() as f64;
        let counts = picture.counts.into_iter().map(|count| count as f64).collect();
        Self { bounds: picture.bounds, counts, sum: picture.sum, count }
    }
}

impl Tried {
    fn of((name, count): &(Arc<str>, Disagreements)) -> Self {
        Self {
            name: name.to_string(),
            agreed: count.agreed as f64,
            would_deny: count.would_deny as f64,
            would_allow: count.would_allow as f64,
        }
    }
}

impl Denied {
    fn of(Ranked { key, count }: Ranked) -> Self {
        Self { key, denied: count as f64 }
    }
}

fn named(counts: &[(Arc<str>, Count)]) -> Vec<Named> {
    let named = |(name, Count { allowed, denied }): &(Arc<str>, Count)| Named {
        name: name.to_string(),
        allowed: *allowed as f64,
        denied: *denied as f64,
    };
    counts.iter().map(named).collect()
}
