//! What a call is decided by: one limit, or several together, all or nothing.

use std::borrow::Cow;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::algorithm::Policy;
use crate::clock::Micros;
use crate::key;
use crate::policy::MAX_UNITS;

/// One limit, and where its keys stand.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What the caller calls it; a limiter with one limit need not.
    pub name: Option<Arc<str>>,
    /// Of which action it is, where it is of one.
    pub action: Option<Arc<str>>,
    /// Which part of the caller's key it counts by.
    pub by: By,
    /// What decides.
    pub policy: Policy,
    /// What decides while the store is away.
    pub fallback: Policy,
    /// Whether the instances that share the store share that, too.
    pub is_shared: bool,
    /// Whether it is in force, and what it has to do with the limit on new keys.
    pub role: Role,
    /// What it is called where it is tried, if it is an action's own.
    tried_as: Option<Arc<str>>,
    /// When it ends, where it is what the limit of its name was before its algorithm was changed.
    ending: Option<Ending>,
    /// What its keys begin with in Redis.
    namespace: Arc<str>,
    /// Whether they stand in braces there.
    is_tagged: bool,
    /// What its keys begin with in memory: nothing for a limiter's only limit, which is most of them.
    room: Arc<[u8]>,
}

/// By what a limit tells callers apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// The whole key.
    Key,
    /// A field of a key that has several.
    Field(Arc<str>),
    /// Nothing: all callers share it.
    Global,
}

/// What a limit is to a call: in force, with something to do with the limit on new keys or nothing, or [tried](crate::trials).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It is in force, and whoever it counts is not asked for.
    Bystander,
    /// Its key is one of those of the identity that has this number in the call.
    Of(u8),
    /// It is that limit. A call that brings a new identity takes a unit of it, whatever it costs, and any other takes none.
    NewKeys,
    /// It is tried beside those in force, as if it were one of them.
    Shadow,
    /// It is tried as if it were in force in the place of the limit that is.
    Candidate,
}

impl Role {
    /// Whether the limit is only tried, and never refuses anybody.
    #[inline]
    pub fn is_trial(self) -> bool {
        matches!(self, Self::Shadow | Self::Candidate)
    }
}

/// When a limit ends that was given another algorithm: then it refuses nobody any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The moment, by this process's clock.
    pub at: Micros,
    /// How far that is away.
    pub within: Micros,
}

/// What a limit is called that has no name.
pub const DEFAULT: &str = "default";

/// What the limit on new keys is called. No other limit may be.
pub const NEW_KEYS: &str = "newKeys";

/// What the limit is called that is tried in the place of the one in force. No other limit may be.
pub const CANDIDATE: &str = "candidate";

/// Opens a room in memory, and ends it. No text is encoded with this byte, so rooms and keys are never taken for one another.
const ROOM: u8 = 0xFE;

impl Limit {
    /// A limit of that name, counted for one action where one is named.
    pub fn new(
        prefix: &str,
        name: Option<&str>,
        action: Option<&str>,
        by: By,
        policy: Policy,
        fallback: Policy,
    ) -> Self {
        let place = place(name, action);
        let room = match (name, action) {
            (None, None) => Vec::new(),
            _ => [&[ROOM], place.as_bytes(), &[ROOM]].concat(),
        };
        Self {
            name: name.map(Arc::from),
            action: action.map(Arc::from),
            by,
            policy,
            fallback,
            is_shared: false,
            role: Role::Bystander,
            tried_as: None,
            ending: None,
            namespace: key::namespace(prefix, &place, policy.name()).into(),
            is_tagged: false,
            room: room.into(),
        }
    }

    /// A limit whose keys in Redis begin as a test says.
    #[cfg(test)]
    pub(crate) fn in_namespace(namespace: &str, policy: Policy) -> Self {
        let namespace = namespace.into();
        Self { namespace, ..Self::new("rl", None, None, By::Key, policy, policy) }
    }

    /// The same limit with other numbers.
    pub fn with(&self, policy: Policy, fallback: Policy) -> Self {
        Self { policy, fallback, ..self.clone() }
    }

    /// The same limit, whose fallback the instances share or each have for themselves.
    pub fn shared(self, is_shared: bool) -> Self {
        Self { is_shared, ..self }
    }

    /// The same limit with its keys [in braces](key::append_tagged).
    pub fn tagged(self) -> Self {
        Self { is_tagged: true, ..self }
    }

    /// Whether its keys stand in braces.
    pub fn is_tagged(&self) -> bool {
        self.is_tagged
    }

    /// The same limit in another role.
    pub fn playing(&self, role: Role) -> Self {
        Self { role, ..self.clone() }
    }

    /// The same limit, called by its action too where it is tried: what is counted of it is told apart from the limiter's.
    pub fn of_own_action(self) -> Self {
        let tried_as = self.action.as_ref().map(|action| format!("{action}/{}", self.tried_as()).into());
        Self { tried_as, ..self }
    }

    /// What it is called where it is tried.
    pub fn tried_as(&self) -> Arc<str> {
        self.tried_as.clone().or_else(|| self.name.clone()).unwrap_or_else(|| DEFAULT.into())
    }

    /// What this limit was under another algorithm, until it ends: the same limit, whose keys stand where they stood then.
    pub fn as_former(&self, prefix: &str, policy: Policy, fallback: Policy, ending: Ending) -> Self {
        let before = Self::new(prefix, self.name.as_deref(), self.action.as_deref(), self.by.clone(), policy, fallback);
        let Self { is_shared, role, is_tagged, .. } = *self;
        Self { is_shared, role, is_tagged, ending: Some(ending), ..before }
    }

    /// The same limit with keys in memory that those of its other algorithms are never taken for. In Redis they never are.
    pub fn apart(self) -> Self {
        let place = place(self.name.as_deref(), self.action.as_deref());
        // No place has this sign.
        let room = [&[ROOM], place.as_bytes(), b"#", self.policy.name().as_bytes(), &[ROOM]].concat();
        Self { room: room.into(), ..self }
    }

    /// Whether it is what the limit of its name was before its algorithm was changed.
    pub fn is_former(&self) -> bool {
        self.ending.is_some()
    }

    /// When it ends, where it does.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Whether they are one limit to the caller, whatever their algorithms are.
    fn is_told_as(&self, other: &Self) -> bool {
        self.name == other.name && self.action == other.action
    }

    /// Whether their keys stand in the same place, whatever their numbers are.
    pub fn is_at_place_of(&self, other: &Self) -> bool {
        self.namespace == other.namespace
    }

    /// What its keys begin with in Redis.
    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Appends what a key is called in Redis.
    pub fn append_name(&self, out: &mut Vec<u8>, key: &[u8]) {
        out.extend_from_slice(self.namespace.as_bytes());
        let append = if self.is_tagged { key::append_tagged } else { key::append_escaped };
        append(out, key);
    }

    /// A key as the store in memory knows it.
    #[inline]
    pub fn in_memory<'a>(&self, key: &'a [u8]) -> Cow<'a, [u8]> {
        if self.room.is_empty() { Cow::Borrowed(key) } else { Cow::Owned([&*self.room, key].concat()) }
    }
}

/// What a limit is called among all of a limiter's, in Redis and in memory.
fn place(name: Option<&str>, action: Option<&str>) -> String {
    let mut place = name.unwrap_or(DEFAULT).to_owned();
    if let Some(action) = action {
        // No name of a limit has this sign, and an action's own signs are escaped.
        place.push('@');
        place.push_str(&key::escape_segment(action));
    }
    place
}

/// The limits of one call, at least one. Those that are tried stand behind those in force.
#[derive(Clone, Debug)]
pub struct Limits {
    each: SmallVec<[Limit; 1]>,
    /// Those in force alone, where there are some and others are tried.
    in_force: Option<Arc<Self>>,
    /// Those that a caller is told of, where others are [former](Limit::is_former) ones of them.
    told: Option<Arc<Self>>,
    /// The same and the limit on new keys, for calls that it is about.
    guarded: Option<Arc<Self>>,
}

impl Limits {
    /// `limits`, of which there is at least one.
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Self {
        let each: SmallVec<[Limit; 1]> = limits.into_iter().collect();
        if each.iter().any(|limit| limit.role.is_trial()) {
            return Self::with_trials(&each);
        }
        let told = if each.iter().any(Limit::is_former) { Self::without_formers(&each) } else { None };
        Self { each, in_force: None, told, guarded: None }
    }

    #[cold]
    #[inline(never)]
    fn without_formers(limits: &[Limit]) -> Option<Arc<Self>> {
        let each: SmallVec<[Limit; 1]> = limits.iter().filter(|limit| !limit.is_former()).cloned().collect();
        // Where limits lie apart, one that is former may be asked alone.
        (!each.is_empty()).then(|| Arc::new(Self { each, in_force: None, told: None, guarded: None }))
    }

    /// Not generic: it is compiled once.
    #[cold]
    #[inline(never)]
    fn with_trials(limits: &[Limit]) -> Self {
        let mut each: SmallVec<[Limit; 1]> = SmallVec::new();
        for is_trial in [false, true] {
            limits.iter().filter(|limit| limit.role.is_trial() == is_trial).for_each(|limit| each.push(limit.clone()));
        }
        let mut own = each.clone();
        own.truncate(each.iter().take_while(|limit| !limit.role.is_trial()).count());
        let in_force = (!own.is_empty()).then(|| Arc::new(Self::new(own)));
        Self { each, in_force, told: None, guarded: None }
    }

    /// Whether any of them is only tried.
    #[inline]
    pub fn has_trials(&self) -> bool {
        self.each.last().is_some_and(|limit| limit.role.is_trial())
    }

    /// Those in force, where others are tried beside them.
    pub fn in_force(&self) -> Option<&Arc<Self>> {
        self.in_force.as_ref()
    }

    /// Those that a caller is told of, where others are former ones of them.
    pub fn told(&self) -> Option<&Arc<Self>> {
        self.told.as_ref()
    }

    /// Where among those that a caller is told of the limit of that index is, or the one that it was.
    pub fn told_index(&self, index: usize) -> usize {
        let (Some(told), Some(limit)) = (&self.told, self.each.get(index)) else { return index };
        told.iter().position(|other| other.is_told_as(limit)).unwrap_or(index)
    }

    /// The same limits, which remember themselves with one on new keys, unless none of them counts by anything else than that
    /// one does: then a call cannot bring anybody but its source.
    pub fn guarded_by(self, new_keys: &Limit) -> Self {
        Self { guarded: self.with_new_keys(new_keys).map(Arc::new), ..self }
    }

    fn with_new_keys(&self, new_keys: &Limit) -> Option<Self> {
        let mut identities: SmallVec<[&By; 4]> = SmallVec::new();
        let mut all: SmallVec<[Limit; 1]> = SmallVec::new();
        for limit in self.iter() {
            if !matches!(limit.by, By::Field(_)) || limit.by == new_keys.by {
                all.push(limit.playing(Role::Bystander));
                continue;
            }
            let known = identities.iter().position(|by| **by == limit.by);
            let number = known.unwrap_or_else(|| {
                identities.push(&limit.by);
                identities.len() - 1
            });
            all.push(limit.playing(Role::Of(u8::try_from(number).expect("a call has few limits"))));
        }
        all.push(new_keys.playing(Role::NewKeys));
        (!identities.is_empty()).then(|| Self::new(all))
    }

    /// The same with the limit on new keys as the last of them, where there is one.
    pub fn guarded(&self) -> Option<&Arc<Self>> {
        self.guarded.as_ref()
    }

    /// Whether the last of them is one on new keys, for the others. Alone it is a limit like any other.
    pub fn has_new_keys(&self) -> bool {
        self.len() > 1 && self.each.last().is_some_and(|limit| limit.role == Role::NewKeys)
    }

    /// The only limit, where there is no other.
    #[inline]
    pub fn only(&self) -> Option<&Limit> {
        if let [limit] = self.each.as_slice() { Some(limit) } else { None }
    }

    /// The only limit, beside which at most another is tried for its place: some keys and calls have numbers of their own instead of its.
    pub fn replaceable(&self) -> Option<&Limit> {
        match self.each.as_slice() {
            [limit] => Some(limit),
            [limit, other] if other.role == Role::Candidate => Some(limit),
            _ => None,
        }
    }

    /// The same limits, [tagged](Limit::tagged).
    pub fn tagged(&self) -> Self {
        Self::new(self.iter().cloned().map(Limit::tagged))
    }

    /// Of which action they are, where they are of one.
    pub fn action(&self) -> Option<&str> {
        self.each.first().and_then(|limit| limit.action.as_deref())
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Limit> {
        self.each.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.each.len()
    }

    /// Never: there is at least one.
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// The most units that one call can ever take. Where none is in force there is no such bound but that of all limits.
    pub fn capacity(&self) -> u64 {
        let in_force = self.iter().filter(|limit| !limit.role.is_trial());
        in_force.map(|limit| limit.policy.capacity()).min().unwrap_or(MAX_UNITS)
    }
}
