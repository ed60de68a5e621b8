//! The option `newKeys`: how many new identities one source may bring.

use std::collections::HashMap;
use std::sync::Arc;

use super::plan::{NUMBERS, Plan, field_or_global, limit_of};
use crate::error::Error;
use crate::input::{self, Given, contradiction, field, within};
use crate::limits::{By, Limit, Limits, NEW_KEYS};

/// The limit that the option describes. What is not said of its algorithm is as in `defaults`.
pub(super) fn read(prefix: &str, given: &Given, defaults: &[(String, Given)]) -> Result<Limit, Error> {
    let fields = input::record(NEW_KEYS, given, "an object such as { limit: 100, window: '1h', by: 'ip' }")?;
    let known: Vec<&str> = ["by"].into_iter().chain(NUMBERS).collect();
    input::only_known("`newKeys`", fields, &known)?;
    let expected =
        "the name of the field that says where a call comes from, such as 'ip', or 'global' for all sources together";
    let by = field_or_global(field(fields, "by"), expected).map_err(|error| within(NEW_KEYS, error))?;
    let make = |policy, fallback| Limit::new(prefix, Some(NEW_KEYS), None, by, policy, fallback);
    limit_of(NEW_KEYS, fields, defaults, make)
}

/// The plan whose limits know of the one on new keys, where there is one and it has something to do.
pub(super) fn guard(plan: Plan) -> Result<Plan, Error> {
    let Some(new_keys) = &plan.new_keys else { return Ok(plan) };
    if plan.limits.iter().any(|limit| limit.by == By::Key) {
        return Err(contradiction(
            "`newKeys` is for keys that have several fields, of which one says where the call comes from: give `limits`, each with a `by`"
                .into(),
        ));
    }
    for (action, limits) in &plan.actions {
        if limits.iter().any(|limit| limit.by == By::Key) {
            return Err(contradiction(format!(
                "`actions.{action}.by` is missing, but `newKeys` was given: say by which field of the key it counts"
            )));
        }
    }
    let guarded = |limits: &Limits| Arc::new(plan.guarded(limits.clone()));
    let limits = guarded(&plan.limits);
    let actions = plan.actions.iter().map(|(action, limits)| (action.clone(), guarded(limits)));
    let actions: HashMap<_, _> = actions.collect();
    if std::iter::once(&limits).chain(actions.values()).all(|limits| limits.guarded().is_none()) {
        let by = if let By::Field(field) = &new_keys.by { field } else { "global" };
        return Err(contradiction(format!(
            "`newKeys.by` is '{by}', and no limit counts by the field of anybody whom that could bring: give one of the `limits` another `by`, such as 'user'"
        )));
    }
    Ok(Plan { limits, actions, ..plan })
}
