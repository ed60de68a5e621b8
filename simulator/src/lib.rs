//! A discrete-event simulation of a fleet: the limiter's own algorithms, leases and refusals on a virtual clock, and a model of
//! what lies between them.
//!
//! ```text
//! load ─► gateway ─► network ─► node ─► network ─► gateway
//! Zipf,   leases,    latency    queue,            answers
//! bursts  refusals,             service,
//!         batches               policy
//! ```
//!
//! What is the limiter's own: the steps of [`Policy`](distributed_rate_limiter::algorithm::Policy),
//! [`Leases`](distributed_rate_limiter::leases::Leases), [`Refusals`](distributed_rate_limiter::refusals::Refusals). What is
//! modelled: arrivals, batches, ways, the time that a script call takes. [`watch`] says by the limit alone whether too much was
//! admitted.

pub mod adaptive;
pub mod gateway;
pub mod load;
pub mod network;
pub mod node;
pub mod random;
pub mod report;
pub mod simulation;
pub mod watch;
pub mod world;
pub mod zipf;

#[cfg(test)]
mod tests;
