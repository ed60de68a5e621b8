//! A server that is one event loop, as a process of Node's: it takes all requests that have come in, works them off one after another, and
//! only then runs its timers and looks for more. So a timer hears of an overload when the next requests have been let in already.

use distributed_rate_limiter::adaptive::{Controller, Share};
use distributed_rate_limiter::algorithm::{Ask, Policy, State};
use distributed_rate_limiter::clock::Micros;

use super::rivals::MIN;
use super::scenario::{CAPACITY, ENDS, How, Scenario, What};
use super::server::{CLIENTS, Limit, Moment, TICK, limit, percentile, share, takes};
use crate::random::Random;

/// What is played: three times what it can do.
pub const SCENARIO: Scenario = Scenario { what: What::Load, how: How::Step };

/// A response that takes longer is of no use to anybody, and the load is 1 at these: as the test on a real application has it.
const DEADLINE: f64 = 2.0;
const LAG: f64 = 0.3;
const LATENCY: f64 = 0.7;

/// What a refusal takes, of what a request does.
const REFUSAL: f64 = 1.0 / 30.0;

/// When the limits hear of the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// Never: they stay whole.
    Never,
    /// When a timer comes.
    ByTimer,
    /// And with a call, where no timer has come for two ticks: as `lib/adaptive/pressure.js` has it.
    ByCalls,
}

/// All of them with their names.
pub const ALL: [(&str, Hears); 3] = [("never", Hears::Never), ("timer", Hears::ByTimer), ("calls", Hears::ByCalls)];

/// The loop.
struct EventLoop {
    now: f64,
    whole: Policy,
    policy: Policy,
    controller: Controller,
    hears: Hears,
    /// When a timer came last, and when the load was heard of last.
    timer_at: f64,
    heard_at: f64,
    /// How late timers of 10 ms were, and how long responses took since.
    lateness: Vec<f64>,
    latencies: Vec<f64>,
    /// What of these was heard last.
    latency: f64,
    /// When each request that was let in arrived and was answered; and from when on each level was in force, at which load.
    answered: Vec<(f64, f64)>,
    levels: Vec<(f64, f64, f64)>,
}

/// Plays it.
pub fn play(hears: Hears, seed: u64) -> Vec<Moment> {
    let mut random = Random::new(seed);
    let mut event_loop = EventLoop::new(hears);
    let mut states: Vec<State> = (0..CLIENTS).map(|_| event_loop.whole.fresh()).collect();
    let mut next = 0.0_f64;
    while event_loop.now < ENDS {
        event_loop.run_timers();
        let mut came = Vec::new();
        while next <= event_loop.now {
            came.push(next);
            next += random.exponential(1.0 / SCENARIO.at(next).0);
        }
        if came.is_empty() {
            event_loop.now = event_loop.now.max(next.min(event_loop.timer_at + TICK));
        } else {
            event_loop.work_off(&came, &mut states, &mut random);
        }
    }
    event_loop.moments()
}

/// What was answered in time from the eighth second of the overload to the sixteenth, of what could have been: whether the first blow is over by
/// then.
pub fn after_the_first_blow(moments: &[Moment]) -> f64 {
    let begins = SCENARIO.is_over_at();
    let is_within = |moment: &&Moment| (begins + 8.0..begins + 16.0).contains(&moment.second);
    share(&moments.iter().filter(is_within).copied().collect::<Vec<_>>())
}

impl EventLoop {
    fn new(hears: Hears) -> Self {
        let whole = limit(1, Limit::Bucket);
        Self {
            now: 0.0,
            whole,
            policy: whole,
            controller: Controller::new(MIN),
            hears,
            timer_at: 0.0,
            heard_at: 0.0,
            lateness: Vec::new(),
            latencies: Vec::new(),
            latency: 0.0,
            answered: Vec::new(),
            levels: vec![(0.0, 1.0, 0.0)],
        }
    }

    fn run_timers(&mut self) {
        let late = self.now - self.timer_at - TICK;
        if late >= -1e-9 {
            let usual = self.lateness.iter().sum::<f64>() / self.lateness.len().max(1) as f64;
            self.latency = percentile(&mut self.latencies);
            (self.lateness, self.latencies) = (Vec::new(), Vec::new());
            self.timer_at = self.now;
            self.hear(late.max(usual));
        }
    }

    fn work_off(&mut self, came: &[f64], states: &mut [State], random: &mut Random) {
        let begun = self.now;
        let mut admitted = Vec::new();
        for arrived in came {
            let late = self.now - self.timer_at - TICK;
            if self.hears == Hears::ByCalls && late >= TICK && self.now - self.heard_at >= TICK {
                self.hear(late);
            }
            // Some time after the epoch, as clocks are.
            let now = Micros(1_000_000_000 + (self.now * 1e6) as u64);
            let called = self.now;
            if self.policy.step(&mut states[random.below(CLIENTS)], now, Ask::all(1)).allowed {
                self.now += takes(CAPACITY, random);
                self.answered.push((*arrived, self.now));
                admitted.push(called);
            } else {
                self.now += REFUSAL / CAPACITY;
            }
        }
        self.lateness.push(self.now - begun);
        // Told when all of them are done.
        self.latencies.extend(admitted.into_iter().map(|called| self.now - called));
    }

    fn hear(&mut self, lag: f64) {
        self.heard_at = self.now;
        if self.hears == Hears::Never {
            return;
        }
        let load = (lag / LAG).max(self.latency / LATENCY);
        let level = self.controller.observe(Micros((self.now * 1e6) as u64), load);
        self.policy = self.whole.scaled(Share::of(level).parts(), Share::PARTS);
        self.levels.push((self.now, level, load));
    }

    fn moments(&self) -> Vec<Moment> {
        let moment = |tick: u64| {
            let end = tick as f64 * TICK;
            let in_time = self
                .answered
                .iter()
                .filter(|(arrived, answered)| (end - TICK..end).contains(answered) && answered - arrived <= DEADLINE);
            let heard = self.levels.partition_point(|(at, ..)| *at <= end) - 1;
            let (_, level, load) = self.levels[heard];
            let (offered, capacity) = SCENARIO.at(end - TICK / 2.0);
            Moment { second: end, offered, capacity, good: in_time.count() as f64 / TICK, level, load }
        };
        (1..=(ENDS / TICK) as u64).map(moment).collect()
    }
}
