//! A Redis Cluster: one connection a server, and a map of who has which slot.
//!
//! A server that fails is its own keys' failure and nobody else's. It has two thirds of a call's time to answer, so that the
//! others' answers, which travel with it, are still in time.
//!
//! Where a slot is being moved, Redis says so and does nothing; then the call is sent once more, to where it was said. No other
//! call is ever sent twice.

mod map;
mod node;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{join_all, select_ok};
use futures_util::stream::{self, StreamExt};
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::sync::Notify;

use super::address::Address;
use super::connection::{Connect, Dialer};
use super::hand::Hand;
use super::script::{Packed, Script};
use super::{eviction, levels, policies, roll, script, subscription, unavailable};
use crate::adaptive::Share;
use crate::algorithm::Outcome;
use crate::clock::Clock;
use crate::error::Error;
use crate::fleet::Announcement;
use crate::metrics::Counter;
use crate::runtime::{Task, sleep, timeout, timeout_at};
use crate::store::slot;
use crate::store::spread::{self, Ran, Run, Runner, Running};
use crate::store::{Announcing, Answering, Answers, Exchanging, Levelling, Listening, Request, Surveying};
use map::{Map, Place, read_place};
use node::Node;

/// How soon the map is read again: while all is well, while a server is away, and after a slot was found elsewhere.
const WHILE_WELL: Duration = Duration::from_secs(10);
const WHILE_AWAY: Duration = Duration::from_millis(250);
const SOON: Duration = Duration::from_millis(20);

/// States in the servers of a cluster.
pub struct Cluster<C> {
    shared: Arc<Shared<C>>,
    /// Reads the map again when that is due.
    _reader: Task,
}

struct Shared<C> {
    dialer: Arc<Dialer<C>>,
    seeds: Arc<Seeds>,
    patience: Duration,
    known: Mutex<Known>,
    /// Told when a slot was found elsewhere than the map says.
    moved: Notify,
    /// Told when a server is lost, or back.
    changed: Arc<Notify>,
    /// Told when there is no server left.
    lost: Notify,
}

/// Servers that can be asked who has which slot. What is met outlives a connection: those that were given may be gone.
pub struct Seeds {
    given: Vec<Address>,
    met: Mutex<Vec<Place>>,
}

impl Seeds {
    /// Those that were given, of which there is at least one.
    pub fn new(given: Vec<Address>) -> Self {
        Self { given, met: Mutex::default() }
    }

    fn all(&self) -> Vec<Address> {
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let met = met.into_iter().map(|(host, port)| self.given[0].elsewhere(&host, port));
        self.given.iter().cloned().chain(met).collect()
    }
}

/// What is known of the cluster.
#[derive(Default)]
struct Known {
    map: Map,
    nodes: HashMap<Place, Arc<Node>>,
}

impl<C: Connect> Cluster<C> {
    /// Asks the seeds who has which slot, and connects to all of them. One server that answers is enough.
    pub async fn open(dialer: &Arc<Dialer<C>>, seeds: &Arc<Seeds>, patience: Duration) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            dialer: dialer.clone(),
            seeds: seeds.clone(),
            patience,
            known: Mutex::default(),
            moved: Notify::new(),
            changed: Arc::default(),
            lost: Notify::new(),
        });
        let map = shared.ask_seeds().await?;
        shared.learn(map);
        let nodes = shared.nodes();
        join_all(nodes.iter().map(|node| node.tried())).await;
        if !nodes.iter().any(|node| node.is_up()) {
            let nobody = Error::StoreUnavailable("no server of the cluster has a slot".into());
            return Err(nodes.iter().find_map(|node| node.cause()).unwrap_or(nobody));
        }
        let reader = Task::begin(keep_map(shared.clone()));
        Ok(Self { shared, _reader: reader })
    }

    /// Decides a batch, each slot's part on the server that has it.
    pub fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let runner: Runner = Arc::new(self.shared.clone());
        spread::decide(&runner, &[], batch)
    }

    /// Says to the server that has the list's slot that an instance is there, or goes.
    pub fn announce(&self, announcement: &Announcement) -> Announcing {
        let running = self.run(&announcement.name, &roll::ROLL, roll::pack(announcement));
        Box::pin(async move { roll::read(&running.await?) })
    }

    /// Says to the server that has their slot at what level an instance is, or takes that away.
    pub fn level(&self, announcement: &Announcement, level: Share) -> Levelling {
        let running = self.run(&announcement.name, &levels::LEVELS, levels::pack(announcement, level));
        Box::pin(async move { levels::read(&running.await?) })
    }

    /// Asks the server that has their slot what policies are shared, or stores some there.
    pub fn exchange(&self, key: &str, asked: &str) -> Exchanging {
        let running = self.run(key, &policies::POLICIES, policies::pack(key, asked));
        Box::pin(async move { policies::read(running.await?) })
    }

    /// Runs another script on the server that has the slot of its one key.
    fn run(
        &self,
        key: &str,
        script: &'static Script,
        call: Packed,
    ) -> impl Future<Output = Result<Value, Error>> + Send + use<C> {
        let (shared, slot) = (self.shared.clone(), slot::of(key.as_bytes()));
        async move {
            let owner = shared.owner(slot).ok_or_else(|| nobody_has(slot))?;
            let mut connection = owner.connection().await?;
            match shared.send(&owner, &mut connection, script, &call).await {
                Ok(reply) => Ok(reply),
                Err(Failure::Error(error)) => Err(error),
                Err(Failure::Divided) => Err(nobody_has(slot)),
            }
        }
    }

    /// Asks each server that is there whether it may evict keys. One that does is enough.
    pub fn survey(&self) -> Surveying {
        let nodes = self.shared.nodes();
        Box::pin(async move {
            let asked = nodes.iter().filter(|node| node.is_up()).map(|node| async {
                let mut connection = node.connection().await.ok()?;
                let reply = connection.evaluate(&eviction::EVICTION, &eviction::pack()).await.ok()?;
                eviction::read(&reply)
            });
            join_all(asked).await.into_iter().flatten().next()
        })
    }

    /// Hears of the keys that are freed, through a server that is there for as long as it is.
    pub fn listen(&self, prefix: &str) -> Listening {
        let Some(node) = self.shared.nodes().into_iter().find(|node| node.is_up()) else {
            return Box::pin(stream::empty());
        };
        let heard = subscription::listen(self.shared.dialer.clone(), node.address.clone(), prefix);
        Box::pin(heard.take_until(node.lost()))
    }

    /// Resolves when no server can be reached.
    pub async fn lost(&self) {
        self.shared.lost.notified().await;
    }
}

impl<C: Connect> Run for Arc<Shared<C>> {
    fn merged(&self) -> &Counter {
        &self.dialer.merged
    }

    fn clock(&self) -> &'static dyn Clock {
        self.dialer.script.clock()
    }

    fn run(&self, slot: u16, call: Packed) -> Running {
        let shared = self.clone();
        Box::pin(async move {
            let Some(owner) = shared.owner(slot) else {
                return Ran::Answered(Err(nobody_has(slot)));
            };
            let answers = match shared.reply_of(&owner, &call).await {
                Ok(reply) => script::read_answers(reply, call.expected()),
                Err(Failure::Divided) => return Ran::Divided,
                Err(Failure::Error(error)) => Err(error),
            };
            Ran::Answered(shared.judge(&owner, answers))
        })
    }
}

fn nobody_has(slot: u16) -> Error {
    Error::PartAway(format!("no server of the cluster has the slot {slot}"))
}

/// Why a call has no reply.
enum Failure {
    /// Its slot is being moved, and its keys are on both sides.
    Divided,
    Error(Error),
}

impl<C: Connect> Shared<C> {
    /// What a server replies in time.
    async fn reply_of(&self, owner: &Arc<Node>, call: &Packed) -> Result<Value, Failure> {
        let end = Instant::now() + self.patience * 2 / 3;
        let late = || Error::StoreUnavailable(format!("{}: it answers too slowly", owner.address));
        let connection = timeout_at(end, owner.connection()).await.unwrap_or_else(|_| Err(late()));
        let mut connection = connection.map_err(|error| Failure::Error(error.unsent()))?;
        match timeout_at(end, self.send(owner, &mut connection, self.dialer.script, call)).await {
            // What broke on the way says less than what is known of the server.
            Ok(Err(Failure::Error(error))) if !error.is_unsent() => Err(Failure::Error(owner.cause().unwrap_or(error))),
            Ok(result) => result,
            Err(_) => {
                owner.is_late();
                Err(Failure::Error(late()))
            }
        }
    }

    /// What one server fails to do says nothing of the others, as long as there are others that do it.
    fn judge(&self, owner: &Node, answers: Answers) -> Answers {
        let is_failure = |error: &Error| error.is_transient();
        if answers.as_ref().map_or_else(is_failure, |all| all.iter().any(|one| one.as_ref().is_err_and(is_failure))) {
            owner.failed();
        } else {
            owner.succeeded();
            return answers;
        }
        if !self.nodes().iter().any(|node| node.is_well()) {
            return answers;
        }
        let of_a_part = |answer: Result<Outcome, Error>| answer.map_err(Error::of_a_part);
        answers.map(|all| all.into_iter().map(of_a_part).collect()).map_err(Error::of_a_part)
    }

    /// Sends a call to a server, and where that says that another has the slot, to that one.
    async fn send(
        &self,
        owner: &Arc<Node>,
        connection: &mut Hand,
        script: &Script,
        call: &Packed,
    ) -> Result<Value, Failure> {
        let error = match connection.evaluate(script, call).await {
            Ok(reply) => {
                owner.answered();
                return Ok(reply);
            }
            Err(error) => error,
        };
        let host = owner.address.endpoint().host().unwrap_or_default();
        // The server that has said so is well.
        let away = |error: Error| Failure::Error(error.unsent().of_a_part());
        let elsewhere = || error.redirect_node().and_then(|(place, _)| read_place(place, host));
        match (kind_of(&error), elsewhere()) {
            (Some(ServerErrorKind::Moved), Some(place)) => {
                self.moved.notify_one();
                let mut connection = self.node(&place).connection().await.map_err(away)?;
                connection.evaluate(script, call).await.map_err(|error| failed(&error))
            }
            (Some(ServerErrorKind::Ask), Some(place)) => {
                let mut connection = self.node(&place).connection().await.map_err(away)?;
                ask(&mut connection, script, call).await.map_err(|error| failed(&error))
            }
            _ => Err(failed(&error)),
        }
    }

    fn owner(&self, slot: u16) -> Option<Arc<Node>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.nodes.get(known.map.owner(slot)?).cloned()
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).nodes.values().cloned().collect()
    }

    /// The server at a place, which is new where the map does not have it yet.
    fn node(&self, place: &Place) -> Arc<Node> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.nodes.entry(place.clone()).or_insert_with(|| self.dial(place)).clone()
    }

    fn dial(&self, (host, port): &Place) -> Arc<Node> {
        let address = self.seeds.given[0].elsewhere(host, *port);
        Arc::new(Node::new(self.dialer.clone(), address, self.patience, self.changed.clone()))
    }

    /// Takes over a map: servers without a slot are left, new ones are reached for.
    fn learn(&self, map: Map) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { nodes, .. } = &mut *known;
        nodes.retain(|place, _| map.places().any(|other| other == place));
        for place in map.places() {
            nodes.entry(place.clone()).or_insert_with(|| self.dial(place));
        }
        *self.seeds.met.lock().unwrap_or_else(PoisonError::into_inner) = nodes.keys().cloned().collect();
        known.map = map;
    }

    /// The first map that one of the seeds gives. All are asked at once: those that are gone may take long to say so.
    async fn ask_seeds(&self) -> Result<Map, Error> {
        let asked = self.seeds.all().into_iter().map(|address| {
            Box::pin(async move {
                let connection = self.dialer.call(&address).await?;
                read_map(&mut connection.handle(), &address, self.patience).await
            })
        });
        select_ok(asked).await.map(|(map, _)| map)
    }

    /// The map as some server has it that is connected, or as the seeds do.
    async fn ask_somebody(&self) -> Result<Map, Error> {
        for node in self.nodes().iter().filter(|node| node.is_up()) {
            if let Ok(mut connection) = node.connection().await
                && let Ok(map) = read_map(&mut connection, &node.address, self.patience).await
            {
                return Ok(map);
            }
        }
        self.ask_seeds().await
    }
}

/// Reads the map whenever that is due, and says when there is nobody left to ask.
async fn keep_map<C: Connect>(shared: Arc<Shared<C>>) {
    loop {
        let nodes = shared.nodes();
        let is_whole = nodes.iter().all(|node| node.is_up());
        tokio::select! {
            () = shared.moved.notified() => sleep(SOON).await,
            () = shared.changed.notified() => {}
            () = sleep(if is_whole { WHILE_WELL } else { WHILE_AWAY }) => {}
        }
        // Before anybody is asked: those who hang take their time to say nothing.
        if shared.nodes().iter().all(|node| node.cause().is_some()) {
            shared.lost.notify_one();
        }
        if let Ok(map) = shared.ask_somebody().await {
            shared.learn(map);
        }
    }
}

async fn read_map(connection: &mut Hand, address: &Address, patience: Duration) -> Result<Map, Error> {
    let mut command = redis::cmd("CLUSTER");
    command.arg("SLOTS");
    let late = |_| Error::StoreUnavailable(format!("{address}: it answers too slowly"));
    let reply = timeout(patience, connection.send(&command)).await.map_err(late)?;
    let reply = reply.map_err(|error| unavailable(&error))?;
    Map::read(&reply, address.endpoint().host().unwrap_or_default())
        .ok_or_else(|| Error::StoreUnavailable(format!("{address}: what it says of its slots cannot be read")))
}

/// Sends a call to the server that a slot is being moved to, which takes it only so.
async fn ask(connection: &mut Hand, script: &Script, call: &Packed) -> RedisResult<Value> {
    // `ASKING` is for the command that follows it.
    let [_, reply] = connection.send_both(redis::cmd("ASKING"), call.command("EVAL", script.text())).await?;
    reply
}

fn kind_of(error: &RedisError) -> Option<ServerErrorKind> {
    match error.kind() {
        ErrorKind::Server(kind) => Some(kind),
        _ => None,
    }
}

fn failed(error: &RedisError) -> Failure {
    match kind_of(error) {
        Some(ServerErrorKind::TryAgain) => Failure::Divided,
        Some(kind) if is_refusal(kind) => Failure::Error(unavailable(error).unsent()),
        _ => Failure::Error(unavailable(error)),
    }
}

/// Whether Redis says it instead of doing anything.
fn is_refusal(kind: ServerErrorKind) -> bool {
    use ServerErrorKind::{Ask, BusyLoading, ClusterDown, MasterDown, Moved};
    matches!(kind, Moved | Ask | ClusterDown | BusyLoading | MasterDown)
}
