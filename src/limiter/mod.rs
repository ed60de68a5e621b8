//! What happens on a call: decided here where that is possible, otherwise asked of the store.

mod explained;
mod former;
mod request;
mod rules;
mod update;

pub use explained::{Explained, Origin};
pub use request::{Deed, Who};
pub use rules::Called;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use smallvec::smallvec;

use self::former::Formers;
use crate::adaptive::{Adaptive, Levels, Share, Standing};
use crate::algorithm::{Ask, Policy};
use crate::arrears::Arrears;
use crate::clock::{Clock, Micros};
use crate::decision::{Decision, Source};
use crate::dispatcher::{Call, Handle, Known, Settle, Ticket, Worker};
use crate::error::Error;
use crate::fallback::{Fallback, OnStoreError};
use crate::fleet::Fleet;
use crate::key::Key;
use crate::leases::{Leases, Taken};
use crate::limits::{By, Limit, Limits};
use crate::metrics::{Counter, Metrics, Snapshot};
use crate::pseudonym::Pseudonyms;
use crate::refusals::Refusals;
use crate::settings::{Described, Frame, Plan, Settings};
use crate::store::{Gate, Memory, Reach, Request, Shared, Verb, When};

/// One limit on many keys, or several limits together.
pub struct Limiter {
    /// Replaced as a whole by [`update`](Self::update). A call takes it once, so that none is decided half by one and half by another.
    plan: RefCell<Arc<Plan>>,
    /// What no update changes of it.
    frame: Frame,
    /// The limits of actions that have none of their own, made when the action is first seen.
    derived: RefCell<HashMap<String, Arc<Limits>>>,
    /// The limits that `configure` has given to single keys.
    configured: RefCell<HashMap<Key, Policy>>,
    /// What limits were whose algorithm was changed.
    formers: RefCell<Formers>,
    /// When the last block or hold ends that was made here.
    engaged_until: Cell<Micros>,
    /// For how long the limits are remembered that calls have brought.
    longest_own: Cell<Micros>,
    /// Whether a call that is a key and nothing else is decided by one limit without a name, by the key as it is.
    is_simple: Cell<bool>,
    /// By what the limits give way under load, where they do.
    adaptive: Option<RefCell<Adaptive>>,
    replays: bool,
    pseudonyms: Option<Pseudonyms>,
    memory: Arc<Memory>,
    decider: Decider,
    metrics: Arc<Metrics>,
    closed: AtomicBool,
}

/// What is taken from a refusal that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Nothing: the store is asked.
    Nothing,
    /// That a call is refused which asks for as much or more.
    Refusal,
    /// Also when to come back, so it must be of a call that asks for the same.
    Times,
}

/// Who decides.
enum Decider {
    /// This process, by what is in its memory.
    Memory,
    /// This process, by what all processes of the machine share.
    Shared(Box<Shared>),
    /// A store that must be asked.
    Asked(Asked),
}

/// A store that must be asked, and what decides in its place.
struct Asked {
    handle: Handle,
    gate: Gate,
    fallback: Arc<Fallback>,
    known: Known,
    merged: Arc<Counter>,
    timeout: Micros,
    max_pending: usize,
}

impl Limiter {
    /// A limiter that decides in memory, whatever store the settings name.
    pub fn in_memory(settings: &Settings, clock: Arc<dyn Clock>) -> Self {
        let limiter = Self {
            is_simple: Cell::new(false),
            adaptive: settings.adaptive.clone().map(RefCell::new),
            metrics: Arc::new(Metrics::new(&settings.plan)),
            plan: RefCell::new(Arc::new(settings.plan.clone())),
            frame: settings.frame.clone(),
            derived: RefCell::default(),
            configured: RefCell::default(),
            formers: RefCell::default(),
            engaged_until: Cell::default(),
            longest_own: Cell::default(),
            replays: settings.replays,
            pseudonyms: settings.pseudonyms.clone(),
            memory: Arc::new(Memory::new(settings.max_memory, clock)),
            decider: Decider::Memory,
            closed: AtomicBool::new(false),
        };
        limiter.simplify();
        limiter
    }

    /// A limiter that decides by what the processes of the machine share.
    pub fn on_shared(settings: &Settings, shared: Shared, clock: Arc<dyn Clock>) -> Self {
        Self { decider: Decider::Shared(Box::new(shared)), ..Self::in_memory(settings, clock) }
    }

    /// A limiter that asks a store, and the worker that must be run for it.
    pub fn on_store<R: Reach, S: Settle>(
        settings: &Settings,
        reach: R,
        clock: Arc<dyn Clock>,
        settle: S,
    ) -> (Self, Worker<R, S>) {
        let mut limiter = Self::in_memory(settings, clock.clone());
        let mode = settings.on_store_error;
        let is_shared = mode == OnStoreError::Local && settings.plan.has_shares();
        let fleet = is_shared.then(|| Arc::new(Fleet::new(&settings.plan.prefix)));
        // A cache cannot be told of several units at once.
        let can_be_told = mode == OnStoreError::Local && !settings.has_cache;
        let arrears = can_be_told.then(|| Arc::new(Arrears::new(clock.clone())));
        let levels = limiter.adaptive.as_ref().filter(|adaptive| adaptive.borrow().is_of_fleet()).map(|adaptive| {
            let levels = Arc::new(Levels::new(&settings.plan.prefix));
            adaptive.borrow_mut().join(levels.clone());
            levels
        });
        let fallback = Arc::new(Fallback { mode, memory: limiter.memory.clone(), clock, fleet, arrears });
        let known = Known {
            prefix: format!("{}:", settings.plan.prefix),
            refusals: settings.deny_cache.map(|longest| Arc::new(Refusals::new(longest, settings.has_one_server()))),
            leases: settings.lease.map(|terms| Arc::new(Leases::new(terms))),
            // No key of a limit has so few parts.
            policies: settings.policies.as_ref().map(|name| format!("{}:policies:{name}", settings.plan.prefix).into()),
            levels,
        };
        let (gate, merged) = (reach.gate(), reach.merged());
        let (worker, handle) = Worker::new(
            reach,
            fallback.clone(),
            settings.timeout,
            settings.max_pending,
            limiter.metrics.clone(),
            known.clone(),
            settle,
        );
        let (timeout, max_pending) = (settings.timeout, settings.max_pending);
        limiter.decider = Decider::Asked(Asked { handle, gate, fallback, known, merged, timeout, max_pending });
        (limiter, worker)
    }

    /// What the limiter decides by.
    pub fn plan(&self) -> Arc<Plan> {
        self.plan.borrow().clone()
    }

    /// Whether every call is decided in this process.
    pub fn is_local(&self) -> bool {
        self.remote().is_none()
    }

    fn remote(&self) -> Option<&Asked> {
        if let Decider::Asked(remote) = &self.decider { Some(remote) } else { None }
    }

    /// Whether there is a store, and it is not known to be away.
    pub fn can_be_asked(&self) -> bool {
        self.remote().is_some_and(Asked::can_be_asked)
    }

    /// Whether [`decide_here`](Self::decide_here) may be used for a call without options.
    #[inline]
    pub fn is_simple(&self) -> bool {
        self.is_simple.get()
    }

    /// Finds out anew whether it is: after whatever changes by what is decided.
    fn simplify(&self) {
        let plan = self.plan();
        let is_one = |limit: &Limit| limit.name.is_none() && limit.by == By::Key && !limit.role.is_trial();
        let unnamed = plan.limits.only().is_some_and(is_one);
        let is_plain = unnamed && !plan.is_open && !self.replays && self.pseudonyms.is_none() && plan.rules.is_none();
        // A call that says nothing of itself goes by its usual class, and takes the short way while nothing is taken from that.
        let is_whole = self.adaptive.as_ref().is_none_or(|adaptive| adaptive.borrow().share_of(None).is_whole());
        let is_alone = self.configured.borrow().is_empty() && self.formers.borrow().are_gone();
        self.is_simple.set(is_plain && is_whole && is_alone);
    }

    /// Decides a [simple](Self::is_simple) call at once where nobody must be asked: in memory, or by the fallback while the
    /// store is known to be away or too many calls wait for it. `None` means: [`ask`](Self::ask).
    ///
    /// `key` must be [normalised](crate::key::normalize). `read` takes of the decision what is wanted: what nobody reads is not
    /// even computed then, and most calls want no more than a boolean.
    #[inline]
    pub fn decide_here<T>(&self, key: &[u8], ask: Ask, read: impl FnOnce(Decision) -> T) -> Result<Option<T>, Error> {
        let plan = self.plan.borrow();
        match (&self.decider, plan.limits.only()) {
            (Decider::Memory, Some(limit)) => {
                self.must_be_open()?;
                let outcome = self.memory.decide(&limit.policy, &limit.in_memory(key), ask);
                if ask.cost > 0 {
                    self.metrics.here().decided_simply(key, Source::Memory, outcome.allowed);
                }
                return Ok(Some(read(Decision::of_one(&limit.policy, &outcome, Source::Memory))));
            }
            (Decider::Shared(shared), Some(limit)) => {
                self.must_be_open()?;
                let outcome = shared.decide(limit, key, ask)?;
                if ask.cost > 0 {
                    self.metrics.here().decided_simply(key, Source::Shared, outcome.allowed);
                }
                return Ok(Some(read(Decision::of_one(&limit.policy, &outcome, Source::Shared))));
            }
            (Decider::Asked(remote), _) => {
                self.must_be_open()?;
                if let (Some(leases), Some(limit)) = (remote.leases(), plan.limits.only())
                    && let Some(taken) = leases.take(limit, &limit.in_memory(key), ask, Instant::now())
                {
                    let decision = self.decided_by_lease(remote, taken, &plan.limits, key);
                    self.metrics.here().decided_simply(key, decision.source, decision.allowed);
                    return Ok(Some(read(decision)));
                }
                let keys = std::iter::once(key);
                let refused = |refusals: &Refusals, now| refusals.find_ask(&plan.limits, keys, ask, true, now);
                if let Some(decision) = remote.refusal_known(refused) {
                    self.metrics.here().decided_simply(key, decision.source, decision.allowed);
                    return Ok(Some(read(decision)));
                }
                if remote.can_be_asked() {
                    return Ok(None);
                }
            }
            (Decider::Memory | Decider::Shared(_), None) => {}
        }
        drop(plan);
        // What is known has been looked at.
        Ok(self.answer_here(&self.simple(key, Verb::Decide(ask)), Trust::Nothing)?.map(read))
    }

    /// A request about one key under the limiter's own limits.
    pub fn simple(&self, key: &[u8], verb: Verb) -> Request {
        let limits = self.plan.borrow().limits.clone();
        let keys = limits.iter().map(|_| Key::from_normal(key)).collect();
        Request { limits, keys, verb, when: When::Now }
    }

    /// Answers at once where nobody must be asked, as [`decide_here`](Self::decide_here) does. What is known of the keys may refuse
    /// the request as far as `trust` says.
    ///
    /// A reset, a block and its end are done in this process too, whoever is asked: the fallback must know of them.
    pub fn answer_here(&self, request: &Request, trust: Trust) -> Result<Option<Decision>, Error> {
        self.must_be_open()?;
        let here = match &self.decider {
            Decider::Memory => Ok((self.memory.answer(request, |limit| &limit.policy), Source::Memory)),
            Decider::Shared(shared) => Ok((shared.answer(request)?, Source::Shared)),
            Decider::Asked(remote) => Err(remote),
        };
        let remote = match here {
            Ok((outcomes, source)) => {
                let decision = request.decision(|limit| &limit.policy, &outcomes, source);
                self.count(request, &decision);
                return Ok(Some(decision));
            }
            Err(remote) => remote,
        };
        (remote.gate)(request)?;
        if let (Verb::Decide(ask), When::Now, Some(leases)) = (request.verb, request.when, remote.leases())
            && let (Some(limit), Some(key)) = (request.limits.only(), request.keys.first())
            && !limit.role.is_trial()
            && let Some(taken) = leases.take(limit, &limit.in_memory(key.as_bytes()), ask, Instant::now())
        {
            let decision = self.decided_by_lease(remote, taken, &request.limits, key.as_bytes());
            self.count(request, &decision);
            return Ok(Some(decision));
        }
        if trust != Trust::Nothing
            && let Some(decision) =
                remote.refusal_known(|refusals, now| refusals.find(request, trust == Trust::Times, now))
        {
            self.count(request, &decision);
            return Ok(Some(decision));
        }
        if request.verb.is_change() {
            remote.known.changed(request);
        }
        if remote.can_be_asked() {
            if matches!(request.verb, Verb::Reset | Verb::Block(_) | Verb::Unblock) {
                remote.fallback.act(request);
            }
            return Ok(None);
        }
        self.metrics.here().store_failed();
        let decision = remote.fallback.answer_unsent(request, || remote.refusal())?;
        self.count(request, &decision);
        Ok(Some(decision))
    }

    /// Answers at once what is about a hold that this process has made in the store's place, and only it knows of.
    pub fn answer_in_place(&self, request: &Request) -> Result<Option<Decision>, Error> {
        let Some(remote) = self.remote() else { return self.answer_here(request, Trust::Nothing) };
        self.must_be_open()?;
        remote.fallback.answer_unsent(request, || remote.refusal()).map(Some)
    }

    /// Asks the store; `ticket` is settled in every case. For limiters that are not [local](Self::is_local).
    pub fn ask(&self, ticket: Ticket, mut request: Request) {
        if let Some(remote) = self.remote() {
            self.metrics.here().waits();
            let now = Instant::now();
            if let Some(lease) = remote.known.leases.as_ref().and_then(|leases| leases.wanted(&request, now)) {
                request.verb = Verb::Lease(lease);
            }
            remote.send(Some(ticket), request, now);
        }
    }

    /// What a call is told that was decided by a lease. More is asked for ahead, if that is wanted.
    #[inline]
    fn decided_by_lease(&self, remote: &Asked, taken: Taken, limits: &Arc<Limits>, key: &[u8]) -> Decision {
        if let Some(lease) = taken.ahead {
            let keys = smallvec![Key::from_normal(key)];
            let request = Request { limits: limits.clone(), keys, verb: Verb::Lease(lease), when: When::Now };
            remote.ask_ahead(request);
        }
        taken.decision
    }

    /// Settles `ticket` when the store first answers, or with an error after `timeout`. For limiters that are not
    /// [local](Self::is_local); those are ready.
    pub fn ready(&self, ticket: Ticket, timeout: Micros) {
        if let Some(remote) = self.remote() {
            remote.handle.ready(ticket, Instant::now() + timeout.as_duration());
        }
    }

    /// Stores the policies that a fleet shares, as `lua/policies.lua` is `asked`; `ticket` is settled by the news of it. For limiters
    /// whose settings share any.
    pub fn publish(&self, ticket: Ticket, asked: String) {
        if let Some(remote) = self.remote() {
            remote.handle.publish(ticket, asked);
        }
    }

    /// Whether it shares its policies with others.
    pub fn shares_policies(&self) -> bool {
        self.remote().is_some_and(|remote| remote.known.policies.is_some())
    }

    /// Hears of the load at `now`, by which the limits give way. Answers where they stand, and what is left for each class, the lowest
    /// first; nothing where the limits do not give way.
    pub fn observe(&self, now: Micros, load: f64) -> Option<(Standing, Vec<Share>)> {
        let adaptive = self.adaptive.as_ref()?;
        let standing = adaptive.borrow_mut().observe(now, load);
        self.simplify();
        Some((standing, adaptive.borrow().shares().to_vec()))
    }

    /// Takes no more calls from here on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// Settles `ticket` when everything called before is settled, and lets the worker end. Once, after [`close`](Self::close).
    pub fn finish(&self, ticket: Ticket) {
        if let Some(remote) = self.remote() {
            remote.handle.close(ticket);
        }
    }

    /// An error once the limiter has been closed.
    #[inline]
    pub fn must_be_open(&self) -> Result<(), Error> {
        if self.closed.load(Ordering::Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    /// Counts a decision that was made here; the worker counts its own.
    fn count(&self, request: &Request, decision: &Decision) {
        if request.verb.is_counted() {
            self.metrics.here().decided(request, decision);
        }
    }

    /// The counters now.
    pub fn stats(&self) -> Snapshot {
        self.metrics.snapshot()
    }

    /// The limits that it was given, in the words of its options.
    pub fn policies(&self) -> Vec<Described> {
        self.plan.borrow().described()
    }

    /// How many instances share the fallback's limit, as far as is known.
    pub fn fleet(&self) -> Option<u64> {
        self.remote()?.fallback.fleet.as_ref()?.size()
    }

    /// How many calls have travelled merged with another on their key.
    pub fn merged(&self) -> u64 {
        self.remote().map_or(0, |remote| remote.merged.get())
    }

    /// Keys of which units are leased now, and how many of those are left.
    pub fn leased(&self) -> (usize, u64) {
        let leases = self.remote().and_then(|remote| remote.known.leases.as_ref());
        leases.map_or((0, 0), |leases| leases.usable(Instant::now()))
    }

    /// Keys held in memory now, where it is shared by all processes.
    pub fn keys(&self) -> usize {
        if let Decider::Shared(shared) = &self.decider { shared.len() } else { self.memory.len() }
    }

    /// Bytes held of these, as they are reckoned.
    pub fn bytes(&self) -> usize {
        if let Decider::Shared(shared) = &self.decider { shared.bytes() } else { self.memory.bytes() }
    }
}

impl Asked {
    /// What is leased, if anything is.
    #[inline]
    fn leases(&self) -> Option<&Leases> {
        self.known.leases.as_deref().filter(|leases| !leases.is_empty())
    }

    fn send(&self, ticket: Option<Ticket>, request: Request, now: Instant) {
        self.handle.send(Call { ticket, request, deadline: now + self.timeout.as_duration() });
    }

    /// Has nobody wait for what is leased. Where the store cannot be asked it is as if it had failed.
    #[cold]
    fn ask_ahead(&self, request: Request) {
        let now = Instant::now();
        if self.can_be_asked() {
            self.send(None, request, now);
        } else if let Some(leases) = &self.known.leases {
            leases.failed(&request, now);
        }
    }

    /// A refusal that need not be asked for, which `find` may find.
    #[inline]
    fn refusal_known(&self, find: impl FnOnce(&Refusals, Instant) -> Option<Decision>) -> Option<Decision> {
        let refusals = self.known.refusals.as_ref().filter(|refusals| !refusals.is_empty())?;
        find(refusals, Instant::now())
    }

    fn can_be_asked(&self) -> bool {
        self.handle.has_room()
    }

    /// Why it cannot.
    fn refusal(&self) -> Error {
        let overloaded = Error::Overloaded { max_pending: self.max_pending };
        if self.handle.is_down() { self.handle.cause().unwrap_or(overloaded) } else { overloaded }
    }
}
