//! Moves the level by the load: a pure state machine, to which time is handed in.
//!
//! Additive increase, multiplicative decrease: V. Jacobson, "Congestion avoidance and control", SIGCOMM 1988; D. Chiu and R. Jain,
//! "Analysis of the increase and decrease algorithms for congestion avoidance in computer networks", 1989. Four things are added,
//! since here the load is told late, by a queue that has to drain first. It is smoothed. A load that is already falling is not answered
//! again. Between the load at which the level sinks and the one at which it rises it stands still. And since what can be borne lies
//! somewhere between the levels before and after the last decrease, it rises quickly to their middle, and slowly from there on: L. Xu,
//! K. Harfoush and I. Rhee, "Binary increase congestion control (BIC) for fast long-distance networks", 2004.
//!
//! `simulator/src/adaptive/` compares it with a gradient and with a delay target, by which these numbers were chosen.

use crate::clock::Micros;

/// The load from which on the level sinks: as loaded as the process may be.
const FULL: f64 = 1.0;

/// The load below which it rises. Between the two it stands still.
const EASY: f64 = 0.9;

/// What is left of the level after the strongest decrease, for a load of twice what may be or more.
const STRONGEST: f64 = 0.5;

/// What is left after the weakest.
const WEAKEST: f64 = 0.97;

/// How long a decrease is given to be felt before another. The level rises no sooner than twice that after it.
const REACTION: Micros = Micros::from_millis(500);

/// By how much it rises in a second, below the middle of the last decrease and from there on.
const QUICKLY: f64 = 0.2;
const SLOWLY: f64 = 0.02;

/// For how long that middle is remembered: the load may be another by then.
const REMEMBERED: Micros = Micros::from_millis(10_000);

/// In what time most of a change of the load is believed, in seconds: a pause of the garbage collector is no overload.
const SMOOTHING: f64 = 0.3;

/// The highest load that is told apart. How far beyond it a queue is says nothing but how long it takes to drain.
const HIGHEST: f64 = 100.0;

/// The longest time between two observations that counts: who has not looked for long knows no more than that.
const LONGEST_STEP: Micros = Micros::from_millis(500);

/// See the module.
#[derive(Clone, Debug)]
pub struct Controller {
    min: f64,
    level: f64,
    /// When it last heard of the load.
    heard_at: Option<Micros>,
    /// The load, smoothed.
    load: f64,
    /// When the level last sank.
    sank_at: Option<Micros>,
    /// Half-way between where it stood before that and after.
    middle: f64,
}

impl Controller {
    /// At 1, and never below `min`, which is above 0 and at most 1.
    pub fn new(min: f64) -> Self {
        Self { min, level: 1.0, heard_at: None, load: 0.0, sank_at: None, middle: 1.0 }
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
        let before = self.heard_at.unwrap_or(now);
        let now = now.max(before);
        self.heard_at = Some(now);
        let step = seconds((now - before).min(LONGEST_STEP));
        let last = self.load;
        self.load += (load.clamp(0.0, HIGHEST) - last) * (1.0 - (-step / SMOOTHING).exp());
        let since = self.sank_at.map(|at| now - at);
        if self.load > FULL {
            let is_falling = self.load < last;
            if !is_falling && since.is_none_or(|since| since >= REACTION) {
                self.sink(now);
            }
        } else if self.load < EASY && since.is_none_or(|since| since >= REACTION + REACTION) {
            self.rise(step, since);
        }
        self.level
    }

    fn sink(&mut self, now: Micros) {
        let excess = (self.load - FULL).min(1.0);
        let before = self.level;
        self.level = (self.level * (WEAKEST - (WEAKEST - STRONGEST) * excess)).max(self.min);
        self.middle = f64::midpoint(before, self.level);
        self.sank_at = Some(now);
    }

    fn rise(&mut self, step: f64, since: Option<Micros>) {
        let is_forgotten = since.is_none_or(|since| since >= REMEMBERED);
        let quickly = if is_forgotten { step } else { ((self.middle - self.level) / QUICKLY).clamp(0.0, step) };
        self.level = (self.level + quickly * QUICKLY + (step - quickly) * SLOWLY).min(1.0);
    }
}

fn seconds(time: Micros) -> f64 {
    time.as_duration().as_secs_f64()
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
        let levels = levels(&mut Controller::new(0.2), 0, [0.0, 0.5, 0.89, 0.99, 1.0].repeat(20));
        assert!(levels.iter().all(|level| *level == 1.0));
    }

    #[test]
    fn a_single_tick_of_load_gives_nothing_away() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 0, [0.3; 30]);
        assert_eq!(*levels(&mut controller, 30, [2.5, 0.3, 0.3]).last().unwrap(), 1.0);
    }

    #[test]
    fn under_lasting_overload_it_sinks_to_the_minimum_and_stays() {
        let mut controller = Controller::new(0.2);
        let sunk = levels(&mut controller, 0, [30.0; 100]);
        assert!(sunk.is_sorted_by(|a, b| a >= b));
        assert_eq!(sunk[1], 0.5, "the strongest decrease");
        assert_eq!(sunk[5], 0.5, "which is given half a second to be felt");
        assert_eq!(sunk[6], 0.25);
        assert_eq!(*sunk.last().unwrap(), 0.2);
    }

    #[test]
    fn a_load_that_is_falling_is_not_answered_again() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 0, [30.0; 3]);
        let falling = (0..30u32).map(|tick| 5.0 - f64::from(tick) * 0.1);
        assert_eq!(*levels(&mut controller, 3, falling).last().unwrap(), 0.5);
    }

    #[test]
    fn when_the_load_is_gone_it_rises_all_the_way() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 0, [30.0; 100]);
        let risen = levels(&mut controller, 100, [0.1; 300]);
        assert!(risen.is_sorted());
        assert_eq!(risen[299], 1.0);
    }

    #[test]
    fn from_the_middle_of_the_last_decrease_on_it_rises_slowly_until_that_is_forgotten() {
        let mut controller = Controller::new(0.1);
        levels(&mut controller, 0, [0.0, 100.0]);
        assert_eq!(controller.level(), 0.5);
        // Quickly from 0.5 to 0.75, then slowly, and after ten seconds quickly again.
        let risen = levels(&mut controller, 2, [0.1; 110]);
        let rise = |tick: usize| risen[tick] - risen[tick - 1];
        let is_past = |level: f64| risen.iter().position(|risen| *risen > level).unwrap();
        assert!((rise(is_past(0.6)) - 0.02).abs() < 1e-9, "{risen:?}");
        assert!((rise(is_past(0.73)) - 0.02).abs() < 1e-9, "{risen:?}");
        assert!((rise(is_past(0.771)) - 0.002).abs() < 1e-9, "{risen:?}");
        assert!((rise(98) - 0.002).abs() < 1e-9, "{risen:?}");
        assert!((rise(99) - 0.02).abs() < 1e-9, "{risen:?}");
    }

    #[test]
    fn nonsense_is_not_heard_and_a_clock_that_runs_backwards_stands_still() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 10, [0.0, 30.0]);
        assert_eq!(controller.observe(Micros(12 * TICK), f64::NAN), 0.5);
        assert_eq!(controller.observe(Micros(0), 0.0), 0.5);
        assert_eq!(controller.observe(Micros(12 * TICK), f64::INFINITY), 0.5);
        assert_eq!(controller.observe(Micros(20 * TICK), f64::INFINITY), 0.25);
        // Also what is infinite passes.
        levels(&mut controller, 21, [0.0; 400]);
        assert_eq!(controller.level(), 1.0);
    }

    #[test]
    fn a_load_that_lasts_is_answered_however_long_it_stays_the_same() {
        let mut controller = Controller::new(1e-30);
        // Every half second another half is left, also when the smoothed load has come to rest.
        let left = *levels(&mut controller, 0, [30.0; 400]).last().unwrap();
        assert!(left < 0.5f64.powi(70), "{left}");
    }

    #[test]
    fn a_little_too_much_takes_a_little_away() {
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 0, [1.0; 100]);
        let level = *levels(&mut controller, 100, [1.1]).last().unwrap();
        assert!((0.95..1.0).contains(&level), "{level}");
    }

    #[test]
    fn it_rises_no_sooner_than_twice_the_time_that_a_decrease_is_given() {
        let mut controller = Controller::new(0.2);
        let sunk = *levels(&mut controller, 0, [0.0, 5.0]).last().unwrap();
        assert!(sunk < 1.0, "{sunk}");
        let levels = levels(&mut controller, 2, [0.0; 10]);
        assert!(levels[..9].iter().all(|level| *level == sunk), "{levels:?}");
        assert!(levels[9] > sunk, "{levels:?}");
    }

    #[test]
    fn a_long_step_is_quick_only_up_to_the_middle() {
        let mut controller = Controller { level: 0.5, load: FULL, ..Controller::new(0.1) };
        controller.sink(Micros(0));
        assert_eq!((controller.level, controller.middle), (0.485, 0.4925));
        controller.rise(0.5, Some(REACTION));
        let slowly = 0.5 - (0.4925 - 0.485) / QUICKLY;
        assert!((controller.level - (0.4925 + slowly * SLOWLY)).abs() < 1e-9, "{}", controller.level);
    }

    #[test]
    fn it_rises_quickly_up_to_the_middle_of_the_last_of_several_decreases() {
        let mut controller = Controller::new(0.1);
        assert_eq!(*levels(&mut controller, 0, [30.0; 7]).last().unwrap(), 0.25);
        // Quickly from a quarter to three eighths, and then slowly.
        let risen = *levels(&mut controller, 7, [0.0; 50]).last().unwrap();
        assert!((0.375..0.46).contains(&risen), "{risen}");
    }

    #[test]
    fn who_has_not_looked_for_long_believes_no_more_than_after_half_a_second() {
        let mut controller = Controller::new(0.2);
        controller.observe(Micros(0), 0.0);
        assert_eq!(controller.observe(Micros(1_000 * TICK), 1.2), 1.0, "of which four fifths are believed");
    }

    #[test]
    fn time_that_ran_backwards_does_not_pass_again_and_a_load_below_nothing_is_none() {
        let mut controller = Controller::new(0.2);
        controller.observe(Micros(10 * TICK), 0.0);
        controller.observe(Micros(0), 0.0);
        assert_eq!(controller.observe(Micros(10 * TICK), 100.0), 1.0, "it has heard of that moment before");
        let mut controller = Controller::new(0.2);
        levels(&mut controller, 0, [f64::NEG_INFINITY; 30]);
        assert_eq!(*levels(&mut controller, 30, [100.0]).last().unwrap(), 0.5);
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

        /// Hysteresis: a load that stays within the band moves nothing, from wherever it comes, once it is believed.
        #[test]
        fn settles(heard in prop::collection::vec(0.0..3.0f64, 0..100), within in prop::collection::vec(0.91..=0.99f64, 100)) {
            let mut controller = Controller::new(0.2);
            let last = heard.len() as u64;
            levels(&mut controller, 0, heard);
            let levels = levels(&mut controller, last, within);
            prop_assert!(levels[50..].iter().all(|level| *level == levels[50]));
        }
    }
}
