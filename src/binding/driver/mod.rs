//! Where the runtime turns: a seam, because it decides latency and CPU at low load.
//!
//! The dispatcher and the Redis store do not know which driver runs them. A driver runs the workers, and
//! takes their news to the JavaScript thread.

mod event_loop;
mod outbox;
mod thread;

pub(super) use event_loop::LoopDriver;
pub(super) use outbox::{Letterbox, Mail};
pub(super) use thread::ThreadDriver;

use super::js::Js;
use crate::dispatcher::Worker;
use crate::settings;
use crate::store::Reach;

/// The driver where nothing is said.
pub(super) const DEFAULT: settings::Driver = settings::Driver::Loop;

/// Runs the workers of one environment.
pub(super) trait Driver: Sized {
    /// Starts it for this environment. What has arrived it hands to [`Environment::deliver`](super::environment::Environment::deliver).
    /// It ends before the environment does.
    fn start(js: Js) -> std::io::Result<Self>;

    /// A limiter's way of telling its news.
    fn letterbox(&self, limiter: u64) -> Letterbox;

    /// Runs a worker until it ends by itself, or the environment does.
    fn spawn<R: Reach>(&self, worker: Worker<R, Letterbox>);

    /// Whether something is awaited, so that the process must go on.
    fn keep_alive(&self, js: Js, alive: bool);
}
