//! The script's text, and the layout of its arguments and of its reply. `lua/engine.lua` is the other half of this file.

use std::fmt::Write as _;

use once_cell::sync::Lazy;
use redis::{Cmd, Value};

use crate::algorithm::{Outcome, Policy, TWINS};
use crate::clock::Micros;
use crate::error::Error;
use crate::key;
use crate::store::{Answers, Request, Verb};
use crate::wire;

/// The script that production runs.
pub static ENGINE: Lazy<Script> = Lazy::new(|| Script::new(include_str!("../../../lua/clock.lua")));

/// Bytes of one answer: '>BI5I5I7I7I7'.
const ANSWER: usize = 32;

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

/// The table `algorithms`: each twin's file is a function body that returns what the engine calls.
pub(crate) fn algorithms() -> String {
    let mut text = String::from("local algorithms = {}\n");
    for (id, twin) in TWINS {
        write!(text, "algorithms[{id}] = (function()\n{twin}end)()\n").expect("writing to a String does not fail");
    }
    text
}

/// The arguments of one call of the script.
pub struct Call {
    namespace: String,
    keys: Vec<u8>,
    /// Where each key ends in `keys`.
    ends: Vec<usize>,
    requests: Vec<u8>,
    policies: Vec<Vec<u8>>,
}

impl Call {
    /// A call that asks for nothing yet. `namespace` is what every key begins with.
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            keys: Vec::new(),
            ends: Vec::new(),
            requests: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Adds a policy and answers its number, from 1.
    pub fn add_policy(&mut self, policy: &Policy) -> u16 {
        let mut packed = vec![policy.id()];
        for number in policy.numbers() {
            wire::put::<7>(&mut packed, number);
        }
        self.policies.push(packed);
        u16::try_from(self.policies.len()).expect("a batch has fewer policies than calls")
    }

    /// Adds a request under the policy of that number.
    pub fn add(&mut self, policy: u16, request: &Request) {
        let (verb, cost, least) = match request.verb {
            Verb::Decide(ask) => (1, ask.cost, ask.least),
            Verb::Reset => (2, 0, 0),
        };
        wire::put::<2>(&mut self.requests, policy.into());
        wire::put::<1>(&mut self.requests, verb);
        wire::put::<5>(&mut self.requests, cost);
        wire::put::<5>(&mut self.requests, least);
        self.keys.extend_from_slice(self.namespace.as_bytes());
        key::append_escaped(&mut self.keys, request.key.as_bytes());
        self.ends.push(self.keys.len());
    }

    /// How many requests it carries.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it carries none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The command that runs it, `script` being a digest or a text.
    pub fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = Cmd::with_capacity(4 + self.len(), self.keys.len() + self.requests.len() + script.len() + 64);
        command.arg(name).arg(script).arg(self.len());
        let mut start = 0;
        for &end in &self.ends {
            command.arg(&self.keys[start..end]);
            start = end;
        }
        command.arg(&self.requests);
        for policy in &self.policies {
            command.arg(policy);
        }
        command
    }
}

/// The outcomes in the script's reply to a call of so many requests.
pub fn read_answers(reply: Value, requests: usize) -> Answers {
    let unexpected = || Error::StoreUnavailable("the script's reply has an unknown form".into());
    let Value::Array(parts) = reply else {
        return Err(unexpected());
    };
    let mut parts = parts.into_iter();
    let Some(Value::BulkString(packed)) = parts.next() else {
        return Err(unexpected());
    };
    if packed.len() != requests * ANSWER {
        return Err(unexpected());
    }
    let mut answers = packed
        .chunks(ANSWER)
        .map(|answer| read_outcome(answer).map(Ok).ok_or_else(unexpected))
        .collect::<Result<Vec<_>, _>>()?;
    while let (Some(Value::Int(request)), Some(Value::BulkString(message))) = (parts.next(), parts.next()) {
        let failed = usize::try_from(request - 1).ok().and_then(|index| answers.get_mut(index));
        *failed.ok_or_else(unexpected)? = Err(read_failure(&String::from_utf8_lossy(&message)));
    }
    Ok(answers)
}

fn read_outcome(mut answer: &[u8]) -> Option<Outcome> {
    let answer = &mut answer;
    Some(Outcome {
        allowed: wire::take::<1>(answer)? == 1,
        granted: wire::take::<5>(answer)?,
        remaining: wire::take::<5>(answer)?,
        retry_after: Micros(wire::take::<7>(answer)?),
        reset_at: Micros(wire::take::<7>(answer)?),
        delay: Micros(wire::take::<7>(answer)?),
    })
}

/// One key's failure: its own value where that is at fault, otherwise Redis as a whole (OOM, READONLY, NOPERM, MISCONF).
fn read_failure(message: &str) -> Error {
    let message = message.trim_start_matches('-');
    if message.starts_with("STATE") || message.starts_with("WRONGTYPE") {
        Error::State(message.to_owned())
    } else {
        Error::StoreUnavailable(message.to_owned())
    }
}
