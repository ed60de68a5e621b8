//! The stores under test, on time that stands still until a test moves it.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use once_cell::sync::Lazy;
use redis::aio::MultiplexedConnection;
use redis::{FromRedisValue, Value};
use smallvec::smallvec;
use tokio::runtime::{Builder, Runtime};

use crate::algorithm::{Ask, Outcome, Policy};
use crate::clock::{Clock, ManualClock, Micros};
use crate::error::Error;
use crate::input::Given;
use crate::key::{self, Key};
use crate::limits::{Limit, Limits};
use crate::store::client::{Client, Cluster, Job, Performing, Reply, Work};
use crate::store::redis::script::Script;
use crate::store::redis::{Address, Connection, Dialer, Remote, Servers, Sockets, Topology};
use crate::store::{Answers, Link as _, Memory, Reach as _, Request, Shared, Store, Verb, When};
use crate::tests::schedule::START;
use crate::tests::server::Server;
use crate::tests::shared::Ground;

/// What every key of these tests begins with in Redis.
pub(super) const NAMESPACE: &str = "rl:default:test:";

/// The engine on the time that stands in the key `now`. States outlive any test: what must be forgotten must be by that time.
static ON_MANUAL_TIME: Lazy<Script> = Lazy::new(|| Script::new(MANUAL_TIME).on(&OwnTime));

/// The same where functions are not to be had.
static WITHOUT_FUNCTIONS: Lazy<Script> = Lazy::new(|| Script::new(MANUAL_TIME).on(&OwnTime).without_library());

const MANUAL_TIME: &str = "local function present() return tonumber(redis.call('GET', 'now')) end\n\
                           local function lifetime() return '3600000' end";

thread_local! {
    /// What the process that asks takes for the present. Each test has a thread.
    static OWN_TIME: Cell<Micros> = const { Cell::new(START) };
}

struct OwnTime;

impl Clock for OwnTime {
    fn now(&self) -> Micros {
        OWN_TIME.get()
    }
}

/// A store with its time.
pub(super) trait Subject {
    /// Shows `now` from here on.
    fn set_clock(&self, now: Micros);

    fn requests(&self, batch: &[Request]) -> Answers;

    /// Decides one call.
    fn decide(&self, policy: &Policy, key: &str, ask: Ask) -> Outcome {
        self.outcome(policy, request(key, Verb::Decide(ask))).unwrap()
    }

    /// Takes `cost` units, or nothing.
    fn take(&self, policy: &Policy, key: &str, cost: u64) -> Outcome {
        self.decide(policy, key, Ask::all(cost))
    }

    /// Does one thing with one key, now.
    fn act(&self, policy: &Policy, key: &str, verb: Verb) -> Outcome {
        self.dated(policy, key, verb, When::Now)
    }

    /// The same at another moment.
    fn dated(&self, policy: &Policy, key: &str, verb: Verb, when: When) -> Outcome {
        let request =
            Request { limits: limits(&[*policy]), keys: smallvec![Key::from_normal(key.as_bytes())], verb, when };
        self.requests(&[request]).unwrap().remove(0).unwrap()
    }

    /// Decides under several limits, each with its key.
    fn together(&self, policies: &[Policy], keys: &[&str], ask: Ask) -> Vec<Outcome> {
        self.try_together(policies, keys, ask).unwrap().into_iter().map(Result::unwrap).collect()
    }

    fn try_together(&self, policies: &[Policy], keys: &[&str], ask: Ask) -> Answers {
        let keys = keys.iter().map(|key| Key::from_normal(key.as_bytes())).collect();
        self.requests(&[Request { limits: limits(policies), keys, verb: Verb::Decide(ask), when: When::Now }])
    }

    /// Answers requests of one key each, under one policy.
    fn answers(&self, policy: &Policy, batch: &[Deed]) -> Answers {
        self.requests(&requests(policy, batch))
    }

    fn reset(&self, policy: &Policy, key: &str) {
        self.outcome(policy, request(key, Verb::Reset)).unwrap();
    }

    fn outcome(&self, policy: &Policy, request: Deed) -> Result<Outcome, Error> {
        let mut answers = self.answers(policy, &[request]).unwrap();
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }
}

/// Something to do with one key, under a policy that the store is told with it.
pub(super) type Deed = (Key, Verb);

pub(super) fn request(key: &str, verb: Verb) -> Deed {
    (Key::from_normal(&key::normalize(key.as_bytes()).unwrap()), verb)
}

/// Limits whose keys stand beside each other.
pub(super) fn limits(policies: &[Policy]) -> Arc<Limits> {
    Arc::new(Limits::new(policies.iter().map(|policy| Limit::in_namespace(NAMESPACE, *policy))))
}

pub(super) fn requests(policy: &Policy, batch: &[Deed]) -> Vec<Request> {
    let limits = limits(&[*policy]);
    let request = |(key, verb): &Deed| Request {
        limits: limits.clone(),
        keys: smallvec![key.clone()],
        verb: *verb,
        when: When::Now,
    };
    batch.iter().map(request).collect()
}

pub(super) struct InMemory {
    store: Arc<Memory>,
    clock: Arc<ManualClock>,
}

impl InMemory {
    pub(super) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(START));
        Self { store: Arc::new(Memory::new(1 << 20, clock.clone())), clock }
    }

    /// Keys that it holds.
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }
}

impl Subject for InMemory {
    fn set_clock(&self, now: Micros) {
        self.clock.set(now);
    }

    fn requests(&self, batch: &[Request]) -> Answers {
        let answering = Store::decide(&self.store, &mut batch.iter());
        answering.now_or_never().expect("memory answers at once")
    }
}

/// Memory that processes share, in a file of its own.
pub(super) struct InShared {
    store: Shared,
    clock: Arc<ManualClock>,
    _ground: Ground,
}

impl InShared {
    pub(super) fn new() -> Self {
        let ground = Ground::new();
        let clock = Arc::new(ManualClock::at(START));
        Self { store: ground.store(1 << 20, &clock), clock, _ground: ground }
    }

    /// Keys that it holds.
    pub(super) fn len(&self) -> usize {
        self.store.len()
    }
}

impl Subject for InShared {
    fn set_clock(&self, now: Micros) {
        self.clock.set(now);
    }

    fn requests(&self, batch: &[Request]) -> Answers {
        let answers = batch.iter().flat_map(|request| match self.store.answer(request) {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error); request.keys.len()],
        });
        Ok(answers.collect())
    }
}

/// A Redis of its own.
pub(super) struct OnRedis {
    link: crate::store::redis::Link<Sockets>,
    runtime: Runtime,
    client: RefCell<redis::Connection>,
    server: Server,
}

impl OnRedis {
    pub(super) fn start(script: &'static Script) -> Self {
        Self::over(Server::start(), script)
    }

    /// A store on a server that is there.
    fn over(server: Server, script: &'static Script) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let address = Address::parse("redisUrl", &Given::Text(server.url())).unwrap();
        let servers = Servers { topology: Topology::One(address), tls: None, client_name: None };
        let remote = Remote::new(Sockets, servers, script);
        let opening = remote.open(Duration::from_secs(5));
        // The probe reads the clock, too.
        let client = RefCell::new(server.client());
        redis::cmd("SET").arg("now").arg(START.0).exec(&mut client.borrow_mut()).unwrap();
        Self { link: runtime.block_on(opening).unwrap(), runtime, client, server }
    }

    pub(super) fn on_manual_time() -> Self {
        Self::start(&ON_MANUAL_TIME)
    }

    /// The same by scripts alone.
    pub(super) fn without_functions() -> Self {
        Self::start(&WITHOUT_FUNCTIONS)
    }

    /// The same on a server to which this has been said before anybody came.
    pub(super) fn after(words: &[&str]) -> Self {
        let server = Server::start();
        server.say(words);
        Self::over(server, &ON_MANUAL_TIME)
    }

    /// Another connection to the same server, of an application that has `script`.
    pub(super) fn beside(&self, script: &'static Script) -> Connection {
        let address = Address::parse("redisUrl", &Given::Text(self.server.url())).unwrap();
        let dialer = Dialer { connect: Sockets, tls: None, client_name: None, script, merged: Arc::default() };
        self.runtime.block_on(dialer.open(&address, Duration::from_secs(5))).unwrap()
    }

    /// Has that decide a batch.
    pub(super) fn requests_by(&self, other: &Connection, script: &'static Script, batch: &[Request]) -> Answers {
        self.runtime.block_on(other.store(script).decide(&mut batch.iter()))
    }

    /// Decides batches that are all under way at the same time, while `meanwhile` is done.
    pub(super) fn at_once(&self, batches: &[Vec<Request>], mut meanwhile: impl FnMut()) -> Vec<Answers> {
        self.runtime.block_on(async {
            let answering = batches.iter().map(|batch| self.link.store().decide(&mut batch.iter()));
            let mut answering: FuturesUnordered<_> = answering.collect();
            let mut answers = Vec::new();
            while let Some(answered) = answering.next().await {
                answers.push(answered);
                meanwhile();
            }
            answers
        })
    }

    /// How often this command was run since the server started, and how often it was refused.
    pub(super) fn count_of(&self, command: &str) -> (u64, u64) {
        let stats: String = self.say(&[b"INFO", b"commandstats"]);
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:")));
        let field = |name: &str| {
            let value = line?.split(',').find_map(|field| field.strip_prefix(name))?;
            value.parse::<u64>().ok()
        };
        (field("calls=").unwrap_or(0), field("rejected_calls=").unwrap_or(0))
    }

    /// Says one command, as somebody else would.
    pub(super) fn say<T: FromRedisValue>(&self, words: &[&[u8]]) -> T {
        redis::Cmd::new().arg(words).query(&mut self.client.borrow_mut()).unwrap()
    }

    /// Has the process believe so, whatever time it is for Redis.
    pub(super) fn set_own_clock(&self, now: Micros) {
        OWN_TIME.set(now);
    }

    /// Forgets all keys.
    pub(super) fn flush(&self) {
        self.say::<()>(&[b"FLUSHALL"]);
        self.set_clock(START);
    }
}

impl Subject for OnRedis {
    fn set_clock(&self, now: Micros) {
        self.set_own_clock(now);
        self.say::<()>(&[b"SET", b"now", now.0.to_string().as_bytes()]);
    }

    fn requests(&self, batch: &[Request]) -> Answers {
        self.runtime.block_on(self.link.store().decide(&mut batch.iter()))
    }
}

/// The same Redis through a client of somebody's, which believes that it is spread over a cluster.
pub(super) struct ThroughClient {
    pub(super) redis: OnRedis,
    client: Client<Theirs>,
}

/// Their client: it knows how to run a script.
struct Theirs {
    connection: MultiplexedConnection,
    /// Is told of each job before it is done.
    before: Box<dyn Fn() + Send + Sync>,
}

impl Work for Theirs {
    fn perform(&self, job: Job) -> Performing {
        (self.before)();
        let mut connection = self.connection.clone();
        Box::pin(async move {
            let command = match &job {
                Job::EvalSha(digest, call) => call.command("EVALSHA", digest),
                Job::Eval(text, call) => call.command("EVAL", text),
                Job::Get(_) | Job::Increment(..) | Job::Decrement(_) => panic!("it is no cache"),
            };
            match connection.send_packed_command(&command).await {
                Ok(Value::ServerError(error)) => Err(redis::RedisError::from(error).to_string()),
                Ok(value) => Ok(reply_of(value)),
                Err(error) => Err(error.to_string()),
            }
            .map_err(|reason| if reason.contains("NoScript") { format!("NOSCRIPT {reason}") } else { reason })
        })
    }
}

fn reply_of(value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Nothing,
        Value::Int(number) => Reply::Number(f64::from(i32::try_from(number).unwrap())),
        Value::BulkString(bytes) => Reply::Bytes(bytes),
        Value::Array(parts) => Reply::List(parts.into_iter().map(reply_of).collect()),
        other => panic!("the script says no {other:?}"),
    }
}

impl ThroughClient {
    pub(super) fn on_manual_time() -> Self {
        Self::interrupted(|_| ())
    }

    /// Before each script call that it makes `before` is told of it, from the URL of the Redis.
    pub(super) fn interrupted(before: impl Fn(&str) + Send + Sync + 'static) -> Self {
        // So that the script is known after the first call by either way.
        let redis = OnRedis::without_functions();
        let url = redis.server.url();
        let before = Box::new(move || before(&url));
        let theirs = redis::Client::open(redis.server.url()).unwrap();
        let connection = redis.runtime.block_on(theirs.get_multiplexed_async_connection()).unwrap();
        let client = Client::new(Theirs { connection, before }, &ON_MANUAL_TIME, Some(Cluster { prefix: Vec::new() }));
        Self { redis, client }
    }
}

impl Subject for ThroughClient {
    fn set_clock(&self, now: Micros) {
        self.redis.set_clock(now);
    }

    fn requests(&self, batch: &[Request]) -> Answers {
        self.redis.runtime.block_on(self.client.decide(&mut batch.iter()))
    }
}
