//! Which of many patterns a key or an action meets: the longest that matches.
//!
//! One language for both. A text stands for itself; a `*` at the end for any rest, also for none; `/:name` for one whole segment of a
//! path, of at least one character; an address or a network (`10.0.0.0/8`, `2001:db8::/32`) for all addresses in it. `\` takes from
//! `*`, `:`, `/` or `\` what they mean.
//!
//! Of the patterns that match, an address goes to the network with the longest prefix, and to texts only where no network has it. Among
//! texts the one with the most literal characters wins; of equal ones, one without a `*`; of those, the one whose first literal part
//! that differs in length is the longer. Two patterns that this cannot tell apart match the same texts, and are refused.

mod network;
mod pattern;
mod tree;

pub use network::Network;
pub use pattern::Pattern;

use self::network::Networks;
use self::tree::{Level, Slot};

/// Patterns, each of which has a number: its place among those of which this was made.
///
/// Of 100,000 patterns each takes its text and about 80 bytes. A search goes over the key once, and again from a `/` on only where,
/// at that place, both a literal and a `:name` go on.
#[derive(Clone, Debug)]
pub struct Patterns {
    texts: Level,
    networks: Networks,
}

/// Two patterns, by their numbers, that match the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alike(pub usize, pub usize);

impl Patterns {
    /// All of these, unless two match the same.
    pub fn new(patterns: &[Pattern]) -> Result<Self, Alike> {
        let mut texts: Vec<(usize, &pattern::Text)> = Vec::new();
        let mut networks: Vec<(Network, u32)> = Vec::new();
        for (number, pattern) in patterns.iter().enumerate() {
            match pattern {
                Pattern::Text(text) => texts.push((number, text)),
                Pattern::Network(network) => networks.push((*network, index(number))),
            }
        }
        texts.sort_by_cached_key(|(_, text)| text.length());
        let mut ranked: Vec<tree::Ranked<'_>> = texts
            .iter()
            .enumerate()
            .map(|(rank, (number, text))| tree::Ranked {
                parts: &text.parts,
                has_rest: text.has_rest,
                slot: Slot { rank: index(rank), number: index(*number) },
            })
            .collect();
        Ok(Self { texts: Level::new(&mut ranked)?, networks: Networks::new(networks)? })
    }

    /// The number of the longest pattern that matches.
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let number = self.networks.find(text).or_else(|| {
            let mut best = None;
            self.texts.find(text, &mut best);
            best.map(|slot: Slot| slot.number)
        });
        number.map(|number| number as usize)
    }
}

fn index(number: usize) -> u32 {
    u32::try_from(number).expect("the number of patterns is bounded where they are read")
}
