//! What the work beside the calls needs of whoever runs it: tasks, and time.
//!
//! Either tokio runs it, on a thread that is its own, or somebody else's loop [turns](Turned) it. Nobody within knows which: what
//! is begun here is run by whoever runs the task that begins it.

mod lookup;
mod socket;
mod task;
mod timers;
mod turned;

#[cfg(unix)]
pub use socket::connect_unix;
pub use socket::{Interest, Source, Stream, Watch, connect_tcp};
pub use task::Task;
pub use turned::{Bell, Turn, Turned};

use std::time::{Duration, Instant};

/// It took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late;

/// Whether somebody else's loop runs this, and not tokio.
pub fn is_turned() -> bool {
    turned::current().is_some()
}

/// The present, as far as deadlines go. It stands still while a loop that was late has not yet seen what has come meanwhile.
pub fn now() -> Instant {
    turned::current().map_or_else(Instant::now, |turned| turned.timers().present())
}

/// Waits until then.
pub async fn sleep_until(moment: Instant) {
    match turned::current() {
        Some(turned) => turned.sleep_until(moment).await,
        None => tokio::time::sleep_until(moment.into()).await,
    }
}

/// Waits so long.
pub async fn sleep(duration: Duration) {
    sleep_until(Instant::now() + duration).await;
}

/// Lets the loop that turns this have its turn, so that what was handed to it need not wait for whatever could be done next. A
/// thread of its own has nothing to give.
pub async fn give_way() {
    if let Some(turned) = turned::current() {
        turned.give_way().await;
    }
}

/// What comes of it until then.
pub async fn timeout_at<F: Future>(end: Instant, work: F) -> Result<F::Output, Late> {
    tokio::select! {
        biased;
        done = work => Ok(done),
        () = sleep_until(end) => Err(Late),
    }
}

/// What comes of it within that time.
pub async fn timeout<F: Future>(patience: Duration, work: F) -> Result<F::Output, Late> {
    timeout_at(Instant::now() + patience, work).await
}
