//! One server under more load than it can bear, and limits that give way by different controllers: which of them keeps the server at
//! work, how soon, and how steadily.
//!
//! ```text
//! clients ─► limits ─► queue ─► server, whose capacity may change
//! Poisson    scaled      ▲
//!            by level    └─ every 100 ms: lag, busy time, response times ─► controller ─► level
//! ```
//!
//! The same of a fleet of such servers, whose limits are counted for all of them together, and give way each by its own load or all by the mean.
//! And of a server that is one event loop, which would hear of its load only when it has worked off what has come in.
//!
//! The limits are the limiter's own token buckets, and one of the controllers is its own; the server is a model.

pub mod event_loop;
pub mod fleet;
pub mod rivals;
pub mod scenario;
pub mod server;

#[cfg(test)]
mod tests;
