//! A link to a store that a test plays: it remembers what it was asked, and answers when the test says what.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot;

use crate::adaptive::{Share, Sum};
use crate::clock::{ManualClock, Micros};
use crate::error::Error;
use crate::fleet::Announcement;
use crate::store::{Exchanging, Levelling, Link, Memory};

/// What was asked, and where its answer goes.
type Question<Q, A> = (Q, oneshot::Sender<Result<A, Error>>);

/// All that was asked and nobody has looked at.
type Asked<Q, A> = Mutex<Vec<Question<Q, A>>>;

/// See the module.
pub(super) struct Scripted {
    store: Arc<Memory>,
    exchanges: Asked<(String, String), Vec<String>>,
    levels: Asked<(Announcement, Share), Sum>,
}

impl Scripted {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Micros::ZERO));
        Self { store: Arc::new(Memory::new(1_000, clock)), exchanges: Mutex::default(), levels: Mutex::default() }
    }

    /// The policies' key and what was asked of it, and how to answer, of each question that was not taken yet.
    pub(super) fn exchanges(&self) -> Vec<Question<(String, String), Vec<String>>> {
        std::mem::take(&mut self.exchanges.lock().expect("a test has failed"))
    }

    /// The same of what was told of levels.
    pub(super) fn levels(&self) -> Vec<Question<(Announcement, Share), Sum>> {
        std::mem::take(&mut self.levels.lock().expect("a test has failed"))
    }
}

impl Link for Scripted {
    type Store = Arc<Memory>;

    fn store(&self) -> &Self::Store {
        &self.store
    }

    async fn closed(&mut self) {
        pending::<()>().await;
    }

    fn level(&self, announcement: &Announcement, level: Share) -> Levelling {
        ask(&self.levels, (announcement.clone(), level))
    }

    fn exchange(&self, key: &str, asked: &str) -> Exchanging {
        ask(&self.exchanges, (key.to_owned(), asked.to_owned()))
    }
}

/// What is never answered stays under way.
fn ask<Q, A: Send + 'static>(
    asked: &Asked<Q, A>,
    question: Q,
) -> Pin<Box<dyn Future<Output = Result<A, Error>> + Send>> {
    let (answer, awaited) = oneshot::channel();
    asked.lock().expect("a test has failed").push((question, answer));
    Box::pin(async { if let Ok(answer) = awaited.await { answer } else { pending().await } })
}
