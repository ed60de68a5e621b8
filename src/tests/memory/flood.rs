//! A flood of made-up keys: who is limited stays limited, and who keeps within the limit is hardly ever refused.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use super::{bucket, left, sliding, take};
use crate::algorithm::{Policy, SlidingCounter, SlidingWindow};
use crate::clock::{ManualClock, Micros};
use crate::store::Memory;
use crate::tests::memory::WINDOW;
use crate::tests::schedule::START;

const MINUTE: Micros = Micros(60_000_000);

fn per_minute(limit: u64) -> Policy {
    Policy::SlidingWindow(SlidingWindow::new(limit, MINUTE, 32))
}

fn store(bytes: usize) -> (Memory, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(START));
    (Memory::new(bytes, clock.clone()), clock)
}

/// As many new keys as the documents say that the bound bears, 10 million of 64 MiB, in so many windows, for
/// which a key counts. Honest keys call three times a window, of the five that they may.
fn flood(policy: &Policy, windows: u64) {
    let limit = policy.capacity();
    // Of counters that wane, a rolling window may hold the end of one and the beginning of the next.
    let most = if matches!(policy, Policy::SlidingCounter(_)) { 2 * limit - 1 } else { limit };
    const BYTES: usize = 1 << 20;
    let (store, clock) = store(BYTES);
    let keys_a_window = BYTES as u64 * 10_000_000 / (64 << 20) / windows;
    let honest = 20;
    let every = keys_a_window / (3 * honest);
    let (mut calls, mut refused, mut resets) = (0, 0, 0);
    let mut limited: Vec<(String, Micros, u64)> = Vec::new();
    for i in 0..keys_a_window * 2 {
        let now = START + Micros(MINUTE.0 * i / keys_a_window);
        clock.set(now);
        take(&store, policy, &format!("flood-{i}"), 1);
        if i % every == 0 {
            calls += 1;
            refused += u64::from(!take(&store, policy, &format!("honest-{}", i / every % honest), 1).allowed);
        }
        if i % (every * 2) == 0 {
            let key = format!("limited-{i}");
            let spent = (0..limit + 3).map(|_| take(&store, policy, &key, 1).granted).sum();
            assert!(spent <= limit, "{spent} at once");
            limited.push((key, now, spent));
        }
        if i % (keys_a_window / 20) == 0 {
            // Whoever has spent its limit in a window must not have a unit more in it, wherever it stands.
            limited.retain(|(_, since, _)| now - *since < MINUTE);
            for (key, _, spent) in &mut limited {
                *spent += take(&store, policy, key, 1).granted;
                resets += u64::from(*spent > most);
            }
        }
    }
    assert_eq!(resets, 0);
    assert!(refused * 100 <= calls, "{refused} of {calls} calls of honest keys were refused");
}

#[test]
fn a_flood_resets_nobody_and_hardly_refuses_the_honest() {
    flood(&per_minute(5), 1);
}

#[test]
fn nor_does_it_where_counters_wane() {
    flood(&Policy::SlidingCounter(SlidingCounter::new(10, MINUTE)), 2);
}

/// Keys that lie in one of 16 parts by a hash without a secret. Were the store's such, they would crowd there.
#[test]
fn nobody_can_aim_at_a_part_of_the_store() {
    let aimed = |key: &String| {
        let mut hasher = DefaultHasher::new();
        hasher.write(key.as_bytes());
        (hasher.finish() >> 32) & 15 == 0
    };
    let (store, _) = store(16 << 20);
    let keys = (0..).map(|i| format!("user:{i:08}")).filter(aimed).take(40_000);
    let admitted = keys.filter(|key| take(&store, &per_minute(5), key, 1).allowed).count();
    assert_eq!(admitted, 40_000);
    assert!(store.len() > 20_000, "{} have a state of their own", store.len());
}

/// When a flood has expired, the keys that come then are decided exactly, as many as fit.
#[test]
fn after_a_flood_there_is_as_much_room_as_before() {
    let bytes = 1 << 20;
    let (store, clock) = store(bytes);
    let store = store.predictable();
    let policy = per_minute(5);
    let mut key = 0;
    let mut newcomer = || {
        key += 1;
        take(&store, &policy, &key.to_string(), 1)
    };
    for _ in 0..20_000 {
        newcomer();
    }
    let exact = store.len();
    assert!(exact > bytes / 1_000, "{exact} keys have a state of their own");
    clock.advance(MINUTE + MINUTE);
    for i in 0..exact * 9 / 10 {
        assert_eq!(newcomer().remaining, 4, "newcomer {i} after the flood");
        clock.advance(Micros(1));
    }
    let own = (0..exact * 9 / 10).filter(|i| left(&store, &policy, &(20_001 + i).to_string()) == 4).count();
    assert!(own >= exact * 9 / 10 - 1, "{own} of {exact}");
    assert!(store.len() >= exact * 9 / 10, "{} of {exact}", store.len());
}

/// Were all that finds no slot admitted, a flood larger than the table would be a way past the limit; were it refused for good,
/// it would be a way to lock others out.
#[test]
fn a_flood_larger_than_the_table_is_refused_and_then_forgotten() {
    for policy in [sliding(5), bucket(5)] {
        let clock = Arc::new(ManualClock::at(START));
        let store = Memory::tiny(2, 2, 12, clock.clone()).predictable();
        let admitted: Vec<u64> = (0..1_000).map(|i| take(&store, &policy, &i.to_string(), 1).granted).collect();
        let late: u64 = admitted[500..].iter().sum();
        // But for those with another's fingerprint, which share what it has left.
        assert!(late <= 20, "{late} admitted where no slot is left, and what those without one share is used up");
        assert!(admitted.iter().sum::<u64>() >= 32, "and every slot was used");
        clock.advance(WINDOW + Micros(WINDOW.0 / 500));
        let free = (0..20).filter(|i| take(&store, &policy, &format!("later-{i}"), 1).allowed).count();
        assert_eq!(free, 20);
    }
}
