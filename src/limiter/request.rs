//! What a call comes to: the limits that decide it, and a key for each of them.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use super::{Limiter, Origin};
use crate::adaptive::{Classes, Share};
use crate::algorithm::{Ask, Policy};
use crate::clock::Micros;
use crate::error::Error;
use crate::input::{self, Given};
use crate::key::{self, Key};
use crate::limits::{By, Limit, Limits, Role};
use crate::policy;
use crate::settings::{CallOptions, Own, Plan, Ruling};
use crate::store::{Request, Verb, When};

/// Whom a call is about: keys as they were given, or [normalised](Self::normal).
#[derive(Clone, Debug)]
pub enum Who<'a> {
    /// One key for all limits.
    Key(Cow<'a, [u8]>),
    /// A key for each field by which some limit counts.
    Fields(Vec<(String, Cow<'a, [u8]>)>),
}

impl<'a> Who<'a> {
    /// The same by keys that a store may have: what is too long of them is a digest.
    pub fn normal(self) -> Result<Self, Error> {
        let normal = |given: Cow<'a, [u8]>| {
            let digest = match key::normalize(&given)? {
                Cow::Owned(digest) => Some(digest),
                Cow::Borrowed(_) => None,
            };
            Ok::<_, Error>(digest.map_or(given, Cow::Owned))
        };
        Ok(match self {
            Self::Key(given) => Self::Key(normal(given)?),
            Self::Fields(fields) => {
                let each = fields.into_iter().map(|(field, given)| Ok((field, normal(given)?)));
                Self::Fields(each.collect::<Result<_, Error>>()?)
            }
        })
    }

    /// What it says of a field, or as the whole key.
    pub(super) fn said(&self, field: Option<&str>) -> Option<&[u8]> {
        match (self, field) {
            (Self::Key(key), None) => Some(key),
            (Self::Fields(fields), Some(field)) => fields.iter().find(|(name, _)| name == field).map(|(_, key)| &**key),
            _ => None,
        }
    }
}

/// What a method of the limiter does, before it is known of how many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Decides.
    Take,
    /// Says what would be decided.
    Look,
    /// Takes what will be there within so long.
    Reserve(Micros),
    /// Gives back.
    Refund,
    /// Takes past the limit.
    Penalize,
    /// Keeps back for so long.
    Hold(Micros),
    /// Ends the hold that ends then, and takes what was used of it.
    Settle(Micros),
    /// Has it end so much later.
    Renew {
        /// When it ends.
        ends: Micros,
        /// How long it lasts.
        ttl: Micros,
    },
}

/// Actions whose limits are remembered. Others are made for each call, so that no caller's words fill the memory.
const MOST_DERIVED: usize = 1_024;

impl Limiter {
    /// The request that a call comes to.
    pub fn request(&self, who: &Who<'_>, deed: Deed, options: &CallOptions) -> Result<Request, Error> {
        let plan = &*self.plan();
        self.request_under(plan, who, deed, options, plan.rule_of(who).as_ref())
    }

    /// The same, where the rule is known under which the caller falls.
    pub(super) fn request_under(
        &self,
        plan: &Plan,
        who: &Who<'_>,
        deed: Deed,
        options: &CallOptions,
        rule: Option<&Ruling<'_>>,
    ) -> Result<Request, Error> {
        let (own, origin) = self.limits_of(plan, who, options, rule)?;
        let own = self.beside_formers(plan, own);
        // Who is on a list needs no limit.
        if plan.is_open && rule.is_none() && origin == Origin::Default {
            // What is no key needs none either.
            self.keys_of(plan, &own, who)?;
            return Err(Error::NoLimit(
                "this key has no limit: give it one with `configure(key, { limit, window })`, or with the call".into(),
            ));
        }
        if let Deed::Hold(_) = deed {
            self.can_hold(plan)?;
        }
        let capacity = own.capacity();
        let limits = match (deed, own.guarded()) {
            (Deed::Take | Deed::Look | Deed::Reserve(_), Some(guarded)) => guarded.clone(),
            // What is held is no call yet that could be tried.
            (Deed::Hold(_) | Deed::Settle(_) | Deed::Renew { .. }, _) if own.has_trials() => {
                own.in_force().cloned().ok_or_else(|| cannot_hold("shadow", "of which nothing can be kept back"))?
            }
            _ => own,
        };
        let keys = self.keys_of(plan, &limits, who)?;
        // What was used is booked in full, whatever is left now.
        let limits = match deed {
            Deed::Settle(_) | Deed::Renew { .. } => limits,
            _ => self.left_of(limits, options)?,
        };
        let name = if options.up_to { "upTo" } else { "cost" };
        let cost = match deed {
            Deed::Settle(_) => policy::used("actual", options.cost.as_ref())?.min(2 * capacity),
            _ => policy::cost(name, capacity, options.cost.as_ref())?,
        };
        let verb = match deed {
            Deed::Take if options.up_to => Verb::Decide(Ask { cost, least: 1 }),
            Deed::Take => Verb::Decide(Ask::all(cost)),
            // Any unit would be granted.
            Deed::Look if options.up_to => Verb::Decide(Ask::look(1)),
            Deed::Look => Verb::Decide(Ask::look(cost)),
            Deed::Reserve(patience) if limits.only().is_some_and(|limit| !limit.role.is_trial()) => {
                Verb::Reserve { cost, patience }
            }
            // Several limits have no common time that could be booked, and for one that is tried nobody waits: all or nothing, now.
            Deed::Reserve(_) => Verb::Decide(Ask::all(cost)),
            Deed::Refund => Verb::Refund(cost),
            Deed::Penalize => Verb::Penalize(cost),
            Deed::Hold(ttl) => Verb::Hold { units: cost, ttl },
            Deed::Settle(ends) => Verb::Settle { ends, units: cost },
            Deed::Renew { ends, ttl } => Verb::Renew { ends, ttl },
        };
        self.remember_verb(verb);
        Ok(Request { limits, keys, verb, when: self.when(options)? })
    }

    /// Refuses what no hold can be had with.
    fn can_hold(&self, plan: &Plan) -> Result<(), Error> {
        if self.replays {
            return Err(cannot_hold("clock: 'timestamps'", "where no time passes in which a reservation could end"));
        }
        if plan.new_keys.is_some() {
            let why = "since a reservation is no call that could be counted as somebody's first";
            return Err(cannot_hold("newKeys", why));
        }
        Ok(())
    }

    /// What the call's class has left of these limits. A call's cost is checked against the whole ones: that it is too much for now is
    /// an answer.
    fn left_of(&self, limits: Arc<Limits>, options: &CallOptions) -> Result<Arc<Limits>, Error> {
        let Some(adaptive) = &self.adaptive else {
            return if options.priority.is_none() { Ok(limits) } else { Err(no_priorities()) };
        };
        let adaptive = adaptive.borrow();
        let class = options.priority.as_ref().map(|name| class_of(adaptive.classes(), name)).transpose()?;
        let share = adaptive.share_of(class);
        if options.is_whole || share.is_whole() {
            return Ok(limits);
        }
        let left = |policy: &Policy| policy.scaled(share.parts(), Share::PARTS);
        let give_way = |limit: &Limit| limit.with(left(&limit.policy), left(&limit.fallback));
        Ok(Arc::new(Limits::new(limits.iter().map(give_way))))
    }

    fn when(&self, options: &CallOptions) -> Result<When, Error> {
        match options.timestamp {
            Some(moment) if self.replays => Ok(When::Replayed(moment)),
            Some(moment) => Ok(When::Dated(moment)),
            None if self.replays => Err(input::contradiction(
                "`timestamp` is missing: with `clock: 'timestamps'` each call must say when it happened".into(),
            )),
            None => Ok(When::Now),
        }
    }

    /// The request that blocks, unblocks or resets: under those limits that count by what is named.
    pub fn request_for(&self, who: &Who<'_>, verb: Verb, options: &CallOptions) -> Result<Request, Error> {
        let plan = &*self.plan();
        let (limits, _) = self.limits_of(plan, who, options, plan.rule_of(who).as_ref())?;
        let mut limits = self.beside_formers(plan, limits);
        if let Who::Fields(fields) = who {
            // The owner says whose somebody is, and is meant itself only where nobody else is named.
            let is_meant = |field: &str| fields.len() == 1 || plan.owner.as_deref() != Some(field);
            let named = |limit: &&Limit| match &limit.by {
                By::Field(name) => is_meant(name) && fields.iter().any(|(field, _)| **field == **name),
                By::Key | By::Global => false,
            };
            // Whoever names a source and nobody else means what it has brought, too.
            let of_source = plan.new_keys.iter().filter(|limit| {
                let is_whole =
                    |field: &str| By::Field(field.into()) == limit.by || plan.owner.as_deref() == Some(field);
                verb == Verb::Reset && named(limit) && fields.iter().all(|(field, _)| is_whole(field))
            });
            limits = Arc::new(Limits::new(limits.iter().filter(named).chain(of_source).cloned()));
            if limits.is_empty() {
                return Err(Error::Key(format!("the key names nobody: {}", plan.expected_fields())));
            }
        }
        let keys = self.keys_of(plan, &limits, who)?;
        self.remember_verb(verb);
        let when = match verb {
            Verb::Block(_) => self.when(options)?,
            // When a key was last seen is the only time that is known of it.
            _ if self.replays => When::Replayed(Micros::ZERO),
            _ => When::Now,
        };
        Ok(Request { limits, keys, verb, when })
    }

    /// The limits of a call: those of its action, with the numbers that an override, `configure` or the call itself has given. And who
    /// has said so.
    pub(super) fn limits_of(
        &self,
        plan: &Plan,
        who: &Who<'_>,
        options: &CallOptions,
        rule: Option<&Ruling<'_>>,
    ) -> Result<(Arc<Limits>, Origin), Error> {
        let (limits, origin) = match &options.action {
            None => (plan.limits.clone(), Origin::Default),
            Some(action) => match plan.own_of(action) {
                Some(limits) => (limits.clone(), Origin::Action),
                None => (self.derive(plan, action), Origin::Default),
            },
        };
        if let Some((limit, window)) = &options.own {
            let only = limits.replaceable().ok_or_else(|| {
                input::contradiction("a call's own `limit` is for a limiter with one limit: leave it out".into())
            })?;
            let policy = plan.template.build(limit, window)?;
            self.remember_own(&policy);
            return Ok((Arc::new(plan.guarded(Limits::new([only.with(policy, policy)]))), Origin::Call));
        }
        if origin == Origin::Action {
            return Ok((limits, origin));
        }
        if let Some(only) = limits.replaceable()
            && !self.configured.borrow().is_empty()
            && let Some(policy) = self.configured.borrow().get(&self.keys_of(plan, &limits, who)?[0])
        {
            return Ok((Arc::new(plan.guarded(Limits::new([only.with(*policy, *policy)]))), Origin::Configured));
        }
        if let Some(Ruling::Limits(own)) = rule {
            let stays = |limit: &&Limit| limit.role != Role::Candidate;
            let mut each: SmallVec<[Limit; 4]> = limits.iter().filter(stays).cloned().collect();
            for Own { index, policy } in own {
                each[*index] = each[*index].with(*policy, *policy);
            }
            return Ok((Arc::new(plan.guarded(Limits::new(each))), Origin::Override));
        }
        Ok((limits, origin))
    }

    fn derive(&self, plan: &Plan, action: &str) -> Arc<Limits> {
        let mut derived = self.derived.borrow_mut();
        if let Some(limits) = derived.get(action) {
            return limits.clone();
        }
        let of = |limit: &Limit| {
            let (by, name) = (limit.by.clone(), limit.name.as_deref());
            let derived = Limit::new(&plan.prefix, name, Some(action), by, limit.policy, limit.fallback)
                .shared(limit.is_shared)
                .playing(limit.role);
            let derived = if limit.is_tagged() { derived.tagged() } else { derived };
            self.formers.borrow().settled(derived)
        };
        let limits = Arc::new(plan.guarded(Limits::new(plan.limits.iter().map(of))));
        if derived.len() < MOST_DERIVED {
            derived.insert(action.to_owned(), limits.clone());
        }
        limits
    }

    fn keys_of(&self, plan: &Plan, limits: &Limits, who: &Who<'_>) -> Result<SmallVec<[Key; 1]>, Error> {
        if matches!(who, Who::Fields(_)) && plan.fields().next().is_none() {
            return Err(Error::Key("a key must be a non-empty string, but an object was given".into()));
        }
        if let Who::Fields(fields) = who
            && let Some((field, _)) = fields.iter().find(|(field, _)| !plan.counts_by(field))
        {
            return Err(Error::Key(format!("no limit counts by `{field}`: {}", plan.expected_fields())));
        }
        let Some(owner) = &plan.owner else {
            return limits.iter().map(|limit| self.key_by(plan, &limit.by, who)).collect();
        };
        let owner = By::Field(owner.clone());
        let whose = self.key_by(plan, &owner, who)?;
        let of_owner = |limit: &Limit| {
            let own = (limit.by != owner).then(|| self.key_by(plan, &limit.by, who)).transpose()?;
            Ok(Key::of_owner(&whose, own.as_ref()))
        };
        limits.iter().map(of_owner).collect()
    }

    /// The part of a caller's key that a limit counts by.
    fn key_by(&self, plan: &Plan, by: &By, who: &Who<'_>) -> Result<Key, Error> {
        match (by, who) {
            (By::Global, _) => Ok(Key::from_normal(b"global")),
            (By::Key, Who::Key(key)) => Ok(self.stored(key)),
            (By::Field(name), Who::Fields(_)) => match who.said(Some(name)) {
                Some(key) => Ok(self.stored(key)),
                None => Err(Error::Key(format!("the key has no `{name}`: {}", plan.expected_fields()))),
            },
            (By::Key, Who::Fields(_)) => {
                Err(Error::Key("a key must be a non-empty string, but an object was given".into()))
            }
            (By::Field(_), Who::Key(_)) => Err(Error::Key(format!("a string was given: {}", plan.expected_fields()))),
        }
    }

    /// A caller's key as every store has it.
    fn stored(&self, key: &[u8]) -> Key {
        self.pseudonyms.as_ref().map_or_else(|| Key::from_normal(key), |pseudonyms| pseudonyms.of(key))
    }

    /// Gives a key a limit of its own, `{ limit, window }`, or takes it away, `null`.
    pub fn configure(&self, who: &Who<'_>, own: &Given) -> Result<(), Error> {
        self.must_be_open()?;
        let plan = &*self.plan();
        if plan.limits.replaceable().is_none() {
            return Err(Error::Unsupported(
                "`configure` is for a limiter with one limit, and this one has several: give each group of callers a limiter of its own"
                    .into(),
            ));
        }
        let key = self.keys_of(plan, &plan.limits, who)?.swap_remove(0);
        let policy = match own {
            Given::Other("null") => None,
            given => {
                let fields = input::record("limit", given, "an object such as { limit: 10, window: '1m' }, or null")?;
                input::only_known("configure", fields, &["limit", "window"])?;
                let [limit, window] = ["limit", "window"].map(|name| input::field(fields, name));
                Some(plan.template.build(limit, window)?)
            }
        };
        let mut configured = self.configured.borrow_mut();
        match policy {
            Some(policy) => configured.insert(key, policy),
            None => configured.remove(&key),
        };
        drop(configured);
        self.simplify();
        Ok(())
    }
}

fn cannot_hold(option: &str, why: &str) -> Error {
    Error::Unsupported(format!("`reserve` cannot be had with `{option}`, {why}: give it a limiter without"))
}

impl Plan {
    fn counts_by(&self, field: &str) -> bool {
        self.fields().any(|name| name == field)
    }

    fn expected_fields(&self) -> String {
        let mut fields: Vec<String> = self.fields().map(|name| format!("{name}: '…'")).collect();
        fields.sort();
        fields.dedup();
        format!("the key must be an object with a non-empty string for each field, as in {{ {} }}", fields.join(", "))
    }
}

fn no_priorities() -> Error {
    input::contradiction(
        "`priority` is for a limiter with `adaptive.priorities`: give it these, or leave `priority` out".into(),
    )
}

fn class_of(classes: &Classes, name: &str) -> Result<usize, Error> {
    if classes.names().is_empty() {
        return Err(no_priorities());
    }
    classes.named(name).ok_or_else(|| {
        let names: Vec<String> = classes.names().iter().map(|name| format!("'{name}'")).collect();
        let expected = format!("one of {}", names.join(", "));
        Error::Option(Given::Text(name.to_owned()).refuse("priority", &expected, |_| true))
    })
}
