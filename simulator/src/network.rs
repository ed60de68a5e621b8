//! How long a message is on its way between a gateway and a node.

use crate::random::Random;

/// A way takes nine tenths of its mean at least; the last tenth varies without a memory.
const SURE: f64 = 0.9;

/// One message in so many comes so much later: a packet that was lost, a pause of the host.
const SPIKE_IN: usize = 2_000;
const SPIKE_NS: f64 = 2_000_000.0;

/// The ways between all gateways and all nodes. What is sent on one of them arrives in its order, as in a connection.
pub struct Network {
    mean_ns: f64,
    random: Random,
    nodes: usize,
    there: Vec<u64>,
    back: Vec<u64>,
}

impl Network {
    /// Whose ways take so long on average; 0 for none at all.
    pub fn new(gateways: usize, nodes: usize, mean_ns: f64, seed: u64) -> Self {
        let ways = gateways * nodes;
        Self { mean_ns, random: Random::new(seed), nodes, there: vec![0; ways], back: vec![0; ways] }
    }

    /// When a message arrives at the node.
    pub fn there(&mut self, gateway: usize, node: usize, now: u64) -> u64 {
        let at = now + self.way();
        in_order(&mut self.there[gateway * self.nodes + node], at)
    }

    /// When its answer arrives at the gateway.
    pub fn back(&mut self, gateway: usize, node: usize, now: u64) -> u64 {
        let at = now + self.way();
        in_order(&mut self.back[gateway * self.nodes + node], at)
    }

    fn way(&mut self) -> u64 {
        if self.mean_ns == 0.0 {
            return 0;
        }
        let spike = if self.random.below(SPIKE_IN) == 0 { SPIKE_NS } else { 0.0 };
        (self.mean_ns * SURE + self.random.exponential(self.mean_ns * (1.0 - SURE)) + spike) as u64
    }
}

fn in_order(last: &mut u64, at: u64) -> u64 {
    *last = at.max(*last);
    *last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_one_way_keep_their_order() {
        let mut network = Network::new(2, 2, 100_000.0, 1);
        let arrivals: Vec<u64> = (0..10_000).map(|at| network.there(1, 1, at * 100)).collect();
        assert!(arrivals.is_sorted());
        assert!(arrivals.iter().zip(0..).all(|(arrival, at)| *arrival >= at * 100 + 90_000));
    }

    #[test]
    fn a_network_without_latency_has_none() {
        let mut network = Network::new(1, 1, 0.0, 1);
        assert_eq!((network.there(0, 0, 5), network.back(0, 0, 7)), (5, 7));
    }
}
