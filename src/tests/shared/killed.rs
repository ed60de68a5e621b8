//! Processes that are killed at random instants, a thousand times: nobody is ever above a limit, and every key goes on working.

use std::env;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::{Ground, PATIENCE, act, take};
use crate::algorithm::{Ask, FixedWindow, Policy, SlidingWindow};
use crate::clock::{Clock, Micros, SystemClock};
use crate::store::{Shared, Site, Verb};

const KILLS: u64 = 1_000;

/// Where a process of this test finds its file.
const BASE: &str = "SHARED_MEMORY_OF_A_TEST";

/// One shard, so that whoever is killed mostly has its lock.
const BYTES: usize = 64 << 10;

const YEAR: Micros = Micros(365 * 86_400_000_000);

/// What a process does between two words about it: so many calls may have been counted of which nobody was told.
const BURST: u64 = 16;

/// In which everything is counted.
fn audit() -> Policy {
    Policy::FixedWindow(FixedWindow::new(1 << 32, YEAR, false))
}

/// In which each unit has a group of its own, so that the state grows to some thousand bytes.
fn exact() -> Policy {
    Policy::SlidingWindow(SlidingWindow::new(500, YEAR, 1_024))
}

/// From which units come back while the test lasts.
fn brief() -> Policy {
    Policy::SlidingWindow(SlidingWindow::new(50, Micros(20_000), 8))
}

fn open(site: &Site) -> Shared {
    Shared::open_at(site, "test", Some(BYTES), PATIENCE, None).unwrap()
}

/// What a process does until it is killed. In a run of all tests, which is no such process, nothing.
#[test]
fn victim() {
    let Some(base) = env::var_os(BASE) else { return };
    let store = open(&Site { base: PathBuf::from(base), ..Site::here().unwrap() });
    let mut words = std::io::stderr();
    loop {
        let mut told = [0u32; 2];
        for call in 0..BURST {
            told[0] += u32::from(take(&store, audit(), "audit", 1).allowed);
            told[1] += u32::from(take(&store, exact(), "exact", 1).allowed);
            take(&store, brief(), &format!("brief {}", call % 4), 1);
            act(&store, brief(), "changed", if call % 2 == 0 { Verb::Penalize(3) } else { Verb::Refund(3) }).unwrap();
        }
        // In one write, as a whole or not at all.
        let word: Vec<u8> = told.iter().flat_map(|units| units.to_ne_bytes()).collect();
        words.write_all(&word).unwrap();
    }
}

#[test]
fn a_thousand_deaths_let_nobody_above_a_limit_and_leave_no_key_stuck() {
    let ground = Ground::new();
    let store = open(&ground.site);
    let program = env::current_exe().unwrap();
    let mut audited = 0;
    let mut random = SystemClock::new().now().0;
    let before = Shared::repaired();
    for kill in 0..KILLS {
        let mut command = Command::new(&program);
        command.args(["--exact", "tests::shared::killed::victim", "--nocapture"]).env(BASE, &ground.site.base);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut words = child.stderr.take().unwrap();
        // It is at work when it has said a first word.
        let mut first = [0; 8];
        words.read_exact(&mut first).unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        thread::sleep(Duration::from_micros((random >> 33) % 500));
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = Vec::new();
        words.read_to_end(&mut rest).unwrap();
        let mut told = [0u64; 2];
        for word in [&first[..]].into_iter().chain(rest.chunks_exact(8)) {
            for (units, sum) in word.chunks_exact(4).zip(&mut told) {
                *sum += u64::from(u32::from_ne_bytes(units.try_into().unwrap()));
            }
        }
        // Whoever comes next finds everything in order: what was told was taken, and of a last burst perhaps some more.
        audited += told[0];
        let taken = |policy: Policy, key| {
            let look = act(&store, policy, key, Verb::Decide(Ask::look(1))).unwrap();
            policy.capacity() - look.remaining
        };
        let (of_audit, of_exact) = (taken(audit(), "audit"), taken(exact(), "exact"));
        assert!((audited..=audited + (kill + 1) * BURST).contains(&of_audit), "{of_audit} were taken, {audited} told");
        assert!((told[1]..=told[1] + BURST).contains(&of_exact), "{of_exact} were taken, {} told", told[1]);
        assert!(told[1] <= exact().capacity(), "{} units of {}", told[1], exact().capacity());
        act(&store, exact(), "exact", Verb::Reset).unwrap();
        if kill % 50 == 0 {
            store.states();
        }
    }
    store.states();
    let repaired = Shared::repaired() - before;
    assert!(repaired > 0, "none of them was killed in the midst of a step");
    // No key is stuck: what must be forgotten by now is, and nothing else.
    thread::sleep(Duration::from_millis(45));
    for key in 0..4 {
        assert_eq!(take(&store, brief(), &format!("brief {key}"), 50).remaining, 0);
    }
    assert!(take(&store, exact(), "exact", exact().capacity()).allowed);
}
