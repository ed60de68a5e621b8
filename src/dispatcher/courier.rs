//! Carries the policies that a fleet shares between the store and this process: asks whether there are others, and stores new ones.
//!
//! What they say is nobody's affair here. A question is under way beside the calls, is no call, and its failure is no failure of the
//! store: what was heard last stays. There is one exchange at a time, so that no answer overtakes another.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::ledger::Known;
use super::message::{News, Ticket};
use crate::error::Error;
use crate::runtime::timeout;
use crate::store::{Exchanging, Link};

/// How often the store is asked: what no message has told is in force after this time, and the time of an answer.
const PERIOD: Duration = Duration::from_millis(500);

/// How long an answer may take. Longer than a call's: a document may be long, and nobody decides in its place.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Default)]
pub(super) struct Courier {
    /// What the policies are called in the store. None where nothing is shared.
    key: Option<Arc<str>>,
    /// The tag of what was heard last.
    tag: String,
    under_way: Option<(Exchanging, Option<Ticket>)>,
    /// What is to be stored, and who waits for it.
    waiting: VecDeque<(Ticket, String)>,
    /// When the store is asked again; none while there is nobody to ask.
    due: Option<Instant>,
}

/// What has come of an exchange, and who waits for it.
pub(super) type Exchanged = (Option<Ticket>, Result<Vec<String>, Error>);

impl Courier {
    pub(super) fn new(known: &Known) -> Self {
        Self { key: known.policies.clone(), ..Self::default() }
    }

    /// The store answers.
    pub(super) fn came_up(&mut self) {
        self.hurry();
    }

    /// There may be something new.
    pub(super) fn hurry(&mut self) {
        self.due = self.key.as_ref().map(|_| Instant::now());
    }

    /// Takes what is to be stored.
    pub(super) fn publish(&mut self, ticket: Ticket, asked: String) {
        self.waiting.push_back((ticket, asked));
    }

    /// Whether somebody waits.
    pub(super) fn is_owed(&self) -> bool {
        !self.waiting.is_empty() || matches!(self.under_way, Some((_, Some(_))))
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due.filter(|_| self.under_way.is_none())
    }

    /// Begins what is due. What is to be stored need not wait for a question, whose answer is then left unread.
    pub(super) fn begin(&mut self, link: &impl Link) {
        let Some(key) = &self.key else { return };
        if self.waiting.is_empty() || matches!(self.under_way, Some((_, Some(_)))) {
            let now = Instant::now();
            if self.due().is_some_and(|due| due <= now) {
                self.due = Some(now + PERIOD);
                self.under_way = Some((patiently(link.exchange(key, &format!("={}", self.tag))), None));
            }
        } else if let Some((ticket, asked)) = self.waiting.pop_front() {
            self.under_way = Some((patiently(link.exchange(key, &asked)), Some(ticket)));
        }
    }

    /// Resolves with what has come of an exchange.
    pub(super) async fn answered(&mut self) -> Exchanged {
        let Some((exchanging, ticket)) = &mut self.under_way else { return pending().await };
        let said = exchanging.await;
        let ticket = *ticket;
        self.under_way = None;
        (ticket, said)
    }

    /// Takes in what has come of an exchange. Answers what is to be told of it: a failure only to who waits for it.
    pub(super) fn heard(&mut self, (ticket, said): Exchanged) -> Option<News> {
        if let Some(tag) = said.as_ref().ok().and_then(|said| said.first()) {
            let is_known = self.tag == *tag;
            self.tag.clone_from(tag);
            if is_known && ticket.is_none() {
                return None;
            }
        } else if ticket.is_none() {
            return None;
        }
        Some(News::Policies(ticket, said))
    }

    /// The store is away, for this reason. Answers what is to be told of it.
    pub(super) fn fail(&mut self, cause: &Error) -> impl Iterator<Item = News> {
        self.due = None;
        let under_way = self.under_way.take().and_then(|(_, ticket)| ticket);
        let waiting = self.waiting.drain(..).map(|(ticket, _)| ticket);
        under_way.into_iter().chain(waiting).map(|ticket| News::Policies(Some(ticket), Err(cause.clone())))
    }
}

fn patiently(exchanging: Exchanging) -> Exchanging {
    Box::pin(async {
        let late = |_| Err(Error::StoreUnavailable(format!("no answer within {} s", PATIENCE.as_secs())));
        timeout(PATIENCE, exchanging).await.unwrap_or_else(late)
    })
}
