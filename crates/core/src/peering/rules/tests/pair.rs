//! A Shoot A that lists others, and a Shoot B that lists it back: what scenarios of a pair begin with.

use super::*;

/// A that lists `peers`, as it would be created.
pub(super) fn a(peers: &[Value]) -> Value {
    shoot(A, "10.5.0.0/27", peers)
}

pub(super) fn to_b() -> Value {
    peer(B, "eu1-a")
}

/// B that lists A back, on this node network.
pub(super) fn b(nodes: &str) -> Value {
    shoot(B, nodes, &[peer(A, "eu1-a")])
}

pub(super) fn no_peers() -> Value {
    a(&[])
}
