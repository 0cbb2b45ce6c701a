//! How the Pods of a Shoot reach each other, and how many nodes they may be on.

use std::fmt;

use serde::Deserialize;

use super::providers::{Facts, Routes};
use super::{CALICO, Encapsulation, Key, Pods, Provider, Shoot, Way, encapsulation};
use crate::json::{self, Text};
use crate::net::{Family, NetworkKind};

/// The network type of Cilium (`spec.networking.type`).
const CILIUM: &str = "cilium";

impl Shoot<'_> {
    /// How its Pods reach each other, by the table of providers. `stored` is the Shoot that an update
    /// replaces, the Shoot itself for one that is stored, and `None` for a new one: on it depends what counts where
    /// `overlay` is not set. `None` without workers, and where that is unknown.
    pub fn pods(&self, stored: Option<&Shoot<'_>>) -> Option<Pods> {
        if !self.has_workers {
            return None;
        }
        let provider = Provider::of(&self.provider_type)?;
        let written = self.key();
        let stored_key = stored.map(|stored| if written == Key::Absent { stored.key() } else { written });
        let key = provider.key(written, stored_key)?;
        let way = provider.way(Facts {
            key,
            has_config: self.network_config.is_some(),
            has_v4: self.networking.has_family(Family::V4),
            has_v6: self.networking.has_family(Family::V6),
            has_two_node_networks: stored.unwrap_or(self).has_two_node_networks(),
        });
        Some(Pods { provider, key, encapsulation: self.encapsulation_by(key, Some(provider)), way })
    }

    /// Whether its status has a node network of each family: so has its infrastructure, whatever the Shoot lists by now.
    pub(crate) fn has_two_node_networks(&self) -> bool {
        self.status_networking.get(NetworkKind::Nodes).len() == 2
    }

    /// Whether its Pods are reached by routes of the infrastructure only, as far as it is known. Of a provider whose
    /// infrastructure makes none, or of which nothing is known, that is all Shoots without an overlay: there it counts
    /// only where the configuration names the provider. `stored` as for [`Shoot::pods`].
    pub(crate) fn may_need_routes(&self, stored: Option<&Shoot<'_>>) -> bool {
        match Provider::of(&self.provider_type) {
            Some(provider) if provider.routes != Routes::Bgp => self.pods(stored).is_some_and(Pods::need_routes),
            provider => self.has_workers && self.encapsulation_by(self.key(), provider) == Some(Encapsulation::Native),
        }
    }

    /// Whether the infrastructure has routes to its Pods, with an overlay or without one: as [`Shoot::may_need_routes`],
    /// but for providers that make them in any case.
    pub(crate) fn may_have_routes(&self, stored: Option<&Shoot<'_>>) -> bool {
        match Provider::of(&self.provider_type) {
            Some(provider) if provider.routes != Routes::Bgp => {
                self.pods(stored).is_some_and(|pods| pods.way == Way::Routes)
            }
            _ => self.may_need_routes(stored),
        }
    }

    /// Whether it has no overlay, as far as it is known. `stored` as for [`Shoot::pods`].
    pub fn is_native(&self, stored: Option<&Shoot<'_>>) -> bool {
        match Provider::of(&self.provider_type) {
            Some(_) => self.pods(stored).is_some_and(Pods::are_native),
            None => self.has_workers && self.encapsulation_by(self.key(), None) == Some(Encapsulation::Native),
        }
    }

    /// The key `overlay` as it is written.
    pub fn key(&self) -> Key {
        let overlay = self.network_config.and_then(|config| json::find(config, &["overlay"]));
        match overlay.filter(|overlay| *overlay != "null") {
            None => Key::Absent,
            Some(overlay) if json::find(overlay, &["enabled"]) == Some("true") => Key::On,
            Some(_) => Key::Off,
        }
    }

    /// The encapsulation that Calico would use by what is written; `None` if its configuration cannot be read.
    pub fn encapsulation(&self) -> Option<Encapsulation> {
        let both = [Family::V4, Family::V6];
        let has = |family| self.networking.has_family(family);
        let families = match (has(Family::V4), has(Family::V6)) {
            (true, true) => &both[..],
            (false, true) => &both[1..],
            (_, false) => &both[..1],
        };
        encapsulation(self.network_config, families).ok()
    }

    /// The encapsulation with this key.
    fn encapsulation_by(&self, key: Key, provider: Option<&Provider>) -> Option<Encapsulation> {
        let by_key = match key {
            Key::Off => Some(Encapsulation::Native),
            Key::On => Some(Encapsulation::Overlay),
            Key::Absent => None,
        };
        match &*self.network_type {
            CALICO => {
                // An unreadable configuration is left to Calico's own validation.
                let written = self.encapsulation()?;
                if provider.is_some_and(|provider| !provider.has_calico_overlay) {
                    return Some(Encapsulation::Native);
                }
                by_key.or(Some(written))
            }
            // networking-cilium, pkg/charts/utils.go and pkg/controller/actuator_reconcile.go: VXLAN by default, and
            // the key decides whether there is a tunnel.
            CILIUM => by_key.or_else(|| {
                let tunnel = self.network_config.and_then(|config| json::find(config, &["tunnel"]));
                let is_native = tunnel == Some("\"disabled\"");
                Some(if is_native { Encapsulation::Native } else { Encapsulation::Overlay })
            }),
            _ => by_key,
        }
    }

    /// Whether it has no nodes, and should have none. The status in a request is not trusted: its writer can put
    /// anything there, so that of the stored object counts.
    pub(crate) fn is_asleep(&self, stored: Option<&Shoot<'_>>) -> bool {
        self.shall_sleep && stored.map_or(self.sleeps, |stored| stored.sleeps)
    }

    /// How many nodes it may have at a time: of each worker `maximum`, and `maxSurge` while they are replaced.
    pub(crate) fn max_nodes(&self) -> u64 {
        self.workers().iter().map(Worker::max_nodes).fold(0, u64::saturating_add)
    }

    /// Whether some of those exist only while others are replaced.
    pub(crate) fn has_surge(&self) -> bool {
        self.workers().iter().any(|worker| worker.max_nodes() > u64::from(worker.maximum))
    }

    fn workers(&self) -> Vec<Worker<'_>> {
        self.workers.and_then(|workers| serde_json::from_str(workers).ok()).unwrap_or_default()
    }
}

/// An element of `spec.provider.workers`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Worker<'a> {
    #[serde(default)]
    maximum: u32,
    max_surge: Option<Surge>,
    #[serde(borrow)]
    update_strategy: Option<Text<'a>>,
}

impl Worker<'_> {
    fn max_nodes(&self) -> u64 {
        let maximum = u64::from(self.maximum);
        // Gardener's defaults, `SetDefaults_Worker` in pkg/apis/core/v1beta1/defaults_shoot.go: one machine more, and none
        // where machines are updated in place.
        let is_in_place = self.update_strategy.as_deref().is_some_and(|strategy| strategy.ends_with("InPlaceUpdate"));
        let surge = match self.max_surge {
            None => u64::from(!is_in_place),
            Some(Surge::Machines(machines)) => machines.into(),
            // Rounded up, as the machine-controller-manager does.
            Some(Surge::Percent(percent)) => (maximum * u64::from(percent)).div_ceil(100),
        };
        maximum.saturating_add(surge)
    }
}

/// `maxSurge`: a number, or a percentage of `maximum`. Anything else is left to Gardener's own validation, and counts
/// as none.
enum Surge {
    Machines(u32),
    Percent(u32),
}

impl<'de> Deserialize<'de> for Surge {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Surge;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a percentage")
            }

            fn visit_u64<E>(self, machines: u64) -> Result<Surge, E> {
                Ok(Surge::Machines(machines.try_into().unwrap_or_default()))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Surge, E> {
                Ok(Surge::Machines(0))
            }

            fn visit_str<E>(self, text: &str) -> Result<Surge, E> {
                let percent = text.strip_suffix('%').and_then(|percent| percent.parse().ok());
                Ok(percent.map_or(Surge::Machines(0), Surge::Percent))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
