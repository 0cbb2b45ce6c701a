//! The facts of a Shoot that a switch of Calico's overlay depends on, besides the `Network` and the nodes: the desired
//! configuration and the state of the Shoot, from gardenlet's `Cluster`.

use serde::Deserialize;

use super::Shoot;
use super::network::family;
use super::operation::{LastOperation, OperationKind, OperationState};
use super::pools::Pools;
use crate::json::Text;
use crate::net::{Family, NetworkKind};

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

/// An element of `status.constraints`.
#[derive(Deserialize)]
struct Constraint<'a> {
    #[serde(borrow, rename = "type")]
    constraint: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
}

impl SwitchFacts {
    /// What counts of a Shoot in a Cluster; `None` for one without workers, and for one whose state cannot be read: in doubt
    /// nothing is let through.
    pub fn of(shoot: &Shoot<'_>) -> Option<Self> {
        let workers = shoot.workers.filter(|_| shoot.has_workers && !shoot.has_unreadable_state)?;
        let counts_one_family = shoot.constraints.map_or(Some(false), counts_one_family)?;
        let families = shoot.networking.ip_families.iter().flatten().filter_map(|name| family(name));
        let LastOperation { kind, state } = shoot.last_operation;
        Some(Self {
            network_type: (*shoot.network_type).into(),
            provider: (*shoot.provider_type).into(),
            config: shoot.network_config.map(Into::into),
            families: families.collect(),
            counts_one_family,
            // As gardener-extension-provider-gcp counts them.
            has_two_node_networks: shoot.status_networking.get(NetworkKind::Nodes).len() == 2,
            hibernation: match (shoot.shall_sleep, shoot.sleeps) {
                (false, false) => Hibernation::Awake,
                (true, true) => Hibernation::Asleep,
                _ => Hibernation::Between,
            },
            is_being_deleted: shoot.is_being_deleted,
            is_failed: state == Some(OperationState::Failed),
            is_processing: state.is_some_and(OperationState::is_active),
            is_migrating: kind == Some(OperationKind::Migrate),
            confines_rollout: shoot.confines_rollout,
            is_forced: shoot.is_switch_forced,
            pools: Pools::read(workers),
        })
    }

    /// The families of a Network of this Shoot that count.
    pub(crate) fn counting<'f>(&self, families: &'f [Family]) -> &'f [Family] {
        if self.counts_one_family { &families[..families.len().min(1)] } else { families }
    }
}

/// Whether nodes are still changing to two families; `None` where that cannot be read.
fn counts_one_family(constraints: &str) -> Option<bool> {
    let constraints: Vec<Constraint<'_>> = serde_json::from_str(constraints).ok()?;
    Some(constraints.iter().any(|found| {
        found.constraint.as_deref() == Some(DUAL_STACK_CONSTRAINT) && found.status.as_deref() != Some("True")
    }))
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
        SwitchFacts::of(&Shoot::read_of_cluster(&shoot.to_string()).unwrap())
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
        assert_eq!(facts(|shoot| *shoot = json!({})), None);
    }
}
