//! The options `shadow` and `candidate`: limits that are tried before they bite.

use super::plan::{NUMBERS, Plan, limit_of};
use crate::error::Error;
use crate::input::{self, Given, contradiction, field, within};
use crate::limits::{CANDIDATE, Limit, Role};
use crate::store::cache;

/// The option that makes a limit one.
pub(super) const SHADOW: &str = "shadow";

/// The limit that `fields` describe in the role that they give it.
pub(super) fn cast(fields: &[(String, Given)], limit: Limit) -> Result<Limit, Error> {
    match field(fields, SHADOW) {
        Given::Missing | Given::Flag(false) => Ok(limit),
        Given::Flag(true) if *field(fields, "fallback") == Given::Missing => Ok(limit.playing(Role::Shadow)),
        Given::Flag(true) => Err(contradiction(
            "`fallback` and `shadow` were both given: while the store is away a limit that is only tried is not asked, so leave one of them out"
                .into(),
        )),
        other => {
            Err(Error::Option(other.refuse(SHADOW, "true or false", |given| matches!(given, Given::Flag(_)))))
        }
    }
}

/// Refuses limits of which all are only tried.
pub(super) fn one_in_force(limits: &[Limit]) -> Result<(), Error> {
    if limits.iter().any(|limit| !limit.role.is_trial()) {
        return Ok(());
    }
    Err(contradiction(
        "all of `limits` are `shadow: true`, so nobody would ever be refused: leave it out of one of them, or give a single limit with `shadow: true`"
            .into(),
    ))
}

/// The only limit of a limiter or an action, and the candidate for its place where there is one: what that is made of stands at `place`.
pub(super) fn beside(
    prefix: &str,
    place: &str,
    limit: Limit,
    options: &[(String, Given)],
) -> Result<Vec<Limit>, Error> {
    let given = field(options, CANDIDATE);
    if *given == Given::Missing {
        return Ok(vec![limit]);
    }
    if limit.role.is_trial() {
        return Err(contradiction(format!(
            "`{place}` was given beside `shadow`: a limit that is tried is in nobody's way, so leave one of them out"
        )));
    }
    let fields = input::record(place, given, "an object such as { limit: 50, window: '1m' }")?;
    let known: Vec<&str> = NUMBERS.into_iter().filter(|name| *name != "fallback").collect();
    input::only_known(&format!("`{place}`"), fields, &known)?;
    let (action, by) = (limit.action.as_deref(), limit.by.clone());
    let make = |policy, _| Limit::new(prefix, Some(CANDIDATE), action, by, policy, policy).playing(Role::Candidate);
    let candidate = limit_of(place, fields, options, make)?.shared(false);
    Ok(vec![limit, candidate])
}

/// Refuses a limit that is called as the candidate is.
pub(super) fn refuse_name(place: &str, name: &str) -> Result<(), Error> {
    if name != CANDIDATE {
        return Ok(());
    }
    Err(contradiction(format!(
        "`{place}.name` is '{CANDIDATE}', as the limit of the option `{CANDIDATE}` is called: give it another name"
    )))
}

/// Refuses a candidate, or a limiter that is only tried, where limits are given in another way than one by the options themselves.
pub(super) fn only_beside_one(options: &[(String, Given)]) -> Result<(), Error> {
    let (other, why) = if *field(options, "limits") == Given::Missing {
        ("limit: 'configured'", "there is no limit yet that it could be beside")
    } else {
        ("limits", "it is tried in the place of a single limit; among several, say `shadow: true` of one")
    };
    match [CANDIDATE, SHADOW].into_iter().find(|name| *field(options, name) != Given::Missing) {
        Some(name) => {
            Err(contradiction(format!("`{name}` and `{other}` were both given, but {why}: leave one of them out")))
        }
        None => Ok(()),
    }
}

/// Refuses what has no place for limits that are tried.
pub(super) fn check(options: &[(String, Given)], plan: &Plan) -> Result<(), Error> {
    let Some(tried) = plan.limits.iter().chain(plan.own_trials()).find(|limit| limit.role.is_trial()) else {
        return Ok(());
    };
    let own = if tried.role == Role::Candidate { CANDIDATE } else { SHADOW };
    let is_given = |name: &str| !matches!(field(options, name), Given::Missing | Given::Flag(false));
    if is_given("cacheClient") {
        return Err(cache::beyond(&format!("`{own}`")));
    }
    let because = [
        ("newKeys", "which of them a new key would have met cannot be told"),
        ("shared", "memory that processes share has no place for it"),
    ];
    match because.into_iter().find(|(name, _)| is_given(name)) {
        Some((name, why)) => {
            Err(contradiction(format!("`{name}` and `{own}` were both given, but {why}: leave one of them out")))
        }
        None => Ok(()),
    }
}

/// Names the limit of that place in what is wrong with it.
pub(super) fn cast_within(place: &str, fields: &[(String, Given)], limit: Limit) -> Result<Limit, Error> {
    cast(fields, limit).map_err(|error| within(place, error))
}
