//! Every behaviour on every store; then what is said of Redis alone.
//!
//! Time stands still until a test moves it, also in Redis: the engine is given a clock that reads a key.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use once_cell::sync::Lazy;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis::FromRedisValue;
use tokio::runtime::{Builder, Runtime};

use super::schedule::{self, Call, START, after};
use super::server::Server;
use crate::algorithm::{Ask, Outcome, Policy, SlidingWindow, TokenBucket};
use crate::clock::{ManualClock, Micros};
use crate::error::Error;
use crate::input::Given;
use crate::key::{self, Key};
use crate::store::redis::script::{ENGINE, Script};
use crate::store::redis::{Address, Link, Tcp};
use crate::store::{Answers, Memory, Request, Store, Verb};

/// The engine on time that stands in the key `now`. States live long: they must be forgotten by that time, not by Redis's.
static ON_MANUAL_TIME: Lazy<Script> = Lazy::new(|| {
    Script::new(
        "local function present() return tonumber(redis.call('GET', 'now')) end\n\
         local function lifetime() return '3600000' end",
    )
});

const NAMESPACE: &str = "rl:default:test:";

/// A store that is tested, with its time.
trait Subject {
    /// Shows `now` from here on.
    fn set_clock(&self, now: Micros);

    /// Decides a batch.
    fn answers(&self, policy: &Policy, batch: &[Request]) -> Answers;
}

struct InMemory {
    store: Arc<Memory>,
    clock: Arc<ManualClock>,
}

impl InMemory {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self { store: Arc::new(Memory::new(1_000, clock.clone())), clock }
    }
}

impl Subject for InMemory {
    fn set_clock(&self, now: Micros) {
        self.clock.set(now);
    }

    fn answers(&self, policy: &Policy, batch: &[Request]) -> Answers {
        let answering = Store::decide(&self.store, policy, &mut batch.iter());
        answering.now_or_never().expect("memory answers at once")
    }
}

/// The store in a Redis of its own.
struct OnRedis {
    link: Link,
    runtime: Runtime,
    client: RefCell<redis::Connection>,
    _server: Server,
}

impl OnRedis {
    fn start(script: &'static Script) -> Self {
        let server = Server::start();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let address = Address::parse(&Given::Text(server.url())).unwrap();
        let opening = Link::open(&Tcp, &address, script, NAMESPACE, Duration::from_secs(5));
        let link = runtime.block_on(opening).unwrap();
        let this = Self { link, runtime, client: RefCell::new(server.client()), _server: server };
        this.set_clock(START);
        this
    }

    fn on_manual_time() -> Self {
        Self::start(&ON_MANUAL_TIME)
    }

    /// Says one command, as somebody else would.
    fn say<T: FromRedisValue>(&self, words: &[&[u8]]) -> T {
        redis::cmd("").take_words(words).query(&mut *self.client.borrow_mut()).unwrap()
    }

    /// Forgets all keys.
    fn flush(&self) {
        self.say::<()>(&[b"FLUSHALL"]);
        self.set_clock(START);
    }
}

/// A command of these words.
trait Words {
    fn take_words(self, words: &[&[u8]]) -> Self;
}

impl Words for redis::Cmd {
    fn take_words(self, words: &[&[u8]]) -> Self {
        words.iter().fold(Self::new(), |mut command, word| {
            command.arg(word);
            command
        })
    }
}

impl Subject for OnRedis {
    fn set_clock(&self, now: Micros) {
        self.say::<()>(&[b"SET", b"now", now.0.to_string().as_bytes()]);
    }

    fn answers(&self, policy: &Policy, batch: &[Request]) -> Answers {
        let answering = self.link.store().decide(policy, &mut batch.iter());
        self.runtime.block_on(answering)
    }
}
