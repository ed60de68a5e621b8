//! The seam between what is decided and where its state lives. A store owns atomicity and nothing else.

mod memory;
pub mod redis;

pub use memory::Memory;

use std::future::Future;
use std::pin::Pin;

use crate::algorithm::{Ask, Outcome, Policy};
use crate::error::Error;
use crate::key::Key;

/// What is done with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Take what is asked, or only look where nothing is asked.
    Decide(Ask),
    /// Forget the key.
    Reset,
}

/// One thing to do with one key.
#[derive(Clone, Debug)]
pub struct Request {
    /// Whose state.
    pub key: Key,
    /// What to do.
    pub verb: Verb,
}

/// An answer for each request in its order, or the reason that none was answered.
pub type Answers = Result<Vec<Result<Outcome, Error>>, Error>;

/// A batch under way. Dropping it does not undo it.
pub type Answering = Pin<Box<dyn Future<Output = Answers> + Send>>;

/// Decides batches, each request atomically and requests on one key in their order.
pub trait Store: Send + Sync + 'static {
    /// Starts a batch under one policy.
    fn decide(&self, policy: &Policy, batch: &mut dyn Iterator<Item = &Request>) -> Answering;
}
