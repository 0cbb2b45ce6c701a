//! Settings of peerings.

use std::ops::RangeInclusive;

use crate::net::Cidr;

/// The maximum that `max_peers` can be set to, and so the maximum number of lookups for the entries of one request.
pub const MOST_PEERS: usize = 1_000;

/// The maximum number of entries that are read, and of findings about stored ones: twice [`MOST_PEERS`].
pub const STORED_LIMIT: usize = 2 * MOST_PEERS;

/// Settings of peerings, except the severity of rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Settings {
    /// The maximum number of entries of one Shoot, up to [`MOST_PEERS`]. Also the maximum that is looked up for one
    /// request, whatever the severity of rules is.
    pub max_peers: usize,
    /// The node networks of Shoots that set none.
    pub default_node_networks: Vec<Cidr>,
    /// The permitted prefix lengths of IPv4 node networks; `None` permits all.
    pub node_prefixes: Option<NodePrefixes>,
    /// Whether every Shoot is peered with its Seed too, as in a private deployment.
    pub is_private_stack: bool,
}

/// A range of prefix lengths of IPv4 networks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodePrefixes(RangeInclusive<u8>);

impl NodePrefixes {
    /// From the shortest to the longest; `None` if the range is empty or a length is not valid.
    pub fn new(shortest: u8, longest: u8) -> Option<Self> {
        (shortest <= longest && longest <= 32).then_some(Self(shortest..=longest))
    }

    /// The shortest prefix, that of the largest network.
    pub fn shortest(&self) -> u8 {
        *self.0.start()
    }

    /// The longest prefix, that of the smallest network.
    pub fn longest(&self) -> u8 {
        *self.0.end()
    }

    /// Whether this length is permitted.
    pub fn contains(&self, prefix_len: u8) -> bool {
        self.0.contains(&prefix_len)
    }
}

impl Settings {
    /// The maximum number of entries that are looked up for one request.
    pub(crate) fn looked_up(&self) -> usize {
        self.max_peers.min(MOST_PEERS)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { max_peers: 100, default_node_networks: Vec::new(), node_prefixes: None, is_private_stack: false }
    }
}
