//! The store that servers share, reached through a client of the application's: whatever can run a script on Redis.
//!
//! Nothing here knows what that client is. It is asked to do [`Job`]s, and whoever hands them over says what came of each.

mod job;
mod reply;
mod slot;

pub use job::{Job, Performing, Work};
pub use reply::Reply;
pub(super) use reply::words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::redis::script::{self, Packed, Script};
use super::{Answering, Answers, Gate, Link, Reach, Request, Store};
use crate::decision::Source;
use crate::error::Error;

/// Redis behind somebody else's client.
pub struct Client<W> {
    work: Arc<W>,
    script: &'static Script,
    cluster: Option<Cluster>,
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
        Self { work: Arc::new(work), script, cluster }
    }

    /// Another hand on the same client.
    fn share(&self) -> Self {
        Self { work: self.work.clone(), script: self.script, cluster: self.cluster.clone() }
    }

    fn run(&self, call: script::Call) -> impl Future<Output = Answers> + Send + use<W> {
        let (work, script, keys) = (self.work.clone(), self.script, call.len());
        let call = Arc::new(call.pack());
        async move { reply::read_answers(evaluate(&*work, script, call).await?, keys) }
    }
}

impl<W: Work> Reach for Client<W> {
    type Link = Self;

    const SOURCE: Source = Source::Client;

    /// Asks for nothing, so that the client is known to be connected, and the script to be permitted and understood.
    async fn open(&self, patience: Duration) -> Result<Self, Error> {
        let late = |_| Err(Error::StoreUnavailable("the client does not answer".into()));
        tokio::time::timeout(patience, self.run(script::Call::default())).await.unwrap_or_else(late)?;
        Ok(self.share())
    }

    fn gate(&self) -> Gate {
        let cluster = self.cluster.clone();
        Box::new(move |request| {
            match &cluster {
            Some(cluster) if !cluster.holds_together(request) => Err(Error::Unsupported(
                "the keys of this call lie in different slots of the cluster: give the limiter a `prefix` in braces, such as '{rl}', which puts all of them in one"
                    .into(),
            )),
            _ => Ok(()),
        }
        })
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
}

impl<W: Work> Store for Client<W> {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        match &self.cluster {
            None => {
                let mut call = script::Call::default();
                for request in batch {
                    call.add(request);
                }
                Box::pin(self.run(call))
            }
            Some(cluster) => self.decide_by_slot(cluster, batch),
        }
    }
}

impl<W: Work> Client<W> {
    /// One call of the script for each slot, all at the same time. Where one fails, it is those keys that do.
    fn decide_by_slot(&self, cluster: &Cluster, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        let mut calls: BTreeMap<u16, (script::Call, Vec<usize>)> = BTreeMap::new();
        let mut keys = 0;
        for request in batch {
            let (call, places) = calls.entry(cluster.slot_of(request)).or_default();
            call.add(request);
            places.extend(keys..keys + request.keys.len());
            keys += request.keys.len();
        }
        let parts: Vec<_> = calls
            .into_values()
            .map(|(call, places)| {
                let running = self.run(call);
                async move { (places, running.await) }
            })
            .collect();
        Box::pin(async move {
            let unanswered = || Err(Error::Internal("a key was in no call".into()));
            let mut all: Vec<Result<_, _>> = (0..keys).map(|_| unanswered()).collect();
            for (places, answers) in join_all(parts).await {
                match answers {
                    Ok(answers) => places.into_iter().zip(answers).for_each(|(place, answer)| all[place] = answer),
                    Err(error) => places.into_iter().for_each(|place| all[place] = Err(error.clone())),
                }
            }
            Ok(all)
        })
    }
}

impl Cluster {
    fn slot_of(&self, request: &Request) -> u16 {
        self.slots_of(request).next().unwrap_or(0)
    }

    fn holds_together(&self, request: &Request) -> bool {
        let mut slots = self.slots_of(request);
        let first = slots.next();
        slots.all(|slot| Some(slot) == first)
    }

    fn slots_of(&self, request: &Request) -> impl Iterator<Item = u16> {
        request.parts().map(|(limit, key)| {
            let mut name = self.prefix.clone();
            limit.append_name(&mut name, key);
            slot::of(&name)
        })
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
