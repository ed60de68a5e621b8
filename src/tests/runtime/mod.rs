//! A runtime that is turned by hand: its tasks, its time, its sockets.

mod giving_way;
mod sockets;
mod time;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::{Notify, oneshot};

use crate::runtime::{Bell, Task, Turn, Turned};

/// Counts how often it is rung.
#[derive(Clone, Default)]
struct Rings(Arc<AtomicUsize>);

impl Bell for Rings {
    fn ring(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Rings {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A runtime, and the bell that asks for its turns.
fn turned() -> (Turned, Rings) {
    let rings = Rings::default();
    (Turned::new(rings.clone()), rings)
}

fn turn(turned: &Turned) -> Turn {
    turned.turn(Instant::now(), false)
}

/// What tasks leave for whoever looks.
type Count = Arc<AtomicUsize>;

fn count_one(count: &Count) {
    count.fetch_add(1, Ordering::Relaxed);
}

fn read(count: &Count) -> usize {
    count.load(Ordering::Relaxed)
}

const IDLE: Turn = Turn { next: None, wants_look: false, is_busy: false };

#[test]
fn a_turn_does_all_that_can_be_done_and_waits_for_nothing() {
    let (turned, rings) = turned();
    let (done, wakes) = (Count::default(), Arc::new(Notify::new()));
    let (counted, woken) = (done.clone(), wakes.clone());
    turned.spawn(async move {
        count_one(&counted);
        woken.notified().await;
        count_one(&counted);
    });
    assert_eq!(rings.count(), 1, "a task that is begun asks for a turn");
    assert_eq!((turn(&turned), read(&done)), (IDLE, 1));
    assert_eq!((turn(&turned), read(&done)), (IDLE, 1));
    wakes.notify_one();
    assert_eq!((rings.count(), read(&done)), (2, 1), "what is woken asks for a turn, and waits for it");
    assert!(turned.is_woken());
    assert_eq!((turn(&turned), read(&done)), (IDLE, 2));
    assert!(!turned.is_woken());
}

#[test]
fn what_a_task_begins_has_its_turn_in_the_same_one() {
    let (turned, _) = turned();
    let (done, ended) = (Count::default(), Count::default());
    let (counted, seen) = (done.clone(), ended.clone());
    turned.spawn(async move {
        let inner = counted.clone();
        let mut task = Task::begin(async move { count_one(&inner) });
        task.ended().await;
        count_one(&seen);
    });
    assert_eq!(turn(&turned), IDLE);
    assert_eq!((read(&done), read(&ended)), (1, 1));
}

/// Tells that it is dropped.
struct Dropped(Count);

impl Drop for Dropped {
    fn drop(&mut self) {
        count_one(&self.0);
    }
}

#[test]
fn a_task_ends_with_whoever_began_it() {
    let (turned, _) = turned();
    let dropped = Count::default();
    let (guard, release) = (Dropped(dropped.clone()), Arc::new(Notify::new()));
    let released = release.clone();
    turned.spawn(async move {
        let _task = Task::begin(async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        released.notified().await;
    });
    turn(&turned);
    assert_eq!(read(&dropped), 0);
    release.notify_one();
    assert_eq!((turn(&turned), read(&dropped)), (IDLE, 1));
}

/// Without it one defect would leave everybody's calls unanswered.
#[test]
fn a_task_that_panics_takes_nobody_with_it() {
    let (turned, _) = turned();
    let (done, ended) = (Count::default(), Count::default());
    let (counted, seen) = (done.clone(), ended.clone());
    turned.spawn(async move {
        let mut task = Task::begin(async { panic!("as it was told to") });
        task.ended().await;
        count_one(&seen);
    });
    turned.spawn(async move { count_one(&counted) });
    assert_eq!(turn(&turned), IDLE);
    assert_eq!((read(&done), read(&ended)), (1, 1), "the others go on, and who waits for it is told");
}

#[test]
fn another_thread_wakes_and_rings_once() {
    let (turned, rings) = turned();
    let done = Count::default();
    for _ in 0..100 {
        let (tell, told) = oneshot::channel::<()>();
        let counted = done.clone();
        turned.spawn(async move {
            let _ = told.await;
            count_one(&counted);
        });
        turn(&turned);
        let before = rings.count();
        std::thread::spawn(move || tell.send(())).join().unwrap().unwrap();
        assert_eq!(rings.count(), before + 1);
        assert!(turned.is_woken());
        turn(&turned);
    }
    assert_eq!(read(&done), 100);
}

/// The loop must have its turn as well, whatever a task does.
#[test]
fn a_task_that_never_rests_does_not_keep_the_turn() {
    let (turned, _) = turned();
    turned.spawn(std::future::poll_fn(|context| {
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    }));
    for _ in 0..3 {
        assert!(turn(&turned).is_busy, "there is more to do, and it waits for the next turn");
    }
}

#[test]
fn what_is_stopped_is_dropped_where_it_stands_and_wakes_nobody() {
    let (turned, rings) = turned();
    let dropped = Count::default();
    let wakes = Arc::new(Notify::new());
    for begun in [true, false] {
        let (guard, woken) = (Dropped(dropped.clone()), wakes.clone());
        turned.spawn(async move {
            let _guard = guard;
            let mut inner = Task::begin(std::future::pending());
            tokio::select! {
                () = inner.ended() => {}
                () = woken.notified() => {}
            }
        });
        if begun {
            turn(&turned);
        }
    }
    turned.stop();
    assert_eq!(read(&dropped), 2);
    let before = rings.count();
    wakes.notify_waiters();
    assert_eq!(rings.count(), before);
}
