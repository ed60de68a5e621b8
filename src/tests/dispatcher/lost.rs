//! The dispatcher on a store that takes some batches and never says a word of them, as a client of somebody's may.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use super::text;
use crate::clock::SystemClock;
use crate::decision::Source;
use crate::error::Error;
use crate::input::Given;
use crate::settings::Settings;
use crate::store::{Answering, Link, Memory, Reach, Request, Store};

/// Loses each batch that asks about the key `lost`, and decides the others.
#[derive(Clone)]
struct Lossy(Arc<Memory>);

impl Reach for Lossy {
    type Link = Self;

    const SOURCE: Source = Source::Client;

    async fn open(&self, _: Duration) -> Result<Self, Error> {
        Ok(self.clone())
    }
}

impl Link for Lossy {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn closed(&mut self) {
        pending::<()>().await;
    }
}

impl Store for Lossy {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let batch: Vec<&Request> = batch.collect();
        let is_lost = batch.iter().flat_map(|request| &request.keys).any(|key| key.as_bytes() == b"lost");
        if is_lost { Box::pin(pending()) } else { Store::decide(&self.0, &mut batch.into_iter()) }
    }
}

/// One lost batch is no outage, and what comes between two of them says so; but each must give its place back, or the second
/// would leave none, and nothing could ever be sent again.
#[test]
fn batches_that_are_lost_one_by_one_keep_no_place() {
    let options = [("limit", Given::Number(1e6)), ("window", text("1d")), ("timeout", text("50ms"))];
    let options = options.map(|(name, given)| (name.to_owned(), given));
    let settings = Settings::read(&Given::Record(options.into())).unwrap();
    let memory = Arc::new(Memory::new(1_000, Arc::new(SystemClock::new())));
    let mut caller = Caller::reaching(Lossy(memory), &settings);
    caller.run();
    for _ in 0..5 {
        let lost = caller.take("lost");
        assert_eq!(caller.decision(lost).source, Source::Fallback);
        let good = caller.take("key");
        assert_eq!(caller.decision(good).source, Source::Client);
    }
    let stats = caller.limiter().stats();
    assert_eq!((stats.circuit_opened, stats.pending), (0, 0));
}
