//! The values of the annotation with the state of a switch.

/// Held, until every node has its route.
pub const PENDING: &str = "pending";
/// Every node has its route; the next write of the requested configuration passes.
pub const APPROVED: &str = "approved";
/// An operator decided that it passes now.
pub const FORCED: &str = "forced";
