//! The level that the instances of a fleet have in common: the mean of their own, as far as this one has heard.
//!
//! Where requests are spread evenly a fleet can take what its members can take together, so of its limits it can take the mean of what
//! each could. One that is sick among ten takes a tenth away at most; the least of the levels would let it close the fleet.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Share;
use crate::clock::Micros;
use crate::fleet::{self, Announcement};

/// One instance's own level, and what it has heard of the others.
#[derive(Debug)]
pub struct Levels {
    /// What the levels are called in the store.
    name: String,
    /// This instance, which no other is called.
    instance: String,
    /// Where it stands itself, in thousandths.
    own: AtomicU64,
    /// How many instances there are, above what the others' levels add up to in thousandths; 0 while nothing was heard. One number,
    /// since it is written where the store is asked and read where the limits are.
    heard: AtomicU64,
}

/// What a store says of the levels that it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    /// How many instances have told theirs.
    pub instances: u32,
    /// What these add up to, in thousandths.
    pub parts: u32,
}

impl Sum {
    /// A number of instances and what their levels add up to, where that can be: each has one thousandth at least and a whole at most.
    pub fn of(instances: u64, parts: u64) -> Option<Self> {
        let is_possible = instances > 0 && parts >= instances && parts <= instances.checked_mul(Share::PARTS)?;
        let (instances, parts) = (u32::try_from(instances).ok()?, u32::try_from(parts).ok()?);
        is_possible.then_some(Self { instances, parts })
    }
}

impl Levels {
    /// An instance of a limiter whose keys begin with `prefix`, at 1, which has heard of nobody.
    pub fn new(prefix: &str) -> Self {
        Self {
            // No key of a limit has so few parts.
            name: format!("{prefix}:levels"),
            instance: fleet::instance(),
            own: AtomicU64::new(Share::PARTS),
            heard: AtomicU64::new(0),
        }
    }

    /// Where this instance stands itself.
    pub fn own(&self) -> Share {
        Share::thousandths(self.own.load(Ordering::Relaxed))
    }

    /// Who says it, to count for `holds`.
    pub fn announcement(&self, holds: Micros) -> Announcement {
        Announcement { name: self.name.clone(), instance: self.instance.clone(), holds }
    }

    /// The store has said that of all instances, after it was `told` where this one stands.
    pub fn hear(&self, told: Share, sum: Sum) {
        let others = u64::from(sum.parts).saturating_sub(told.parts());
        self.heard.store(u64::from(sum.instances) << 32 | others, Ordering::Relaxed);
    }

    /// What was heard is not known to hold any more: this instance goes by its own level.
    pub fn forget(&self) {
        self.heard.store(0, Ordering::Relaxed);
    }

    /// The common level where this instance's own is now `own`, and of how many instances it is the mean.
    pub fn stand(&self, own: f64) -> (f64, u32) {
        self.own.store(Share::of(own).parts(), Ordering::Relaxed);
        let heard = self.heard.load(Ordering::Relaxed);
        #[expect(clippy::cast_possible_truncation, reason = "it is these two halves")]
        let (instances, others) = ((heard >> 32) as u32, heard as u32);
        if instances == 0 {
            return (own, 1);
        }
        #[expect(clippy::cast_precision_loss, reason = "a thousand")]
        let whole = Share::PARTS as f64;
        ((f64::from(others) / whole + own) / f64::from(instances), instances)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum_of(levels: &[u32]) -> Sum {
        Sum::of(levels.len() as u64, levels.iter().map(|level| u64::from(*level)).sum()).unwrap()
    }

    proptest! {
        /// However they are told, each instance goes by the mean of all, and that lies between the least and the greatest.
        #[test]
        fn all_go_by_the_mean(told in prop::collection::vec(1..=1_000u32, 1..200)) {
            let sum = sum_of(&told);
            let mean = f64::from(sum.parts) / f64::from(sum.instances) / 1_000.0;
            for own in &told {
                let levels = Levels::new("rl");
                levels.hear(Share::thousandths(u64::from(*own)), sum);
                let (common, instances) = levels.stand(f64::from(*own) / 1_000.0);
                prop_assert!((common - mean).abs() < 1e-9, "{common} is not {mean}");
                prop_assert_eq!(instances, sum.instances);
            }
        }

        /// What a store says that cannot be is not believed.
        #[test]
        fn a_sum_is_of_levels(instances in 0..5_000u64, parts in any::<u32>()) {
            let parts = u64::from(parts) % 6_000_000;
            let can_be = instances > 0 && (instances..=instances * Share::PARTS).contains(&parts);
            prop_assert_eq!(Sum::of(instances, parts).is_some(), can_be);
        }
    }

    #[test]
    fn alone_and_without_word_it_goes_by_its_own() {
        let levels = Levels::new("rl");
        assert_eq!(levels.stand(0.333_3), (0.333_3, 1));
        assert_eq!(levels.own().parts(), 333, "which is what it tells");
        levels.hear(Share::of(0.333), sum_of(&[333, 1_000, 1_000]));
        assert_eq!(levels.stand(0.25), (0.75, 3), "its own level counts as it is now");
        levels.forget();
        assert_eq!(levels.stand(0.4), (0.4, 1));
        levels.hear(Share::of(0.4), sum_of(&[400]));
        assert_eq!(levels.stand(0.25), (0.25, 1));
    }

    #[test]
    fn one_that_is_sick_takes_no_more_than_its_part() {
        let levels = Levels::new("rl");
        levels.hear(Share::of(0.01), sum_of(&[10, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000]));
        let (common, _) = levels.stand(0.01);
        assert!((common - 0.901).abs() < 1e-9, "{common}");
    }

    #[test]
    fn sums_that_no_machine_could_count_are_not_believed() {
        assert_eq!(Sum::of(u64::MAX, u64::MAX), None);
        assert_eq!(Sum::of(1 << 32, 1 << 32), None);
    }
}
