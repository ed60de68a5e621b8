//! What a client is asked to do.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::Reply;
use crate::store::redis::script::Packed;

/// One thing to do.
pub enum Job {
    /// To run the script of this digest.
    EvalSha(&'static str, Arc<Packed>),
    /// To run the script of this text.
    Eval(&'static str, Arc<Packed>),
    /// To tell the count under this name of a cache.
    Get(String),
    /// To count up by one and tell the count. An entry that is new expires after so many milliseconds.
    Increment(String, u64),
    /// To count down by one.
    Decrement(String),
}

impl Job {
    /// Whether it is to be done although nobody waits for it any more.
    pub fn is_owed(&self) -> bool {
        matches!(self, Self::Decrement(_))
    }
}

/// A job under way: its reply, or what the client said when it failed. Dropping it leaves the client with it.
pub type Performing = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send>>;

/// Hands jobs over to a client.
pub trait Work: Send + Sync + 'static {
    /// Starts a job. It may never end: whoever waits brings the deadline.
    fn perform(&self, job: Job) -> Performing;
}
