//! What has happened, in numbers.

use std::fmt::Write as _;

use crate::node::Node;
use crate::world::World;

/// From when on a call is late: the default of `timeout`, after which the fallback would decide.
pub const LATE_NS: u64 = 100_000_000;

/// Each power of two is told in so many steps.
const STEPS: u64 = 32;

/// How long calls took, to a thirty-second.
pub struct Latencies {
    counts: Vec<u64>,
    sum: f64,
    all: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; 64 * STEPS as usize], sum: 0.0, all: 0 }
    }
}

impl Latencies {
    /// One took so long.
    pub fn add(&mut self, ns: u64) {
        let power = 63 - u64::from((ns | STEPS).leading_zeros());
        let shift = power - u64::from(STEPS.trailing_zeros());
        let index = shift * STEPS + (ns >> shift);
        self.counts[index as usize] += 1;
        self.sum += ns as f64;
        self.all += 1;
    }

    /// In microseconds, on average.
    pub fn mean_us(&self) -> f64 {
        if self.all == 0 { 0.0 } else { self.sum / self.all as f64 / 1_000.0 }
    }

    /// Within how many microseconds this part of all calls was answered.
    pub fn quantile_us(&self, part: f64) -> f64 {
        let wanted = (self.all as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                let index = index as u64;
                let shift = (index / STEPS).saturating_sub(1);
                return ((index - shift * STEPS) << shift) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

/// What is counted while it is measured.
#[derive(Default)]
pub struct Tally {
    /// Calls that were made.
    pub calls: u64,
    /// Those that were admitted: by leases, and by Redis.
    pub leased: u64,
    /// See above.
    pub stored: u64,
    /// Those that were refused: since that was known, and by Redis.
    pub known: u64,
    /// See above.
    pub refused: u64,
    /// Those that were answered late, or never asked for since too many waited.
    pub late: u64,
    /// Units that were used beyond the limit.
    pub over: u64,
    /// Units that were given back.
    pub given_back: u64,
    /// How long those took that were answered.
    pub latencies: Latencies,
}

/// How much of their limits the keys used that were asked for more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Use {
    /// Keys that were asked for at least a twentieth more than their limit.
    pub keys: u64,
    /// The part of their limits that was not used.
    pub under: f64,
    /// The same of the one that used least.
    pub worst: f64,
}

impl Use {
    /// Of `keys`, each by what it was asked for, and by the weight of what was admitted, which could be `most` of them. The limit is
    /// `limit` for as long as it was asked.
    pub fn of(keys: impl Iterator<Item = (u32, f64)>, limit: f64, most: f64) -> Self {
        let (mut all, mut admitted, mut worst) = (0, 0.0, 0.0f64);
        for (asked, used) in keys {
            if f64::from(asked) >= 1.05 * limit {
                all += 1;
                admitted += used;
                worst = worst.max(1.0 - used / most);
            }
        }
        let under = if all == 0 { 0.0 } else { 1.0 - admitted / (all as f64 * most) };
        Self { keys: all, under, worst }
    }
}

/// The report as JSON.
pub fn write(world: &World, tally: &Tally, nodes: &[Node], used: Use) -> String {
    let decided = tally.leased + tally.stored + tally.known + tally.refused;
    let each = |count: u64| count as f64 / (decided.max(1)) as f64;
    let span = world.seconds * 1e9;
    let busiest = nodes.iter().map(|node| node.busy_ns).max().unwrap_or(0);
    let busy: u64 = nodes.iter().map(|node| node.busy_ns).sum();
    let (calls, keys) = nodes.iter().fold((0, 0), |(calls, keys), node| (calls + node.calls, keys + node.keys));
    let latencies = &tally.latencies;
    let numbers = [
        ("calls", tally.calls as f64),
        ("decided", decided as f64),
        ("admitted", (tally.leased + tally.stored) as f64),
        ("leased", tally.leased as f64),
        ("knownRefusals", tally.known as f64),
        ("late", tally.late as f64),
        ("over", tally.over as f64),
        ("givenBack", tally.given_back as f64),
        ("operations", keys as f64),
        ("scriptCalls", calls as f64),
        ("operationsADecision", each(keys)),
        ("scriptCallsADecision", each(calls)),
        ("redisNsADecision", busy as f64 / decided.max(1) as f64),
        ("nodesBusy", busy as f64 / span / nodes.len() as f64),
        ("busiestNode", busiest as f64 / span),
        ("meanUs", latencies.mean_us()),
        ("p50Us", latencies.quantile_us(0.5)),
        ("p99Us", latencies.quantile_us(0.99)),
        ("p999Us", latencies.quantile_us(0.999)),
        ("keysOverLimit", used.keys as f64),
        ("underUse", used.under),
        ("worstUnderUse", used.worst),
    ];
    let mut out = String::from("{");
    for (index, (name, number)) in numbers.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, "{comma}\"{name}\":{}", (number * 1e6).round() / 1e6).expect("writing to a String does not fail");
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_thirty_second() {
        let mut latencies = Latencies::default();
        (1..=100_000u64).for_each(|us| latencies.add(us * 1_000));
        for part in [0.001, 0.5, 0.99, 0.999] {
            let (told, meant) = (latencies.quantile_us(part), part * 100_000.0);
            assert!((told / meant - 1.0).abs() <= 1.0 / 32.0, "{part}: {told}");
        }
        assert!((latencies.mean_us() - 50_000.5).abs() < 0.01);
        let mut none = Latencies::default();
        none.add(0);
        assert_eq!(none.quantile_us(0.99), 0.0);
    }

    #[test]
    fn under_use_is_of_keys_that_were_asked_for_more_than_their_limit() {
        let used = Use::of([(200, 90.0), (300, 100.0), (50, 50.0)].into_iter(), 100.0, 100.0);
        assert_eq!(used, Use { keys: 2, under: 1.0 - 190.0 / 200.0, worst: 1.0 - 90.0 / 100.0 });
    }
}
