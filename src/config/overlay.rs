//! The section `overlay` of the configuration: switches that are held on a Seed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::{ConfigError, bad, garden};
use network_guard_controllers::overlay_switch::OverlaySettings;
use network_guard_core::gardener::is_dns_label;
use network_guard_core::overlay::{GardenSettings, HoldSettings, RouteTrackerSettings, SwitchSettings};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Overlay {
    providers: Option<Vec<String>>,
    poll_seconds: Option<u32>,
    window_seconds: Option<u32>,
    not_ready_minutes: Option<u32>,
    warn_after_minutes: Option<u32>,
    guard_rollout: Option<bool>,
    remove_calico_condition: Option<Vec<String>>,
    fallback: Option<Fallback>,
    shoot_server: Option<String>,
    lease_namespace: Option<String>,
    #[serde(default)]
    route_limits: BTreeMap<String, u64>,
    #[serde(default)]
    vpcs: BTreeMap<String, garden::Vpc>,
}

/// The access to a Shoot's API server when network-guard's own token does not arrive.
#[derive(Clone, Copy, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
enum Fallback {
    None,
    GardenerInternal,
}

impl Overlay {
    /// Removes and returns the part about Shoots in the garden.
    pub(super) fn garden(&mut self) -> Result<GardenSettings, ConfigError> {
        garden::settings(std::mem::take(&mut self.route_limits), std::mem::take(&mut self.vpcs))
    }

    pub(super) fn settings(self) -> Result<OverlaySettings, ConfigError> {
        let default = OverlaySettings::default();
        let within = |field: &str, value: Option<u32>, range: std::ops::RangeInclusive<u32>| match value {
            Some(value) if !range.contains(&value) => {
                let problem = format!("must be from {} to {}", range.start(), range.end());
                Err(bad(&format!("overlay.{field}"), value.to_string(), &problem))
            }
            value => Ok(value),
        };
        let poll = within("pollSeconds", self.poll_seconds, 1..=600)?;
        let window = within("windowSeconds", self.window_seconds, 1..=86_400)?;
        let not_ready = within("notReadyMinutes", self.not_ready_minutes, 1..=1_440)?;
        let slow = within("warnAfterMinutes", self.warn_after_minutes, 1..=10_080)?;
        let HoldSettings { providers } = default.switches.hold;
        let providers = infrastructures("providers", self.providers, providers)?;
        let removes_calicos_condition =
            infrastructures("removeCalicoCondition", self.remove_calico_condition, default.removes_calicos_condition)?;
        let shoot_server = self.shoot_server.unwrap_or(default.shoot_server);
        if !shoot_server.starts_with("https://")
            || shoot_server.replace("{namespace}", "n").parse::<http::Uri>().is_err()
        {
            let problem = "is not an address such as `https://kube-apiserver.{namespace}.svc`";
            return Err(bad("overlay.shootServer", format!("{shoot_server:?}"), problem));
        }
        let lease_namespace = self.lease_namespace.unwrap_or(default.lease_namespace);
        if !is_dns_label(&lease_namespace) {
            let problem = "is not the name of a namespace";
            return Err(bad("overlay.leaseNamespace", format!("{lease_namespace:?}"), problem));
        }
        let tracker = default.switches.tracker;
        Ok(OverlaySettings {
            switches: SwitchSettings {
                hold: HoldSettings { providers },
                tracker: RouteTrackerSettings {
                    window: window.map_or(tracker.window, |seconds| SignedDuration::from_secs(seconds.into())),
                    not_ready: not_ready.map_or(tracker.not_ready, |minutes| SignedDuration::from_mins(minutes.into())),
                },
            },
            poll: poll.map_or(default.poll, |seconds| Duration::from_secs(seconds.into())),
            slow: slow.map_or(default.slow, |minutes| SignedDuration::from_mins(minutes.into())),
            guards_rollout: self.guard_rollout.unwrap_or(default.guards_rollout),
            removes_calicos_condition,
            falls_back_to_admin: self
                .fallback
                .map_or(default.falls_back_to_admin, |way| way == Fallback::GardenerInternal),
            shoot_server,
            lease_namespace,
        })
    }
}

/// Types of infrastructures.
fn infrastructures(field: &str, value: Option<Vec<String>>, default: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let providers = value.unwrap_or(default);
    if let Some(i) = providers.iter().position(|provider| !is_dns_label(provider)) {
        let problem = "is not the type of an infrastructure, such as `aws`";
        return Err(bad(&format!("overlay.{field}[{i}]"), format!("{:?}", providers[i]), problem));
    }
    Ok(providers)
}
