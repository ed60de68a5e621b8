//! Moves the level by the load: a pure state machine, to which time is handed in.
//!
//! Additive increase, multiplicative decrease: V. Jacobson, "Congestion avoidance and control", SIGCOMM 1988; D. Chiu and R. Jain,
//! "Analysis of the increase and decrease algorithms for congestion avoidance in computer networks", 1989. Two things are added,
//! since here the load is told late, by a queue that has to drain first: a load that is already falling is not answered again, and
//! between the load at which the level sinks and the one at which it rises it stands still. Below the level at which the last
//! overload began it rises quickly, and from there on slowly, as the slow start of the first paper does up to its threshold.
//!
//! `simulator/src/adaptive/` compares it with a gradient and with a delay target; docs/adaptive.md shows both.

use crate::clock::Micros;

/// The load from which on the level sinks: as loaded as the process may be.
const FULL: f64 = 1.0;

/// The load below which it rises. Between the two it stands still.
const EASY: f64 = 0.75;

/// What is left of the level after the strongest decrease, for a load of twice what may be or more.
const STRONGEST: f64 = 0.7;

/// What is left after the weakest.
const WEAKEST: f64 = 0.95;

/// How long a decrease is given to be felt before another. The level rises no sooner than twice that after it.
const REACTION: Micros = Micros::from_millis(500);

/// By how much it rises in a second, below the level at which the last overload began and from there on.
const QUICKLY: f64 = 0.2;
const SLOWLY: f64 = 0.02;

/// How near to that level it rises quickly.
const NEAR: f64 = 0.85;

/// For how long that level is remembered: the load may be another by then.
const REMEMBERED: Micros = Micros::from_millis(10_000);

/// The longest time between two observations that counts: who has not looked for long knows no more than that.
const LONGEST_STEP: Micros = Micros::from_millis(500);

/// See the module.
#[derive(Clone, Debug)]
pub struct Controller {
    min: f64,
    level: f64,
    /// When it last heard of the load, and of what load.
    heard: Option<(Micros, f64)>,
    /// When the level last sank.
    sank_at: Option<Micros>,
    /// Where it stood when it did.
    threshold: f64,
}

impl Controller {
    /// At 1, and never below `min`, which is above 0 and at most 1.
    pub fn new(min: f64) -> Self {
        Self { min, level: 1.0, heard: None, sank_at: None, threshold: 1.0 }
    }

    /// The least level.
    pub fn min(&self) -> f64 {
        self.min
    }

    /// The level as it stands, from the least to 1.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Hears of the load at `now`, where 1 is as loaded as the process may be. A load that is no number is not heard, and a clock
    /// that runs backwards stands still. Answers the level.
    pub fn observe(&mut self, now: Micros, load: f64) -> f64 {
        if load.is_nan() {
            return self.level;
        }
        let (before, last) = self.heard.unwrap_or((now, 0.0));
        let now = now.max(before);
        self.heard = Some((now, load));
        let since = self.sank_at.map(|at| now - at);
        if load > FULL {
            let is_rising = load >= last;
            if is_rising && since.is_none_or(|since| since >= REACTION) {
                self.sink(now, load);
            }
        } else if load < EASY && since.is_none_or(|since| since >= REACTION + REACTION) {
            self.rise((now - before).min(LONGEST_STEP), since);
        }
        self.level
    }

    fn sink(&mut self, now: Micros, load: f64) {
        let excess = (load - FULL).min(1.0);
        self.threshold = self.level;
        self.level = (self.level * (WEAKEST - (WEAKEST - STRONGEST) * excess)).max(self.min);
        self.sank_at = Some(now);
    }

    fn rise(&mut self, step: Micros, since: Option<Micros>) {
        let is_forgotten = since.is_none_or(|since| since >= REMEMBERED);
        let is_far = is_forgotten || self.level < self.threshold * NEAR;
        #[expect(clippy::cast_precision_loss, reason = "half a second at most")]
        let seconds = step.0 as f64 / 1e6;
        self.level = (self.level + seconds * if is_far { QUICKLY } else { SLOWLY }).min(1.0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TICK: u64 = 100_000;

    /// The level after each of these loads, a tick apart.
    fn levels(controller: &mut Controller, from: u64, loads: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let ticks = (from..).map(|tick| Micros(tick * TICK));
        ticks.zip(loads).map(|(now, load)| controller.observe(now, load)).collect()
    }

    #[test]
    fn without_load_nothing_gives_way() {
        let levels = levels(&mut Controller::new(0.2), 0, [0.0, 0.5, 0.74, 0.99, 1.0].repeat(20));
        assert!(levels.iter().all(|level| *level == 1.0));
    }

    #[test]
    fn under_lasting_overload_it_sinks_to_the_minimum_and_stays() {
        let mut controller = Controller::new(0.2);
        let sunk = levels(&mut controller, 0, [3.0; 100]);
        assert!(sunk.is_sorted_by(|a, b| a >= b));
        assert_eq!(sunk[0], 0.7);
        assert_eq!(sunk[4], 0.7, "a decrease is given time to be felt");
        assert!(sunk[5] < 0.7);
        assert_eq!(*sunk.last().unwrap(), 0.2);
    }

    #[test]
    fn a_load_that_is_falling_is_not_answered_again() {
        let mut controller = Controller::new(0.2);
        let falling = (0..40u32).map(|tick| 3.0 - f64::from(tick) * 0.05);
        assert_eq!(*levels(&mut controller, 0, falling).last().unwrap(), 0.7);
    }

    #[test]
    fn between_easy_and_full_it_stands_still() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 0, [3.0; 10]);
        let level = controller.level();
        let still = levels(&mut controller, 10, [0.76, 0.9, 1.0].repeat(100));
        assert!(still.iter().all(|now| *now == level));
    }

    #[test]
    fn when_the_load_is_gone_it_is_whole_again_within_ten_seconds_and_rises_all_the_way() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 0, [3.0; 100]);
        let risen = levels(&mut controller, 100, [0.1; 300]);
        assert!(risen.is_sorted());
        assert_eq!(risen[299], 1.0);
    }

    #[test]
    fn near_the_level_of_the_last_overload_it_rises_slowly() {
        let mut controller = Controller::new(0.1);
        levels(&mut controller, 0, [2.0]);
        // From 0.7, quickly up to 0.85, and then slowly.
        let risen = levels(&mut controller, 1, [0.1; 60]);
        let quick = risen[20] - risen[19];
        let slow = risen[59] - risen[58];
        assert!(risen[20] < 0.95 && quick > 0.0, "{risen:?}");
        assert!((slow - 0.002).abs() < 1e-9, "{slow}");
    }

    #[test]
    fn nonsense_is_not_heard_and_a_clock_that_runs_backwards_stands_still() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 10, [2.0]);
        assert_eq!(controller.observe(Micros(11 * TICK), f64::NAN), 0.7);
        assert_eq!(controller.observe(Micros(0), 0.0), 0.7);
        assert_eq!(controller.observe(Micros(12 * TICK), f64::INFINITY), 0.7);
        assert_eq!(controller.observe(Micros(20 * TICK), f64::INFINITY), 0.7 * 0.7);
    }

    proptest! {
        /// Whatever it hears, and whenever, the level is within its bounds.
        #[test]
        fn bounded(min in 0.01..=1.0f64, heard in prop::collection::vec((any::<u32>(), any::<f64>()), 0..200)) {
            let mut controller = Controller::new(min);
            for (now, load) in heard {
                let level = controller.observe(Micros(now.into()), load);
                prop_assert!((min..=1.0).contains(&level), "{level}");
            }
        }

        /// Of two that have heard the same so far, the one that hears of more load stands no higher after it.
        #[test]
        fn monotone(heard in prop::collection::vec(0.0..3.0f64, 0..100), less in 0.0..3.0f64, more in 0.0..3.0f64) {
            let mut controller = Controller::new(0.2);
            let last = heard.len() as u64;
            levels(&mut controller, 0, heard);
            let (less, more) = (less.min(more), less.max(more));
            let now = Micros(last * TICK);
            prop_assert!(controller.clone().observe(now, more) <= controller.observe(now, less));
        }

        /// A load that stays within the band moves nothing, from wherever it comes.
        #[test]
        fn settles(heard in prop::collection::vec(0.0..3.0f64, 0..100), within in prop::collection::vec(0.75..=1.0f64, 1..50)) {
            let mut controller = Controller::new(0.2);
            let last = heard.len() as u64;
            levels(&mut controller, 0, heard);
            let level = controller.level();
            prop_assert!(levels(&mut controller, last, within).iter().all(|now| *now == level));
        }
    }
}
