//! Where the runtime turns: a seam, because it decides latency and CPU at low load.
//!
//! The dispatcher and the Redis store do not know which driver runs them. A driver brings the streams, runs the workers, and
//! takes their news to the JavaScript thread.

mod thread;

pub(super) use thread::ThreadDriver;

use super::js::Js;
use crate::dispatcher::{News, Settle, Worker};
use crate::store::redis::Connect;

/// Runs the workers of one environment.
pub(super) trait Driver: Sized {
    /// Opens streams that this driver's runtime can turn.
    type Connect: Connect;
    /// Brings a limiter's news to JavaScript.
    type Settle: Settle;

    /// Starts it for this environment. When there is news it calls [`Environment::deliver`](super::environment::Environment::deliver) there.
    fn start(js: Js) -> std::io::Result<Self>;

    /// A limiter's way of opening streams, and of telling its news.
    fn ends(&self, limiter: u64) -> (Self::Connect, Self::Settle);

    /// Runs a worker until it ends by itself, or the environment does.
    fn spawn(&self, worker: Worker<Self::Connect, Self::Settle>);

    /// Takes the news that have arrived, each with the number of its limiter.
    fn news(&self) -> Vec<(u64, News)>;

    /// Whether something is awaited, so that the process must go on.
    fn keep_alive(&self, js: Js, alive: bool);
}
