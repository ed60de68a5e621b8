//! Which servers hold the states, as the options say.

use super::address::Address;
use super::tls::Tls;

/// One server, or several that are found out about.
#[derive(Clone, Debug)]
pub struct Servers {
    /// How they stand to each other.
    pub topology: Topology,
    /// How TLS is spoken, where an address says so.
    pub tls: Option<Tls>,
    /// What the connections are called.
    pub client_name: Option<String>,
}

/// How servers stand to each other.
#[derive(Clone, Debug)]
pub enum Topology {
    /// There is one.
    One(Address),
    /// They share the slots of a Redis Cluster, of which these are some.
    Cluster(Vec<Address>),
    /// One of them is the master, and these know which.
    Sentinel {
        /// What they call the master.
        name: String,
        /// The sentinels.
        sentinels: Vec<Address>,
        /// How one logs in to the master, wherever it is.
        master: Address,
    },
}
