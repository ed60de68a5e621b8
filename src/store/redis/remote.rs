//! The way to the servers of `redisUrl` and `sentinel`.

use std::sync::Arc;
use std::time::Duration;

use super::Redis;
use super::cluster::{Cluster, Seeds};
use super::connection::{Connect, Connection, Dialer};
use super::script::Script;
use super::sentinel::{self, Watch};
use super::servers::{Servers, Topology};
use crate::decision::Source;
use crate::error::Error;
use crate::store::{self, Answering, Reach, Request};

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
            dialer: Arc::new(Dialer { connect, tls, client_name, script }),
            topology,
        }
    }
}

impl<C: Connect> Reach for Remote<C> {
    type Link = Link<C>;

    const SOURCE: Source = Source::Redis;

    async fn open(&self, patience: Duration) -> Result<Link<C>, Error> {
        let one = |connection: Connection, watch| Link {
            store: Store::One(connection.store(self.dialer.script)),
            kept: Kept::One { connection, watch },
        };
        match &self.topology {
            Topology::One(address) => Ok(one(self.dialer.open(address, patience).await?, None)),
            Topology::Sentinel { name, sentinels, master } => {
                let (connection, watch) =
                    sentinel::open_master(&self.dialer, name, sentinels, master, patience).await?;
                Ok(one(connection, Some(watch)))
            }
            Topology::Cluster(_) => {
                let cluster = Cluster::open(&self.dialer, &self.seeds, patience).await?;
                Ok(Link { store: Store::Cluster(cluster.clone()), kept: Kept::Cluster(cluster) })
            }
        }
    }
}

/// Servers that have answered. Dropping it closes every connection, also while Redis owes replies.
pub struct Link<C> {
    store: Store<C>,
    kept: Kept<C>,
}

/// What is kept open.
enum Kept<C> {
    One { connection: Connection, watch: Option<Watch> },
    Cluster(Cluster<C>),
}

/// States in one server or in several.
pub enum Store<C> {
    /// Behind one connection.
    One(Redis),
    /// Behind one connection a server.
    Cluster(Cluster<C>),
}

impl<C: Connect> store::Store for Store<C> {
    fn decide(&self, batch: &mut dyn Iterator<Item = &Request>) -> Answering {
        match self {
            Self::One(redis) => redis.decide(batch),
            Self::Cluster(cluster) => cluster.decide(batch),
        }
    }
}

impl<C: Connect> store::Link for Link<C> {
    type Store = Store<C>;

    fn store(&self) -> &Store<C> {
        &self.store
    }

    async fn closed(&mut self) {
        match &mut self.kept {
            Kept::One { connection, watch: None } => connection.closed().await,
            Kept::One { connection, watch: Some(watch) } => tokio::select! {
                () = connection.closed() => {}
                () = watch.ended() => {}
            },
            Kept::Cluster(cluster) => cluster.lost().await,
        }
    }
}
