//! What happens when the limits are changed while calls go on: everything by which calls are decided is replaced at once, or
//! nothing is.
//!
//! States hold no numbers of their limits, so what a key has consumed is simply read under the new ones. That an algorithm's state
//! cannot be read by another is why a limit whose algorithm is changed goes on [beside](super::former) what it becomes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Limiter;
use super::former::{self, Change, Formers, Place};
use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::Error;
use crate::fallback::OnStoreError;
use crate::input::{Given, contradiction, within};
use crate::key::Key;
use crate::limits::{Limit, NEW_KEYS};
use crate::settings::Plan;

impl Limiter {
    /// Decides by what these options describe from the next call on, as if the constructor had been given them; what they leave
    /// out is as it is without it. Where they are refused nothing has changed.
    ///
    /// Calls under way are decided by what they began with. What `configure` has given to single keys stays theirs.
    pub fn update(&self, given: &Given) -> Result<(), Error> {
        self.must_be_open()?;
        self.follow(self.frame.change(given)?)
    }

    /// The same by a plan that was read.
    fn follow(&self, plan: Plan) -> Result<(), Error> {
        self.accepts(&plan)?;
        let rebuild = |(key, policy): (&Key, &Policy)| {
            let policy = plan.template.rebuild(policy).map_err(|error| within("configure", error))?;
            Ok((key.clone(), policy))
        };
        let own = self.configured.borrow().iter().map(rebuild).collect::<Result<HashMap<_, _>, Error>>()?;
        let formers = self.formers_after(&plan, own.values().map(former::remembered).max().unwrap_or_default())?;
        // From here on nothing fails.
        let plan = plan.settled(|limit| formers.settled(limit));
        *self.formers.borrow_mut() = formers;
        *self.configured.borrow_mut() = own;
        self.metrics.name(&plan);
        self.derived.borrow_mut().clear();
        let plan = Arc::new(plan);
        *self.plan.borrow_mut() = plan.clone();
        self.simplify();
        self.doubt(&plan);
        Ok(())
    }

    /// What limits were, where the plan changes the algorithm of some. For so long are the limits of single keys remembered under it.
    fn formers_after(&self, plan: &Plan, own: Micros) -> Result<Formers, Error> {
        let before = &*self.plan.borrow();
        let formers = self.formers.borrow();
        if plan.keeps_algorithms_of(before) && formers.are_gone() {
            return Ok(formers.clone());
        }
        if self.replays {
            return Err(contradiction(
                "`algorithm` cannot be changed with `clock: 'timestamps'`, where no time passes in which what was consumed would be forgotten: keep it, or make another limiter"
                    .into(),
            ));
        }
        let configured = self.configured.borrow();
        let rules =
            [before, plan].into_iter().filter_map(|plan| plan.rules.as_ref()).flat_map(|rules| rules.policies());
        let longest = configured.values().chain(rules).map(former::remembered).max().unwrap_or_default();
        formers.after(&Change {
            before,
            plan,
            now: self.memory.now(),
            own: own.max(longest).max(self.longest_own.get()),
            engaged_until: self.engaged_until.get(),
            leased: self.frame.leased_for(),
        })
    }

    /// Refuses what a running limiter cannot become.
    fn accepts(&self, plan: &Plan) -> Result<(), Error> {
        if let Some(remote) = self.remote()
            && remote.fallback.mode == OnStoreError::Local
            && remote.fallback.fleet.is_none()
            && plan.has_shares()
        {
            return Err(contradiction(
                "`fallback.share` cannot begin with an update, since this instance is not on the fleet's list: give it to the constructor"
                    .into(),
            ));
        }
        Ok(())
    }

    /// What was known without asking was known of other numbers: refusals are forgotten, and what is leased is given back.
    fn doubt(&self, plan: &Plan) {
        let Some(remote) = self.remote() else { return };
        let now = Instant::now();
        if let Some(refusals) = &remote.known.refusals {
            refusals.forget(now);
        }
        if let Some(leases) = &remote.known.leases {
            let leased = plan.limits.only().filter(|limit| !limit.role.is_trial());
            let is_kept = |policy: &Policy| leased.is_some_and(|limit| limit.policy == *policy);
            for request in leases.revoke(is_kept) {
                if remote.can_be_asked() {
                    remote.send(None, request, now);
                }
            }
        }
    }
}

impl Plan {
    /// The places of all limits that it names.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let limits = self.limits.iter().map(|limit| (limit.name.clone(), None));
        let actions = self.actions.iter().flat_map(|(action, limits)| {
            limits.iter().map(move |limit| (limit.name.clone(), Some(Arc::from(action.as_str()))))
        });
        let new_keys = self.new_keys.iter().map(|_| (Some(Arc::from(NEW_KEYS)), None));
        limits.chain(actions).chain(new_keys)
    }

    /// What decides there; an action without a limit of its own has the limiter's.
    pub(super) fn limit_at(&self, (name, action): &Place) -> Option<&Limit> {
        if name.as_deref() == Some(NEW_KEYS) {
            return self.new_keys.as_ref();
        }
        let own = action.as_ref().and_then(|action| self.actions.get(&**action));
        own.unwrap_or(&self.limits).iter().find(|limit| limit.name == *name)
    }

    fn keeps_algorithms_of(&self, before: &Self) -> bool {
        before.places().chain(self.places()).all(|place| match (before.limit_at(&place), self.limit_at(&place)) {
            (Some(old), Some(new)) => old.policy.id() == new.policy.id(),
            _ => true,
        })
    }
}
