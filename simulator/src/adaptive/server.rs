//! A server with one queue, which every request joins that its client's limit lets in.

use std::collections::VecDeque;

use distributed_rate_limiter::adaptive::Share;
use distributed_rate_limiter::algorithm::{Ask, Policy, State};
use distributed_rate_limiter::clock::Micros;
use distributed_rate_limiter::input::Given;
use distributed_rate_limiter::policy::{self, Options};

use super::rivals::Rival;
use super::scenario::{CAPACITY, ENDS, Scenario};
use crate::random::Random;

/// A response that takes longer is of no use to anybody.
pub const DEADLINE: f64 = 0.5;

pub(super) const TICK: f64 = 0.1;

/// The load is 1 at these.
const LAG: f64 = 0.1;
const BUSY: f64 = 0.95;
const LATENCY: f64 = 0.25;

pub(super) const CLIENTS: usize = 20;

/// What happened in one tick.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The end of the tick, in seconds.
    pub second: f64,
    /// Requests a second that were offered, that the server could do, and that it answered in time.
    pub offered: f64,
    /// See there.
    pub capacity: f64,
    /// See there.
    pub good: f64,
    /// The level and the load.
    pub level: f64,
    /// See there.
    pub load: f64,
}

/// What a client's limit is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// A token bucket.
    Bucket,
    /// A sliding window.
    Window,
}

/// What all clients have together is three times what so many servers can do: nobody sizes limits for the worst.
pub(super) fn limit(servers: usize, algorithm: Limit) -> Policy {
    let number = |number: f64| Given::Number(number);
    let (name, burst) = match algorithm {
        Limit::Bucket => ("token-bucket", number(10.0 * servers as f64)),
        Limit::Window => ("sliding-counter", Given::Missing),
    };
    let options = Options {
        limit: &number(3.0 * CAPACITY * servers as f64 / CLIENTS as f64),
        window: &number(1_000.0),
        algorithm: &Given::Text(name.into()),
        burst: &burst,
        resolution: &Given::Missing,
        align: &Given::Missing,
    };
    policy::build(&options).expect("these options are right")
}

/// How long a request takes: a third of that is always the same, the rest is not.
pub(super) fn takes(capacity: f64, random: &mut Random) -> f64 {
    (1.0 / 3.0) / capacity + random.exponential(2.0 / 3.0 / capacity)
}

/// The server itself: its queue, and how busy it was.
#[derive(Default)]
pub(super) struct Server {
    /// When each request that was let in arrived and is answered.
    queue: VecDeque<(f64, f64)>,
    idle_from: f64,
    /// Work that came in this tick, and what was left of it at the end of the last one.
    added: f64,
    left: f64,
}

impl Server {
    /// A request is let in at that second.
    pub(super) fn take(&mut self, second: f64, capacity: f64, random: &mut Random) {
        let takes = takes(capacity, random);
        self.idle_from = self.idle_from.max(second) + takes;
        self.added += takes;
        self.queue.push_back((second, self.idle_from));
    }

    /// How many requests are under way at that second.
    pub(super) fn under_way(&self, second: f64) -> usize {
        self.queue.len() - self.queue.partition_point(|(_, answered)| *answered <= second)
    }

    /// The end of a tick: how many requests were answered in time, and the load.
    pub(super) fn tick(&mut self, end: f64) -> (u32, f64) {
        let (mut good, mut latencies) = (0, Vec::new());
        while let Some((arrived, answered)) = self.queue.front().copied().filter(|(_, answered)| *answered <= end) {
            self.queue.pop_front();
            latencies.push(answered - arrived);
            good += u32::from(answered - arrived <= DEADLINE);
        }
        let backlog = (self.idle_from - end).max(0.0);
        let busy = (self.left + self.added - backlog).clamp(0.0, TICK);
        (self.left, self.added) = (backlog, 0.0);
        let latency = percentile(&mut latencies);
        (good, (backlog / LAG).max(busy / TICK / BUSY).max(latency / LATENCY))
    }
}

/// Plays it.
pub fn play(scenario: Scenario, rival: &mut Rival, seed: u64) -> Vec<Moment> {
    let mut random = Random::new(seed);
    let whole = limit(1, Limit::Bucket);
    let mut states: Vec<State> = (0..CLIENTS).map(|_| whole.fresh()).collect();
    let mut moments = Vec::new();
    let (mut level, mut next, mut server) = (1.0, 0.0_f64, Server::default());
    for tick in 1..=(ENDS / TICK) as u64 {
        let end = tick as f64 * TICK;
        let policy = whole.scaled(Share::of(level).parts(), Share::PARTS);
        while next < end {
            let (offered, capacity) = scenario.at(next);
            // Some time after the epoch, as clocks are.
            let now = Micros(1_000_000_000 + (next * 1e6) as u64);
            let client = random.below(CLIENTS);
            if policy.step(&mut states[client], now, Ask::all(1)).allowed {
                server.take(next, capacity, &mut random);
            }
            next += random.exponential(1.0 / offered);
        }
        let (good, load) = server.tick(end);
        level = rival.observe(Micros((end * 1e6) as u64), load);
        let (offered, capacity) = scenario.at(end - TICK / 2.0);
        moments.push(Moment { second: end, offered, capacity, good: f64::from(good) / TICK, level, load });
    }
    moments
}

pub(super) fn percentile(latencies: &mut [f64]) -> f64 {
    latencies.sort_by(f64::total_cmp);
    latencies.get((latencies.len() * 9).div_ceil(10).saturating_sub(1)).copied().unwrap_or(0.0)
}

/// What a run came to from a second on.
#[derive(Clone, Copy, Debug)]
pub struct Result {
    /// What was answered in time, of what could have been: what was offered, and what the server could do.
    pub goodput: f64,
    /// Seconds from the last change until goodput over 2 s is four fifths of that for the first time.
    pub settled: f64,
    /// Between the highest and the lowest level of the last 20 s.
    pub swing: f64,
}

/// What was answered in time, of what could have been.
pub(super) fn share(moments: &[Moment]) -> f64 {
    let good: f64 = moments.iter().map(|moment| moment.good).sum();
    good / moments.iter().map(|moment| moment.offered.min(moment.capacity)).sum::<f64>()
}

/// Of a whole run.
pub fn judge(scenario: Scenario, moments: &[Moment]) -> Result {
    let over = scenario.is_over_at();
    let after: Vec<Moment> = moments.iter().filter(|moment| moment.second > over).copied().collect();
    let last: Vec<Moment> = moments.iter().filter(|moment| moment.second > ENDS - 20.0).copied().collect();
    let settled = after.windows(20).position(|moments| share(moments) >= 0.8);
    let levels = last.iter().map(|moment| moment.level);
    let swing = levels.clone().fold(0.0, f64::max) - levels.fold(1.0, f64::min);
    Result { goodput: share(&last), settled: settled.map_or(f64::INFINITY, |ticks| ticks as f64 * TICK), swing }
}
