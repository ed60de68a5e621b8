//! Between callers and a store that is somewhere else: batches, a bound on what may wait, one deadline a call.
//!
//! Batching is natural. While the store is idle a call is sent at once; while it is busy, calls gather until a place in flight is
//! free. There is no timer and no added latency, and under load one script call carries many.

mod beside;
mod chance;
mod courier;
mod envoy;
mod flight;
mod handle;
mod herald;
mod ledger;
mod line;
mod listener;
mod message;
#[cfg(test)]
mod scripted;
mod shared;
mod surveyor;
mod sync;
mod teller;
mod worker;

pub use handle::Handle;
pub use ledger::Known;
pub use message::{Answer, Call, News, Settle, Ticket};
pub use worker::Worker;
