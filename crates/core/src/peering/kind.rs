//! The apiVersion and kind of a peering configuration.

/// The apiVersion of a peering configuration.
pub const API_VERSION: &str = "service.peering.extensions.osc.t-systems.com/v1";

/// The kind of a peering configuration.
pub const KIND: &str = "PeeringConfig";
