//! What operators decide about peerings.

use std::ops::RangeInclusive;

use crate::net::Cidr;

/// The most entries of one Shoot that any configuration may permit, and so the most that one request can make us look up.
pub const MOST_PEERS: usize = 1_000;

/// The most entries that are read, and the most findings about stored ones: twice as many as any configuration permits.
pub const STORED_LIMIT: usize = 2 * MOST_PEERS;

/// What operators decide about peerings, besides the severity of rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The most entries of one Shoot, up to [`MOST_PEERS`]. So many, at most, are looked up for one request, whatever rules
    /// weigh.
    pub max_peers: usize,
    /// The node networks that Shoots get when nobody chooses one.
    pub default_node_networks: Vec<Cidr>,
    /// The prefix lengths that IPv4 node networks of Shoots may have; `None` where anything goes.
    pub node_prefixes: Option<NodePrefixes>,
    /// Whether every Shoot is peered with its Seed too, as in a private deployment.
    pub is_private_stack: bool,
}

/// Prefix lengths of IPv4 networks, from a shortest to a longest one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodePrefixes(RangeInclusive<u8>);

impl NodePrefixes {
    /// From this length to that one; `None` where nothing is between them, or a prefix cannot be so long.
    pub fn new(shortest: u8, longest: u8) -> Option<Self> {
        (shortest <= longest && longest <= 32).then_some(Self(shortest..=longest))
    }

    /// The shortest, which is that of the largest network.
    pub fn shortest(&self) -> u8 {
        *self.0.start()
    }

    /// The longest, which is that of the smallest network.
    pub fn longest(&self) -> u8 {
        *self.0.end()
    }

    /// Whether this length is permitted.
    pub fn contains(&self, prefix_len: u8) -> bool {
        self.0.contains(&prefix_len)
    }
}

impl Settings {
    /// The most entries that are looked up for one request.
    pub(crate) fn looked_up(&self) -> usize {
        self.max_peers.min(MOST_PEERS)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_peers: 100, default_node_networks: Vec::new(), node_prefixes: None, is_private_stack: false }
    }
}
