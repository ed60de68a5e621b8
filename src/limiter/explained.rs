//! Why a call is decided as it is: by which limits, and who has said that these are its own.

use super::{Limiter, Who};
use crate::error::Error;
use crate::limiter::Deed;
use crate::settings::{CallOptions, Described, Plan, Ruling};

/// Who has said which limits a call has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The limiter's own options.
    Default,
    /// The options of its action.
    Action,
    /// An override, whose pattern the key meets.
    Override,
    /// `configure`.
    Configured,
    /// The call itself.
    Call,
    /// A list of those who are never counted.
    AllowList,
    /// A list of those who are always refused.
    DenyList,
}

impl Origin {
    /// What JavaScript calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Action => "action",
            Self::Override => "override",
            Self::Configured => "configured",
            Self::Call => "call",
            Self::AllowList => "allow-list",
            Self::DenyList => "deny-list",
        }
    }
}

/// The limits of a call, in the order in which a decision has them.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Who has said so.
    pub origin: Origin,
    /// The pattern by which an override or a list has the key, or those of several fields.
    pub pattern: Option<String>,
    /// Each limit as it was given, whatever it has given way since, and what the caller's key is called under it in Redis.
    pub limits: Vec<(Described, String)>,
}

impl Limiter {
    /// Which limits a call has, and from where. `given` are the keys as they were given.
    pub fn explain(&self, given: &Who<'_>, options: &CallOptions) -> Result<Explained, Error> {
        self.must_be_open()?;
        let plan: &Plan = &self.plan();
        let (who, rule) = (&given.clone().normal()?, plan.rule_of(given));
        let rule = rule.as_ref();
        let origin = match rule {
            Some(Ruling::Allow) => Origin::AllowList,
            Some(Ruling::Deny) => Origin::DenyList,
            Some(Ruling::Limits(_)) | None => self.limits_of(plan, who, options, rule)?.1,
        };
        let whole = CallOptions { is_whole: true, ..options.clone() };
        let is_by_rule = matches!(origin, Origin::Override | Origin::AllowList | Origin::DenyList);
        let pattern = rule.filter(|_| is_by_rule).map(|rule| plan.patterns_of(given, rule).join(", "));
        let request = self.request_under(plan, who, Deed::Look, &whole, rule)?;
        let limits = request.parts().filter(|(limit, _)| !limit.is_former()).map(|(limit, key)| {
            let mut name = Vec::new();
            limit.append_name(&mut name, key.as_bytes());
            (plan.describe(limit.action.as_deref(), limit), String::from_utf8_lossy(&name).into_owned())
        });
        Ok(Explained { origin, pattern, limits: limits.collect() })
    }
}
