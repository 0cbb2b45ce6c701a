//! Numbers only: CIDRs, the ranges that Gardener keeps for itself, and the mapping of Shoot networks into them.
//!
//! Nothing here knows Kubernetes, a clock or a socket.

mod cidr;
mod mapping;
mod once;
mod pairs;
mod reserved;

pub use cidr::{Cidr, Family, ParseCidrError};
pub use mapping::{DoesNotFit, MappedNetwork, WIDEST_SEED_PODS, fit_together, map_networks};
pub use once::each_once;
pub use pairs::{clashing, for_overlapping_pairs};
pub use reserved::{NetworkKind, RESERVED_RANGES, ReservedRange, reserved_for};
