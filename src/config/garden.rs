//! The part of `overlay` in the configuration about Shoots in the garden.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{ConfigError, bad};
use network_guard_core::gardener::Vpcs;
use network_guard_core::gardener::providers::VpcScope;
use network_guard_core::gardener::vpc::VpcNames;
use network_guard_core::overlay::GardenSettings;

/// The path at which a provider names a VPC.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Vpc {
    paths: Vec<String>,
    scope: Option<Scope>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Scope {
    Landscape,
    Project,
}

/// The defaults of all providers, except for those in the file.
pub(super) fn settings(
    route_limits: BTreeMap<String, u64>,
    vpcs: BTreeMap<String, Vpc>,
) -> Result<GardenSettings, ConfigError> {
    let mut settings = GardenSettings::default();
    for (provider, limit) in route_limits {
        if limit == 0 {
            let problem = "must be at least 1; where nobody needs routes, Shoots keep their overlay";
            return Err(bad(&format!("overlay.routeLimits.{provider}"), limit.to_string(), problem));
        }
        settings.route_limits.insert(provider, limit);
    }
    let mut all = Vpcs::default();
    for (provider, Vpc { paths, scope }) in vpcs {
        for (i, path) in paths.iter().enumerate() {
            if path.split('.').any(|member| member.is_empty() || member.contains(char::is_whitespace)) {
                let problem = "is no path inside infrastructureConfig such as networks.vpc.id";
                return Err(bad(&format!("overlay.vpcs.{provider}.paths[{i}]"), format!("{path:?}"), problem));
            }
        }
        // Without an explicit scope it is not assumed that an id is unique everywhere.
        let scope = match scope {
            Some(Scope::Landscape) => VpcScope::Landscape,
            Some(Scope::Project) | None => VpcScope::Project,
        };
        all.set(provider, VpcNames { paths, scope });
    }
    settings.vpcs = Arc::new(all);
    Ok(settings)
}
