//! The script: its text, the arguments of a call, and the reply. `lua/engine.lua` is the other half of this folder.

mod call;
mod library;
mod reply;

pub use call::Packed;
pub use library::Library;
pub use reply::{Expected, read_answers};

use std::fmt::Write as _;

use once_cell::sync::Lazy;

use crate::algorithm::TWINS;
use crate::clock::{Clock, WallClock};

/// The script that production runs.
pub static ENGINE: Lazy<Script> = Lazy::new(|| Script::new(include_str!("../../../../lua/clock.lua")));

/// A Lua script and the digest by which Redis knows it.
pub struct Script {
    text: String,
    digest: String,
    library: Option<Library>,
    clock: &'static dyn Clock,
}

impl Script {
    /// The engine with its algorithms, on the time that `clock` tells. Tests hand in a clock of their own.
    pub fn new(clock: &str) -> Self {
        let once = [
            clock,
            &algorithms(),
            include_str!("../../../../lua/batch.lua"),
            include_str!("../../../../lua/holds.lua"),
            include_str!("../../../../lua/leases.lua"),
            include_str!("../../../../lua/trials.lua"),
            include_str!("../../../../lua/verbs.lua"),
        ]
        .join("\n");
        let each = include_str!("../../../../lua/engine.lua");
        Self { library: Some(Library::new(&once, each)), ..Self::assemble(&[&once, each]) }
    }

    /// A script of these parts, one after the other.
    pub(crate) fn assemble(parts: &[&str]) -> Self {
        let text = parts.join("\n");
        let digest = redis::Script::new(&text).get_hash().to_owned();
        Self { text, digest, library: None, clock: &WallClock }
    }

    /// The same, for which this side's present is that of another clock.
    #[cfg(test)]
    pub(crate) fn on(self, clock: &'static dyn Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same as a script alone.
    #[cfg(test)]
    pub(crate) fn without_library(self) -> Self {
        Self { library: None, ..self }
    }

    /// What this side takes for the present, where the script must be told what is around it.
    pub fn clock(&self) -> &'static dyn Clock {
        self.clock
    }

    /// The library of functions that does the same, where there is one.
    pub fn library(&self) -> Option<&Library> {
        self.library.as_ref()
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
/// the twin is first asked for, since a call of the script makes anew whatever it names. Any other number is that of an algorithm
/// with a burst.
pub(crate) fn algorithms() -> String {
    let mut branches = String::new();
    for (id, twin) in TWINS {
        writeln!(branches, "if id == {id} then\n{twin}end").expect("a String takes all");
    }
    format!(
        "{}\n{}\nlocal function make(id, twin_of)\n{branches}{}end\n{}",
        include_str!("../../../../lua/names.lua"),
        include_str!("../../../../lua/expiry.lua"),
        include_str!("../../../../lua/with_burst.lua"),
        include_str!("../../../../lua/twins.lua"),
    )
}
