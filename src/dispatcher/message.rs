//! What travels between callers, the worker and the driver.

use std::time::Instant;

use crate::decision::Decision;
use crate::error::Error;
use crate::store::Request;

/// By which the driver knows again who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(pub u64);

/// A call on its way to the store.
#[derive(Debug)]
pub struct Call {
    /// Who waits; nobody for what the limiter asks of itself: it needs no answer in the store's place.
    pub ticket: Option<Ticket>,
    /// What is asked.
    pub request: Request,
    /// When it must be answered, by whomever.
    pub deadline: Instant,
}

/// To the worker.
pub(super) enum Message {
    Call(Call),
    /// Tell when the store first answers.
    Ready {
        ticket: Ticket,
        deadline: Instant,
    },
    /// Store these policies, and tell what has come of it.
    Publish {
        ticket: Ticket,
        asked: String,
    },
    /// Settle what is there and end; tell when done.
    Close {
        ticket: Option<Ticket>,
    },
}

/// What was asked has been decided, or done.
pub type Answer = Result<Option<Decision>, Error>;

/// From the worker.
#[derive(Debug)]
pub enum News {
    /// Whoever holds the ticket is answered.
    Settled(Ticket, Answer),
    /// The store stopped answering, for this reason.
    StoreDown(Error),
    /// The store answers.
    StoreUp,
    /// The store answers, but not to announcements or levels, for this reason: how many instances there are is not known any better, or
    /// where they stand.
    FleetUnknown(Error),
    /// The store answers, and may throw keys away by this policy.
    StoreEvicts(String),
    /// What the store says of the policies that a fleet shares, as `lua/policies.lua` does; also to whoever has stored some.
    Policies(Option<Ticket>, Result<Vec<String>, Error>),
}

/// A driver's end: takes the news to where the callers are.
pub trait Settle: Send + 'static {
    /// Takes everything out of `news` with one wake-up.
    fn settle(&mut self, news: &mut Vec<News>);
}
