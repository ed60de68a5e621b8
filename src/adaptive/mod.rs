//! Limits that give way under load: a level between a minimum and 1, moved by what the process says of its load, and what is left
//! of a limit for each class of calls. The instances of a fleet may have one in common.

mod classes;
mod controller;
mod levels;

pub use classes::{Classes, Share};
pub use controller::Controller;
pub use levels::{Levels, Sum};

use std::sync::Arc;

use crate::clock::Micros;

/// What a limiter gives way by.
#[derive(Clone, Debug)]
pub struct Adaptive {
    controller: Controller,
    classes: Classes,
    /// What is left for each class, the lowest first.
    shares: Vec<Share>,
    /// Whether the limits give way by the load of the fleet, not by that of this process alone.
    is_of_fleet: bool,
    /// The level of the fleet, once it is joined.
    levels: Option<Arc<Levels>>,
}

/// Where the limits stand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// The level that is in force, from the least to 1.
    pub level: f64,
    /// What this process's own load makes of it.
    pub own: f64,
    /// Of how many instances the level in force is the mean.
    pub instances: u32,
}

impl Adaptive {
    /// Whole limits, which give way down to `min`.
    pub fn new(min: f64, classes: Classes) -> Self {
        let controller = Controller::new(min);
        let shares = classes.shares(controller.level(), min);
        Self { controller, classes, shares, is_of_fleet: false, levels: None }
    }

    /// The same, by the load of a fleet.
    pub fn of_fleet(self) -> Self {
        Self { is_of_fleet: true, ..self }
    }

    /// Whether it is by that.
    pub fn is_of_fleet(&self) -> bool {
        self.is_of_fleet
    }

    /// Goes by the level of these from here on.
    pub fn join(&mut self, levels: Arc<Levels>) {
        self.levels = Some(levels);
    }

    /// Hears of the load of this process at `now`; answers where the limits stand.
    pub fn observe(&mut self, now: Micros, load: f64) -> Standing {
        let own = self.controller.observe(now, load);
        let (common, instances) = self.levels.as_ref().map_or((own, 1), |levels| levels.stand(own));
        // Others may have been told to give way further.
        let level = common.max(self.controller.min());
        self.shares = self.classes.shares(level, self.controller.min());
        Standing { level, own, instances }
    }

    /// The classes.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// What is left for each class, the lowest first.
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// What is left for the class of that index, or for that of calls that name none.
    pub fn share_of(&self, class: Option<usize>) -> Share {
        self.shares[class.unwrap_or(self.classes.usual())]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::algorithm::{Ask, FixedWindow, LeakyBucket, Policy, SlidingCounter, SlidingWindow, TokenBucket};

    /// A policy of each algorithm.
    fn policies(limit: u64) -> [Policy; 5] {
        let window = Micros::from_millis(1_000);
        [
            Policy::SlidingWindow(SlidingWindow::new(limit, window, 32)),
            Policy::SlidingCounter(SlidingCounter::new(limit, window)),
            Policy::FixedWindow(FixedWindow::new(limit, window, false)),
            Policy::TokenBucket(TokenBucket::new(limit, window, limit)),
            Policy::LeakyBucket(LeakyBucket::new(limit, window, limit)),
        ]
    }

    fn admitted(policy: &Policy, calls: u64) -> u64 {
        let mut state = policy.fresh();
        let now = Micros(1_000_000_000);
        (0..calls).filter(|_| policy.step(&mut state, now, Ask::all(1)).allowed).count() as u64
    }

    proptest! {
        /// What is left is that part of the limit, rounded up, and at least one.
        #[test]
        fn scaled(limit in 1..300u64, part in 0.0..=1.0f64) {
            let share = Share::of(part);
            for policy in policies(limit) {
                let left = policy.scaled(share.parts(), Share::PARTS);
                let expected = (policy.capacity() * share.parts()).div_ceil(Share::PARTS);
                prop_assert_eq!(left.capacity(), expected);
                prop_assert!(expected >= 1);
                prop_assert_eq!(admitted(&left, 400), expected, "{}", policy.name());
            }
        }
    }

    #[test]
    fn a_call_that_names_no_class_is_of_the_usual_one() {
        let mut adaptive = Adaptive::new(0.4, Classes::new(["low", "normal", "high"].map(Arc::from).to_vec()));
        for tick in 0..=1 {
            adaptive.observe(Micros(tick * 100_000), 100.0);
        }
        assert_eq!(adaptive.shares().iter().map(|share| share.parts()).collect::<Vec<_>>(), [400, 400, 700]);
        for (class, parts) in [(None, 400), (Some(0), 400), (Some(1), 400), (Some(2), 700)] {
            assert_eq!(adaptive.share_of(class).parts(), parts, "{class:?}");
        }
        let mut two = Adaptive::new(0.4, Classes::new(["bulk", "interactive"].map(Arc::from).to_vec()));
        for tick in 0..=1 {
            two.observe(Micros(tick * 100_000), 100.0);
        }
        assert_eq!(two.share_of(None), two.share_of(Some(1)));
        assert_ne!(two.share_of(None), two.share_of(Some(0)));
    }

    #[test]
    fn a_fleet_that_gives_way_further_takes_nobody_below_its_own_minimum() {
        let mut adaptive = Adaptive::new(0.5, Classes::default());
        let levels = Arc::new(Levels::new("rl"));
        adaptive.join(levels.clone());
        levels.hear(Share::WHOLE, Sum::of(4, 1_003).expect("it is one"));
        let standing = adaptive.observe(Micros(0), 0.0);
        assert_eq!((standing.level, standing.own, standing.instances), (0.5, 1.0, 4));
        assert_eq!(adaptive.share_of(None).parts(), 500);
    }

    #[test]
    fn the_whole_is_the_same_policy_and_the_largest_numbers_fit() {
        for policy in policies(crate::policy::MAX_UNITS - 1) {
            assert_eq!(policy.scaled(Share::PARTS, Share::PARTS), policy);
            assert!(policy.scaled(999, Share::PARTS).capacity() < policy.capacity());
        }
    }
}
