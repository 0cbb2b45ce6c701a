//! The next step about a held switch. Pure: the controller executes the step, and calls again.

use super::desired::desired;
use super::obstacle::obstacle;
use super::settings::HoldSettings;
use super::subset::held;
use crate::gardener::network::{Operation, Reason, SwitchState, SwitchingNetwork};
use crate::gardener::{CALICO, Encapsulation, Hibernation, SwitchFacts, encapsulation};

/// The next step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Plan {
    /// The Shoot does not ask for native routing any more: clear the switch.
    Clear,
    /// The switch was abandoned before it happened: delete its record.
    Forget,
    /// It was released: wait for the rollout of Calico's Pods, then delete its record.
    AwaitRollout,
    /// Wait for this, and write nothing meanwhile: others are working on the Network.
    Leave(&'static str),
    /// Wait for this. There are no nodes, or it is unknown whether there are any.
    Wait(&'static str),
    /// Wait for this, and observe the nodes meanwhile: they may be replaced for want of a route.
    Watch(&'static str),
    /// It may pass without observing the nodes.
    MayPass(Reason),
    /// Observe the nodes.
    Look,
}

/// The next step about a Network with a switch, by the facts of its Shoot.
pub(super) fn plan(network: &SwitchingNetwork, shoot: Option<&SwitchFacts>, settings: &HoldSettings) -> Plan {
    if network.is_being_deleted {
        return Plan::Leave("the Network is being deleted");
    }
    if matches!(network.operation, Some(Operation::Migrate | Operation::Restore | Operation::WaitForState)) {
        return Plan::Leave("the control plane is moving to another Seed");
    }
    if network.switch.state.is_none() {
        return afterwards(network, shoot);
    }
    let is_forced = network.switch.is(SwitchState::Forced);
    let Some(shoot) = shoot else {
        let why = "there is no readable Cluster of this name";
        return if is_forced { Plan::MayPass(Reason::Forced) } else { Plan::Wait(why) };
    };
    if &*shoot.network_type != CALICO {
        return Plan::Wait("the Shoot's network is not Calico's");
    }
    if shoot.is_being_deleted {
        return Plan::Leave("the Shoot is being deleted");
    }
    if shoot.is_migrating {
        return Plan::Leave("the control plane is moving to another Seed");
    }
    let Some(desired) = desired(shoot) else { return Plan::Wait("the Shoot's configuration of Calico cannot be read") };
    if desired.encapsulation == Encapsulation::Overlay {
        return Plan::Clear;
    }
    if shoot.is_failed {
        let why = "the Shoot's last operation failed for good; repeat it";
        return if shoot.hibernation == Hibernation::Awake { Plan::Watch(why) } else { Plan::Wait(why) };
    }
    // An operator forced the configuration of that time; the Shoot may ask for something else by now.
    if shoot.is_forced
        || (is_forced && network.switch.requested.as_deref().is_some_and(|digest| desired.is_named(digest)))
    {
        return Plan::MayPass(Reason::Forced);
    }
    if !settings.providers.iter().any(|provider| **provider == *shoot.provider) {
        return Plan::MayPass(Reason::NotListed);
    }
    match shoot.hibernation {
        Hibernation::Asleep => return Plan::MayPass(Reason::Hibernated),
        Hibernation::Between => return Plan::Wait("the Shoot is being hibernated or woken up"),
        Hibernation::Awake => {}
    }
    if desired.subset.has_blocks() || held(network).has_blocks() {
        return Plan::Watch(
            "Pods have addresses of Calico's own blocks (vxlan, calico-ipam), to which no route leads: keep the overlay, or force the switch",
        );
    }
    obstacle(shoot, &desired).map_or(Plan::Look, Plan::Watch)
}

/// Nothing is held any more: whether the switch was released or abandoned.
fn afterwards(network: &SwitchingNetwork, shoot: Option<&SwitchFacts>) -> Plan {
    let families = shoot.map_or(&*network.families, |shoot| shoot.counting(&network.families));
    match encapsulation(network.config.as_deref(), families) {
        Ok(Encapsulation::Native) => Plan::AwaitRollout,
        Ok(Encapsulation::Overlay) | Err(_) => Plan::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{network, shoot};
    use super::*;
    use crate::net::Family;

    fn digest(shoot: &SwitchFacts) -> Box<str> {
        desired(shoot).unwrap().digest().into()
    }

    #[test]
    fn every_case_has_its_step() {
        type Change = fn(&mut SwitchingNetwork, &mut SwitchFacts);
        let waits = |plan: &Plan, word: &str| matches!(plan, Plan::Wait(why) | Plan::Watch(why) | Plan::Leave(why) if why.contains(word));
        let both = |s: &mut SwitchFacts| s.families = [Family::V4, Family::V6].into();
        let by_families = |s: &mut SwitchFacts| {
            s.config = None;
            both(s);
        };
        let table: [(&str, &dyn Fn(&mut SwitchingNetwork, &mut SwitchFacts), Plan); 6] = [
            ("by the families", &|_, s| by_families(s), Plan::Look),
            (
                "by the families, forced on the Network",
                &|n, s| {
                    by_families(s);
                    (n.switch.state, n.switch.requested) = (Some("forced".into()), Some(digest(s)));
                },
                Plan::MayPass(Reason::Forced),
            ),
            (
                "the same by an older version",
                &|n, s| {
                    by_families(s);
                    let desired = desired(s).unwrap();
                    (n.switch.state, n.switch.requested) =
                        (Some("forced".into()), Some(desired.subset.digest().into()));
                },
                Plan::MayPass(Reason::Forced),
            ),
            (
                "by the families, of which one counts, asleep",
                &|_, s| {
                    by_families(s);
                    (s.counts_one_family, s.hibernation) = (true, Hibernation::Asleep);
                },
                Plan::MayPass(Reason::Hibernated),
            ),
            (
                "explicit, and one family counts",
                &|_, s| (s.counts_one_family, s.families) = (true, [Family::V4, Family::V6].into()),
                Plan::Look,
            ),
            (
                "gcp, both, forced",
                &|_, s| {
                    both(s);
                    (s.provider, s.is_forced) = ("gcp".into(), true);
                },
                Plan::MayPass(Reason::Forced),
            ),
        ];
        for (what, change, want) in table {
            let (mut network, mut shoot) = (network(), shoot());
            change(&mut network, &mut shoot);
            assert_eq!(plan(&network, Some(&shoot), &HoldSettings::default()), want, "{what}");
        }
        let table: [(&str, Change, Plan); 14] = [
            ("pending", |_, _| (), Plan::Look),
            ("approved, still observed", |n, _| n.switch.state = Some("approved".into()), Plan::Look),
            (
                "forced on the Network",
                |n, s| (n.switch.state, n.switch.requested) = (Some("forced".into()), Some(digest(s))),
                Plan::MayPass(Reason::Forced),
            ),
            ("forced, but something else", |n, _| n.switch.state = Some("forced".into()), Plan::Look),
            ("forced on the Shoot", |_, s| s.is_forced = true, Plan::MayPass(Reason::Forced)),
            ("reverted", |_, s| s.config = None, Plan::Clear),
            (
                "reverted by the Shoot's configuration",
                |_, s| s.config = Some(r#"{"overlay":{"enabled":true}}"#.into()),
                Plan::Clear,
            ),
            ("reverted, failed", |_, s| (s.config, s.is_failed) = (None, true), Plan::Clear),
            ("asleep", |_, s| s.hibernation = Hibernation::Asleep, Plan::MayPass(Reason::Hibernated)),
            ("another infrastructure", |_, s| s.provider = "local".into(), Plan::MayPass(Reason::NotListed)),
            (
                "let through",
                |n, _| (n.switch.state, n.config) = (None, Some(r#"{"overlay":{}}"#.into())),
                Plan::AwaitRollout,
            ),
            ("given up", |n, _| n.switch.state = None, Plan::Forget),
            (
                "blocks, forced",
                |n, s| {
                    n.config = Some(r#"{"vxlan":{"enabled":true}}"#.into());
                    s.is_forced = true;
                },
                Plan::MayPass(Reason::Forced),
            ),
            ("forced, overlay kept", |_, s| (s.is_forced, s.config) = (true, None), Plan::Clear),
        ];
        for (what, change, want) in table {
            let (mut network, mut shoot) = (network(), shoot());
            change(&mut network, &mut shoot);
            assert_eq!(plan(&network, Some(&shoot), &HoldSettings::default()), want, "{what}");
        }
        let table: [(&str, Change); 12] = [
            ("gcp makes no routes for a Shoot", |_, s| {
                (s.provider, s.families) = ("gcp".into(), [Family::V4, Family::V6].into());
            }),
            ("replace all nodes", |_, s| (s.provider, s.has_two_node_networks) = ("gcp".into(), true)),
            ("DualStackNodesMigrationReady", |_, s| {
                (s.config, s.counts_one_family) = (None, true);
                s.families = [Family::V4, Family::V6].into();
            }),
            ("being deleted", |n, _| n.is_being_deleted = true),
            ("moving", |n, _| n.operation = Some(Operation::Migrate)),
            ("moving", |_, s| s.is_migrating = true),
            ("Shoot is being deleted", |_, s| s.is_being_deleted = true),
            ("failed", |_, s| s.is_failed = true),
            ("woken up", |_, s| s.hibernation = Hibernation::Between),
            ("blocks", |n, _| n.config = Some(r#"{"ipam":{"type":"calico-ipam"}}"#.into())),
            ("blocks", |_, s| s.config = Some(r#"{"overlay":{},"vxlan":{"enabled":true}}"#.into())),
            ("cannot be read", |_, s| s.config = Some(r#"{"overlay":5}"#.into())),
        ];
        for (what, change) in table {
            let (mut network, mut shoot) = (network(), shoot());
            change(&mut network, &mut shoot);
            let plan = plan(&network, Some(&shoot), &HoldSettings::default());
            assert!(waits(&plan, what), "{what}: {plan:?}");
        }
        assert!(waits(&plan(&network(), None, &HoldSettings::default()), "no readable Cluster"));
        let mut forced = network();
        forced.switch.state = Some("forced".into());
        assert_eq!(plan(&forced, None, &HoldSettings::default()), Plan::MayPass(Reason::Forced));
    }
}
