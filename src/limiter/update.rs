//! What happens when the limits are changed while calls go on: everything by which calls are decided is replaced at once, or
//! nothing is.
//!
//! States hold no numbers of their limits, so what a key has consumed is simply read under the new ones. That an algorithm's state
//! cannot be read by another is why a limit keeps its algorithm.

use std::sync::Arc;
use std::time::Instant;

use super::Limiter;
use crate::algorithm::Policy;
use crate::error::Error;
use crate::fallback::OnStoreError;
use crate::input::{Given, contradiction, within};
use crate::limits::{DEFAULT, NEW_KEYS};
use crate::settings::Plan;

/// Where the keys of a limit stand: its name, and the action for which it counts.
type Place<'a> = (Option<&'a str>, Option<&'a str>);

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
        let mut configured = self.configured.borrow_mut();
        let own = configured.iter().map(|(key, policy)| {
            let policy = plan.template.rebuild(policy).map_err(|error| within("configure", error))?;
            Ok((key.clone(), policy))
        });
        let own = own.collect::<Result<_, Error>>()?;
        // From here on nothing fails.
        *configured = own;
        drop(configured);
        self.metrics.name(&plan);
        self.derived.borrow_mut().clear();
        let plan = Arc::new(plan);
        *self.plan.borrow_mut() = plan.clone();
        self.simplify();
        self.doubt(&plan);
        Ok(())
    }

    /// Refuses what a running limiter cannot become.
    fn accepts(&self, plan: &Plan) -> Result<(), Error> {
        let before = self.plan();
        for (name, action) in places(&before).into_iter().chain(places(plan)) {
            if let (Some(old), Some(new)) = (policy_at(&before, (name, action)), policy_at(plan, (name, action)))
                && old.id() != new.id()
            {
                let whose = match (name, action) {
                    (_, Some(action)) => format!("of the action '{action}'"),
                    (name, None) => format!("'{}'", name.unwrap_or(DEFAULT)),
                };
                return Err(contradiction(format!(
                    "the limit {whose} cannot become {} from {}, since what its keys have consumed would be forgotten: keep its `algorithm`, and keep or leave out its `burst` as before, or make another limiter",
                    described(new),
                    described(old),
                )));
            }
        }
        if plan.limits.has_trials() && self.remote().is_some_and(|remote| remote.known.refusals.is_some()) {
            return Err(contradiction(
                "limits that are tried cannot begin with an update where refusals are known without asking, which they would not see: give the constructor `denyCache: false`"
                    .into(),
            ));
        }
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
            let is_kept = |policy: &Policy| plan.limits.only().is_some_and(|limit| limit.policy == *policy);
            for request in leases.revoke(is_kept) {
                if remote.can_be_asked() {
                    remote.send(None, request, now);
                }
            }
        }
    }
}

/// The places of all limits that a plan names.
fn places(plan: &Plan) -> Vec<Place<'_>> {
    let limits = plan.limits.iter().map(|limit| (limit.name.as_deref(), None));
    let actions = plan.actions.keys().map(|action| (None, Some(action.as_str())));
    let new_keys = plan.new_keys.iter().map(|_| (Some(NEW_KEYS), None));
    limits.chain(actions).chain(new_keys).collect()
}

/// What decides there; an action without a limit of its own has the limiter's.
fn policy_at<'a>(plan: &'a Plan, (name, action): Place<'_>) -> Option<&'a Policy> {
    if name == Some(NEW_KEYS) {
        return plan.new_keys.as_ref().map(|limit| &limit.policy);
    }
    let own = action.and_then(|action| plan.actions.get(action));
    let limit = own.unwrap_or(&plan.limits).iter().find(|limit| limit.name.as_deref() == name);
    limit.map(|limit| &limit.policy)
}

fn described(policy: &Policy) -> String {
    // A windowed algorithm with a burst has a state of its own.
    format!("'{}'{}", policy.name(), if policy.id() >= 128 { " with a `burst`" } else { "" })
}
