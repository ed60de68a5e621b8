//! The bound on bytes.

use std::sync::Arc;

use super::{WINDOW, act, bucket, sliding, take};
use crate::algorithm::{Ask, Policy, SlidingWindow, WithBurst};
use crate::clock::{ManualClock, Micros};
use crate::store::{Memory, Verb};
use crate::tests::schedule::START;

fn store(bytes: usize) -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    (Memory::new(bytes, clock.clone()), clock)
}

fn assert_held(store: &Memory, bytes: usize, what: &str) {
    let (reckoned, counted) = store.held();
    assert_eq!(reckoned, counted, "{what}: what is reckoned is what there is");
    assert!(counted <= bytes, "{what}: {counted} bytes of {bytes}");
}

#[test]
fn no_flood_passes_the_bound() {
    let burst = Policy::SlidingWindowBurst(WithBurst::new(SlidingWindow::new(5, WINDOW, 32), 5, WINDOW));
    for (bytes, calls) in [(64 << 10, 10_000), (4 << 20, 60_000)] {
        for policy in [sliding(5), bucket(5), burst] {
            for length in [8, 17, 1_024] {
                let (store, clock) = store(bytes);
                for i in 0..calls {
                    // Every other comes again, and grows.
                    let key = format!("{:0length$}", i - i % 3);
                    store.decide(&policy, key.as_bytes(), Ask::all(1));
                    clock.advance(Micros(WINDOW.0 * 2 / calls));
                    if i % (calls / 10) == 0 {
                        assert_held(&store, bytes, "in the flood");
                    }
                }
                assert_held(&store, bytes, "after the flood");
                let least = if length > 1_000 { bytes / 10_000 } else { bytes / 2_000 };
                assert!(store.len() > least, "{} keys of {length} in {bytes} bytes", store.len());
            }
        }
    }
}

/// Logs grow after their keys were admitted. At the bound they become coarser, which is stricter, and no key passes its limit.
#[test]
fn busy_keys_keep_within_the_bound() {
    let bytes = 256 << 10;
    let policy = Policy::SlidingWindow(SlidingWindow::new(100, WINDOW, 1_024));
    let (store, clock) = store(bytes);
    let keys: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let mut admitted = vec![0; keys.len()];
    for _ in 0..120 {
        for (key, admitted) in keys.iter().zip(&mut admitted) {
            *admitted += take(&store, &policy, key, 1).granted;
        }
        assert_held(&store, bytes, "busy");
        clock.advance(Micros(WINDOW.0 / 200));
    }
    let (most, least) = (admitted.iter().max().unwrap(), admitted.iter().min().unwrap());
    assert!(*most <= 100 && *least >= 50, "from {least} to {most}");
    clock.advance(WINDOW);
    for key in &keys {
        assert!(take(&store, &policy, key, 1).allowed, "{key} is as good as new");
        store.reset(key.as_bytes());
    }
    assert_held(&store, bytes, "empty");
    assert_eq!(store.len(), 0);
}

/// What nobody makes way for grows the table beyond the bound. That ends when there is no more need of it.
#[test]
fn blocks_beyond_the_bound_take_nobodys_place_for_good() {
    let bytes = 1 << 20;
    let (store, clock) = store(bytes);
    for i in 0..3_000 {
        take(&store, &bucket(5), &format!("bucket-{i}"), 1);
    }
    let full = store.len();
    for i in 0..300 {
        act(&store, &bucket(5), &format!("blocked-{i}"), Verb::Block(Micros(WINDOW.0 * 1_000)));
    }
    assert_eq!(store.len(), full + 300, "nobody makes way, and each is blocked");
    clock.advance(Micros(WINDOW.0 * 2));
    for _ in 0..3 {
        for i in 0..1_000 {
            take(&store, &sliding(50), &format!("new-{i}"), 1);
        }
    }
    assert!(store.len() >= 1_000, "only {} keys", store.len());
    assert_held(&store, bytes, "after them");
    for i in 0..300 {
        assert!(!take(&store, &bucket(5), &format!("blocked-{i}"), 1).allowed);
    }
}
