//! The values of the annotation that says how far a switch is.

/// Held, until every node has its route.
pub const PENDING: &str = "pending";
/// Every node has its route; the next write of what was asked for passes.
pub const APPROVED: &str = "approved";
/// Somebody decided that it passes now.
pub const FORCED: &str = "forced";
