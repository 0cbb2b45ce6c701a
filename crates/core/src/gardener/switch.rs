//! The facts of a Shoot that a switch of Calico's overlay depends on, besides the `Network` and the nodes: the desired
//! configuration and the state of the Shoot, from gardenlet's `Cluster`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::network::family;
use super::pools::Pools;
use super::shoot::MOST_FAMILIES;
use crate::json::{FirstOf, Text};
use crate::net::Family;

/// The constraint that is present, and not `True`, while nodes become dual-stack. Until then only the first of the
/// Shoot's IP families counts.
const DUAL_STACK_CONSTRAINT: &str = "DualStackNodesMigrationReady";

/// A Shoot with workers, as its Cluster shows it.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SwitchFacts {
    /// `spec.networking.type`.
    pub network_type: Box<str>,
    /// `spec.provider.type`.
    pub provider: Box<str>,
    /// The text of `spec.networking.providerConfig`: what the Shoot asks for now, which may be newer than the Network.
    pub config: Option<Box<str>>,
    /// `spec.networking.ipFamilies`, including one that does not count yet.
    pub families: Box<[Family]>,
    /// Whether nodes are still changing to two families, so that only the first counts.
    pub counts_one_family: bool,
    /// Whether the infrastructure has node networks of two families (`status.networking.nodes`). It keeps the second one
    /// when the Shoot takes that family back.
    pub has_two_node_networks: bool,
    /// Whether the Shoot is hibernated, or changing to or from that.
    pub hibernation: Hibernation,
    /// Whether `metadata.deletionTimestamp` is set.
    pub is_being_deleted: bool,
    /// Whether the last operation failed for good: then extensions do nothing until it is repeated.
    pub is_failed: bool,
    /// Whether an operation is under way.
    pub is_processing: bool,
    /// Whether the control plane is moving to another Seed.
    pub is_migrating: bool,
    /// Whether changes wait for the maintenance window (`spec.maintenance.confineSpecUpdateRollout`).
    pub confines_rollout: bool,
    /// Whether the annotation [`OVERLAY_SWITCH`](super::shoot::OVERLAY_SWITCH) says `force`.
    pub is_forced: bool,
    /// When unhealthy nodes of each pool are replaced.
    pub pools: Pools,
}

/// Whether a Shoot is hibernated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Hibernation {
    /// It runs, and should.
    #[default]
    Awake,
    /// It is hibernated, and should be: it has no nodes and no API server.
    Asleep,
    /// It is being hibernated or woken up.
    Between,
}

/// `spec.shoot` of a Cluster, as far as it is read here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireShoot<'a> {
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata<'a> {
    deletion_timestamp: Option<serde::de::IgnoredAny>,
    #[serde(borrow)]
    annotations: Option<Annotations<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Annotations<'a> {
    #[serde(borrow, rename = "network-guard.extensions.gardener.cloud/overlay-switch")]
    force: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec<'a> {
    #[serde(borrow)]
    networking: Option<Networking<'a>>,
    #[serde(borrow)]
    provider: Option<Provider<'a>>,
    hibernation: Option<HibernationSpec>,
    maintenance: Option<Maintenance>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Networking<'a> {
    #[serde(borrow, rename = "type")]
    network_type: Option<Text<'a>>,
    #[serde(borrow)]
    provider_config: Option<&'a RawValue>,
    #[serde(borrow)]
    ip_families: Option<Vec<Text<'a>>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Provider<'a> {
    #[serde(borrow, rename = "type")]
    provider_type: Option<Text<'a>>,
    #[serde(borrow)]
    workers: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct HibernationSpec {
    enabled: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Maintenance {
    confine_spec_update_rollout: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status<'a> {
    #[serde(rename = "hibernated")]
    is_hibernated: Option<bool>,
    #[serde(borrow)]
    last_operation: Option<LastOperation<'a>>,
    #[serde(borrow)]
    constraints: Option<Vec<Constraint<'a>>>,
    networking: Option<NetworkingStatus>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NetworkingStatus {
    nodes: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LastOperation<'a> {
    #[serde(borrow, rename = "type")]
    operation: Option<Text<'a>>,
    #[serde(borrow)]
    state: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Constraint<'a> {
    #[serde(borrow, rename = "type")]
    constraint: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
}

/// A Cluster's `spec`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WireCluster<'a> {
    #[serde(borrow)]
    shoot: Option<WireShoot<'a>>,
}

impl SwitchFacts {
    /// Reads the JSON text of a Cluster's `spec`; `None` for a Shoot without workers, and for one that cannot be read:
    /// what is wrong with it is reported with the rest of the Cluster.
    pub fn parse(spec: &str) -> Option<Self> {
        let shoot = serde_json::from_str::<WireCluster<'_>>(spec).ok()?.shoot?;
        let (metadata, status) = (shoot.metadata.unwrap_or_default(), shoot.status.unwrap_or_default());
        let spec = shoot.spec.unwrap_or_default();
        let provider = spec.provider.unwrap_or_default();
        let workers = provider.workers.map(RawValue::get)?;
        if !has_elements(workers) {
            return None;
        }
        let networking = spec.networking.unwrap_or_default();
        let counts_one_family = status.constraints.iter().flatten().any(|constraint| {
            constraint.constraint.as_deref() == Some(DUAL_STACK_CONSTRAINT)
                && constraint.status.as_deref() != Some("True")
        });
        let families: Vec<Family> =
            networking.ip_families.iter().flatten().filter_map(|name| family(name)).take(MOST_FAMILIES).collect();
        let nodes = status.networking.unwrap_or_default().nodes.unwrap_or_default();
        let shall_sleep = spec.hibernation.unwrap_or_default().enabled == Some(true);
        let sleeps = status.is_hibernated == Some(true);
        let last_operation = status.last_operation.unwrap_or_default();
        let state = last_operation.state.as_deref();
        Some(Self {
            network_type: networking.network_type.as_deref().unwrap_or_default().into(),
            provider: provider.provider_type.as_deref().unwrap_or_default().into(),
            config: networking.provider_config.map(|text| text.get().into()),
            families: families.into(),
            counts_one_family,
            // As gardener-extension-provider-gcp counts them.
            has_two_node_networks: nodes.len() == 2,
            hibernation: match (shall_sleep, sleeps) {
                (false, false) => Hibernation::Awake,
                (true, true) => Hibernation::Asleep,
                _ => Hibernation::Between,
            },
            is_being_deleted: metadata.deletion_timestamp.is_some(),
            is_failed: state == Some("Failed"),
            is_processing: matches!(state, Some("Processing" | "Pending")),
            is_migrating: last_operation.operation.as_deref() == Some("Migrate"),
            confines_rollout: spec.maintenance.unwrap_or_default().confine_spec_update_rollout == Some(true),
            is_forced: metadata.annotations.unwrap_or_default().force.as_deref() == Some("force"),
            pools: Pools::read(workers),
        })
    }

    /// The families of a Network of this Shoot that count.
    pub(crate) fn counting<'f>(&self, families: &'f [Family]) -> &'f [Family] {
        if self.counts_one_family { &families[..families.len().min(1)] } else { families }
    }
}

/// Whether this text is a list that is not empty.
fn has_elements(list: &str) -> bool {
    serde_json::from_str::<FirstOf<serde::de::IgnoredAny, 1>>(list).is_ok_and(|list| !list.0.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::gardener::shoot::OVERLAY_SWITCH;

    fn shoot() -> Value {
        json!({
            "metadata": {"annotations": {"other": "x"}},
            "spec": {
                "networking": {"type": "calico", "providerConfig": {"overlay": {"enabled": false}}, "ipFamilies": ["IPv4"]},
                "provider": {"type": "aws", "workers": [{"name": "a"}]},
            },
            "status": {"lastOperation": {"type": "Reconcile", "state": "Succeeded"}},
        })
    }

    fn facts(change: impl FnOnce(&mut Value)) -> Option<SwitchFacts> {
        let mut shoot = shoot();
        change(&mut shoot);
        SwitchFacts::parse(&json!({"shoot": shoot, "seed": {}}).to_string())
    }

    #[test]
    fn reads_the_desired_configuration_and_the_state_of_a_shoot() {
        let plain = facts(|_| ()).unwrap();
        assert_eq!((&*plain.network_type, &*plain.provider), ("calico", "aws"));
        assert_eq!(plain.config.as_deref(), Some(r#"{"overlay":{"enabled":false}}"#));
        assert_eq!(&*plain.families, [Family::V4]);
        let table: [(&str, fn(&mut Value), fn(&SwitchFacts) -> bool); 11] = [
            ("forced", |s| s["metadata"]["annotations"][OVERLAY_SWITCH] = json!("force"), |f| f.is_forced),
            ("another value", |s| s["metadata"]["annotations"][OVERLAY_SWITCH] = json!("true"), |f| !f.is_forced),
            ("deleting", |s| s["metadata"]["deletionTimestamp"] = json!("x"), |f| f.is_being_deleted),
            (
                "failed",
                |s| s["status"]["lastOperation"]["state"] = json!("Failed"),
                |f| f.is_failed && !f.is_processing,
            ),
            ("processing", |s| s["status"]["lastOperation"]["state"] = json!("Processing"), |f| f.is_processing),
            ("migrating", |s| s["status"]["lastOperation"]["type"] = json!("Migrate"), |f| f.is_migrating),
            (
                "confined",
                |s| s["spec"]["maintenance"] = json!({"confineSpecUpdateRollout": true}),
                |f| f.confines_rollout,
            ),
            (
                "going to sleep",
                |s| s["spec"]["hibernation"] = json!({"enabled": true}),
                |f| f.hibernation == Hibernation::Between,
            ),
            (
                "asleep",
                |s| {
                    s["spec"]["hibernation"] = json!({"enabled": true});
                    s["status"]["hibernated"] = json!(true);
                },
                |f| f.hibernation == Hibernation::Asleep,
            ),
            ("waking", |s| s["status"]["hibernated"] = json!(true), |f| f.hibernation == Hibernation::Between),
            ("no config", |s| s["spec"]["networking"]["providerConfig"] = json!(null), |f| f.config.is_none()),
        ];
        for (what, change, want) in table {
            let facts = facts(change).unwrap();
            assert!(want(&facts), "{what}: {facts:?}");
        }
    }

    #[test]
    fn one_family_counts_until_nodes_have_both() {
        for (status, want) in [("False", 1), ("Progressing", 1), ("True", 2)] {
            let facts = facts(|shoot| {
                shoot["spec"]["networking"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
                shoot["status"]["constraints"] = json!([{"type": DUAL_STACK_CONSTRAINT, "status": status}]);
            })
            .unwrap();
            assert_eq!(facts.families.len(), 2, "{status}: the desired families are kept");
            assert_eq!(facts.counting(&[Family::V4, Family::V6]).len(), want, "{status}");
        }
    }

    #[test]
    fn without_workers_there_is_no_network() {
        assert_eq!(facts(|shoot| shoot["spec"]["provider"]["workers"] = json!([])), None);
        assert_eq!(facts(|shoot| shoot["spec"]["provider"]["workers"] = json!(null)), None);
        assert_eq!(SwitchFacts::parse("{}"), None);
        assert_eq!(SwitchFacts::parse("5"), None);
    }
}
