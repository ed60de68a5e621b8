//! A node of Redis: one script call after the other, each as long as its keys make it.

use crate::world::World;

/// See the module.
#[derive(Clone, Default)]
pub struct Node {
    free_at: u64,
    /// Time spent, and what on: calls of the script, and keys in them.
    pub busy_ns: u64,
    /// See above.
    pub calls: u64,
    /// See above.
    pub keys: u64,
}

impl Node {
    /// Takes on a call of the script with so many keys that has come now. Answers when it begins, and when it ends.
    pub fn serve(&mut self, world: &World, keys: usize, now: u64) -> (u64, u64) {
        let start = self.free_at.max(now);
        let length = world.call_ns + world.key_ns * keys as u64;
        self.free_at = start + length / world.speed;
        self.busy_ns += length;
        self.calls += 1;
        self.keys += keys as u64;
        (start, self.free_at)
    }

    /// Forgets what it has spent.
    pub fn reset(&mut self) {
        *self = Self { free_at: self.free_at, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Whoever comes independently to a server of constant speed waits ρ / 2(1 - ρ) of a service on average (M/D/1).
    #[test]
    fn the_wait_is_that_of_a_queue_with_constant_service() {
        let world = World { call_ns: 6_000, key_ns: 4_000, ..World::default() };
        for part in [0.3, 0.6, 0.9] {
            let (mut node, mut random, mut now, mut waited) = (Node::default(), Random::new(3), 0.0, 0.0);
            let calls = 1_000_000;
            for _ in 0..calls {
                now += random.exponential(10_000.0 / part);
                waited += node.serve(&world, 1, now as u64).0 as f64 - now;
            }
            let (mean, law) = (waited / f64::from(calls) / 10_000.0, part / (2.0 * (1.0 - part)));
            assert!((mean / law - 1.0).abs() < 0.05, "at {part} it is {mean}, by the law {law}");
            assert!((node.busy_ns as f64 / now - part).abs() < 0.01);
        }
    }
}
