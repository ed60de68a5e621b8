//! The arguments of a call of the script.
//!
//! Decisions on one key that come one after the other are merged: the script reads and writes the key once, and takes for as
//! many equal ones as there is room for in one step. Each is told what it would have been told alone, see [`Expected`]; but where
//! the key cannot be written all of them fail, also those that would have been refused.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use redis::Cmd;

use super::Expected;
use super::reply::{Merged, Several, count};
use crate::algorithm::{Ask, Lease, Policy};
use crate::clock::{Clock, Micros};
use crate::limits::Role;
use crate::store::{Request, Verb, When};
use crate::trials;
use crate::wire;

/// The verb of a decision whose last key is that of a limit on new keys.
const ADMIT: u8 = 7;

/// The verb of several decisions on one key.
const SEVERAL: u8 = 8;

/// The verbs of leases.
const LEASE: u8 = 9;
const GIVE_BACK: u8 = 10;

/// The verbs of holds.
const HOLD: u8 = 11;
const SETTLE: u8 = 12;
const RENEW: u8 = 13;
/// The verb of a decision some of whose limits are tried.
const TRY: u8 = 14;

/// The arguments of one call of the script, as they are gathered.
#[derive(Default)]
struct Call<'a> {
    names: Names,
    entries: Vec<Entry<'a>>,
    /// Of each key, the entry that is about it.
    entry_of: Vec<usize>,
    /// Of each answer that is expected, the key that it is about.
    order: Vec<usize>,
}

/// What the keys are called, one after the other.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    /// Where each ends.
    ends: Vec<usize>,
    /// Of each, but of the first only when somebody asks.
    hashes: Vec<u64>,
    /// The last key of each name, of the first `known` keys.
    last: HashTable<usize>,
    known: usize,
    /// Whether one of those was known before.
    is_any_twice: bool,
    hasher: RandomState,
}

/// What is asked of a key, or of several together.
struct Entry<'a> {
    /// The first of its requests. Lent: a count of those who share its limits would be one that several threads write to.
    request: &'a Request,
    /// All that is asked where that is more than once.
    several: Several,
}

impl Names {
    fn len(&self) -> usize {
        self.ends.len()
    }

    /// Makes room for so many. Most are this long at most.
    fn reserve(&mut self, names: usize) {
        self.bytes.reserve(48 * names);
        self.ends.reserve(names);
        if names > 1 {
            self.hashes.reserve(names);
            self.last.reserve(names, |_| 0);
        }
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }

    fn push(&mut self, append: impl FnOnce(&mut Vec<u8>)) {
        append(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Takes the last one away.
    fn pop(&mut self) {
        self.ends.pop();
        self.hashes.truncate(self.ends.len());
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// The key before the last one that has its name. Nobody asks of the only call of a batch, so keys are looked at late.
    fn before_last(&mut self) -> Option<usize> {
        let last = self.len() - 1;
        // A key that many want is nearly always wanted several times in a row.
        if self.get(last - 1) == self.get(last) {
            return Some(last - 1);
        }
        self.look_at(last);
        self.last.find(self.hashes[last], |known| self.get(*known) == self.get(last)).copied()
    }

    /// Whether no two keys have one name.
    fn are_each_once(&mut self) -> bool {
        self.look_at(self.len());
        !self.is_any_twice
    }

    /// Hashes all keys, and knows so many of them.
    fn look_at(&mut self, count: usize) {
        while self.hashes.len() < self.len() {
            self.hashes.push(self.hasher.hash_one(self.get(self.hashes.len())));
        }
        let mut table = std::mem::take(&mut self.last);
        for index in std::mem::replace(&mut self.known, count)..count {
            match table.find_mut(self.hashes[index], |known| self.get(*known) == self.get(index)) {
                Some(known) => {
                    *known = index;
                    self.is_any_twice = true;
                }
                None => drop(table.insert_unique(self.hashes[index], index, |known| self.hashes[*known])),
            }
        }
        self.last = table;
    }
}

impl<'a> Entry<'a> {
    /// What one decision on one key at the present asks. There is no other that can be merged.
    fn ask(request: &Request) -> Option<Ask> {
        match request.verb {
            Verb::Decide(ask) if request.limits.only().is_some_and(|limit| !limit.role.is_trial()) => {
                Some(ask).filter(|_| request.when == When::Now)
            }
            _ => None,
        }
    }

    /// Adds a decision on the same key, if that can be.
    fn merge(&mut self, request: &Request) -> bool {
        let (Some(first), Some(ask)) = (Self::ask(self.request), Self::ask(request)) else {
            return false;
        };
        // A look is answered also where nothing can be written.
        if (first.cost == 0) != (ask.cost == 0) || !self.is_under(request) {
            return false;
        }
        if self.several.is_empty() {
            self.several.push((first, 1));
        }
        if count(&self.several) == usize::from(u16::MAX) {
            return false;
        }
        match self.several.last_mut() {
            Some((last, calls)) if *last == ask && may_repeat(ask) => *calls += 1,
            _ => self.several.push((ask, 1)),
        }
        true
    }

    /// Whether both ask the same, so that the script may be told once.
    fn is_alike(&self, other: &Self) -> bool {
        let (one, another) = (!self.several.is_empty(), !other.several.is_empty());
        let Request { verb, when, .. } = self.request;
        let is_same =
            if one { another } else { !another && (verb, when) == (&other.request.verb, &other.request.when) };
        is_same && self.is_under(other.request)
    }

    /// Whether its policies are those of `other`.
    fn is_under(&self, other: &Request) -> bool {
        fn policies(request: &Request) -> impl Iterator<Item = (&Policy, Role)> {
            request.limits.iter().map(|limit| (&limit.policy, limit.role))
        }
        // Nearly all requests of a batch are made under the limiter's own limits.
        Arc::ptr_eq(&self.request.limits, &other.limits) || policies(self.request).eq(policies(other))
    }

    /// The number of its verb, then two numbers and a moment or a length of time, as far as the verb needs them.
    fn asked(&self) -> (u8, u64, u64, Micros) {
        let Request { limits, verb, when, .. } = self.request;
        let dated = match *when {
            When::Now => Micros::ZERO,
            When::Dated(moment) | When::Replayed(moment) => moment,
        };
        match *verb {
            _ if !self.several.is_empty() => (SEVERAL, 0, 0, Micros::ZERO),
            Verb::Reset => (0, 0, 0, Micros::ZERO),
            Verb::Decide(ask) if limits.has_new_keys() => (ADMIT, ask.cost, ask.least, dated),
            Verb::Decide(ask) if limits.has_trials() => match limits.only() {
                Some(limit) => {
                    let own = trials::ask_of(limit, ask, &[]);
                    (1, own.cost, own.least, dated)
                }
                None => (TRY, ask.cost, ask.least, dated),
            },
            Verb::Decide(ask) => (1, ask.cost, ask.least, dated),
            Verb::Refund(units) => (2, units, 0, dated),
            Verb::Penalize(units) => (3, units, 0, dated),
            Verb::Reserve { cost, patience } => (4, cost, cost, patience),
            Verb::Block(length) => (5, 0, 0, length),
            Verb::Unblock => (6, 0, 0, Micros::ZERO),
            Verb::Lease(Lease { cost, more, term }) => (LEASE, cost, more, term),
            Verb::GiveBack { units, booked } => (GIVE_BACK, units, 0, booked),
            Verb::Hold { units, ttl } => (HOLD, units, units, ttl),
            Verb::Settle { ends, units } => (SETTLE, units, 0, ends),
            Verb::Renew { ends, ttl } => (RENEW, ttl.0, 0, ends),
        }
    }
}

/// Whether calls that ask this can be decided as one: all of them take the same, or none of them anything.
fn may_repeat(ask: Ask) -> bool {
    ask.cost == ask.least || ask.cost == 0
}

impl<'a> Call<'a> {
    fn of(batch: &mut dyn Iterator<Item = &'a Request>) -> Self {
        let mut call = Self::default();
        let size = batch.size_hint().0;
        call.entries.reserve(size);
        call.entry_of.reserve(size);
        call.order.reserve(size);
        call.names.reserve(size);
        batch.for_each(|request| call.add(request));
        call
    }

    fn add(&mut self, request: &'a Request) {
        let first = self.names.len();
        for (limit, key) in request.parts() {
            self.names.push(|bytes| limit.append_name(bytes, key.as_bytes()));
        }
        if first > 0
            && Entry::ask(request).is_some()
            && let Some(known) = self.names.before_last()
            && self.entries[self.entry_of[known]].merge(request)
        {
            self.names.pop();
            self.order.push(known);
            return;
        }
        self.entry_of.resize(self.names.len(), self.entries.len());
        self.order.extend(first..self.names.len());
        self.entries.push(Entry { request, several: Several::new() });
    }

    fn pack(mut self, clock: &dyn Clock) -> Packed {
        let mut policies = Policies::default();
        let mut runs = Vec::new();
        let mut rest = self.entries.as_slice();
        while let Some(first) = rest.first() {
            let length = rest.iter().take(u16::MAX.into()).take_while(|entry| entry.is_alike(first)).count();
            let (run, others) = rest.split_at(length);
            pack_run(run, &mut policies, &mut runs);
            rest = others;
        }
        let keys = self.names.len();
        // Under several limits a call has a key for each, and no two have one name.
        let is_each_once = self.entries.len() == 1 || self.names.are_each_once();
        let mut argument = Vec::with_capacity(7 + 30 * policies.0.len() + runs.len());
        wire::put::<1>(&mut argument, is_each_once.into());
        policies.pack(&mut argument, clock);
        argument.extend_from_slice(&runs);
        let merged = (0..keys).filter_map(|key| {
            let Entry { request, several } = &self.entries[self.entry_of[key]];
            let policy = request.limits.iter().next()?.policy;
            (!several.is_empty()).then(|| Merged { key, policy, several: several.clone() })
        });
        let expected = Expected { keys, merged: merged.collect(), order: self.order };
        Packed { keys: self.names.bytes, ends: self.names.ends, argument, expected }
    }
}

/// Appends what entries that are alike ask.
fn pack_run(run: &[Entry<'_>], policies: &mut Policies, out: &mut Vec<u8>) {
    let first = &run[0];
    let (verb, cost, least, time) = first.asked();
    wire::put::<2>(out, run.len() as u64);
    wire::put::<1>(out, verb.into());
    let limits = &first.request.limits;
    wire::put::<1>(out, limits.len() as u64);
    wire::put::<5>(out, cost);
    wire::put::<5>(out, least);
    wire::put::<7>(out, time.0);
    for limit in limits.iter() {
        wire::put::<2>(out, policies.number_of(&limit.policy).into());
    }
    if verb == ADMIT {
        for limit in limits.iter().take(limits.len() - 1) {
            let identity = if let Role::Of(number) = limit.role { u64::from(number) + 1 } else { 0 };
            wire::put::<1>(out, identity);
        }
    }
    if verb == TRY {
        let ask = Ask { cost, least };
        limits.iter().for_each(|limit| wire::put::<1>(out, trials::code_of(limit, ask).into()));
    }
    for Entry { several, .. } in run.iter().filter(|_| verb == SEVERAL) {
        wire::put::<2>(out, several.len() as u64);
        wire::put::<2>(out, count(several) as u64);
        for (ask, calls) in several {
            wire::put::<2>(out, (*calls).into());
            wire::put::<5>(out, ask.cost);
            wire::put::<5>(out, ask.least);
        }
    }
}

/// The policies that a call names, in the order of their numbers.
#[derive(Default)]
struct Policies(Vec<Policy>);

impl Policies {
    /// The number of a policy, from 1.
    fn number_of(&mut self, policy: &Policy) -> u16 {
        let known = self.0.iter().rposition(|known| known == policy);
        let index = known.unwrap_or_else(|| {
            self.0.push(*policy);
            self.0.len() - 1
        });
        u16::try_from(index + 1).expect("a batch has fewer requests")
    }

    /// Appends them, and before them how many bytes they are.
    fn pack(&self, out: &mut Vec<u8>, clock: &dyn Clock) {
        let start = out.len();
        wire::put::<4>(out, 0);
        wire::put::<2>(out, self.0.len() as u64);
        for policy in &self.0 {
            let numbers = policy.told(|| clock.now());
            wire::put::<1>(out, policy.id().into());
            wire::put::<1>(out, numbers.len() as u64);
            for number in numbers {
                wire::put::<7>(out, number);
            }
        }
        let length = u32::try_from(out.len() - start - 4).expect("a batch has fewer policies");
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }
}

/// A call that can be sent, more than once where Redis asks for the script's text.
#[derive(Default)]
pub struct Packed {
    keys: Vec<u8>,
    ends: Vec<usize>,
    argument: Vec<u8>,
    expected: Expected,
}

impl Packed {
    /// A call of the script for a batch. Periods are those around what `clock` says.
    pub fn of(batch: &mut dyn Iterator<Item = &Request>, clock: &dyn Clock) -> Self {
        Call::of(batch).pack(clock)
    }

    /// A call of another script, on one key.
    pub(in super::super) fn of_one(key: &[u8], argument: Vec<u8>) -> Self {
        Self { keys: key.to_vec(), ends: vec![key.len()], argument, expected: Expected::default() }
    }

    /// The keys one after the other, and where each ends.
    pub fn keys(&self) -> (&[u8], &[usize]) {
        (&self.keys, &self.ends)
    }

    /// The one argument beside the keys.
    pub fn argument(&self) -> &[u8] {
        &self.argument
    }

    /// How many of its calls are merged with another on their key.
    pub fn merged(&self) -> u64 {
        self.expected.merged.iter().map(|merged| count(&merged.several) as u64).sum()
    }

    /// By what the reply is read.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// The command that runs it, `script` being a digest or a text.
    pub fn command(&self, name: &str, script: &str) -> Cmd {
        let size = self.keys.len() + self.argument.len() + script.len() + 64;
        let mut command = Cmd::with_capacity(4 + self.ends.len(), size);
        command.arg(name).arg(script).arg(self.ends.len());
        let mut start = 0;
        for &end in &self.ends {
            command.arg(&self.keys[start..end]);
            start = end;
        }
        command.arg(&self.argument);
        command
    }
}
