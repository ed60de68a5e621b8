//! The option `lease`: whether a process may take units ahead of the calls that use them.

use super::plan::Plan;
use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::{Class, Error, Rejection};
use crate::input::{self, Given, contradiction, field, within};
use crate::leases::Terms;
use crate::limits::Role;

/// The most units of one lease.
const MOST: u64 = 1_000_000;

/// Reads it, if it is given.
pub(super) fn read(options: &[(String, Given)]) -> Result<Option<Terms>, Error> {
    let given = field(options, "lease");
    if matches!(given, Given::Missing | Given::Flag(false)) {
        return Ok(None);
    }
    let fields = input::record("lease", given, "an object such as { max: 100, ttl: '200ms' }, or false")?;
    input::only_known("`lease`", fields, &["max", "ttl"])?;
    let max = input::whole("max", field(fields, "max"), 1..=MOST).map_err(Error::Option);
    let max = max.map_err(|error| within("lease", error))?;
    let ttl = input::duration("ttl", field(fields, "ttl"), Micros::from_millis(1)..=Micros::from_millis(60_000));
    let ttl = ttl.map_err(|error| within("lease", error))?;
    let stores = ["redisUrl", "sentinel", "redisClient"];
    if stores.iter().all(|name| *field(options, name) == Given::Missing) {
        return Err(contradiction(
            "`lease` is for a limiter on Redis, from which units are leased: give it a `redisUrl`, `sentinel` or `redisClient`, or leave out `lease`".into(),
        ));
    }
    Ok(Some(Terms { max, ttl }))
}

/// Whether units may be leased of the limits of `plan`.
pub(super) fn fits(ttl: Micros, plan: &Plan) -> Result<(), Error> {
    if plan.limits.replaceable().is_none() || plan.new_keys.is_some() {
        return Err(contradiction(
            "`lease` is for a limiter with one limit, and several were given: leave out `lease`, or make a limiter of each".into(),
        ));
    }
    let all = std::iter::once(&plan.limits).chain(plan.actions.values()).flat_map(|limits| limits.iter());
    let of_rules = plan.rules.iter().flat_map(|rules| rules.policies());
    // Of one that is tried in another's place nothing is ever leased.
    let leased = all.filter(|limit| limit.role != Role::Candidate).map(|limit| &limit.policy);
    for policy in leased.chain(of_rules) {
        if !matches!(policy, Policy::SlidingWindow(_) | Policy::TokenBucket(_)) {
            return Err(not_leased());
        }
        if !plan.is_open && ttl > policy.window() {
            return Err(too_long());
        }
    }
    Ok(())
}

/// Refuses to lease units of a limit whose algorithm has none to spare.
pub(super) fn not_leased() -> Error {
    contradiction(
        "`lease` is for `algorithm: 'sliding-window'` without a `burst`, or 'token-bucket': leave out `lease`, or choose one of them".into(),
    )
}

/// Refuses a lease that is longer than the window of a limit under which it is taken.
pub(super) fn too_long() -> Error {
    Error::Option(Rejection {
        class: Class::Range,
        message: "`lease.ttl` must not be longer than the `window`, in which its units count: give it a fiftieth of that, or less".into(),
    })
}
