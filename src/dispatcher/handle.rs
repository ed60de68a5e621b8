//! The callers' end of a dispatcher.

use std::sync::Arc;
use std::time::Instant;

use super::message::{Call, Message, Ticket};
use super::shared::Shared;
use crate::error::Error;

/// Sends calls to a worker. Dropping it lets the worker settle what it has, and end.
pub struct Handle(Arc<Seen>);

/// What both ends see.
pub(super) type Seen = Shared<Message, Error>;

impl Handle {
    /// A handle whose worker lets at most `max_pending` calls wait.
    pub(super) fn new(max_pending: usize) -> (Self, Arc<Seen>) {
        let shared = Arc::new(Shared::new(max_pending));
        (Self(shared.clone()), shared)
    }

    /// Whether the store is known not to answer.
    pub fn is_down(&self) -> bool {
        self.0.is_down()
    }

    /// Why it does not.
    pub fn cause(&self) -> Option<Error> {
        self.0.cause()
    }

    /// Whether one more call may wait: none while the store is down, but for one that tries it.
    pub fn has_room(&self) -> bool {
        self.0.has_room()
    }

    /// Sends a call; its ticket is settled whatever happens.
    pub fn send(&self, call: Call) {
        self.0.call(Message::Call(call));
    }

    /// Settles `ticket` when the store answers, with an error at the deadline.
    pub fn ready(&self, ticket: Ticket, deadline: Instant) {
        self.0.urge(Message::Ready { ticket, deadline });
    }

    /// Stores the policies that a fleet shares, as `lua/policies.lua` is `asked`; `ticket` is settled by the news of it.
    pub fn publish(&self, ticket: Ticket, asked: String) {
        self.0.urge(Message::Publish { ticket, asked });
    }

    /// Settles what waits, then `ticket`.
    pub fn close(&self, ticket: Ticket) {
        self.0.urge(Message::Close { ticket: Some(ticket) });
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.urge(Message::Close { ticket: None });
    }
}
