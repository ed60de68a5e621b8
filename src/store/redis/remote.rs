//! The way to the servers of `redisUrl` and `sentinel`.

use std::sync::Arc;
use std::time::Duration;

use super::Redis;
use super::cluster::{Cluster, Seeds};
use super::connection::{Connect, Connection, Dialer};
use super::script::Script;
use super::sentinel;
use super::servers::{Servers, Topology};
use super::subscription;
use crate::adaptive::Share;
use crate::decision::Source;
use crate::error::Error;
use crate::fleet::Announcement;
use crate::metrics::Counter;
use crate::runtime::Task;
use crate::store::spread;
use crate::store::{
    self, Announcing, Answering, Exchanging, Gate, Levelling, Listening, Reach, Request, Store, Surveying,
};

/// Where the servers are and what is said to them.
pub struct Remote<C> {
    dialer: Arc<Dialer<C>>,
    topology: Topology,
    /// Of a cluster.
    seeds: Arc<Seeds>,
}

impl<C: Connect> Remote<C> {
    /// The way over streams that `connect` opens, to servers that run `script`.
    pub fn new(connect: C, servers: Servers, script: &'static Script) -> Self {
        let Servers { topology, tls, client_name } = servers;
        let given = if let Topology::Cluster(given) = &topology { given.clone() } else { Vec::new() };
        Self {
            seeds: Arc::new(Seeds::new(given)),
            dialer: Arc::new(Dialer { connect, tls, client_name, script, merged: Arc::default() }),
            topology,
        }
    }
}

impl<C: Connect> Reach for Remote<C> {
    type Link = Link<C>;

    const SOURCE: Source = Source::Redis;

    async fn open(&self, patience: Duration) -> Result<Link<C>, Error> {
        let one = |connection: Connection, watch| {
            let redis = connection.store(self.dialer.script).counting(&self.dialer.merged);
            Link::One(Box::new(One { redis, connection, watch, dialer: self.dialer.clone() }))
        };
        match &self.topology {
            Topology::One(address) => Ok(one(self.dialer.open(address, patience).await?, None)),
            Topology::Sentinel { name, sentinels, master } => {
                let (connection, watch) =
                    sentinel::open_master(&self.dialer, name, sentinels, master, patience).await?;
                Ok(one(connection, Some(watch)))
            }
            Topology::Cluster(_) => Ok(Link::Cluster(Cluster::open(&self.dialer, &self.seeds, patience).await?)),
        }
    }

    fn merged(&self) -> Arc<Counter> {
        self.dialer.merged.clone()
    }

    fn gate(&self) -> Gate {
        match &self.topology {
            Topology::Cluster(_) => spread::gate(Vec::new()),
            _ => Box::new(|_| Ok(())),
        }
    }
}

/// Servers that have answered. Dropping it closes every connection, also while Redis owes replies.
pub enum Link<C> {
    /// One.
    One(Box<One<C>>),
    /// Several, each with a connection of its own.
    Cluster(Cluster<C>),
}

/// One server, and what is kept open for it.
pub struct One<C> {
    /// The states behind it.
    redis: Redis,
    /// The only one.
    connection: Connection,
    /// Ends when the sentinels name another master.
    watch: Option<Task>,
    /// What makes another connection to it.
    dialer: Arc<Dialer<C>>,
}

impl<C> One<C> {
    async fn closed(&mut self) {
        let Some(watch) = &mut self.watch else { return self.connection.closed().await };
        tokio::select! {
            () = self.connection.closed() => {}
            () = watch.ended() => {}
        }
    }
}

impl<C: Connect> Store for Link<C> {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        match self {
            Self::One(one) => one.redis.decide(batch),
            Self::Cluster(cluster) => cluster.decide(batch),
        }
    }
}

impl<C: Connect> store::Link for Link<C> {
    type Store = Self;

    fn store(&self) -> &Self {
        self
    }

    async fn closed(&mut self) {
        match self {
            Self::One(one) => one.closed().await,
            Self::Cluster(cluster) => cluster.lost().await,
        }
    }

    fn announce(&self, announcement: &Announcement) -> Announcing {
        match self {
            Self::One(one) => one.redis.announce(announcement),
            Self::Cluster(cluster) => cluster.announce(announcement),
        }
    }

    fn level(&self, announcement: &Announcement, level: Share) -> Levelling {
        match self {
            Self::One(one) => one.redis.level(announcement, level),
            Self::Cluster(cluster) => cluster.level(announcement, level),
        }
    }

    fn survey(&self) -> Surveying {
        match self {
            Self::One(one) => one.redis.survey(),
            Self::Cluster(cluster) => cluster.survey(),
        }
    }

    fn exchange(&self, key: &str, asked: &str) -> Exchanging {
        match self {
            Self::One(one) => one.redis.exchange(key, asked),
            Self::Cluster(cluster) => cluster.exchange(key, asked),
        }
    }

    fn listen(&self, prefix: &str) -> Listening {
        match self {
            Self::One(one) => {
                Box::pin(subscription::listen(one.dialer.clone(), one.connection.address().clone(), prefix))
            }
            Self::Cluster(cluster) => cluster.listen(prefix),
        }
    }
}
