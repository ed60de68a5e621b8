//! Tasks that would rather go on when the loop has had its turn.

use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::poll_immediate;
use tokio::sync::Notify;

use super::{Count, IDLE, count_one, read, turn, turned};
use crate::runtime::{Turn, Turned, give_way};

/// There is more to do, and nothing to wait for.
const BUSY: Turn = Turn { is_busy: true, ..IDLE };

/// A task that counts how often it goes on.
fn giver(turned: &Turned, times: usize) -> Count {
    let count = Count::default();
    let counted = count.clone();
    turned.spawn(async move {
        for _ in 0..times {
            give_way().await;
            count_one(&counted);
        }
    });
    count
}

#[test]
fn who_gives_way_goes_on_in_the_next_turn_and_the_loop_is_told_of_it() {
    let (turned, rings) = turned();
    let count = giver(&turned, 2);
    assert_eq!((turn(&turned), read(&count)), (BUSY, 0));
    assert!(turned.is_woken());
    assert_eq!((turn(&turned), read(&count)), (BUSY, 1));
    assert_eq!((turn(&turned), read(&count)), (IDLE, 2));
    assert_eq!(rings.count(), 1, "what a turn tells it need not ring for");
}

#[test]
fn everything_else_that_can_be_done_is_done_before() {
    let (turned, _) = turned();
    let (others, wakes) = (Count::default(), Arc::new(Notify::new()));
    let (counted, woken) = (others.clone(), wakes.clone());
    turned.spawn(async move {
        woken.notified().await;
        count_one(&counted);
    });
    let (counted, seen) = (others.clone(), Count::default());
    let before = seen.clone();
    turned.spawn(async move {
        // A task that has had its turn already, and one that is only begun.
        wakes.notify_one();
        let later = counted.clone();
        let _task = crate::runtime::Task::begin(async move { count_one(&later) });
        give_way().await;
        before.store(read(&counted), std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!((turn(&turned), read(&others), read(&seen)), (BUSY, 2, 0));
    assert_eq!((turn(&turned), read(&seen)), (IDLE, 2));
}

#[test]
fn all_who_give_way_go_on_in_the_same_turn() {
    let (turned, _) = turned();
    let counts = [giver(&turned, 1), giver(&turned, 1)];
    assert_eq!(turn(&turned), BUSY);
    assert_eq!(counts.each_ref().map(read), [0, 0]);
    assert_eq!(turn(&turned), IDLE);
    assert_eq!(counts.each_ref().map(read), [1, 1]);
}

/// The dispatcher has waited for a second batch as well when it tells the answers of the first. That one landed in the same turn
/// would then end the pause before it had begun.
#[test]
fn what_else_wakes_a_task_does_not_have_it_go_on() {
    let (turned, _) = turned();
    let (count, wakes) = (Count::default(), Arc::new(Notify::new()));
    let (counted, woken) = (count.clone(), wakes.clone());
    turned.spawn(async move {
        let mut other = pin!(woken.notified());
        assert_eq!(poll_immediate(&mut other).await, None);
        give_way().await;
        count_one(&counted);
    });
    turned.spawn(async move { wakes.notify_one() });
    assert_eq!((turn(&turned), read(&count)), (BUSY, 0));
    assert_eq!((turn(&turned), read(&count)), (IDLE, 1));
}

#[test]
fn a_thread_of_its_own_has_nothing_to_give() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(async { give_way().now_or_never() }), Some(()));
}
