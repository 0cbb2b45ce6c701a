//! How the peerings of the whole landscape are doing, in numbers.

use std::ops::{AddAssign, SubAssign};

/// Entries of enabled peering configurations, counted by what is the matter with them. Every entry is either
/// reciprocal or one-sided; it may be overlapping, beside another that overlaps it, or stale besides.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Census {
    /// The target lists the Shoot back: two such entries are one peering.
    pub reciprocal: u64,
    /// The target does not list the Shoot back, or does not exist.
    pub one_sided: u64,
    /// Node networks of the two overlap: no route between them can work.
    pub overlapping: u64,
    /// The target overlaps another Shoot that this one lists, and all list each other: of the two, one has no route.
    pub peers_overlapping: u64,
    /// The entry names another Seed than the target has.
    pub stale_seed: u64,
}

impl AddAssign for Census {
    fn add_assign(&mut self, other: Self) {
        self.reciprocal += other.reciprocal;
        self.one_sided += other.one_sided;
        self.overlapping += other.overlapping;
        self.peers_overlapping += other.peers_overlapping;
        self.stale_seed += other.stale_seed;
    }
}

impl SubAssign for Census {
    fn sub_assign(&mut self, other: Self) {
        self.reciprocal -= other.reciprocal;
        self.one_sided -= other.one_sided;
        self.overlapping -= other.overlapping;
        self.peers_overlapping -= other.peers_overlapping;
        self.stale_seed -= other.stale_seed;
    }
}
