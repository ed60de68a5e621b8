//! Callers who are on a list: nothing is counted of them, and nobody is asked.

use super::{Deed, Limiter, Who};
use crate::algorithm::Ask;
use crate::decision::Decision;
use crate::error::Error;
use crate::settings::{CallOptions, Plan, Rule};
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
    /// The request that a call comes to, and whether its caller is on a list. `text` is the key as it was given, however long it
    /// is: one that becomes a digest or a pseudonym is on the same lists.
    pub fn called(&self, who: &Who<'_>, text: &[u8], deed: Deed, options: &CallOptions) -> Result<Called, Error> {
        let plan = &*self.plan();
        let rule = plan.rules.as_ref().and_then(|rules| rules.find(text));
        let request = self.request_under(plan, who, deed, options, rule)?;
        Ok(match rule {
            Some(Rule::Allow) => Called::Listed(request, true),
            Some(Rule::Deny) => Called::Listed(request, false),
            Some(Rule::Limit(_)) | None => Called::Counted(request),
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
    /// The rule under which a caller falls.
    pub(super) fn rule_of(&self, who: &Who<'_>) -> Option<&Rule> {
        match (&self.rules, who) {
            (Some(rules), Who::Key(key)) => rules.find(key),
            _ => None,
        }
    }
}
