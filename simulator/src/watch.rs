//! Whether the limit's promise was kept: what was admitted, when it was used, by the limit as it was set and by nothing else.

use std::collections::VecDeque;

use crate::world::{Kind, World};

/// One key's history.
pub enum Watch {
    /// The moments of the last window, in microseconds.
    Window(VecDeque<u64>),
    /// When a bucket would be full again, in microseconds times the limit.
    Bucket(u128),
}

impl Watch {
    /// Of a key that nobody has asked for.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::SlidingWindow => Self::Window(VecDeque::new()),
            Kind::TokenBucket => Self::Bucket(0),
        }
    }

    /// A unit is used. Answers whether it is one too many: more than `limit` in a rolling window, or more than a bucket held.
    pub fn uses(&mut self, world: &World, now_us: u64) -> bool {
        match self {
            Self::Window(moments) => {
                while moments.front().is_some_and(|moment| now_us >= moment + world.window_us) {
                    moments.pop_front();
                }
                moments.push_back(now_us);
                moments.len() as u64 > world.limit
            }
            Self::Bucket(full) => {
                let now = u128::from(now_us) * u128::from(world.limit);
                *full = (*full).max(now) + u128::from(world.window_us);
                *full - now > u128::from(world.window_us) * u128::from(world.limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(kind: Kind) -> World {
        World { limit: 3, window_us: 300, kind, ..World::default() }
    }

    #[test]
    fn one_too_many_in_a_rolling_window_is_seen_and_the_window_is_half_open() {
        let (world, mut watch) = (world(Kind::SlidingWindow), Watch::new(Kind::SlidingWindow));
        let over: Vec<bool> = [0, 100, 299, 300, 399, 400].map(|at| watch.uses(&world, at)).into();
        assert_eq!(over, [false, false, false, false, true, true]);
    }

    #[test]
    fn more_than_a_bucket_holds_is_seen_and_what_flows_in_is_allowed() {
        let (world, mut watch) = (world(Kind::TokenBucket), Watch::new(Kind::TokenBucket));
        let over: Vec<bool> = [1_000, 1_000, 1_000, 1_100, 1_199].map(|at| watch.uses(&world, at)).into();
        assert_eq!(over, [false, false, false, false, true]);
    }
}
