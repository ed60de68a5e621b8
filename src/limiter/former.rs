//! Limits whose algorithm was changed: what each was goes on beside what it is, until nothing of it is remembered any more.
//!
//! An algorithm's state cannot be read by another, so nothing is converted. Instead the *former* limit stays in force, with the new
//! numbers and the state that it has, and each call must be admitted by both and is counted by both. So what was consumed before the
//! change counts for as long as it would have, whoever still decides by the former algorithm is seen, and a change back finds a state
//! that is up to date. A caller is told of one limit, and of it what is stricter.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use smallvec::{SmallVec, smallvec};

use super::Limiter;
use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::Error;
use crate::input::contradiction;
use crate::limits::{DEFAULT, Ending, Limit, Limits, NEW_KEYS};
use crate::settings::Plan;
use crate::store::Verb;

/// Where the keys of a limit stand: its name, and the action for which it counts.
pub(super) type Place = (Option<Arc<str>>, Option<Arc<str>>);

/// What the limits of a limiter were. Nothing, where no algorithm was ever changed.
#[derive(Clone, Debug, Default)]
pub(super) struct Formers {
    histories: HashMap<Place, History>,
    /// Whether none is in force any more.
    are_gone: bool,
}

/// The algorithms that a limit has had.
#[derive(Clone, Debug)]
struct History {
    /// One policy of each, the first of which is the one whose keys in memory have no mark.
    all: SmallVec<[Policy; 2]>,
    /// Those that are in force beside the present one.
    in_force: SmallVec<[Former; 1]>,
}

/// What a limit was.
#[derive(Clone, Copy, Debug)]
struct Former {
    policy: Policy,
    /// When it was changed.
    since: Micros,
    /// When nothing of what it had counted by then is remembered.
    until: Micros,
}

/// By what a change is judged, beside the plans before and after it.
pub(super) struct Change<'a> {
    pub before: &'a Plan,
    pub plan: &'a Plan,
    pub now: Micros,
    /// For how long what single keys have of their own is remembered at most, before and after.
    pub own: Micros,
    /// When blocks and holds end that are known of here.
    pub engaged_until: Micros,
    /// How long units are leased.
    pub leased: Micros,
}

impl Formers {
    /// Whether none is in force.
    pub(super) fn are_gone(&self) -> bool {
        self.histories.is_empty() || self.are_gone
    }

    /// The limit with its keys in memory where none of its other algorithms has them.
    pub(super) fn settled(&self, limit: Limit) -> Limit {
        match self.of(&limit) {
            Some(history) if history.all[0].id() != limit.policy.id() => limit.apart(),
            _ => limit,
        }
    }

    /// What a limit was, where its algorithm was changed. That of an action without a limit of its own is the limiter's.
    fn of(&self, limit: &Limit) -> Option<&History> {
        if self.histories.is_empty() { None } else { self.at(&(limit.name.clone(), limit.action.clone())) }
    }

    fn at(&self, (name, action): &Place) -> Option<&History> {
        let own = self.histories.get(&(name.clone(), action.clone()));
        own.or_else(|| self.histories.get(&(name.clone(), None)))
    }

    /// What they are after a change. Refused where a limit would read what another algorithm has written.
    pub(super) fn after(&self, change: &Change<'_>) -> Result<Self, Error> {
        let mut places: Vec<Place> = self.histories.keys().cloned().collect();
        places.extend(change.before.places().chain(change.plan.places()));
        let mut histories = HashMap::new();
        for place in places {
            if histories.contains_key(&place) {
                continue;
            }
            let (before, now) = (change.before.limit_at(&place), change.plan.limit_at(&place));
            let known = self.at(&place).cloned();
            if let Some(history) = History::after(known, before, now, &place, change)? {
                histories.insert(place, history);
            }
        }
        // Of a limiter whose algorithms are what they always were nothing is kept.
        if histories.values().all(|history| history.all.len() == 1) {
            return Ok(Self::default());
        }
        let are_gone = histories.values().all(|history| history.in_force.is_empty());
        Ok(Self { histories, are_gone })
    }

    /// Lets go of those of which nothing is remembered. Answers whether that were the last.
    fn forget(&mut self, now: Micros) -> bool {
        for history in self.histories.values_mut() {
            history.in_force.retain(|former| former.until > now);
        }
        self.are_gone = self.histories.values().all(|history| history.in_force.is_empty());
        self.are_gone
    }

    /// Has those that are in force be so until then.
    fn last(&mut self, until: Micros) {
        for former in self.histories.values_mut().flat_map(|history| &mut history.in_force) {
            former.until = former.until.max(until);
        }
    }

    /// These limits, and behind each that is in force what it was.
    fn beside(&self, prefix: &str, limits: &Limits, leased: Micros, now: Micros) -> SmallVec<[Limit; 1]> {
        let mut all = SmallVec::new();
        for limit in limits.iter() {
            all.push(limit.clone());
            let Some(history) = self.of(limit).filter(|_| !limit.role.is_trial()) else { continue };
            for Former { policy, until, .. } in
                history.in_force.iter().filter(|former| former.policy.id() != limit.policy.id())
            {
                // Where others still lease of it, a unit may be used so much later than it is counted.
                let own = policy.under(&limit.policy).lasting(leased);
                let ending = Ending { at: *until, within: *until - now };
                all.push(self.settled(limit.as_former(prefix, own, policy.under(&limit.fallback), ending)));
            }
        }
        all
    }
}

impl History {
    fn after(
        known: Option<Self>,
        before: Option<&Limit>,
        limit: Option<&Limit>,
        place: &Place,
        change: &Change<'_>,
    ) -> Result<Option<Self>, Error> {
        // Of one that is no more its name may come back, and with it the keys that it had.
        let Some(limit) = limit else { return Ok(known.filter(|history| history.all.len() > 1)) };
        let new = &limit.policy;
        // One that begins anew has been nothing before.
        let old = before.map_or(new, |before| &before.policy);
        let mut history = known.unwrap_or_else(|| Self { all: smallvec![*old], in_force: SmallVec::new() });
        history.has_had(old);
        history.in_force.retain(|former| former.until > change.now);
        if history.all.iter().any(|policy| policy.name() == new.name() && policy.id() != new.id()) {
            return Err(contradiction(format!(
                "the limit {} cannot become {} after it was {}, whose keys have the same names and hold another state: keep or leave out its `burst` as before, or make another limiter",
                described(place),
                words(new),
                words(history.all.iter().find(|policy| policy.name() == new.name()).unwrap_or(old)),
            )));
        }
        if old.id() != new.id() {
            if place.0.as_deref() == Some(NEW_KEYS) {
                return Err(contradiction(format!(
                    "`newKeys` cannot become {} from {}, since whom a source has brought would be forgotten: keep its `algorithm`, or make another limiter",
                    words(new),
                    words(old),
                )));
            }
            history.in_force.push(Former { policy: *old, since: change.now, until: change.now });
        }
        history.has_had(new);
        // Changed back, it is what it was.
        history.in_force.retain(|former| former.policy.id() != new.id());
        for former in &mut history.in_force {
            let longest = remembered(&former.policy).max(remembered(new)).max(change.own) + change.leased;
            former.until = former.until.max(former.since + longest);
            if former.since == change.now {
                former.until = former.until.max(change.engaged_until);
            }
        }
        Ok(Some(history))
    }

    fn has_had(&mut self, policy: &Policy) {
        if self.all.iter().all(|other| other.id() != policy.id()) {
            self.all.push(*policy);
        }
    }
}

/// For how long a limit remembers what it has counted, at most: a penalty may have taken as much again as there is. A period of the
/// calendar is none of another limit's windows, so what it has counted matters for as long as the other limit looks back.
pub(super) fn remembered(policy: &Policy) -> Micros {
    if matches!(policy, Policy::Calendar(_)) { Micros::ZERO } else { Micros(2 * policy.longest().0) }
}

fn described((name, action): &Place) -> String {
    match action {
        Some(action) => format!("of the action '{action}'"),
        None => format!("'{}'", name.as_deref().unwrap_or(DEFAULT)),
    }
}

fn words(policy: &Policy) -> String {
    format!("'{}'{}", policy.name(), if policy.id() >= 128 { " with a `burst`" } else { "" })
}

impl Limiter {
    /// The limits of a call, and beside them what they were, as long as that is of meaning.
    pub(super) fn beside_formers(&self, plan: &Plan, limits: Arc<Limits>) -> Arc<Limits> {
        if self.formers.borrow().are_gone() { limits } else { self.with_formers(plan, limits) }
    }

    #[cold]
    fn with_formers(&self, plan: &Plan, limits: Arc<Limits>) -> Arc<Limits> {
        let now = self.memory.now();
        if self.formers.borrow_mut().forget(now) {
            self.simplify();
            // What is known of refusals may be known of a limit that is no more.
            if let Some(refusals) = self.remote().and_then(|remote| remote.known.refusals.as_ref()) {
                refusals.forget(Instant::now());
            }
            return limits;
        }
        let all = self.formers.borrow().beside(&plan.prefix, &limits, self.frame.leased_for(), now);
        if all.len() == limits.len() { limits } else { Arc::new(plan.guarded(Limits::new(all))) }
    }

    /// A block and a hold last for as long as they say, whatever a limit remembers. A hold that is renewed may be one of a limit that
    /// was.
    pub(super) fn remember_verb(&self, verb: Verb) {
        if let Verb::Block(length) | Verb::Hold { ttl: length, .. } | Verb::Renew { ttl: length, .. } = verb {
            let until = self.engaged_until.get().max(self.memory.now() + length);
            self.engaged_until.set(until);
            if let Verb::Renew { .. } = verb {
                self.formers.borrow_mut().last(until);
            }
        }
    }

    /// A limit that came with a call is known to nobody else.
    pub(super) fn remember_own(&self, policy: &Policy) {
        self.longest_own.set(self.longest_own.get().max(remembered(policy)));
    }
}
