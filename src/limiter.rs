//! What happens on a call: decided here where that is possible, otherwise asked of the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::algorithm::{Ask, Policy};
use crate::clock::{Clock, Micros};
use crate::decision::{Decision, Source};
use crate::dispatcher::{Call, Handle, Remote, Settle, Ticket, Worker};
use crate::error::Error;
use crate::fallback::Fallback;
use crate::key::{self, Key};
use crate::metrics::{Metrics, Snapshot};
use crate::settings::Settings;
use crate::store::redis::script::Script;
use crate::store::redis::{Address, Connect};
use crate::store::{Memory, Request, Verb};

/// One limit on many keys.
pub struct Limiter {
    policy: Policy,
    memory: Arc<Memory>,
    remote: Option<Asked>,
    metrics: Arc<Metrics>,
    closed: AtomicBool,
}

/// A store that must be asked, and what decides in its place.
struct Asked {
    handle: Handle,
    fallback: Arc<Fallback>,
    timeout: Micros,
    max_pending: usize,
}

impl Limiter {
    /// A limiter that decides in memory, whatever store the settings name.
    pub fn in_memory(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        Self {
            policy: settings.policy,
            memory: Arc::new(Memory::new(settings.max_keys, clock)),
            remote: None,
            metrics: Arc::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// A limiter that asks Redis, and the worker that must be run for it.
    pub fn on_redis<C: Connect, S: Settle>(
        settings: &Settings,
        address: Address,
        script: &'static Script,
        clock: Arc<dyn Clock>,
        connect: C,
        settle: S,
    ) -> (Self, Worker<C, S>) {
        let mut limiter = Self::in_memory(settings, clock.clone());
        let fallback = Arc::new(Fallback {
            mode: settings.on_store_error,
            policy: settings.fallback,
            memory: limiter.memory.clone(),
            clock,
        });
        let namespace = key::namespace(&settings.prefix, "default", settings.policy.name());
        let (worker, handle) = Worker::new(
            Remote { connect, address, script, namespace },
            settings.policy,
            fallback.clone(),
            settings.timeout,
            settings.max_pending,
            limiter.metrics.clone(),
            settle,
        );
        limiter.remote = Some(Asked { handle, fallback, timeout: settings.timeout, max_pending: settings.max_pending });
        (limiter, worker)
    }

    /// The limit.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether every call is decided in this process.
    pub fn is_local(&self) -> bool {
        self.remote.is_none()
    }

    /// Decides at once where nobody must be asked: in memory, or by the fallback while the store is known to be away or too
    /// many calls wait for it. `None` means: [`ask`](Self::ask).
    ///
    /// `key` must be [normalised](key::normalize).
    #[inline]
    pub fn decide_here(&self, key: &[u8], ask: Ask) -> Result<Option<Decision>, Error> {
        self.must_be_open()?;
        match &self.remote {
            None => {
                let outcome = self.memory.decide(&self.policy, key, ask);
                let decision = Decision::new(&self.policy, &outcome, Source::Memory);
                self.count(ask, &decision);
                Ok(Some(decision))
            }
            Some(remote) if remote.can_be_asked() => Ok(None),
            Some(remote) => {
                self.metrics.store_failed();
                let request = Request { key: Key::from_normal(key), verb: Verb::Decide(ask) };
                let decision = remote.fallback.answer(&request, || remote.refusal())?;
                self.count(ask, &decision);
                Ok(Some(decision))
            }
        }
    }

    /// Asks the store; `ticket` is settled in every case. For limiters that are not [local](Self::is_local).
    pub fn ask(&self, ticket: Ticket, key: &[u8], verb: Verb) {
        if let Some(remote) = &self.remote {
            self.metrics.call_pends();
            remote.handle.send(Call {
                ticket,
                request: Request { key: Key::from_normal(key), verb },
                deadline: Instant::now() + remote.timeout.as_duration(),
            });
        }
    }

    /// Forgets a key here, and answers whether the store must be [asked](Self::ask) to forget it too. An error where that
    /// cannot be asked: what was to be forgotten is still there.
    pub fn reset_here(&self, key: &[u8]) -> Result<bool, Error> {
        self.must_be_open()?;
        self.memory.reset(key);
        match &self.remote {
            None => Ok(false),
            Some(remote) if remote.can_be_asked() => Ok(true),
            Some(remote) => {
                self.metrics.store_failed();
                Err(remote.refusal())
            }
        }
    }

    /// Settles `ticket` when the store first answers, or with an error after `timeout`. For limiters that are not
    /// [local](Self::is_local); those are ready.
    pub fn ready(&self, ticket: Ticket, timeout: Micros) {
        if let Some(remote) = &self.remote {
            remote.handle.ready(ticket, Instant::now() + timeout.as_duration());
        }
    }

    /// Takes no more calls from here on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Settles `ticket` when everything called before is settled, and lets the worker end. Once, after [`close`](Self::close).
    pub fn finish(&self, ticket: Ticket) {
        if let Some(remote) = &self.remote {
            remote.handle.close(ticket);
        }
    }

    /// An error once the limiter has been closed.
    #[inline]
    pub fn must_be_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Counts a decision that was made here; the worker counts its own. A look is no decision.
    fn count(&self, ask: Ask, decision: &Decision) {
        if ask.cost > 0 {
            self.metrics.decided(decision);
        }
    }

    /// The counters now.
    pub fn stats(&self) -> Snapshot {
        self.metrics.snapshot()
    }

    /// Keys held in memory now.
    pub fn keys(&self) -> usize {
        self.memory.len()
    }
}

impl Asked {
    fn can_be_asked(&self) -> bool {
        !self.handle.is_down() && self.handle.has_room()
    }

    /// Why it cannot.
    fn refusal(&self) -> Error {
        let overloaded = Error::Overloaded { max_pending: self.max_pending };
        if self.handle.is_down() { self.handle.cause().unwrap_or(overloaded) } else { overloaded }
    }
}
