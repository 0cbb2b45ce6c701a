//! The settings for rules about Shoots without an overlay, besides the severity of the rules.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::gardener::Vpcs;
use crate::gardener::providers::PROVIDERS;

/// The settings for rules about Shoots without an overlay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GardenSettings {
    /// The most routes that a provider permits, by provider type.
    pub route_limits: BTreeMap<String, u64>,
    /// Where Shoots name the VPC that they share with others.
    pub vpcs: Arc<Vpcs>,
}

impl Default for GardenSettings {
    /// The defaults of the table of providers.
    fn default() -> Self {
        let limits = PROVIDERS.iter().filter_map(|provider| Some((provider.name.to_owned(), provider.most_routes?)));
        Self { route_limits: limits.collect(), vpcs: Arc::default() }
    }
}
