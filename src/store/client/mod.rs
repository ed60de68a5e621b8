//! The store that servers share, reached through a client of the application's: whatever can run a script on Redis.
//!
//! Nothing here knows what that client is. It is asked to do [`Job`]s, and whoever hands them over says what came of each.

mod job;
mod reply;

pub use job::{Job, Performing, Work};
pub use reply::Reply;
pub(super) use reply::words;

use std::sync::Arc;
use std::time::Duration;

use super::redis::script::{Packed, Script};
use super::redis::{eviction, levels, policies, roll};
use super::spread::{self, Ran, Run, Runner, Running};
use super::{Announcing, Answering, Answers, Exchanging, Gate, Levelling, Link, Reach, Request, Store, Surveying};
use crate::adaptive::Share;
use crate::clock::Clock;
use crate::decision::Source;
use crate::error::Error;
use crate::fleet::Announcement;
use crate::metrics::Counter;
use crate::runtime::timeout;

/// Redis behind somebody else's client.
pub struct Client<W> {
    work: Arc<W>,
    script: &'static Script,
    cluster: Option<Cluster>,
    merged: Arc<Counter>,
}

/// What must be known of a client that is spread over a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// What the client itself puts before every key.
    pub prefix: Vec<u8>,
}

impl<W: Work> Client<W> {
    /// A store over a client that does `work`; `cluster` where a call's keys must lie in one slot.
    pub fn new(work: W, script: &'static Script, cluster: Option<Cluster>) -> Self {
        Self { work: Arc::new(work), script, cluster, merged: Arc::default() }
    }

    fn run_anywhere(&self, call: Packed) -> impl Future<Output = Answers> + Send + use<W> {
        let (work, script, call) = (self.work.clone(), self.script, Arc::new(call));
        async move { reply::read_answers(evaluate(&*work, script, call.clone()).await?, call.expected()) }
    }
}

/// Another hand on the same client.
impl<W> Clone for Client<W> {
    fn clone(&self) -> Self {
        let (work, merged) = (self.work.clone(), self.merged.clone());
        Self { work, script: self.script, cluster: self.cluster.clone(), merged }
    }
}

impl<W: Work> Run for Client<W> {
    fn merged(&self) -> &Counter {
        &self.merged
    }

    fn clock(&self) -> &'static dyn Clock {
        self.script.clock()
    }

    /// The client itself knows where a slot is.
    fn run(&self, _slot: u16, call: Packed) -> Running {
        let running = self.run_anywhere(call);
        Box::pin(async move {
            match running.await {
                Err(Error::StoreUnavailable(reason)) if reason.trim_start_matches('-').starts_with("TRYAGAIN") => {
                    Ran::Divided
                }
                answers => Ran::Answered(answers),
            }
        })
    }
}

impl<W: Work> Reach for Client<W> {
    type Link = Self;

    const SOURCE: Source = Source::Client;

    /// Asks for nothing, so that the client is known to be connected, and the script to be permitted and understood.
    async fn open(&self, patience: Duration) -> Result<Self, Error> {
        let late = |_| Err(Error::StoreUnavailable("the client does not answer".into()));
        timeout(patience, self.run_anywhere(Packed::of(&mut std::iter::empty(), self.script.clock())))
            .await
            .unwrap_or_else(late)?;
        Ok(self.clone())
    }

    fn merged(&self) -> Arc<Counter> {
        self.merged.clone()
    }

    fn gate(&self) -> Gate {
        match &self.cluster {
            Some(cluster) => spread::gate(cluster.prefix.clone()),
            None => Box::new(|_| Ok(())),
        }
    }
}

impl<W: Work> Link for Client<W> {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    /// Never: how a client is doing shows in what it answers.
    async fn closed(&mut self) {
        std::future::pending::<()>().await;
    }

    fn announce(&self, announcement: &Announcement) -> Announcing {
        let (work, call) = (self.work.clone(), Arc::new(roll::pack(announcement)));
        Box::pin(async move { roll::read(&reply::into_value(evaluate(&*work, &roll::ROLL, call).await?)) })
    }

    fn level(&self, announcement: &Announcement, level: Share) -> Levelling {
        let (work, call) = (self.work.clone(), Arc::new(levels::pack(announcement, level)));
        Box::pin(async move { levels::read(&reply::into_value(evaluate(&*work, &levels::LEVELS, call).await?)) })
    }

    fn exchange(&self, key: &str, asked: &str) -> Exchanging {
        let (work, call) = (self.work.clone(), Arc::new(policies::pack(key, asked)));
        Box::pin(async move { policies::read(reply::into_value(evaluate(&*work, &policies::POLICIES, call).await?)) })
    }

    fn survey(&self) -> Surveying {
        let (work, call) = (self.work.clone(), Arc::new(eviction::pack()));
        Box::pin(async move {
            let reply = evaluate(&*work, &eviction::EVICTION, call).await.ok()?;
            eviction::read(&reply::into_value(reply))
        })
    }
}

impl<W: Work> Store for Client<W> {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        match &self.cluster {
            None => {
                let call = Packed::of(batch, self.script.clock());
                self.merged.add(call.merged());
                Box::pin(self.run_anywhere(call))
            }
            Some(cluster) => {
                let runner: Runner = Arc::new(self.clone());
                spread::decide(&runner, &cluster.prefix, batch)
            }
        }
    }
}

/// Runs the script by its digest, and by its text where Redis does not know it. That is the only thing that is ever asked twice,
/// since Redis has then said that it did nothing.
async fn evaluate<W: Work>(work: &W, script: &'static Script, call: Arc<Packed>) -> Result<Reply, Error> {
    let by_digest = work.perform(Job::EvalSha(script.digest(), call.clone())).await;
    let reply = match by_digest {
        Err(reason) if reason.trim_start_matches('-').starts_with("NOSCRIPT") => {
            work.perform(Job::Eval(script.text(), call)).await
        }
        reply => reply,
    };
    reply.map_err(|reason| Error::StoreUnavailable(reply::words(&reason)))
}
