//! The store that processes share: its file, its bound, and what deaths leave behind.

mod bound;
mod files;
mod interrupted;
mod killed;
mod promise;

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use smallvec::smallvec;

use crate::algorithm::{Ask, Outcome, Policy};
use crate::clock::{Clock, ManualClock, Micros, SystemClock};
use crate::error::Error;
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::{Request, Shared, Site, Verb, When};

/// Long enough for whoever holds a lock, however busy the machine.
pub(super) const PATIENCE: Micros = Micros::from_millis(30_000);

/// A folder in which this test alone makes files.
pub(super) struct Ground {
    pub(super) site: Site,
}

impl Ground {
    pub(super) fn new() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let here = Site::here().unwrap();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        // Also where one of the same number was killed and left its own.
        let (process, now) = (std::process::id(), SystemClock::new().now().0);
        let base = here.base.join(format!("drl-test-{process}-{number}-{now}"));
        DirBuilder::new().mode(0o700).create(&base).unwrap();
        Self { site: Site { base, ..here } }
    }

    /// A store in the file `test`, on a clock that is moved by hand.
    pub(super) fn store(&self, bytes: usize, clock: &Arc<ManualClock>) -> Shared {
        self.open("test", Some(bytes), clock.clone()).unwrap()
    }

    pub(super) fn open(&self, name: &str, bytes: Option<usize>, clock: Arc<dyn Clock>) -> Result<Shared, Error> {
        Shared::open_at(&self.site, name, bytes, PATIENCE, Some(clock))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.site.folder().join(name)
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.site.base);
    }
}

/// A limit whose keys stand in a place of their own.
fn limit(policy: Policy) -> Limit {
    Limit::in_namespace("rl:default:test:", policy)
}

fn request(policy: Policy, key: &str, verb: Verb) -> Request {
    let keys = smallvec![Key::from_normal(key.as_bytes())];
    Request { limits: Arc::new(Limits::new([limit(policy)])), keys, verb, when: When::Now }
}

fn act(store: &Shared, policy: Policy, key: &str, verb: Verb) -> Result<Outcome, Error> {
    store.answer(&request(policy, key, verb)).map(|outcomes| outcomes[0])
}

fn take(store: &Shared, policy: Policy, key: &str, cost: u64) -> Outcome {
    act(store, policy, key, Verb::Decide(Ask::all(cost))).unwrap()
}
