//! Who calls when, and about which key.

use crate::random::{Random, scatter};
use crate::world::{Shape, World};
use crate::zipf::Zipf;

/// One call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// When, in nanoseconds.
    pub at: u64,
    /// Where.
    pub gateway: usize,
    /// About which key.
    pub rank: u64,
}

/// All calls, one after the other.
pub struct Load {
    shape: Shape,
    gateways: usize,
    /// On average from one call to the next.
    gap_ns: f64,
    at: f64,
    zipf: Zipf,
    random: Random,
    /// Those at which calls come in this period.
    busy: Vec<usize>,
    period: u64,
    /// Calls of a tick that are yet to come, and where.
    left: f64,
    ticks: u64,
}

impl Load {
    /// As the world has it.
    pub fn new(world: &World) -> Self {
        Self {
            shape: world.shape,
            gateways: world.gateways,
            gap_ns: 1e9 / world.rate,
            at: 0.0,
            zipf: Zipf::new(world.keys, world.exponent),
            random: Random::new(scatter(world.seed)),
            busy: Vec::new(),
            period: u64::MAX,
            left: 0.0,
            ticks: 0,
        }
    }

    /// The next one.
    pub fn draw(&mut self) -> Arrival {
        let (at, gateway) = match self.shape {
            Shape::Steady => {
                self.pass(1.0);
                (self.at as u64, self.random.below(self.gateways))
            }
            Shape::Wandering { period_us, one_in } => {
                self.pass(1.0);
                let period = self.at as u64 / (period_us * 1_000);
                if period != self.period {
                    self.period = period;
                    self.wander(one_in);
                }
                (self.at as u64, self.busy[self.random.below(self.busy.len())])
            }
            Shape::Together { period_us, one_in } => {
                self.pass(1.0);
                // Time stands still but for one part of each period.
                let (period, at) = (period_us * 1_000, self.at as u64);
                (at / period * period + at % period / one_in, self.random.below(self.gateways))
            }
            Shape::Ticking { period_us } => {
                let each = self.gateways as f64;
                let period = (period_us * 1_000) as f64;
                while self.left < 1.0 {
                    self.ticks += 1;
                    self.left += period / self.gap_ns / each;
                }
                self.left -= 1.0;
                ((self.ticks as f64 * period / each) as u64, (self.ticks % self.gateways as u64) as usize)
            }
        };
        Arrival { at, gateway, rank: self.zipf.draw(&mut self.random) }
    }

    fn pass(&mut self, factor: f64) {
        self.at += self.random.exponential(self.gap_ns * factor);
    }

    /// Chooses other gateways, at least one.
    fn wander(&mut self, one_in: usize) {
        self.busy.clear();
        for _ in 0..self.gateways.div_ceil(one_in) {
            self.busy.push(self.random.below(self.gateways));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_come_in_order_and_as_many_as_were_asked_for() {
        let period_us = 10_000;
        let shapes = [
            Shape::Steady,
            Shape::Wandering { period_us, one_in: 4 },
            Shape::Together { period_us, one_in: 4 },
            Shape::Ticking { period_us },
        ];
        for shape in shapes {
            let mut load = Load::new(&World { shape, rate: 50_000.0, ..World::default() });
            let calls: Vec<Arrival> =
                std::iter::repeat_with(|| load.draw()).take_while(|call| call.at < 4_000_000_000).collect();
            assert!(calls.is_sorted_by_key(|call| call.at), "{shape:?}");
            assert!((calls.len() as f64 / 200_000.0 - 1.0).abs() < 0.01, "{shape:?}: {}", calls.len());
            assert!((0..10).all(|gateway| calls.iter().any(|call| call.gateway == gateway)), "{shape:?}");
        }
    }

    #[test]
    fn bursts_come_together_in_a_part_of_each_period() {
        let shape = Shape::Together { period_us: 10_000, one_in: 4 };
        let mut load = Load::new(&World { shape, rate: 50_000.0, ..World::default() });
        assert!((0..10_000).all(|_| load.draw().at % 10_000_000 < 2_500_000));
    }
}
