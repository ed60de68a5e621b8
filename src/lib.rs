//! A rate limiter whose every decision is made in Rust: in this process's memory, or in Redis through one atomic script.
//!
//! A call travels inward through these modules and its answer back out:
//!
//! ```text
//! binding ─► limiter ─► dispatcher ─► store ─► algorithm
//! Node-API   policy,    batches,      atomic   pure step, in Rust
//! only       fallback   deadlines     state    or in its Lua twin
//! ```
//!
//! Everything but `binding` knows nothing of Node and is built and tested without it (`--no-default-features`).

pub mod adaptive;
pub mod algorithm;
pub mod arrears;
pub mod calendar;
pub mod circuit;
pub mod clock;
pub mod decision;
pub mod dispatcher;
pub mod error;
pub mod fallback;
pub mod fleet;
pub mod input;
pub mod key;
pub mod leases;
pub mod limiter;
pub mod limits;
pub mod metrics;
pub mod newcomers;
pub mod policy;
pub mod pseudonym;
pub mod refusals;
pub mod rules;
pub mod runtime;
pub mod settings;
pub mod store;
pub mod trials;

mod arithmetic;
// Not in a test build: napi registers nothing there, so that nothing would call the entrance.
#[cfg(all(feature = "node", not(test)))]
mod binding;
mod wire;

#[cfg(test)]
mod tests;
