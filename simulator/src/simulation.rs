//! The world's course: one event after the other, in the order of their moments.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use distributed_rate_limiter::algorithm::{Change, Outcome, Policy, State};
use distributed_rate_limiter::clock::Micros;
use distributed_rate_limiter::limits::{By, Limit, Limits};
use distributed_rate_limiter::store::Verb;

use crate::gateway::{Call, Fate, Gateway};
use crate::load::{Arrival, Load};
use crate::network::Network;
use crate::node::Node;
use crate::random::scatter;
use crate::report::{LATE_NS, Tally, Use};
use crate::watch::Watch;
use crate::world::{Mode, World};

/// When the clocks of Redis begin: any moment but 0, which is that of a key that was never seen.
const EPOCH: Micros = Micros(1_000_000_000_000);

/// Slots of a cluster.
const SLOTS: u64 = 16_384;

/// What happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// A call of the script reaches its node.
    Reaches { batch: usize, part: usize },
    /// It is its turn.
    Begins { batch: usize, part: usize, ends: u64 },
    /// Its answer is back.
    Answers { batch: usize },
    /// A gateway looks at what waits.
    Wakes { gateway: usize },
    /// A gateway looks after its leases.
    Looks { gateway: usize },
}

struct Due {
    at: u64,
    /// Of those at the same moment, the one that was known first.
    number: u64,
    event: Event,
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Due {}

/// Calls that have left together.
struct Batch {
    gateway: usize,
    sent_at: u64,
    calls: Vec<Call>,
    /// The calls of the script that they travel in.
    parts: Vec<Part>,
    /// How many of those are not back.
    left: usize,
}

/// One call of the script: some of a batch's calls, by their places.
#[derive(Clone, Copy)]
struct Part {
    node: usize,
    from: usize,
    to: usize,
}

/// See the module.
pub struct Simulation {
    world: World,
    policy: Policy,
    load: Load,
    network: Network,
    gateways: Vec<Gateway>,
    nodes: Vec<Node>,
    /// Of each key whose state is kept: its state, who watches it, what it was asked for, and the weight of what was admitted.
    states: Vec<State>,
    watches: Vec<Option<Box<Watch>>>,
    asked: Vec<u32>,
    admitted: Vec<f64>,
    batches: Vec<Option<Batch>>,
    free: Vec<usize>,
    due: BinaryHeap<Due>,
    number: u64,
    start: Instant,
    now: u64,
    /// Whether it is measured by now.
    measures: bool,
    tally: Tally,
}

/// What came of it all.
pub struct Course {
    /// What was counted.
    pub tally: Tally,
    /// The nodes with what they have spent.
    pub nodes: Vec<Node>,
    /// How much of their limits the keys used.
    pub used: Use,
}

/// Simulates a world.
pub fn run(world: &World) -> Course {
    let policy = world.terms().map_or(world.policy(), |terms| world.policy().lasting(terms.ttl));
    run_by(world, policy)
}

/// The same where keys are decided by another policy than the world's limit asks for.
pub fn run_by(world: &World, policy: Policy) -> Course {
    let mut simulation = Simulation::new(world, policy);
    simulation.go();
    let span_us = world.seconds * 1e6;
    let each = world.limit as f64 / world.window_us as f64;
    let keys = simulation.asked.iter().copied().zip(simulation.admitted.iter().copied());
    Course {
        used: Use::of(keys, each * span_us, each * (span_us - ramp_us(world))),
        tally: simulation.tally,
        nodes: simulation.nodes,
    }
}

impl Simulation {
    fn new(world: &World, policy: Policy) -> Self {
        let limits = Arc::new(Limits::new([Limit::new("rl", None, None, By::Key, policy, policy)]));
        let exact = world.exact.min(world.keys) as usize;
        Self {
            world: world.clone(),
            policy,
            load: Load::new(world),
            network: Network::new(world.gateways, world.nodes, world.way_us * 1e3, world.seed ^ 0xA5A5),
            gateways: (0..world.gateways).map(|_| Gateway::new(world, limits.clone())).collect(),
            nodes: vec![Node::default(); world.nodes],
            states: vec![policy.fresh(); exact],
            watches: (0..exact).map(|_| None).collect(),
            asked: vec![0; exact],
            admitted: vec![0.0; exact],
            batches: Vec::new(),
            free: Vec::new(),
            due: BinaryHeap::new(),
            number: 0,
            start: Instant::now(),
            now: 0,
            measures: false,
            tally: Tally::default(),
        }
    }

    fn go(&mut self) {
        let warm = (self.world.warm_s * 1e9) as u64;
        let end = warm + (self.world.seconds * 1e9) as u64;
        let mut arrival = self.load.draw();
        loop {
            let due = self.due.peek().map_or(u64::MAX, |due| due.at);
            let at = due.min(arrival.at);
            if !self.measures && at >= warm {
                self.measure();
            }
            if at >= end {
                return;
            }
            self.now = at;
            if arrival.at <= due {
                self.arrives(arrival);
                arrival = self.load.draw();
            } else if let Some(Due { event, .. }) = self.due.pop() {
                self.happens(event);
            }
        }
    }

    /// Whatever has been counted was for warmth.
    fn measure(&mut self) {
        self.measures = true;
        self.tally = Tally { over: self.tally.over, ..Tally::default() };
        self.nodes.iter_mut().for_each(Node::reset);
        self.asked.fill(0);
        self.admitted.fill(0.0);
    }

    fn put(&mut self, at: u64, event: Event) {
        self.number += 1;
        self.due.push(Due { at, number: self.number, event });
    }

    fn instant(&self) -> Instant {
        self.at(self.now)
    }

    fn at(&self, ns: u64) -> Instant {
        self.start + Duration::from_nanos(ns)
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Reaches { batch, part } => self.reaches(batch, part),
            Event::Begins { batch, part, ends } => self.begins(batch, part, ends),
            Event::Answers { batch } => self.answers(batch),
            Event::Wakes { gateway } => {
                self.gateways[gateway].wakes = false;
                self.send(gateway);
            }
            Event::Looks { gateway } => {
                self.gateways[gateway].looks_at = None;
                self.look(gateway);
                self.send(gateway);
            }
        }
    }

    fn arrives(&mut self, Arrival { gateway, rank, .. }: Arrival) {
        self.tally.calls += 1;
        if let Some(asked) = self.asked.get_mut(rank as usize - 1) {
            *asked += 1;
        }
        let now = self.instant();
        match self.gateways[gateway].decide(rank, self.now, now) {
            Fate::Leased => {
                self.tally.leased += 1;
                self.tally.latencies.add(0);
                self.uses(rank, self.now);
            }
            Fate::Refused => {
                self.tally.known += 1;
                self.tally.latencies.add(0);
            }
            Fate::Dropped => self.tally.late += 1,
            Fate::Asked => {}
        }
        self.wake(gateway);
    }

    /// Has a gateway look at what waits, a moment after it came.
    fn wake(&mut self, gateway: usize) {
        if self.gateways[gateway].is_waiting() && !self.gateways[gateway].wakes {
            if self.world.wake_us == 0 {
                self.send(gateway);
            } else {
                self.gateways[gateway].wakes = true;
                self.put(self.now + self.world.wake_us * 1_000, Event::Wakes { gateway });
            }
        }
    }

    fn send(&mut self, gateway: usize) {
        while let Some(mut calls) = self.gateways[gateway].batch() {
            let parts = self.parts(&mut calls);
            let number = self.free.pop().unwrap_or(self.batches.len());
            if number == self.batches.len() {
                self.batches.push(None);
            }
            self.gateways[gateway].left(number, calls.len());
            for (part, Part { node, .. }) in parts.iter().enumerate() {
                let at = self.network.there(gateway, *node, self.now);
                self.put(at, Event::Reaches { batch: number, part });
            }
            let left = parts.len();
            self.batches[number] = Some(Batch { gateway, sent_at: self.now, calls, parts, left });
        }
    }

    /// One call of the script, or on a cluster one for each slot.
    fn parts(&self, calls: &mut [Call]) -> Vec<Part> {
        if self.world.nodes == 1 {
            return vec![Part { node: 0, from: 0, to: calls.len() }];
        }
        let slot = |call: &Call| scatter(call.rank) % SLOTS;
        calls.sort_by_key(slot);
        let mut parts = Vec::with_capacity(calls.len());
        let mut from = 0;
        for own in calls.chunk_by(|one, other| slot(one) == slot(other)) {
            let node = (slot(&own[0]) * self.world.nodes as u64 / SLOTS) as usize;
            parts.push(Part { node, from, to: from + own.len() });
            from += own.len();
        }
        parts
    }

    fn reaches(&mut self, number: usize, part: usize) {
        let Some(batch) = &self.batches[number] else { return };
        let Part { node, from, to } = batch.parts[part];
        let keys = keys_of(&batch.calls[from..to], self.world.mode);
        let (begins, ends) = self.nodes[node].serve(&self.world, keys, self.now);
        if begins == self.now {
            self.begins(number, part, ends);
        } else {
            self.put(begins, Event::Begins { batch: number, part, ends });
        }
    }

    /// All of it happens at once, by the node's clock as it is when it begins.
    fn begins(&mut self, number: usize, part: usize, ends: u64) {
        let Some(mut batch) = self.batches[number].take() else { return };
        let Part { node, from, to } = batch.parts[part];
        for call in &mut batch.calls[from..to] {
            call.outcome = self.execute(call.rank, call.verb);
        }
        let at = self.network.back(batch.gateway, node, ends);
        self.batches[number] = Some(batch);
        self.put(at, Event::Answers { batch: number });
    }

    /// What the engine does.
    fn execute(&mut self, rank: u64, verb: Verb) -> Outcome {
        let now = EPOCH + Micros(self.now / 1_000);
        let Some(state) = self.states.get_mut(rank as usize - 1) else { return beyond(verb, now) };
        let (outcome, cost) = match verb {
            Verb::Decide(ask) => (self.policy.step(state, now, ask), ask.cost),
            Verb::Lease(lease) => (self.policy.lease(state, now, lease), lease.cost),
            Verb::GiveBack { units, booked } => {
                self.tally.given_back += units;
                (self.policy.change(state, now, Change::GiveBack { units, booked }), 0)
            }
            other => unreachable!("no gateway asks for {other:?}"),
        };
        if outcome.granted > 0 {
            (0..cost).for_each(|_| self.uses(rank, self.now));
        }
        outcome
    }

    /// A unit is used.
    fn uses(&mut self, rank: u64, now: u64) {
        let index = rank as usize - 1;
        if index < self.watches.len() {
            self.admitted[index] += self.weight(now);
            let watch = self.watches[index].get_or_insert_with(|| Box::new(Watch::new(self.world.kind)));
            self.tally.over += u64::from(watch.uses(&self.world, EPOCH.0 + now / 1_000));
        }
    }

    /// Units come in bursts, a window from one to the next. So those of the first and of the last window are counted by how far
    /// they lie from the edge, or what is measured would depend on where the edges are.
    fn weight(&self, now: u64) -> f64 {
        let from = now as f64 / 1e3 - self.world.warm_s * 1e6;
        let edge = from.min(self.world.seconds * 1e6 - from);
        (edge / ramp_us(&self.world)).clamp(0.0, 1.0)
    }

    fn answers(&mut self, number: usize) {
        let Some(batch) = &mut self.batches[number] else { return };
        batch.left -= 1;
        if batch.left > 0 {
            return;
        }
        let Some(batch) = self.batches[number].take() else { return };
        self.free.push(number);
        let (sent_at, now) = (self.at(batch.sent_at), self.instant());
        let gateway = &mut self.gateways[batch.gateway];
        gateway.landed(number);
        for call in &batch.calls {
            let allowed = gateway.hears(call, sent_at, now);
            if let Some(asked_at) = call.asked_at {
                let took = self.now - asked_at;
                self.tally.latencies.add(took);
                self.tally.late += u64::from(took > LATE_NS);
                if allowed {
                    self.tally.stored += 1;
                } else {
                    self.tally.refused += 1;
                }
            }
        }
        self.look(batch.gateway);
        self.send(batch.gateway);
    }

    fn look(&mut self, gateway: usize) {
        let now = self.instant();
        let own = &mut self.gateways[gateway];
        own.look(now);
        if let Some(due) = own.due() {
            let at = (due - self.start).as_nanos() as u64;
            if own.looks_at.is_none_or(|looks_at| at < looks_at) {
                own.looks_at = Some(at);
                self.put(at, Event::Looks { gateway });
            }
        }
    }
}

fn ramp_us(world: &World) -> f64 {
    (world.window_us as f64).min(world.seconds * 1e6 / 2.0)
}

/// How many keys the script reads and writes for these calls: decisions on one key that come one after the other are one.
fn keys_of(calls: &[Call], mode: Mode) -> usize {
    if mode == Mode::Strict {
        return calls.len();
    }
    let mut entries: Vec<(u64, bool)> = Vec::with_capacity(calls.len());
    for call in calls {
        let is_decision = matches!(call.verb, Verb::Decide(_));
        let last = entries.iter().rev().find(|(rank, _)| *rank == call.rank);
        if !(is_decision && last.is_some_and(|(_, is_decision)| *is_decision)) {
            entries.push((call.rank, is_decision));
        }
    }
    entries.len()
}

/// What a key is told whose state is not kept: all that it asks.
fn beyond(verb: Verb, now: Micros) -> Outcome {
    let granted = match verb {
        Verb::Decide(ask) => ask.cost,
        Verb::Lease(lease) => lease.cost + lease.more,
        _ => 0,
    };
    Outcome { granted, booked: now, ..Outcome::forgotten(now) }
}
