//! What stays the same of a limiter whose limits are changed, and what a change may say.

use super::plan::{NUMBERS, Plan};
use super::{OPTIONS, lease, policies, trials};
use crate::algorithm::{Algorithm, SlidingCounter};
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{self, Given, contradiction, field};
use crate::leases::Terms;
use crate::limits::{CANDIDATE, NEW_KEYS};
use crate::store::cache;

/// The options that describe several limits, or who has which.
const SEVERAL: [&str; 9] =
    ["limits", NEW_KEYS, "actions", "overrides", "allow", "deny", "policies", trials::SHADOW, CANDIDATE];

/// The options that describe limits, which `update` takes and a file may say.
pub fn describing() -> impl Iterator<Item = &'static str> {
    NUMBERS.into_iter().chain(SEVERAL)
}

/// All others: where a limiter asks, and how. They stay as the constructor was given them.
pub fn fixed() -> impl Iterator<Item = &'static str> {
    OPTIONS.into_iter().filter(|name| !describes(name))
}

fn describes(name: &str) -> bool {
    describing().any(|known| known == name)
}

/// What every plan of a limiter is read with, as its constructor was given it.
#[derive(Clone, Debug)]
pub struct Frame {
    prefix: Given,
    hash_tag: Given,
    /// What may be leased of a key, where that is wanted.
    pub(super) lease: Option<Terms>,
    /// Whether the store can only count.
    pub(super) has_cache: bool,
    /// Whether the store is memory that is never away.
    has_shared: bool,
}

impl Frame {
    /// Reads the constructor's options, and by what its limiter decides at first.
    pub(super) fn read(options: &[(String, Given)]) -> Result<(Self, Plan), Error> {
        let is_given = |name| *field(options, name) != Given::Missing;
        let mut frame = Self {
            prefix: field(options, "prefix").clone(),
            hash_tag: field(options, "hashTag").clone(),
            lease: None,
            has_cache: is_given("cacheClient"),
            has_shared: is_given("shared"),
        };
        let plan = frame.read_plan(options)?;
        trials::check(options, &plan)?;
        frame.lease = lease::read(options)?;
        let plan = frame.leased(plan)?;
        Ok((frame, plan))
    }

    /// The plan that the argument of `update` describes: as if the constructor had been given it, with all else as it was.
    pub fn change(&self, given: &Given) -> Result<Plan, Error> {
        let options = input::record("options", given, "an object such as { limit: 200, window: '1m' }")?;
        if let Some((fixed, _)) = options.iter().find(|(name, _)| fixed().any(|known| known == name)) {
            return Err(contradiction(format!(
                "`{fixed}` cannot be changed: `update` takes what describes limits, so leave it out, or make another limiter"
            )));
        }
        let known: Vec<&str> = OPTIONS.into_iter().filter(|name| describes(name)).collect();
        input::only_known("update", options, &known)?;
        if self.has_shared && *field(options, "fallback") != Given::Missing {
            return Err(contradiction(
                "`fallback` is for a store that may be away, which shared memory never is: leave it out".into(),
            ));
        }
        if policies::is_shared(field(options, "policies")) {
            return Err(contradiction(
                "`policies` must be an object of limits with names here: who shares its policies says so to the constructor".into(),
            ));
        }
        let mut options = options.to_vec();
        options.push(("prefix".into(), self.prefix.clone()));
        options.push(("hashTag".into(), self.hash_tag.clone()));
        let own = |(name, is_given)| (String::from(name), Given::Flag(is_given));
        options.extend([("shared", self.has_shared), ("cacheClient", self.has_cache)].map(own));
        let plan = self.read_plan(&options)?;
        trials::check(&options, &plan)?;
        self.leased(plan)
    }

    /// How long units are leased.
    pub fn leased_for(&self) -> Micros {
        self.lease.map_or(Micros::ZERO, |terms| terms.ttl)
    }

    fn read_plan(&self, options: &[(String, Given)]) -> Result<Plan, Error> {
        if self.has_cache { countable(options) } else { Plan::read(options) }
    }

    fn leased(&self, plan: Plan) -> Result<Plan, Error> {
        let Some(terms) = self.lease else { return Ok(plan) };
        lease::fits(terms.ttl, &plan)?;
        Ok(plan.lasting(terms.ttl))
    }
}

/// What a limiter on a cache decides by: two windows, whose counts go up by one.
fn countable(options: &[(String, Given)]) -> Result<Plan, Error> {
    if *field(options, "newKeys") != Given::Missing {
        return Err(cache::beyond("`newKeys`"));
    }
    if matches!(field(options, "window"), Given::Record(_)) {
        return Err(cache::beyond("a `window` of the calendar"));
    }
    let mut options = options.to_vec();
    if *field(&options, "algorithm") == Given::Missing {
        options.retain(|(name, _)| name != "algorithm");
        options.push(("algorithm".into(), Given::Text(SlidingCounter::NAME.into())));
    }
    let plan = Plan::read(&options)?;
    trials::check(&options, &plan)?;
    if plan.limits.only().is_none() {
        return Err(cache::beyond("more than one of `limits`"));
    }
    if plan.has_shares() {
        return Err(cache::beyond("`fallback.share`"));
    }
    if !matches!(field(&options, "denyCache"), Given::Missing | Given::Flag(false)) {
        // Calls that overtake each other may be refused for a moment.
        return Err(cache::beyond("`denyCache`"));
    }
    for limits in std::iter::once(&plan.limits).chain(plan.actions.values()) {
        limits.iter().try_for_each(|limit| cache::accepts(limit).map(drop))?;
    }
    if let (Some(rules), Some(limit)) = (&plan.rules, plan.limits.only()) {
        rules.policies().try_for_each(|policy| cache::accepts(&limit.with(*policy, *policy)).map(drop))?;
    }
    Ok(plan)
}
