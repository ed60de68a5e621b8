//! The script's text, and the layout of its arguments and of its reply. `lua/engine.lua` is the other half of this file.

use std::fmt::Write as _;

use once_cell::sync::Lazy;
use redis::{Cmd, Value};

use crate::algorithm::{BUCKET, Outcome, Policy, TWINS, WITH_BURST};
use crate::clock::Micros;
use crate::error::Error;
use crate::key;
use crate::store::{Answers, Request, Verb};
use crate::wire;

/// The script that production runs.
pub static ENGINE: Lazy<Script> = Lazy::new(|| Script::new(include_str!("../../../lua/clock.lua")));

/// A Lua script and the digest by which Redis knows it.
pub struct Script {
    text: String,
    digest: String,
}

impl Script {
    /// The engine with its algorithms, on the time that `clock` tells. Tests hand in a clock of their own.
    pub fn new(clock: &str) -> Self {
        Self::assemble(&[clock, &algorithms(), include_str!("../../../lua/engine.lua")])
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

/// The table `algorithms`, with what its members share. Each twin's file is a function body that returns what the engine calls.
/// It runs when it is asked for: to make all of them is more work for Redis than to decide a call.
pub(crate) fn algorithms() -> String {
    let mut text = include_str!("../../../lua/expiry.lua").to_owned();
    text.push_str("\nlocal algorithms = {}\nsetmetatable(algorithms, { __index = function(known, id)\nlocal twin\n");
    let mut branch = "if";
    for (id, twin) in TWINS {
        write!(text, "{branch} id == {id} then\ntwin = (function()\n{twin}end)()\n").expect("a String takes all");
        branch = "elseif";
    }
    write!(
        text,
        "elseif id > {WITH_BURST} then\n{}twin = with_burst(known[id - {WITH_BURST}], known[{BUCKET}])\nend\n",
        include_str!("../../../lua/with_burst.lua")
    )
    .expect("a String takes all");
    text.push_str("known[id] = twin\nreturn twin\nend })\n");
    text
}

/// The arguments of one call of the script.
pub struct Call {
    namespace: String,
    keys: Vec<u8>,
    /// Where each key ends in `keys`.
    ends: Vec<usize>,
    policies: Vec<u8>,
    policy_count: u16,
    /// The runs of equal requests that are complete.
    runs: Vec<u8>,
    /// The run that goes on, and how long it is.
    run: Option<(Asked, u16)>,
}

/// What is asked of a key: policy, cost, least. Policy 0 forgets it.
type Asked = (u16, u64, u64);

impl Call {
    /// A call that asks for nothing yet. `namespace` is what every key begins with.
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            keys: Vec::new(),
            ends: Vec::new(),
            policies: Vec::new(),
            policy_count: 0,
            runs: Vec::new(),
            run: None,
        }
    }

    /// Adds a policy and answers its number, from 1.
    pub fn add_policy(&mut self, policy: &Policy) -> u16 {
        let numbers = policy.numbers();
        wire::put::<1>(&mut self.policies, policy.id().into());
        wire::put::<1>(&mut self.policies, numbers.len() as u64);
        for number in numbers {
            wire::put::<7>(&mut self.policies, number);
        }
        self.policy_count += 1;
        self.policy_count
    }

    /// Adds a request under the policy of that number.
    pub fn add(&mut self, policy: u16, request: &Request) {
        let asked = match request.verb {
            Verb::Decide(ask) => (policy, ask.cost, ask.least),
            Verb::Reset => (0, 0, 0),
        };
        match &mut self.run {
            Some((same, length)) if *same == asked && *length < u16::MAX => *length += 1,
            _ => {
                self.end_run();
                self.run = Some((asked, 1));
            }
        }
        self.keys.extend_from_slice(self.namespace.as_bytes());
        key::append_escaped(&mut self.keys, request.key.as_bytes());
        self.ends.push(self.keys.len());
    }

    fn end_run(&mut self) {
        if let Some(((policy, cost, least), length)) = self.run.take() {
            wire::put::<2>(&mut self.runs, length.into());
            wire::put::<2>(&mut self.runs, policy.into());
            wire::put::<5>(&mut self.runs, cost);
            wire::put::<5>(&mut self.runs, least);
        }
    }

    /// How many requests it carries.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it carries none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// No more requests: the call can be sent, more than once where Redis asks for the script's text.
    pub fn pack(mut self) -> Packed {
        self.end_run();
        let packed = [&self.policy_count.to_be_bytes(), self.policies.as_slice(), self.runs.as_slice()].concat();
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

/// The outcomes in the script's reply to a call of so many requests.
pub fn read_answers(reply: Value, requests: usize) -> Answers {
    let Value::Array(parts) = reply else {
        return Err(unexpected());
    };
    let mut parts = parts.into_iter();
    let Some(Value::BulkString(packed)) = parts.next() else {
        return Err(unexpected());
    };
    let mut packed = packed.as_slice();
    let mut answers = Vec::with_capacity(requests);
    for _ in 0..requests {
        answers.push(Ok(read_outcome(&mut packed).ok_or_else(unexpected)?));
    }
    while let (Some(Value::Int(request)), Some(Value::BulkString(message))) = (parts.next(), parts.next()) {
        let failed = usize::try_from(request - 1).ok().and_then(|index| answers.get_mut(index));
        *failed.ok_or_else(unexpected)? = Err(read_failure(&String::from_utf8_lossy(&message)));
    }
    if packed.is_empty() { Ok(answers) } else { Err(unexpected()) }
}

fn unexpected() -> Error {
    Error::StoreUnavailable("the script's reply has an unknown form".into())
}

/// Reads one answer off the front. A failed one counts as forgotten until its message is read.
fn read_outcome(packed: &mut &[u8]) -> Option<Outcome> {
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
        3 | 4 => {}
        _ => return None,
    }
    Some(outcome)
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
