//! A death at each write of each deed: what is left is the old state or the new one, and nothing else has changed.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::{Ground, limit};
use crate::algorithm::{Ask, FixedWindow, Policy, SlidingWindow, TokenBucket, WithBurst};
use crate::clock::{Clock, ManualClock, Micros};
use crate::key::Key;
use crate::limits::Limits;
use crate::store::{Request, Shared, Verb, When};
use crate::tests::schedule::START;

const BYTES: usize = 64 << 10;
const WINDOW: Micros = Micros::from_millis(1_000);

type States = BTreeMap<[u8; 16], (Micros, Vec<u8>)>;

/// Some that stand in a key's own place, and some that need cells.
fn policies() -> [Policy; 4] {
    [
        Policy::SlidingWindow(SlidingWindow::new(1_000, WINDOW, 32)),
        Policy::TokenBucket(TokenBucket::new(10, WINDOW, 10)),
        Policy::FixedWindow(FixedWindow::new(10, WINDOW, false)),
        Policy::SlidingWindowBurst(WithBurst::new(SlidingWindow::new(100, WINDOW, 16), 10, WINDOW)),
    ]
}

#[derive(Clone, Debug)]
struct Deed {
    gap: u64,
    policy: usize,
    keys: Vec<u8>,
    verb: Verb,
}

impl Deed {
    fn request(&self) -> Request {
        let policy = policies()[self.policy];
        let limits = Arc::new(Limits::new(self.keys.iter().map(|_| limit(policy))));
        let keys = self.keys.iter().map(|key| Key::from_normal(&[b'k', *key])).collect();
        Request { limits, keys, verb: self.verb, when: When::Now }
    }
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let verb = prop_oneof![
        12 => (1..5u64).prop_map(|cost| Verb::Decide(Ask::all(cost))),
        1 => (1..5u64).prop_map(Verb::Refund),
        1 => (1..50u64).prop_map(Verb::Penalize),
        1 => Just(Verb::Reserve { cost: 1, patience: WINDOW }),
        1 => Just(Verb::Block(WINDOW)),
        1 => Just(Verb::Unblock),
        1 => Just(Verb::Reset),
    ];
    let keys = prop_oneof![3 => (0..3u8).prop_map(|key| vec![key]), 1 => Just(vec![0, 1, 2])];
    let gap = prop_oneof![4 => 0..WINDOW.0 / 16, 1 => 0..WINDOW.0 * 2];
    let deed =
        (gap, 0..policies().len(), keys, verb).prop_map(|(gap, policy, keys, verb)| Deed { gap, policy, keys, verb });
    proptest::collection::vec(deed, 1..40)
}

/// A copy of a file, as it is now.
fn copy(ground: &Ground, from: &str, to: &str) {
    fs::copy(ground.file(from), ground.file(to)).unwrap();
}

fn open(ground: &Ground, name: &str, clock: &Arc<ManualClock>) -> Shared {
    ground.open(name, Some(BYTES), clock.clone()).unwrap()
}

/// Does something in a thread that dies over it after so many writes. Answers whether it died.
fn dies_over(store: &Shared, writes: i64, work: impl FnOnce(&Shared) + Send) -> bool {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            store.kill_after(writes);
            catch_unwind(AssertUnwindSafe(|| work(store))).is_err()
        });
        thread.join().unwrap()
    })
}

/// Each key is as it was, or as it has become; and who has expired may be gone.
fn is_old_or_new(before: &States, after: &States, found: &States, now: Micros) -> Result<(), TestCaseError> {
    for id in before.keys().chain(after.keys()).chain(found.keys()) {
        let [before, after, found] = [before, after, found].map(|states| states.get(id));
        let has_expired = found.is_none() && before.is_none_or(|(kept, _)| *kept <= now);
        prop_assert!(found == before || found == after || has_expired, "{:?}: {:?}, then {:?}", before, after, found);
    }
    Ok(())
}

/// Every deed of a schedule is interrupted at every write. One in some is interrupted again while the next one repairs what is left.
fn at_every_write(ground: &Ground, deeds: &[Deed], deaths: &Cell<usize>) -> Result<(), TestCaseError> {
    let clock = Arc::new(ManualClock::at(START));
    let _ = fs::remove_file(ground.file("now"));
    for deed in deeds {
        clock.advance(Micros(deed.gap));
        let now = clock.now();
        let store = open(ground, "now", &clock);
        let before = store.states();
        copy(ground, "now", "before");
        store.answer(&deed.request()).unwrap();
        let after = store.states();
        for writes in 0.. {
            assert!(writes < 10_000, "it dies over something else");
            copy(ground, "before", "victim");
            if !dies_over(&open(ground, "victim", &clock), writes, |store| drop(store.answer(&deed.request()))) {
                break;
            }
            deaths.set(deaths.get() + 1);
            // Who finds it may die over it as well, at any moment.
            for again in [0, 1, 2, 5, 20].into_iter().skip(usize::try_from(writes % 3).unwrap()).step_by(2) {
                dies_over(&open(ground, "victim", &clock), again, |store| drop(store.states()));
            }
            let found = open(ground, "victim", &clock).states();
            is_old_or_new(&before, &after, &found, now)?;
            // What was not done can be done.
            let store = open(ground, "victim", &clock);
            store.answer(&deed.request()).unwrap();
            store.states();
        }
    }
    Ok(())
}

#[test]
fn a_death_at_any_write_leaves_the_old_or_the_new() {
    let ground = Ground::new();
    let deaths = Cell::new(0);
    TestRunner::new(crate::tests::cases(40)).run(&deeds(), |deeds| at_every_write(&ground, &deeds, &deaths)).unwrap();
    assert!(deaths.get() > 1_000, "{} deaths", deaths.get());
}

/// A defect of ours must not close a lock for ever, nor leave what is half done to others.
#[test]
fn a_panic_in_the_midst_is_repaired() {
    let ground = Ground::new();
    let clock = Arc::new(ManualClock::at(START));
    let store = open(&ground, "now", &clock);
    let policy = policies()[0];
    let request = Deed { gap: 0, policy: 0, keys: vec![1], verb: Verb::Decide(Ask::all(1)) }.request();
    for _ in 0..40 {
        clock.advance(Micros(WINDOW.0 / 32));
        store.answer(&request).unwrap();
    }
    let before = Shared::repaired();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _locks = store.hold();
        std::panic::resume_unwind(Box::new("a defect"));
    }));
    assert!(panicked.is_err());
    assert_eq!(store.states().len(), 1);
    assert!(Shared::repaired() > before);
    assert!(super::take(&store, policy, "another", 1).allowed);
}
