//! The script's text, and the layout of its arguments and of its reply. `lua/engine.lua` is the other half of this file.

use std::fmt::Write as _;
use std::sync::Arc;

use once_cell::sync::Lazy;
use redis::{Cmd, Value};

use crate::algorithm::{Outcome, Policy, TWINS};
use crate::clock::Micros;
use crate::error::Error;
use crate::limits::{Limits, Role};
use crate::store::{Answers, Request, Verb, When};
use crate::wire;

/// The script that production runs.
pub static ENGINE: Lazy<Script> = Lazy::new(|| Script::new(include_str!("../../../lua/clock.lua")));

/// The verb of a decision whose last key is that of a limit on new keys.
const ADMIT: u8 = 7;

/// A Lua script and the digest by which Redis knows it.
pub struct Script {
    text: String,
    digest: String,
}

impl Script {
    /// The engine with its algorithms, on the time that `clock` tells. Tests hand in a clock of their own.
    pub fn new(clock: &str) -> Self {
        Self::assemble(&[
            clock,
            &algorithms(),
            include_str!("../../../lua/verbs.lua"),
            include_str!("../../../lua/engine.lua"),
        ])
    }

    /// A script of these parts, one after the other.
    pub(crate) fn assemble(parts: &[&str]) -> Self {
        let text = parts.join("\n");
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest }
    }

    /// The text, for EVAL.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its SHA-1, for EVALSHA. Computed from the text, so the two cannot drift apart.
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// The function `twin_of`, with what the twins share: each one's file is a branch of the function that makes them. It is run when
/// the twin is first asked for, since a call of the script makes anew whatever it names. With a burst is any that has none of its
/// own.
pub(crate) fn algorithms() -> String {
    let mut branches = String::new();
    for (id, twin) in TWINS {
        writeln!(branches, "if id == {id} then\n{twin}end").expect("a String takes all");
    }
    format!(
        "{}\n{}\nlocal function make(id, twin_of)\n{branches}{}end\n{}",
        include_str!("../../../lua/names.lua"),
        include_str!("../../../lua/expiry.lua"),
        include_str!("../../../lua/with_burst.lua"),
        include_str!("../../../lua/twins.lua"),
    )
}

/// The arguments of one call of the script.
#[derive(Default)]
pub struct Call {
    keys: Vec<u8>,
    /// Where each key ends in `keys`.
    ends: Vec<usize>,
    /// The policies that are named, in the order of their numbers.
    policies: Vec<Policy>,
    /// The runs of equal requests that are complete.
    runs: Vec<u8>,
    /// The run that goes on.
    run: Option<Run>,
}

/// Requests one after the other that ask the same of their keys.
struct Run {
    limits: Arc<Limits>,
    verb: Verb,
    when: When,
    length: u16,
}

impl Run {
    fn of(request: &Request) -> Self {
        Self { limits: request.limits.clone(), verb: request.verb, when: request.when, length: 0 }
    }

    /// Whether a request may be added.
    fn takes(&self, request: &Request) -> bool {
        fn policies(limits: &Limits) -> impl Iterator<Item = (&Policy, Role)> {
            limits.iter().map(|limit| (&limit.policy, limit.role))
        }
        // Nearly all requests of a batch are made under the limiter's own limits.
        let is_alike =
            Arc::ptr_eq(&self.limits, &request.limits) || policies(&self.limits).eq(policies(&request.limits));
        self.length < u16::MAX && self.verb == request.verb && self.when == request.when && is_alike
    }

    /// The number of its verb, then two numbers and a moment or a length of time, as far as the verb needs them.
    fn asked(&self) -> (u8, u64, u64, Micros) {
        let dated = match self.when {
            When::Now => Micros::ZERO,
            When::Dated(moment) | When::Replayed(moment) => moment,
        };
        match self.verb {
            Verb::Reset => (0, 0, 0, Micros::ZERO),
            Verb::Decide(ask) if self.limits.has_new_keys() => (ADMIT, ask.cost, ask.least, dated),
            Verb::Decide(ask) => (1, ask.cost, ask.least, dated),
            Verb::Refund(units) => (2, units, 0, dated),
            Verb::Penalize(units) => (3, units, 0, dated),
            Verb::Reserve { cost, patience } => (4, cost, cost, patience),
            Verb::Block(length) => (5, 0, 0, length),
            Verb::Unblock => (6, 0, 0, Micros::ZERO),
        }
    }
}

impl Call {
    /// Adds a request.
    pub fn add(&mut self, request: &Request) {
        if !self.run.as_ref().is_some_and(|run| run.takes(request)) {
            self.end_run();
        }
        self.run.get_or_insert_with(|| Run::of(request)).length += 1;
        for (limit, key) in request.parts() {
            limit.append_name(&mut self.keys, key);
            self.ends.push(self.keys.len());
        }
    }

    /// The number of a policy, from 1.
    fn number_of(&mut self, policy: &Policy) -> u16 {
        let known = self.policies.iter().rposition(|known| known == policy);
        let index = known.unwrap_or_else(|| {
            self.policies.push(*policy);
            self.policies.len() - 1
        });
        u16::try_from(index + 1).expect("a batch has fewer requests")
    }

    fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            let (verb, cost, least, time) = run.asked();
            wire::put::<2>(&mut self.runs, run.length.into());
            wire::put::<1>(&mut self.runs, verb.into());
            wire::put::<1>(&mut self.runs, run.limits.iter().len() as u64);
            wire::put::<5>(&mut self.runs, cost);
            wire::put::<5>(&mut self.runs, least);
            wire::put::<7>(&mut self.runs, time.0);
            for limit in run.limits.iter() {
                let policy = self.number_of(&limit.policy);
                wire::put::<2>(&mut self.runs, policy.into());
            }
            if verb == ADMIT {
                for limit in run.limits.iter().take(run.limits.len() - 1) {
                    let identity = if let Role::Of(number) = limit.role { u64::from(number) + 1 } else { 0 };
                    wire::put::<1>(&mut self.runs, identity);
                }
            }
        }
    }

    /// How many keys it names.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it names none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// No more requests: the call can be sent, more than once where Redis asks for the script's text.
    pub fn pack(mut self) -> Packed {
        self.end_run();
        let mut packed = Vec::with_capacity(2 + 30 * self.policies.len() + self.runs.len());
        wire::put::<2>(&mut packed, self.policies.len() as u64);
        for policy in &self.policies {
            let numbers = policy.numbers();
            wire::put::<1>(&mut packed, policy.id().into());
            wire::put::<1>(&mut packed, numbers.len() as u64);
            for number in numbers {
                wire::put::<7>(&mut packed, number);
            }
        }
        packed.extend_from_slice(&self.runs);
        Packed { keys: self.keys, ends: self.ends, packed }
    }
}

/// A call that can be sent.
pub struct Packed {
    keys: Vec<u8>,
    ends: Vec<usize>,
    packed: Vec<u8>,
}

impl Packed {
    /// A call of another script, on one key.
    pub(super) fn of_one(key: &[u8], argument: Vec<u8>) -> Self {
        Self { keys: key.to_vec(), ends: vec![key.len()], packed: argument }
    }

    /// A call of another script, on no key.
    pub(super) fn without_keys() -> Self {
        Self { keys: Vec::new(), ends: Vec::new(), packed: Vec::new() }
    }

    /// The keys one after the other, and where each ends.
    pub fn keys(&self) -> (&[u8], &[usize]) {
        (&self.keys, &self.ends)
    }

    /// The one argument beside the keys.
    pub fn argument(&self) -> &[u8] {
        &self.packed
    }

    /// The command that runs it, `script` being a digest or a text.
    pub fn command(&self, name: &str, script: &str) -> Cmd {
        let size = self.keys.len() + self.packed.len() + script.len() + 64;
        let mut command = Cmd::with_capacity(4 + self.ends.len(), size);
        command.arg(name).arg(script).arg(self.ends.len());
        let mut start = 0;
        for &end in &self.ends {
            command.arg(&self.keys[start..end]);
            start = end;
        }
        command.arg(&self.packed);
        command
    }
}

/// The outcomes in the script's reply to a call of so many keys: the answers, in a list with the failures where there are any.
pub fn read_answers(reply: Value, keys: usize) -> Answers {
    let parts = if let Value::Array(parts) = reply { parts } else { vec![reply] };
    let mut parts = parts.into_iter();
    let Some(Value::BulkString(packed)) = parts.next() else {
        return Err(unexpected());
    };
    let mut packed = packed.as_slice();
    let mut answers = Vec::with_capacity(keys);
    for _ in 0..keys {
        answers.push(read_outcome(&mut packed).ok_or_else(unexpected)?);
    }
    while let (Some(Value::Int(request)), Some(Value::BulkString(message))) = (parts.next(), parts.next()) {
        let index = request.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        let failed = index.and_then(|index| answers.get_mut(index));
        *failed.ok_or_else(unexpected)? = Err(read_failure(&String::from_utf8_lossy(&message)));
    }
    if packed.is_empty() { Ok(answers) } else { Err(unexpected()) }
}

fn unexpected() -> Error {
    Error::StoreUnavailable("the script's reply has an unknown form".into())
}

/// Reads one answer off the front. The message of a failed one follows; without it nobody may take it for an admission.
fn read_outcome(packed: &mut &[u8]) -> Option<Result<Outcome, Error>> {
    let status = wire::take::<1>(packed)?;
    let mut outcome = Outcome::forgotten(Micros::ZERO);
    match status {
        1 => {
            outcome.granted = wire::take::<5>(packed)?;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
        }
        2 => {
            outcome.allowed = false;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.retry_after = Micros(wire::take::<7>(packed)?);
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
        }
        3 => {}
        4 => return Some(Err(unexpected())),
        5 => {
            outcome.granted = wire::take::<5>(packed)?;
            outcome.remaining = wire::take::<5>(packed)?;
            outcome.reset_at = Micros(wire::take::<7>(packed)?);
            outcome.delay = Micros(wire::take::<7>(packed)?);
        }
        _ => return None,
    }
    Some(Ok(outcome))
}

/// One key's failure: its own value where that is at fault, otherwise Redis as a whole (OOM, READONLY, NOPERM, MISCONF).
fn read_failure(message: &str) -> Error {
    let message = message.trim_start_matches('-');
    match message.strip_prefix("STATE ") {
        Some(reason) => Error::State(reason.to_owned()),
        None if message.starts_with("WRONGTYPE") => Error::State(message.to_owned()),
        None => Error::StoreUnavailable(message.to_owned()),
    }
}
