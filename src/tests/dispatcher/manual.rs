//! A store that does what a test says.

use std::future::{pending, ready};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use super::caller::{Called, Caller, Change};
use super::text;
use crate::clock::ManualClock;
use crate::decision::Source;
use crate::error::Error;
use crate::input::Given;
use crate::settings::Settings;
use crate::store::{Answering, DEFAULT_BYTES, Link, Memory, Reach, Request, Store, Verb};
use crate::tests::schedule::START;

/// A store that is there when a test says so, answers when it says so, and remembers what it was sent.
#[derive(Clone)]
pub(super) struct Manual(pub(super) Arc<Switches>);

pub(super) struct Switches {
    memory: Arc<Memory>,
    pub(super) clock: Arc<ManualClock>,
    is_there: watch::Sender<bool>,
    /// Answers nothing for as long.
    pub(super) hangs: watch::Sender<bool>,
    /// Fails at all work.
    pub(super) fails: AtomicBool,
    /// A part of it is away, which has the keys that begin with `away`.
    pub(super) is_part_away: AtomicBool,
    /// Answers nothing that it is told of another's admissions.
    pub(super) hangs_when_told: AtomicBool,
    /// Fails when it is told so.
    pub(super) fails_when_told: AtomicBool,
    sent: Mutex<Vec<Vec<(String, Verb)>>>,
}

impl Manual {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self(Arc::new(Switches {
            memory: Arc::new(Memory::new(DEFAULT_BYTES, clock.clone())),
            clock,
            is_there: watch::Sender::new(true),
            hangs: watch::Sender::new(false),
            fails: AtomicBool::new(false),
            is_part_away: AtomicBool::new(false),
            hangs_when_told: AtomicBool::new(false),
            fails_when_told: AtomicBool::new(false),
            sent: Mutex::default(),
        }))
    }

    pub(super) fn is_there(&self, is_there: bool) {
        self.0.is_there.send_replace(is_there);
    }

    pub(super) fn sent(&self) -> MutexGuard<'_, Vec<Vec<(String, Verb)>>> {
        self.0.sent.lock().unwrap()
    }

    /// The batches of which it was told.
    pub(super) fn tellings(&self) -> Vec<Vec<(String, u64)>> {
        let told = |batch: &Vec<(String, Verb)>| {
            let told = batch.iter().filter_map(|(key, verb)| match verb {
                Verb::Penalize(units) => Some((key.clone(), *units)),
                _ => None,
            });
            told.collect::<Vec<_>>()
        };
        self.sent().iter().map(told).filter(|batch| !batch.is_empty()).collect()
    }

    /// All of it, in the order of the keys.
    pub(super) fn told(&self) -> Vec<(String, u64)> {
        let mut told = self.tellings().concat();
        told.sort();
        told
    }

    /// Of a limiter of 10 a minute, with these options besides.
    pub(super) fn settings(more: &[(&str, Given)]) -> Settings {
        let mut options = vec![
            ("limit", Given::Number(10.0)),
            ("window", text("1m")),
            ("timeout", text("100ms")),
            ("fallback", Given::Record(vec![("limit".into(), Given::Number(50.0))])),
        ];
        options.extend_from_slice(more);
        let options = options.into_iter().map(|(name, given)| (name.to_owned(), given));
        Settings::read(&Given::Record(options.collect())).unwrap()
    }

    pub(super) fn caller(&self, more: &[(&str, Given)]) -> Caller {
        let settings = Self::settings(more);
        let mut caller = Caller::at(self.clone(), &settings, self.0.clock.clone());
        caller.run();
        caller.wait_for(Change::Up);
        caller
    }

    /// Has it away while calls are made on these keys, none of which it is sent.
    pub(super) fn outage(&self, caller: &mut Caller, keys: &[&str]) {
        self.is_there(false);
        caller.wait_for(Change::Down);
        for key in keys {
            assert!(matches!(caller.call(key), Called::Here(decision) if decision.source == Source::Fallback));
        }
    }

    /// The same with one call on each of so many keys.
    pub(super) fn outage_of(&self, caller: &mut Caller, name: &str, keys: usize) {
        let keys: Vec<String> = (0..keys).map(|i| format!("{name} {i}")).collect();
        self.outage(caller, &keys.iter().map(String::as_str).collect::<Vec<_>>());
    }

    pub(super) fn return_to(&self, caller: &mut Caller) {
        self.is_there(true);
        caller.wait_for(Change::Up);
    }
}

impl Reach for Manual {
    type Link = Self;

    const SOURCE: Source = Source::Redis;

    async fn open(&self, _: Duration) -> Result<Self, Error> {
        let away = || Error::StoreUnavailable("a test has said so".into());
        self.0.is_there.borrow().then(|| self.clone()).ok_or_else(away)
    }
}

impl Link for Manual {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn closed(&mut self) {
        let _ = self.0.is_there.subscribe().wait_for(|is_there| !is_there).await;
    }
}

impl Store for Manual {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let batch: Vec<Request> = batch.cloned().collect();
        let is_part_away = self.0.is_part_away.load(Ordering::Relaxed);
        let is_away = |request: &Request| is_part_away && name(request).starts_with("away");
        let sent: Vec<_> =
            batch.iter().filter(|request| !is_away(request)).map(|request| (name(request), request.verb)).collect();
        let is_telling = batch.iter().any(|request| matches!(request.verb, Verb::Penalize(_)));
        if !sent.is_empty() {
            self.sent().push(sent);
        }
        if is_telling && self.0.hangs_when_told.load(Ordering::Relaxed) {
            return Box::pin(pending());
        }
        if self.0.fails.load(Ordering::Relaxed) || (is_telling && self.0.fails_when_told.load(Ordering::Relaxed)) {
            return Box::pin(ready(Err(Error::StoreUnavailable("a test has said so".into()))));
        }
        let away = || Err(Error::PartAway("a test has said so".into()));
        let answers = batch.iter().map(|request| {
            let decided = || Store::decide(&self.0.memory, &mut std::iter::once(request)).now_or_never();
            if is_away(request) {
                vec![away()]
            } else {
                decided().expect("memory answers at once").expect("it does not fail")
            }
        });
        let answers = answers.collect::<Vec<_>>().concat();
        let mut hangs = self.0.hangs.subscribe();
        Box::pin(async move {
            let _ = hangs.wait_for(|hangs| !hangs).await;
            Ok(answers)
        })
    }
}

fn name(request: &Request) -> String {
    String::from_utf8(request.keys[0].as_bytes().to_vec()).expect("tests name keys in words")
}
