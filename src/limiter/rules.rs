//! Callers who are on a list: nothing is counted of them, and nobody is asked.

use super::{Deed, Limiter, Who};
use crate::algorithm::Ask;
use crate::decision::Decision;
use crate::error::Error;
use crate::settings::{CallOptions, Plan, Ruling};
use crate::store::{Request, Verb, When};

/// What a call comes to.
#[derive(Clone, Debug)]
pub enum Called {
    /// It is decided by counting.
    Counted(Request),
    /// It is on a list of those who are allowed (`true`) or refused; the request is what it would have been.
    Listed(Request, bool),
}

impl Limiter {
    /// The request that a call comes to, and whether its caller is on a list. `given` are the keys as they were given, however long
    /// they are: one that becomes a digest or a pseudonym is on the same lists.
    pub fn called(&self, given: &Who<'_>, deed: Deed, options: &CallOptions) -> Result<Called, Error> {
        let plan = &*self.plan();
        let rule = plan.rule_of(given);
        let request = self.request_under(plan, &given.clone().normal()?, deed, options, rule.as_ref())?;
        Ok(match rule {
            Some(Ruling::Allow) => Called::Listed(request, true),
            Some(Ruling::Deny) => Called::Listed(request, false),
            Some(Ruling::Limits(_)) | None => Called::Counted(request),
        })
    }

    /// Whether there are rules about keys, for which a key is needed as it was given.
    pub fn has_rules(&self) -> bool {
        self.plan.borrow().rules.is_some()
    }

    /// The action that has its own limit under which a call of `action` falls: itself, or a pattern that it matches.
    pub fn route_of(&self, action: &str) -> Option<String> {
        self.plan.borrow().own_of(action)?.action().map(str::to_owned)
    }

    /// The answer to a request of somebody who is on a list.
    pub fn answer_by_list(&self, request: &Request, allowed: bool) -> Result<Decision, Error> {
        self.must_be_open()?;
        let ask = match request.verb {
            Verb::Decide(ask) => ask,
            Verb::Reserve { cost, .. } | Verb::Hold { units: cost, .. } => Ask::all(cost),
            // Nothing is changed, and a call of one unit would be told this.
            _ => Ask::look(1),
        };
        let now = match request.when {
            When::Now => self.memory.now(),
            When::Dated(moment) | When::Replayed(moment) => moment,
        };
        let decision = Decision::listed(&request.limits, allowed, now, ask);
        if request.verb.is_counted() {
            self.metrics.here().listed(request, allowed);
        }
        Ok(decision)
    }
}

impl Plan {
    /// What the rules say of a caller.
    pub(super) fn rule_of(&self, who: &Who<'_>) -> Option<Ruling<'_>> {
        self.rules.as_ref()?.find(|field| who.said(field))
    }

    /// The patterns by which the rules say that of them.
    pub(super) fn patterns_of(&self, who: &Who<'_>, ruling: &Ruling<'_>) -> Vec<&str> {
        self.rules.as_ref().map_or_else(Vec::new, |rules| rules.patterns(|field| who.said(field), ruling))
    }
}
