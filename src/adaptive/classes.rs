//! Which calls give way first.

use std::sync::Arc;

/// What is left of a limit, in thousandths, so that few different policies are ever asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u64);

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self(Self::PARTS);

    /// How many parts a whole has.
    pub const PARTS: u64 = 1_000;

    /// The part of a whole that is nearest, from one thousandth on: a share of nothing would refuse for ever.
    pub fn of(part: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 1 to 1,000 on the next line"
        )]
        let parts = (part * 1_000.0).round() as u64;
        Self::thousandths(parts)
    }

    /// So many of [`PARTS`](Self::PARTS), from one on to all.
    pub fn thousandths(parts: u64) -> Self {
        Self(parts.clamp(1, Self::PARTS))
    }

    /// How many of [`PARTS`](Self::PARTS) these are.
    pub fn parts(self) -> u64 {
        self.0
    }

    /// Whether nothing is missing.
    pub fn is_whole(self) -> bool {
        self == Self::WHOLE
    }
}

/// The classes of calls, the lowest first: at least one, which need not have a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes {
    names: Vec<Arc<str>>,
}

impl Classes {
    /// Classes of these names; without names all calls are of one.
    pub fn new(names: Vec<Arc<str>>) -> Self {
        Self { names }
    }

    /// Their names, the lowest first.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The class of a call that names none: `normal` where one is called so, otherwise the middle one, of two the higher.
    pub fn usual(&self) -> usize {
        self.named("normal").unwrap_or(self.names.len() / 2)
    }

    /// The index of that name.
    pub fn named(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|own| **own == *name)
    }

    /// What is left for each at a level from `min` to 1. The way down is divided equally: the lowest class goes from its whole limit
    /// to `min` on the first part of it, the next on the second.
    pub fn shares(&self, level: f64, min: f64) -> Vec<Share> {
        let classes = self.names.len().max(1);
        #[expect(clippy::cast_precision_loss, reason = "there are few classes")]
        let sunk = if min < 1.0 { (1.0 - level) / (1.0 - min) * classes as f64 } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "there are few classes")]
        let of = |index: usize| Share::of(1.0 - (sunk - index as f64).clamp(0.0, 1.0) * (1.0 - min));
        (0..classes).map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Classes {
        Classes::new(["low", "normal", "high"].map(Arc::from).to_vec())
    }

    fn parts(classes: &Classes, level: f64) -> Vec<u64> {
        classes.shares(level, 0.4).into_iter().map(Share::parts).collect()
    }

    #[test]
    fn the_lowest_gives_way_first_to_its_floor_and_then_the_next() {
        assert_eq!(parts(&three(), 1.0), [1_000, 1_000, 1_000]);
        assert_eq!(parts(&three(), 0.9), [700, 1_000, 1_000]);
        assert_eq!(parts(&three(), 0.8), [400, 1_000, 1_000]);
        assert_eq!(parts(&three(), 0.7), [400, 700, 1_000]);
        assert_eq!(parts(&three(), 0.6), [400, 400, 1_000]);
        assert_eq!(parts(&three(), 0.5), [400, 400, 700]);
        assert_eq!(parts(&three(), 0.4), [400, 400, 400]);
    }

    #[test]
    fn at_every_level_at_most_one_class_is_on_its_way_and_none_above_it_has_given_way() {
        for thousandth in 400..=1_000u32 {
            let shares = parts(&three(), f64::from(thousandth) / 1_000.0);
            assert!(shares.is_sorted(), "{shares:?}");
            let on_their_way = shares.iter().filter(|parts| (401..1_000).contains(*parts)).count();
            assert!(on_their_way <= 1, "{shares:?}");
        }
    }

    #[test]
    fn without_names_all_calls_go_by_the_level_itself() {
        assert_eq!(parts(&Classes::default(), 0.5), [500]);
        assert_eq!(Classes::default().usual(), 0);
    }

    #[test]
    fn the_usual_class_is_normal_or_the_middle() {
        let usual = |names: &[&str]| Classes::new(names.iter().copied().map(Arc::from).collect()).usual();
        assert_eq!(usual(&["normal", "high"]), 0);
        assert_eq!(usual(&["bulk", "interactive"]), 1);
        assert_eq!(usual(&["a", "b", "c"]), 1);
        assert_eq!(usual(&["a"]), 0);
    }

    #[test]
    fn no_share_is_of_nothing_and_each_is_the_nearest() {
        assert_eq!([0.0, 0.000_4, -1.0].map(|part| Share::of(part).parts()), [1; 3]);
        assert_eq!([0.300_6, 0.999_6, 2.0].map(|part| Share::of(part).parts()), [301, 1_000, 1_000]);
    }

    #[test]
    fn nothing_gives_way_where_the_minimum_is_the_whole() {
        assert_eq!(three().shares(1.0, 1.0), [Share::WHOLE; 3]);
    }
}
