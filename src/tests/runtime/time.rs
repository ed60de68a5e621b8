//! Time as a loop has it that may be late: the moments are given by the tests.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::{Count, IDLE, count_one, read, turned};
use crate::runtime::{self, Turn, Turned};

const MS: Duration = Duration::from_millis(1);

/// A turn as a loop gives it that has nothing to read: where it is to look at its sockets, it has.
fn turn_at(turned: &Turned, now: Instant) -> Turn {
    match turned.turn(now, false) {
        Turn { wants_look: true, .. } => turned.turn(now, true),
        turn => turn,
    }
}

/// A task that counts when its moment has come, `ms` after the beginning.
fn sleeper(turned: &Turned, start: Instant, ms: u32) -> Count {
    let count = Count::default();
    let counted = count.clone();
    turned.spawn(async move {
        runtime::sleep_until(start + MS * ms).await;
        count_one(&counted);
    });
    count
}

#[test]
fn each_wakes_at_its_moment_and_not_before() {
    let (turned, _) = turned();
    let start = Instant::now();
    let [late, soon] = [30, 10].map(|ms| sleeper(&turned, start, ms));
    assert_eq!(turn_at(&turned, start).next, Some(start + MS * 10));
    assert_eq!(turn_at(&turned, start + MS * 9).next, Some(start + MS * 10));
    assert_eq!((read(&soon), read(&late)), (0, 0));
    assert_eq!(turn_at(&turned, start + MS * 10).next, Some(start + MS * 30));
    assert_eq!((read(&soon), read(&late)), (1, 0));
    assert_eq!((turn_at(&turned, start + MS * 30), read(&late)), (IDLE, 1));
}

#[test]
fn who_no_longer_waits_is_forgotten() {
    let (turned, _) = turned();
    let start = Instant::now();
    turned.spawn(async move {
        let never = runtime::sleep_until(start + MS * 10);
        let done = runtime::timeout_at(start + MS * 20, async {
            tokio::select! {
                biased;
                () = never => false,
                () = std::future::ready(()) => true,
            }
        });
        assert_eq!(done.await, Ok(true));
    });
    assert_eq!(turn_at(&turned, start), IDLE);
}

#[test]
fn what_is_done_in_time_is_no_timeout() {
    let (turned, _) = turned();
    let start = Instant::now();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for (takes, patience) in [(10, 20), (20, 10)] {
        let seen = seen.clone();
        turned.spawn(async move {
            let work = runtime::sleep_until(start + MS * takes);
            let done = runtime::timeout_at(start + MS * patience, work).await;
            seen.lock().unwrap().push((takes, done));
        });
    }
    for ms in 0..=20 {
        turn_at(&turned, start + MS * ms);
    }
    let mut seen = std::mem::take(&mut *seen.lock().unwrap());
    seen.sort_by_key(|(takes, _)| *takes);
    assert_eq!(seen, [(10, Ok(())), (20, Err(runtime::Late))]);
}

/// What came in time lies in the sockets when a blocked loop comes back: told of the deadline first, a call would be given up
/// that has been answered.
#[test]
fn no_moment_comes_before_the_sockets_have_been_looked_at() {
    let (turned, _) = turned();
    let start = Instant::now();
    let count = sleeper(&turned, start, 10);
    turned.turn(start, false);
    for _ in 0..3 {
        let turn = turned.turn(start + MS * 10, false);
        assert!(turn.wants_look);
        assert_eq!(read(&count), 0);
    }
    assert!(!turned.turn(start + MS * 10, true).wants_look);
    assert_eq!(read(&count), 1);
}

/// As above, where somebody who is woken by something else compares its deadline with the present.
#[test]
fn time_stands_still_until_they_have() {
    let (turned, _) = turned();
    let start = Instant::now();
    let (deadline, wakes) = (start + MS * 10, Arc::new(tokio::sync::Notify::new()));
    let (woken, seen) = (wakes.clone(), Arc::new(Mutex::new(Vec::new())));
    let seeing = seen.clone();
    turned.spawn(async move {
        loop {
            tokio::select! {
                () = woken.notified() => {}
                () = runtime::sleep_until(deadline) => {}
            }
            let is_past = deadline <= runtime::now();
            seeing.lock().unwrap().push(is_past);
            if is_past {
                break;
            }
        }
    });
    turned.turn(start, false);
    wakes.notify_one();
    let turn = turned.turn(start + MS * 3_000, false);
    assert!(turn.wants_look);
    wakes.notify_one();
    turned.turn(start + MS * 3_000, true);
    assert_eq!(*seen.lock().unwrap(), [false, false]);
    turn_at(&turned, start + MS * 3_050);
    assert_eq!(*seen.lock().unwrap(), [false, false, true]);
}

/// A conversation of several steps may have been interrupted: to connect, or to be sent to where a key is.
#[test]
fn a_loop_that_was_late_is_made_up_for_what_it_missed_within_bounds() {
    for (late, grace) in [(0, 0), (5, 0), (6, 6), (50, 50), (3_000, 50)] {
        let (turned, _) = turned();
        let start = Instant::now();
        let count = sleeper(&turned, start, 10);
        turned.turn(start, false);
        let back = start + MS * (10 + late);
        let turn = turn_at(&turned, back);
        if grace > 0 {
            assert_eq!((turn.next, read(&count)), (Some(back + MS * grace), 0), "{late} ms late");
            turn_at(&turned, back + MS * grace - Duration::from_nanos(1));
            assert_eq!(read(&count), 0, "{late} ms late");
            turn_at(&turned, back + MS * grace);
        }
        assert_eq!(read(&count), 1, "{late} ms late");
    }
}

/// Who is not late has no part in it.
#[test]
fn a_grace_ends_with_those_that_it_is_for() {
    let (turned, _) = turned();
    let start = Instant::now();
    let gone = std::sync::Arc::new(tokio::sync::Notify::new());
    let ended = gone.clone();
    turned.spawn(async move {
        tokio::select! {
            () = runtime::sleep_until(start + MS * 10) => {}
            () = ended.notified() => {}
        }
    });
    let count = sleeper(&turned, start, 3_001);
    turned.turn(start, false);
    assert_eq!(turn_at(&turned, start + MS * 3_000).next, Some(start + MS * 3_050));
    gone.notify_one();
    assert_eq!(turn_at(&turned, start + MS * 3_000).next, Some(start + MS * 3_001));
    turn_at(&turned, start + MS * 3_001);
    assert_eq!(read(&count), 1);
}

/// A loop that is late each time must not put off for ever what is due.
#[test]
fn each_moment_is_put_off_once() {
    let (turned, _) = turned();
    let start = Instant::now();
    let counts: Vec<_> = (1..=50).map(|nth| sleeper(&turned, start, nth * 100)).collect();
    let mut now = start;
    turn_at(&turned, now);
    for round in 1..=25 {
        now = start + MS * 200 * round;
        turn_at(&turned, now);
        // Those that were overdue in the round before have all had their grace.
        let overdue = counts.iter().take((round as usize - 1) * 2);
        assert!(overdue.into_iter().all(|count| read(count) == 1), "round {round}");
    }
    turn_at(&turned, now + MS * 50);
    assert!(counts.iter().all(|count| read(count) == 1));
}

#[test]
fn in_a_runtime_of_tokio_time_is_that_of_the_system() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let before = Instant::now();
        assert!(runtime::now() >= before);
        assert_eq!(runtime::timeout(MS, std::future::pending::<()>()).await, Err(runtime::Late));
        assert_eq!(runtime::timeout(MS * 60_000, async { 7 }).await, Ok(7));
        assert!(before.elapsed() >= MS);
    });
}
