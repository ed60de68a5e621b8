//! What a limiter decides by: its limit or its limits, those of its actions, and what a limit that is given later is made of.

use std::collections::HashMap;
use std::sync::Arc;

use super::rules::{self, Routes, Rules};
use super::template::Template;
use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{self, Given, contradiction, field, within};
use crate::limits::{By, CANDIDATE, Limit, Limits, NEW_KEYS, Role};
use crate::policy;

/// The options that make one limit.
pub(super) const NUMBERS: [&str; 7] = ["limit", "window", "algorithm", "burst", "resolution", "align", "fallback"];

/// The most limits that one call is decided by. Each is a key of its own in the store.
const MOST_LIMITS: usize = 16;

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of a call that names no action.
    pub limits: Arc<Limits>,
    /// Of the actions that have their own.
    pub actions: HashMap<String, Arc<Limits>>,
    /// How many new identities one source may bring: part of the [guarded](Limits::guarded) ones among the limits.
    pub new_keys: Option<Limit>,
    /// Whether each key's limit is given by `configure` or with the call: [`limits`](Self::limits) is then only their place.
    pub is_open: bool,
    /// The field of every key within whose value all limits count, and whose value alone decides in which slot of a cluster a
    /// key lies.
    pub owner: Option<Arc<str>>,
    /// What every key in Redis begins with.
    pub prefix: String,
    /// What limits that are given later are made of.
    pub template: Template,
    /// Who has another limit than everybody, or is on a list.
    pub rules: Option<Arc<Rules>>,
    /// What the names of actions match, where some are patterns.
    pub routes: Option<Arc<Routes>>,
}

impl Plan {
    /// Reads the constructor's options.
    pub(super) fn read(options: &[(String, Given)]) -> Result<Self, Error> {
        let expected = "a string of 1 to 128 characters";
        let prefix = input::or_default(field(options, "prefix"), "rl", |given| {
            input::text("prefix", given, 128, expected, |_| true)
        })?;
        let template = Template::read(options, &[]);
        let is_open = matches!(field(options, "limit"), Given::Text(word) if word == "configured");
        let limits = match field(options, "limits") {
            Given::Missing if is_open => {
                super::trials::only_beside_one(options)?;
                open(prefix, options, &template)?
            }
            Given::Missing => {
                let (policy, fallback) = numbers(options, None)?;
                let is_shared = is_shared(options, None)?;
                let limit = Limit::new(prefix, None, None, By::Key, policy, fallback).shared(is_shared);
                Limits::new(super::trials::beside(prefix, CANDIDATE, super::trials::cast(options, limit)?, options)?)
            }
            given => {
                let alone = ["limit", "window", "burst", "fallback"];
                if let Some(other) = alone.into_iter().find(|name| *field(options, name) != Given::Missing) {
                    return Err(contradiction(format!(
                        "`{other}` and `limits` were both given: each of the `limits` has its own, so leave out one of them"
                    )));
                }
                super::trials::only_beside_one(options)?;
                Limits::new(list(prefix, given, options)?)
            }
        };
        let template = match limits.replaceable() {
            Some(limit) if !is_open => template.alike_to(&limit.policy),
            _ => template,
        };
        let actions = input::or_default(field(options, "actions"), HashMap::new(), |given| {
            let actions =
                input::record("actions", given, "an object such as { download: { limit: 5, window: '1h' } }")?;
            actions.iter().map(|(action, given)| read_action(prefix, action, given, options)).collect()
        })?;
        let new_keys = match field(options, NEW_KEYS) {
            Given::Missing => None,
            given => Some(super::new_keys::read(prefix, given, options)?),
        };
        let limits = Arc::new(limits);
        let routes = rules::routes(actions.keys())?.map(Arc::new);
        let prefix = prefix.to_owned();
        let plan = Self { limits, actions, new_keys, is_open, owner: None, prefix, template, rules: None, routes };
        let plan = match field(options, "hashTag") {
            Given::Missing | Given::Flag(false) => plan,
            Given::Flag(true) => plan.tagged(None),
            given => {
                let expected = "true, false, or the name of the field that all keys of a slot have in common";
                let owner = input::text("hashTag", given, 64, expected, |_| true)?;
                plan.owned_by(owner)?
            }
        };
        let plan = super::new_keys::guard(plan)?;
        // Only now it is known by which fields anything is counted.
        let rules = rules::read(options, &plan)?.map(Arc::new);
        Ok(Self { rules, ..plan })
    }

    /// The fields of keys by which anything is counted, some of them more than once.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &str> {
        let all = std::iter::once(&self.limits).chain(self.actions.values());
        let counting = all.flat_map(|limits| limits.iter()).chain(&self.new_keys);
        let counted = counting.filter_map(|limit| match &limit.by {
            By::Field(name) => Some(&**name),
            By::Key | By::Global => None,
        });
        counted.chain(self.owner.as_deref())
    }

    /// These limits with the one on new keys, where the limiter has one and it is about any of them.
    pub fn guarded(&self, limits: Limits) -> Limits {
        match &self.new_keys {
            Some(new_keys) => limits.guarded_by(new_keys),
            None => limits,
        }
    }

    /// The same limits where every unit counts for so much longer in the store, since it may be used as much later.
    pub(super) fn lasting(self, longer: Micros) -> Self {
        let last_one = |limit: &Limit| match limit.role {
            // Nothing is ever leased of it.
            Role::Candidate => limit.clone(),
            _ => limit.with(limit.policy.lasting(longer), limit.fallback),
        };
        let last = |limits: &Limits| Arc::new(Limits::new(limits.iter().map(last_one)));
        let actions = self.actions.iter().map(|(action, limits)| (action.clone(), last(limits))).collect();
        let rules = self.rules.map(|rules| Arc::new(Rules::clone(&rules).lasting(longer)));
        Self { limits: last(&self.limits), actions, rules, template: self.template.lasting(longer), ..self }
    }

    /// The same plan with each of its limits as `settle` has it.
    pub(crate) fn settled(self, settle: impl Fn(Limit) -> Limit) -> Self {
        let each = |limits: &Limits| Arc::new(self.guarded(Limits::new(limits.iter().cloned().map(&settle))));
        let limits = each(&self.limits);
        let actions = self.actions.iter().map(|(action, limits)| (action.clone(), each(limits))).collect();
        Self { limits, actions, ..self }
    }

    /// The limits that an action has of its own, by its name or by the longest pattern that it matches.
    pub fn own_of(&self, action: &str) -> Option<&Arc<Limits>> {
        let name = match &self.routes {
            Some(routes) => routes.find(action)?,
            None => action,
        };
        self.actions.get(name)
    }

    /// Whether instances share the fallback of some limit.
    pub fn has_shares(&self) -> bool {
        let all = std::iter::once(&self.limits).chain(self.actions.values());
        all.flat_map(|limits| limits.iter()).chain(&self.new_keys).any(|limit| limit.is_shared)
    }

    /// Whether any limit is tried.
    pub fn has_trials(&self) -> bool {
        self.limits.has_trials() || self.own_trials().next().is_some()
    }

    /// Those of actions that are tried.
    pub(crate) fn own_trials(&self) -> impl Iterator<Item = &Limit> {
        self.actions.values().flat_map(|limits| limits.iter()).filter(|limit| limit.role.is_trial())
    }

    fn tagged(self, owner: Option<Arc<str>>) -> Self {
        let actions = self.actions.into_iter().map(|(action, limits)| (action, Arc::new(limits.tagged()))).collect();
        let new_keys = self.new_keys.map(Limit::tagged);
        Self { limits: Arc::new(self.limits.tagged()), actions, new_keys, owner, ..self }
    }

    fn owned_by(self, owner: &str) -> Result<Self, Error> {
        let mut limits = std::iter::once(&self.limits).chain(self.actions.values()).flat_map(|limits| limits.iter());
        if limits.any(|limit| limit.by == By::Key) {
            return Err(contradiction(format!(
                "`hashTag: '{owner}'` is for keys that have several fields: give every limit a `by`"
            )));
        }
        Ok(self.tagged(Some(owner.into())))
    }
}

/// The place of limits that are given later.
fn open(prefix: &str, options: &[(String, Given)], template: &Template) -> Result<Limits, Error> {
    if let Some(other) =
        ["window", "burst", "fallback"].into_iter().find(|name| *field(options, name) != Given::Missing)
    {
        return Err(contradiction(format!(
            "`{other}` was given with `limit: 'configured'`: it comes with each limit, by `configure` or with the call"
        )));
    }
    let policy = template.build(&Given::Number(1.0), &Given::Number(1_000.0))?;
    Ok(Limits::new([Limit::new(prefix, None, None, By::Key, policy, policy)]))
}

/// The policy that `options` describe and the one of their fallback; what is not said is as in `defaults`.
fn numbers(options: &[(String, Given)], defaults: Option<&[(String, Given)]>) -> Result<(Policy, Policy), Error> {
    let own = |name: &str| match (field(options, name), defaults) {
        (Given::Missing, Some(defaults)) if is_inherited(name) => field(defaults, name),
        (given, _) => given,
    };
    let of_limit = |limit, window| policy::Options {
        limit,
        window,
        algorithm: own("algorithm"),
        burst: own("burst"),
        resolution: own("resolution"),
        align: own("align"),
    };
    let (limit, window) = (own("limit"), own("window"));
    let policy = policy::build(&of_limit(limit, window))?;
    let fallback = input::or_default(own("fallback"), policy, |given| {
        let fallback = input::record("fallback", given, "an object such as { limit: 50, window: '1m' }")?;
        input::only_known("`fallback`", fallback, &["limit", "window", "share"])?;
        let or = |name, other| match field(fallback, name) {
            Given::Missing => other,
            given => given,
        };
        // A bucket of another size is the limit's own: the fallback's is as large as its limit.
        let burst = if *field(fallback, "limit") == Given::Missing { own("burst") } else { &Given::Missing };
        policy::build(&policy::Options { burst, ..of_limit(or("limit", limit), or("window", window)) })
            .map_err(|error| within("fallback", error))
    })?;
    Ok((policy, fallback))
}

/// Whether a limit is counted as others are that does not say how.
fn is_inherited(name: &str) -> bool {
    matches!(name, "algorithm" | "resolution" | "align")
}

/// Whether the instances share the fallback. An action whose own fallback does not say so takes after the limiter's.
fn is_shared(options: &[(String, Given)], defaults: Option<&[(String, Given)]>) -> Result<bool, Error> {
    let said = |options| match field(options, "fallback") {
        Given::Record(fallback) => field(fallback, "share"),
        _ => &Given::Missing,
    };
    let share = match (said(options), defaults) {
        (Given::Missing, Some(defaults)) => said(defaults),
        (given, _) => given,
    };
    input::or_default(share, false, |given| input::word("share", given, &[("fleet", true)]))
        .map_err(|error| within("fallback", error))
}

fn list(prefix: &str, given: &Given, options: &[(String, Given)]) -> Result<Vec<Limit>, Error> {
    let expected = "an array of 1 to 16 limits such as { name: 'daily', limit: 1000, window: '1d' }";
    let list = match given {
        Given::List(list) if (1..=MOST_LIMITS).contains(&list.len()) => list,
        other => return Err(Error::Option(other.refuse("limits", expected, |given| matches!(given, Given::List(_))))),
    };
    let mut limits: Vec<Limit> = Vec::with_capacity(list.len());
    for (index, given) in list.iter().enumerate() {
        let place = format!("limits[{index}]");
        let fields = input::record(&place, given, "an object such as { name: 'daily', limit: 1000, window: '1d' }")?;
        let limit = read_limit(prefix, &place, fields, options)?;
        if let Some(name) =
            limit.name.as_deref().filter(|name| limits.iter().any(|other| other.name.as_deref() == Some(name)))
        {
            return Err(contradiction(format!(
                "`{place}.name` is '{name}' like another limit's: give each a name of its own"
            )));
        }
        limits.push(limit);
    }
    super::trials::one_in_force(&limits)?;
    let by_whole_key = |limit: &Limit| limit.by == By::Key;
    if !limits.iter().all(by_whole_key)
        && let Some(index) = limits.iter().position(by_whole_key)
    {
        return Err(contradiction(format!(
            "`limits[{index}].by` is missing, but others have one: say by which field of the key it counts, or `by: 'global'`"
        )));
    }
    Ok(limits)
}

fn read_limit(
    prefix: &str,
    place: &str,
    fields: &[(String, Given)],
    defaults: &[(String, Given)],
) -> Result<Limit, Error> {
    let known: Vec<&str> = ["name", "by", super::trials::SHADOW].into_iter().chain(NUMBERS).collect();
    input::only_known(&format!("`{place}`"), fields, &known)?;
    let expected = "a string of 1 to 64 letters, digits, '-', '_' or '.'";
    let name =
        input::text("name", field(fields, "name"), 64, expected, |c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let name = name.map_err(|error| within(place, error))?;
    if name == NEW_KEYS {
        return Err(contradiction(format!(
            "`{place}.name` is '{NEW_KEYS}', as the limit of the option `{NEW_KEYS}` is called: give it another name"
        )));
    }
    super::trials::refuse_name(place, name)?;
    let by = read_by(field(fields, "by")).map_err(|error| within(place, error))?;
    let make = |policy, fallback| Limit::new(prefix, Some(name), None, by, policy, fallback);
    super::trials::cast_within(place, fields, limit_of(place, fields, defaults, make)?)
}

/// The limit of the numbers among `fields`, where `make` says whose that is; what they do not say is as in `defaults`.
pub(super) fn limit_of(
    place: &str,
    fields: &[(String, Given)],
    defaults: &[(String, Given)],
    make: impl FnOnce(Policy, Policy) -> Limit,
) -> Result<Limit, Error> {
    let (policy, fallback) = numbers(fields, Some(defaults)).map_err(|error| within(place, error))?;
    let is_shared = is_shared(fields, Some(defaults)).map_err(|error| within(place, error))?;
    Ok(make(policy, fallback).shared(is_shared))
}

fn read_by(given: &Given) -> Result<By, Error> {
    let expected = "the name of a field of the key, or 'global' for a limit that all callers share";
    input::or_default(given, By::Key, |given| field_or_global(given, expected))
}

/// A field of the key to count by, or nothing.
pub(super) fn field_or_global(given: &Given, expected: &str) -> Result<By, Error> {
    let field = input::text("by", given, 64, expected, |_| true)?;
    Ok(if field == "global" { By::Global } else { By::Field(field.into()) })
}

fn read_action(
    prefix: &str,
    action: &str,
    given: &Given,
    defaults: &[(String, Given)],
) -> Result<(String, Arc<Limits>), Error> {
    let place = format!("actions.{action}");
    let fields = input::record(&place, given, "an object such as { limit: 5, window: '1h' }")?;
    let known: Vec<&str> = ["by", super::trials::SHADOW, CANDIDATE].into_iter().chain(NUMBERS).collect();
    input::only_known(&format!("`{place}`"), fields, &known)?;
    super::call::action(&Given::Text(action.to_owned())).map_err(|error| within("actions", error))?;
    let by = read_by(field(fields, "by")).map_err(|error| within(&place, error))?;
    let make = |policy, fallback| Limit::new(prefix, None, Some(action), by, policy, fallback);
    let limit = super::trials::cast_within(&place, fields, limit_of(&place, fields, defaults, make)?)?;
    // What a candidate does not say is as in the action, and what that does not say as in the limiter.
    let own: Vec<_> = fields
        .iter()
        .chain(defaults.iter().filter(|(name, _)| is_inherited(name) && *field(fields, name) == Given::Missing))
        .cloned()
        .collect();
    let each = super::trials::beside(prefix, &format!("{place}.{CANDIDATE}"), limit, &own)?;
    Ok((action.to_owned(), Arc::new(Limits::new(each.into_iter().map(Limit::of_own_action)))))
}
