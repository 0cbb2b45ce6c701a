//! How a switch that may pass is released.

use serde_json::{Value, json};

use super::desired::Desired;
use super::subset::{IPV6, tree};
use crate::gardener::SwitchFacts;
use crate::gardener::network::{Reason, SwitchState, SwitchingNetwork};
use crate::net::Family;

/// Whether a switch that may pass can be written now. Otherwise gardenlet's next write carries it: while gardenlet or
/// the extension is at work, or where changes wait for the maintenance window, unless the switch is forced.
pub(super) fn may_write(network: &SwitchingNetwork, shoot: &SwitchFacts, reason: Reason) -> bool {
    let is_confined = shoot.confines_rollout && reason != Reason::Forced;
    network.has_succeeded && network.operation.is_none() && !shoot.is_processing && !is_confined
}

/// The state that the leader writes before it releases the switch. An operator's force is kept: it counts where an
/// approval does not, because no routes are made.
pub(super) fn release_word(network: &SwitchingNetwork, desired: &Desired, reason: Reason) -> SwitchState {
    let is_forced = network.switch.is(SwitchState::Forced);
    let is_for_this = network.switch.requested.as_deref().is_some_and(|digest| desired.is_named(digest));
    // A force for another configuration does not count for this one, also when the Shoot forces this one: that is
    // checked there.
    if reason == Reason::Forced && is_forced && is_for_this { SwitchState::Forced } else { SwitchState::Approved }
}

/// The configuration that releases the held switch: what the Shoot asks for, within the Network's configuration.
pub(super) fn released_config(network: &SwitchingNetwork, desired: &Desired) -> Option<Value> {
    let config = desired.subset.put_into(tree(network.config.as_deref()), None);
    match &desired.ipv6 {
        // It was held back with the family.
        Some(section) if released_families(network, desired).is_some() => {
            let mut config = config.unwrap_or_else(|| json!({}));
            config[IPV6] = section.clone();
            Some(config)
        }
        _ => config,
    }
}

/// The IP families that release it, where they were held back: those that gardenlet would write.
pub(super) fn released_families<'w>(network: &SwitchingNetwork, desired: &'w Desired) -> Option<&'w [Family]> {
    let held: &[Family] = if network.families.is_empty() { &[Family::V4] } else { &network.families };
    desired.families.iter().any(|family| !held.contains(family)).then_some(&desired.families)
}

#[cfg(test)]
mod tests {
    use super::super::desired::desired;
    use super::super::fixtures::{network, shoot};
    use super::super::record::record;
    use super::super::subset::held;
    use super::*;
    use crate::gardener::network::Operation;

    #[test]
    fn writes_only_when_nobody_else_does() {
        let table: [(&str, fn(&mut SwitchingNetwork, &mut SwitchFacts), bool); 5] = [
            ("quiet", |_, _| (), true),
            ("the extension works", |n, _| n.operation = Some(Operation::Reconcile), false),
            ("the extension failed", |n, _| n.has_succeeded = false, false),
            ("gardenlet works", |_, s| s.is_processing = true, false),
            ("confined", |_, s| s.confines_rollout = true, false),
        ];
        for (what, change, want) in table {
            let (mut network, mut shoot) = (network(), shoot());
            change(&mut network, &mut shoot);
            assert_eq!(may_write(&network, &shoot, Reason::Routes), want, "{what}");
            assert_eq!(may_write(&network, &shoot, Reason::Forced), want || what == "confined", "{what}, forced");
        }
    }

    #[test]
    fn a_release_is_what_was_asked_for_and_nothing_else() {
        let desired = desired(&shoot()).unwrap();
        assert_eq!(released_config(&network(), &desired), Some(json!({"overlay": {"enabled": false}, "typha": 1})));
        assert_eq!(released_families(&network(), &desired), None);
        // Families that were held back are released with it, and the record has them too.
        let both: Box<[Family]> = [Family::V4, Family::V6].into();
        let desired = super::super::desired::desired(&SwitchFacts { families: both.clone(), ..shoot() }).unwrap();
        assert_eq!(released_families(&network(), &desired), Some(&*both));
        let remembered = record(&network(), None);
        assert_eq!(remembered.held, r#"{"ipFamilies":["IPv4"],"overlay":{"enabled":true}}"#);
        assert_eq!(remembered.families(), Some(vec![Family::V4]));
        assert_eq!(remembered.subset(), held(&network()));
    }
}
