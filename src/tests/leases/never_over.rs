//! Random processes that lease of one key, with answers that take their time: whenever units are used, and however much is given
//! back or lost, what is used keeps the promise of the limit that was set.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use smallvec::smallvec;

use crate::algorithm::{Ask, Outcome, Policy, SlidingWindow, TokenBucket};
use crate::clock::{ManualClock, Micros};
use crate::key::Key;
use crate::leases::{Leases, Terms};
use crate::limits::{By, Limit, Limits};
use crate::store::{Memory, Request, Verb, When};
use crate::tests::schedule::START;

const KEY: &[u8] = b"key";

/// What happens next, of which process.
#[derive(Clone, Debug)]
enum Event {
    /// It calls so often, for so many units each time.
    Calls {
        cost: u64,
        times: u64,
    },
    /// The store does what it was asked then.
    Executes {
        request: Request,
        sent: u64,
    },
    /// It hears what came of it.
    Hears {
        request: Request,
        outcome: Outcome,
        sent: u64,
    },
    /// It looks after its leases.
    Looks,
    /// It gives back everything and begins anew, or loses everything and does.
    Closes,
    Crashes,
}

#[derive(Clone, Debug)]
struct World {
    limit: u64,
    window: u64,
    is_bucket: bool,
    resolution: u64,
    terms: Terms,
    /// How long a way to the store takes, in turn.
    ways: Vec<u64>,
    /// Who does what how long after the one before.
    script: Vec<(u64, usize, Event)>,
}

const PROCESSES: usize = 4;

fn world() -> impl Strategy<Value = World> {
    let resolution = prop_oneof![Just(1u64), Just(4), Just(32), Just(1_024)];
    let numbers = (1..=120u64, 10_000..=1_000_000u64, any::<bool>(), resolution);
    (numbers, 1..=60u64, 1..=100u64).prop_flat_map(|((limit, window, is_bucket, resolution), part, max)| {
        let ttl = window / part;
        // Much happens about the ends of leases and of windows.
        let gap = prop_oneof![
            4 => 0..=ttl / 20,
            2 => 0..=ttl,
            3 => ttl - ttl / 8..=ttl + ttl / 8,
            3 => window - ttl..=window,
            2 => window - 1..=window + 1,
            1 => 0..=2 * window,
        ];
        let event = prop_oneof![
            40 => (1..=limit.min(60)).prop_map(|times| Event::Calls { cost: 1, times }),
            3 => (1..=limit.min(5), 1..10u64).prop_map(|(cost, times)| Event::Calls { cost, times }),
            1 => Just(Event::Closes),
            1 => Just(Event::Crashes),
        ];
        let script = prop::collection::vec((gap, 0..PROCESSES, event), 1..40);
        let ways = prop::collection::vec(0..=ttl / 4, 1..20);
        let terms = Terms { max, ttl: Micros(ttl) };
        (script, ways).prop_map(move |(script, ways)| World {
            limit,
            window,
            is_bucket,
            resolution,
            terms,
            ways,
            script,
        })
    })
}

struct Play {
    limits: Arc<Limits>,
    terms: Terms,
    processes: Vec<Leases>,
    clock: Arc<ManualClock>,
    store: Memory,
    start: Instant,
    ways: Vec<u64>,
    went: usize,
    queue: BTreeMap<(u64, usize), (usize, Event)>,
    queued: usize,
    used: Vec<(u64, u64)>,
    leased: u64,
}

impl Play {
    fn new(world: &World) -> Self {
        let window = Micros(world.window);
        let policy = if world.is_bucket {
            Policy::TokenBucket(TokenBucket::new(world.limit, window, world.limit))
        } else {
            Policy::SlidingWindow(SlidingWindow::new(world.limit, window, world.resolution))
        };
        let policy = policy.lasting(world.terms.ttl);
        let clock = Arc::new(ManualClock::at(START));
        Self {
            limits: Arc::new(Limits::new([Limit::new("rl", None, None, By::Key, policy, policy)])),
            terms: world.terms,
            processes: (0..PROCESSES).map(|_| Leases::new(world.terms)).collect(),
            store: Memory::new(1 << 20, clock.clone()),
            clock,
            start: Instant::now(),
            ways: world.ways.clone(),
            went: 0,
            queue: BTreeMap::new(),
            queued: 0,
            used: Vec::new(),
            leased: 0,
        }
    }

    fn put(&mut self, at: u64, process: usize, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), (process, event));
    }

    fn way(&mut self) -> u64 {
        self.went += 1;
        self.ways[self.went % self.ways.len()]
    }

    fn send(&mut self, now: u64, process: usize, request: Request) {
        let at = now + self.way();
        self.put(at, process, Event::Executes { request, sent: now });
    }

    fn run(&mut self, script: &[(u64, usize, Event)]) {
        let mut at = 0;
        for (gap, process, event) in script {
            at += gap;
            self.put(at, *process, event.clone());
        }
        while let Some(((now, _), (process, event))) = self.queue.pop_first() {
            self.happens(now, process, event);
        }
    }

    fn happens(&mut self, now: u64, process: usize, event: Event) {
        let instant = self.start + Duration::from_micros(now);
        match event {
            Event::Calls { cost, times } => (0..times).for_each(|_| self.calls(now, process, cost)),
            Event::Executes { request, sent } => {
                self.clock.set(START + Micros(now));
                let outcome = self.store.answer(&request, |limit| &limit.policy)[0];
                let cost = match request.verb {
                    Verb::Decide(ask) => ask.cost,
                    Verb::Lease(lease) => lease.cost,
                    _ => return,
                };
                if outcome.granted > 0 && cost > 0 {
                    self.used.push((now, cost));
                }
                let at = now + self.way();
                self.put(at, process, Event::Hears { request, outcome, sent });
            }
            Event::Hears { request, outcome, sent } => {
                if let Verb::Lease(lease) = request.verb {
                    let sent = self.start + Duration::from_micros(sent);
                    self.processes[process].granted(&request, &lease, outcome, sent, instant);
                    self.look_when_due(process, now);
                }
            }
            Event::Looks => {
                for request in self.processes[process].ended(instant) {
                    self.send(now, process, request);
                }
                self.look_when_due(process, now);
            }
            Event::Closes => {
                for request in self.processes[process].close() {
                    self.send(now, process, request);
                }
            }
            Event::Crashes => self.processes[process] = Leases::new(self.terms),
        }
    }

    fn calls(&mut self, now: u64, process: usize, cost: u64) {
        let instant = self.start + Duration::from_micros(now);
        let limits = self.limits.clone();
        let ask = Ask::all(cost);
        if let Some(taken) = self.processes[process].take(limits.only().unwrap(), KEY, ask, instant) {
            self.used.push((now, cost));
            self.leased += cost;
            if let Some(lease) = taken.ahead {
                self.send(now, process, self.request(Verb::Lease(lease)));
            }
            return;
        }
        let mut request = self.request(Verb::Decide(ask));
        if let Some(lease) = self.processes[process].wanted(&request, instant) {
            request.verb = Verb::Lease(lease);
        }
        self.send(now, process, request);
    }

    fn look_when_due(&mut self, process: usize, now: u64) {
        if let Some(due) = self.processes[process].due() {
            let at = u64::try_from((due - self.start).as_micros()).unwrap();
            self.put(at.max(now), process, Event::Looks);
        }
    }

    fn request(&self, verb: Verb) -> Request {
        Request { limits: self.limits.clone(), keys: smallvec![Key::from_normal(KEY)], verb, when: When::Now }
    }
}

/// In any interval of a window's length no more than the limit; of a bucket, in any interval, no more than it holds and what flows in.
fn keeps_the_promise(world: &World, used: &[(u64, u64)]) -> Result<(), TestCaseError> {
    let (limit, window) = (u128::from(world.limit), u128::from(world.window));
    for (index, (from, _)) in used.iter().enumerate() {
        let mut sum = 0;
        for (at, units) in &used[index..] {
            sum += u128::from(*units);
            let passed = u128::from(at - from);
            if world.is_bucket {
                let flown = passed * limit;
                prop_assert!(sum <= limit || (sum - limit) * window <= flown, "{sum} in {passed} µs, limit {limit}");
            } else if passed < window {
                prop_assert!(sum <= limit, "{sum} in {passed} µs, limit {limit}");
            } else {
                break;
            }
        }
    }
    Ok(())
}

#[test]
fn what_processes_use_is_never_over_the_limit() {
    let mut runner = proptest::test_runner::TestRunner::new(crate::tests::cases(4_000));
    let leased = Cell::new(0);
    runner
        .run(&world(), |world| {
            let mut play = Play::new(&world);
            play.run(&world.script);
            play.used.sort_unstable();
            leased.set(leased.get() + play.leased);
            keeps_the_promise(&world, &play.used)
        })
        .unwrap();
    let leased = leased.get();
    assert!(leased > 1_000, "{leased} calls were decided by leases, which are too few to tell");
}
