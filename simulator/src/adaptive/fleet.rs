//! A fleet of servers behind one count of the limits: each gives way by its own load, or all by the mean of what each makes of its own.

use distributed_rate_limiter::adaptive::{Controller, Levels, Share, Sum};
use distributed_rate_limiter::algorithm::{Ask, State};
use distributed_rate_limiter::clock::Micros;

use super::rivals::MIN;
use super::scenario::{ENDS, How, Scenario, What};
use super::server::{CLIENTS, Limit, Moment, Server, TICK, limit};
use crate::random::Random;

/// How many servers.
pub const MEMBERS: usize = 8;

/// Ticks from one word to the next, where a level has changed and where it has not: as `src/dispatcher/envoy.rs` has it, rounded up.
const CHANGED: u64 = 3;
const UNCHANGED: u64 = 5;

/// How many thousandths are a change.
const NOTICEABLE: u64 = 10;

/// How a request finds its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spread {
    /// By chance.
    Chance,
    /// To the one with less under way of two that are drawn: M. Mitzenmacher, "The power of two choices in randomized load balancing", 2001.
    Shorter,
}

/// What happens to a fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What changes of those that are in trouble: all where it is the load, the first where it is what it can do.
    what: What,
    spread: Spread,
    limit: Limit,
}

/// All of them with their names: three times as much is asked of all as they can do, or one can do a third of what is asked of it.
pub const TROUBLES: [(&str, Trouble); 4] = [
    ("load", Trouble { what: What::Load, spread: Spread::Chance, limit: Limit::Bucket }),
    ("load-balanced", Trouble { what: What::Load, spread: Spread::Shorter, limit: Limit::Bucket }),
    ("slow", Trouble { what: What::Capacity, spread: Spread::Chance, limit: Limit::Window }),
    ("slow-bucket", Trouble { what: What::Capacity, spread: Spread::Chance, limit: Limit::Bucket }),
];

impl Trouble {
    /// What is played of those that are in trouble.
    pub fn scenario(self) -> Scenario {
        Scenario { what: self.what, how: How::Step }
    }

    /// Requests a second that are asked of each server, and that this one can do, at that second.
    fn at(self, member: usize, second: f64) -> (f64, f64) {
        let is_in_trouble = self.what == What::Load || member == 0;
        self.scenario().at(if is_in_trouble { second } else { 0.0 })
    }

    /// The server that a request comes to at that second.
    fn server(self, members: &[Member], second: f64, random: &mut Random) -> usize {
        let drawn = random.below(MEMBERS);
        match self.spread {
            Spread::Chance => drawn,
            Spread::Shorter => {
                let other = random.below(MEMBERS);
                let under_way = |index: usize| members[index].server.under_way(second);
                if under_way(other) < under_way(drawn) { other } else { drawn }
            }
        }
    }
}

/// One server with its controller, and what it knows of the others.
struct Member {
    server: Server,
    controller: Controller,
    levels: Levels,
    /// The level in force.
    level: f64,
    /// What it has told last, and in which tick; what it was answered is heard in the next.
    told: (Share, u64),
    answer: Option<Sum>,
}

/// Plays it. The moments are those of all servers together: what is `offered` is what of it can be done, and the level is their mean.
pub fn play(trouble: Trouble, is_of_fleet: bool, seed: u64) -> Vec<Moment> {
    let mut random = Random::new(seed);
    let whole = limit(MEMBERS, trouble.limit);
    let mut states: Vec<State> = (0..CLIENTS).map(|_| whole.fresh()).collect();
    let mut members: Vec<Member> = (0..MEMBERS).map(|_| Member::new()).collect();
    let (mut next, mut moments) = (0.0_f64, Vec::new());
    for tick in 1..=(ENDS / TICK) as u64 {
        let end = tick as f64 * TICK;
        let policies: Vec<_> =
            members.iter().map(|member| whole.scaled(Share::of(member.level).parts(), Share::PARTS)).collect();
        while next < end {
            let now = Micros(1_000_000_000 + (next * 1e6) as u64);
            let client = random.below(CLIENTS);
            let index = trouble.server(&members, next, &mut random);
            let (offered, capacity) = trouble.at(index, next);
            if policies[index].step(&mut states[client], now, Ask::all(1)).allowed {
                members[index].server.take(next, capacity, &mut random);
            }
            next += random.exponential(1.0 / (offered * MEMBERS as f64));
        }
        let (mut good, mut load) = (0, 0.0_f64);
        for member in &mut members {
            let (answered, own) = member.tick(end, is_of_fleet);
            good += answered;
            load = load.max(own);
        }
        tell(&mut members, tick);
        let possible = |index| {
            let (offered, capacity) = trouble.at(index, end - TICK / 2.0);
            offered.min(capacity)
        };
        let possible: f64 = (0..MEMBERS).map(possible).sum();
        let level = members.iter().map(|member| member.level).sum::<f64>() / MEMBERS as f64;
        moments.push(Moment {
            second: end,
            offered: possible,
            capacity: possible,
            good: f64::from(good) / TICK,
            level,
            load,
        });
    }
    moments
}

impl Member {
    fn new() -> Self {
        Self {
            server: Server::default(),
            controller: Controller::new(MIN),
            levels: Levels::new("rl"),
            level: 1.0,
            told: (Share::WHOLE, 0),
            answer: None,
        }
    }

    /// The end of a tick: how many requests were answered in time, and the load.
    fn tick(&mut self, end: f64, is_of_fleet: bool) -> (u32, f64) {
        let (good, load) = self.server.tick(end);
        if let Some(sum) = self.answer.take() {
            self.levels.hear(self.told.0, sum);
        }
        let own = self.controller.observe(Micros((end * 1e6) as u64), load);
        let (common, _) = self.levels.stand(own);
        self.level = if is_of_fleet { common.max(MIN) } else { own };
        (good, load)
    }
}

/// Those whose turn it is tell their levels; each begins at another tick.
fn tell(members: &mut [Member], tick: u64) {
    for index in 0..members.len() {
        let (told, at) = members[index].told;
        let own = members[index].levels.own();
        let is_changed = own.parts().abs_diff(told.parts()) >= NOTICEABLE;
        let first = at == 0 && tick > index as u64;
        if first || (at > 0 && tick - at >= if is_changed { CHANGED } else { UNCHANGED }) {
            members[index].told = (own, tick);
            let spoken = members.iter().filter(|member| member.told.1 > 0).map(|member| member.told.0.parts());
            let (instances, parts) = spoken.fold((0, 0), |(instances, sum), parts| (instances + 1, sum + parts));
            members[index].answer = Sum::of(instances, parts);
        }
    }
}
