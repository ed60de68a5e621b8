//! The promise of the store that counts by increments alone: several processes beside each other, in every order that a network
//! may bring about, with clocks of their own and failures in between.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::FutureExt;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use smallvec::smallvec;
use tokio::sync::oneshot;

use crate::algorithm::{Ask, Outcome, Policy, SlidingCounter};
use crate::clock::{Clock, ManualClock, Micros};
use crate::error::Error;
use crate::key::Key;
use crate::limits::{Limit, Limits};
use crate::store::cache::Cache;
use crate::store::client::{Job, Performing, Reply, Work};
use crate::store::{Answering, Reach, Request, Store, Verb, When};
use crate::tests::cases;
use crate::tests::schedule::START;

const WINDOW: Micros = Micros(100_000);

/// The cache that all processes share, and what is on its way to it and back.
#[derive(Default)]
struct Shelf {
    counts: HashMap<String, i64>,
    travelling: Vec<Travelling>,
}

struct Travelling {
    number: usize,
    job: Job,
    /// What came of it, once it has been done.
    reply: Option<Result<Reply, String>>,
    to: oneshot::Sender<Result<Reply, String>>,
}

/// One process's way to the cache.
struct Way {
    shelf: Arc<Mutex<Shelf>>,
    sent: Arc<Mutex<usize>>,
    clock: Arc<ManualClock>,
}

impl Work for Way {
    fn perform(&self, job: Job) -> Performing {
        if let Job::Decrement(name) = &job {
            assert_eq!(window_of(name), self.clock.now().0 / WINDOW.0, "taken back from a window that is over");
        }
        let (to, receiver) = oneshot::channel();
        let mut sent = self.sent.lock().unwrap();
        self.shelf.lock().unwrap().travelling.push(Travelling { number: *sent, job, reply: None, to });
        *sent += 1;
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err("lost".into())) })
    }
}

fn window_of(name: &str) -> u64 {
    name.rsplit(':').next().unwrap().parse().unwrap()
}

impl Shelf {
    /// Does a job, as a cache would.
    fn perform(&mut self, at: usize) {
        let Self { counts, travelling } = self;
        let reply = match &travelling[at].job {
            Job::Get(name) => counts.get(name).map_or(Reply::Nothing, |count| Reply::Text(count.to_string())),
            Job::Increment(name, _) => count(counts, name, 1),
            Job::Decrement(name) => count(counts, name, -1),
            Job::EvalSha(..) | Job::Eval(..) => panic!("it is no Redis"),
        };
        travelling[at].reply = Some(Ok(reply));
    }
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn count(counts: &mut HashMap<String, i64>, name: &str, by: i64) -> Reply {
    let count = counts.entry(name.to_owned()).or_default();
    *count += by;
    Reply::Number(*count as f64)
}

fn request(limit: u64, verb: Verb) -> Request {
    let policy = Policy::SlidingCounter(SlidingCounter::new(limit, WINDOW));
    Request {
        limits: Arc::new(Limits::new([Limit::in_namespace("rl:", policy)])),
        keys: smallvec![Key::from_normal(b"key")],
        verb,
        when: When::Now,
    }
}

/// A call and what is known of it afterwards.
struct Called {
    began: Micros,
    answering: Option<Answering>,
    /// The numbers of its two jobs.
    jobs: [usize; 2],
    outcome: Option<Result<Outcome, Error>>,
}

/// What happens next: which of the possible things, and to whom.
type Step = (u8, u16);

struct World {
    limit: u64,
    shelf: Arc<Mutex<Shelf>>,
    sent: Arc<Mutex<usize>>,
    processes: Vec<(Cache<Way>, Arc<ManualClock>)>,
    calls: Vec<Called>,
    /// When each job was done, in steps.
    done: HashMap<usize, usize>,
    has_failed: bool,
}

impl World {
    fn new(limit: u64, offsets: &[u64]) -> Self {
        let (shelf, sent) = (Arc::<Mutex<Shelf>>::default(), Arc::<Mutex<usize>>::default());
        let process = |offset: &u64| {
            let clock = Arc::new(ManualClock::at(START + Micros(*offset)));
            let way = Way { shelf: shelf.clone(), sent: sent.clone(), clock: clock.clone() };
            (Cache::new(way, "rl", clock.clone()), clock)
        };
        let processes = offsets.iter().map(process).collect();
        Self { limit, shelf, sent, processes, calls: Vec::new(), done: HashMap::new(), has_failed: false }
    }

    fn step(&mut self, index: usize, (what, whom): Step) {
        let whom = usize::from(whom);
        let travelling = self.shelf.lock().unwrap().travelling.len();
        match what % 16 {
            0..=3 => self.call(whom % self.processes.len()),
            4..=8 if travelling > 0 => self.perform(index, whom % travelling),
            9..=13 if travelling > 0 => self.deliver(whom % travelling, false),
            14 if travelling > 0 && whom % 8 == 0 => self.deliver(whom % travelling, true),
            15 => self.processes[whom % self.processes.len()].1.advance(Micros(whom as u64 % 20_000)),
            _ => {}
        }
        for call in &mut self.calls {
            if let Some(answering) = &mut call.answering
                && let Some(answers) = answering.now_or_never()
            {
                call.outcome = Some(answers.unwrap().remove(0));
                call.answering = None;
            }
        }
    }

    fn call(&mut self, process: usize) {
        let (cache, clock) = &self.processes[process];
        let mut answering = cache.decide(&mut std::iter::once(&request(self.limit, Verb::Decide(Ask::all(1)))));
        let first = *self.sent.lock().unwrap();
        assert!((&mut answering).now_or_never().is_none());
        assert_eq!(*self.sent.lock().unwrap(), first + 2, "two jobs at the same time");
        let jobs = [first, first + 1];
        self.calls.push(Called { began: clock.now(), answering: Some(answering), jobs, outcome: None });
    }

    fn perform(&mut self, index: usize, at: usize) {
        let mut shelf = self.shelf.lock().unwrap();
        if shelf.travelling[at].reply.is_none() {
            shelf.perform(at);
            self.done.insert(shelf.travelling[at].number, index);
        }
    }

    /// Brings a reply, or loses it, or the job.
    fn deliver(&mut self, at: usize, lose: bool) {
        let mut shelf = self.shelf.lock().unwrap();
        if lose {
            self.has_failed = true;
            drop(shelf.travelling.swap_remove(at));
        } else if shelf.travelling[at].reply.is_some() {
            let Travelling { reply, to, .. } = shelf.travelling.swap_remove(at);
            // Nobody waits for what was taken back.
            let _ = to.send(reply.unwrap());
        }
    }

    /// Lets everything arrive that is on its way.
    fn finish(&mut self) {
        let mut index = 1_000_000;
        loop {
            if self.shelf.lock().unwrap().travelling.is_empty() {
                return;
            }
            self.step(index, (4, 0));
            self.step(index, (9, 0));
            index += 1;
        }
    }

    fn admitted(&self) -> impl Iterator<Item = &Called> {
        self.calls.iter().filter(|call| matches!(&call.outcome, Some(Ok(outcome)) if outcome.allowed))
    }

    /// The promise, as slowly and plainly as it can be said.
    fn check(&self) {
        let window = |call: &Called| call.began.0 / WINDOW.0;
        let counted = |call: &Called| self.done[&call.jobs[0]];
        for call in self.admitted() {
            let before = self.done[&call.jobs[1]];
            let same = self.admitted().filter(|other| window(other) == window(call) && counted(other) < counted(call));
            let earlier = self.admitted().filter(|other| window(other) + 1 == window(call) && counted(other) < before);
            // The share of the window before, in slots of which there are at most 65,536.
            let slot = WINDOW.0.div_ceil(65_536);
            let left = (window(call) + 1) * WINDOW.0 - call.began.0;
            let (share, slots) = (left.div_ceil(slot).min(WINDOW.0 / slot), WINDOW.0 / slot);
            let weighted = (earlier.count() as u64 * share).div_ceil(slots);
            let total = same.count() as u64 + 1 + weighted;
            assert!(total <= self.limit, "{total} of {} with {weighted} from before", self.limit);
        }
        let mut windows: HashMap<u64, u64> = HashMap::new();
        self.admitted().for_each(|call| *windows.entry(window(call)).or_default() += 1);
        for (window, admitted) in windows {
            assert!(admitted <= self.limit, "{admitted} in a window, of {}", self.limit);
            let count = self.shelf.lock().unwrap().counts[&format!("rl:key:{window}")];
            assert!(count >= i64::try_from(admitted).unwrap(), "{count} of {admitted} are counted");
        }
    }
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<Step>(), 1..most)
}

#[test]
fn nobody_passes_the_limit_whatever_runs_beside_it() {
    let worlds = (1..8u64, prop::collection::vec(0..150_000u64, 1..5), steps(400));
    let mut runner = TestRunner::new(cases(2_000));
    let admitted = std::cell::Cell::new(0);
    let ran = runner.run(&worlds, |(limit, offsets, steps)| {
        let mut world = World::new(limit, &offsets);
        steps.into_iter().enumerate().for_each(|(index, step)| world.step(index, step));
        world.finish();
        world.check();
        admitted.set(admitted.get() + world.admitted().count());
        Ok(())
    });
    ran.unwrap();
    assert!(admitted.get() > 1_000, "only {} were admitted, so nothing was tested", admitted.get());
}

/// Refused calls leave nothing behind; without that a key under attack would never be free again.
#[test]
fn what_is_refused_is_taken_back() {
    let mut runner = TestRunner::new(cases(500));
    let still = |steps: Vec<Step>| steps.into_iter().filter(|(what, _)| what % 16 < 14).collect::<Vec<_>>();
    let ran = runner.run(&(1..8u64, steps(300)), |(limit, steps)| {
        let mut world = World::new(limit, &[0, 0, 0]);
        still(steps).into_iter().enumerate().for_each(|(index, step)| world.step(index, step));
        world.finish();
        assert!(!world.has_failed);
        let counted: i64 = world.shelf.lock().unwrap().counts.values().sum();
        assert_eq!(counted, i64::try_from(world.admitted().count()).unwrap());
        Ok(())
    });
    ran.unwrap();
}

/// Whose every job is done at once.
fn at_once(world: &mut World, verb: Verb) -> Outcome {
    let mut answering = world.processes[0].0.decide(&mut std::iter::once(&request(world.limit, verb)));
    loop {
        if let Some(answers) = (&mut answering).now_or_never() {
            world.finish();
            return answers.unwrap().remove(0).unwrap();
        }
        world.finish();
    }
}

#[test]
fn a_wait_that_was_told_is_the_truth() {
    let mut world = World::new(5, &[30_000]);
    let take = Verb::Decide(Ask::all(1));
    for remaining in (0..5).rev() {
        let outcome = at_once(&mut world, take);
        assert_eq!((outcome.allowed, outcome.remaining), (true, remaining));
    }
    for _ in 0..20 {
        let refused = at_once(&mut world, take);
        assert!(!refused.allowed && refused.retry_after > Micros::ZERO);
        world.processes[0].1.advance(refused.retry_after - Micros(1));
        assert!(!at_once(&mut world, take).allowed, "a microsecond early");
        world.processes[0].1.advance(Micros(1));
        assert!(at_once(&mut world, take).allowed);
    }
}

#[test]
fn a_look_says_what_a_call_would_and_counts_nothing() {
    let mut world = World::new(3, &[0]);
    for taken in 0..3 {
        let look = at_once(&mut world, Verb::Decide(Ask::look(1)));
        assert_eq!((look.allowed, look.remaining), (true, 3 - taken));
        assert!(!at_once(&mut world, Verb::Decide(Ask::look(4 - taken))).allowed);
        at_once(&mut world, Verb::Reserve { cost: 1, patience: Micros::ZERO });
    }
    assert!(!at_once(&mut world, Verb::Decide(Ask::look(1))).allowed);
    assert_eq!(world.shelf.lock().unwrap().counts.values().sum::<i64>(), 3);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let world = World::new(5, &[0]);
    let gate = world.processes[0].0.gate();
    for verb in [
        Verb::Decide(Ask::all(2)),
        Verb::Decide(Ask { cost: 3, least: 1 }),
        Verb::Reserve { cost: 2, patience: Micros::ZERO },
        Verb::Refund(1),
        Verb::Penalize(1),
        Verb::Block(Micros(1)),
        Verb::Unblock,
        Verb::Reset,
    ] {
        assert!(matches!(gate(&request(5, verb)), Err(Error::Unsupported(_))), "{verb:?}");
    }
    for verb in [Verb::Decide(Ask::all(1)), Verb::Decide(Ask::look(3)), Verb::Reserve { cost: 1, patience: Micros(9) }]
    {
        assert_eq!(gate(&request(5, verb)), Ok(()), "{verb:?}");
    }
    let dated = Request { when: When::Dated(START), ..request(5, Verb::Decide(Ask::all(1))) };
    assert!(matches!(gate(&dated), Err(Error::Unsupported(_))));
}
