//! What to do next about a held switch. Pure: the controller asks, does it, and asks again.

use serde_json::{Value, json};

use super::hold::{HoldSettings, state};
use super::record::Record;
use super::rules::CALICO;
use super::status::SwitchStatus;
use super::subset::tree;
use super::{Encapsulation, IPV6, Subset, Wish, encapsulation, families, wish};
use crate::gardener::network::{SwitchingNetwork, family_name};
use crate::gardener::{Hibernation, SwitchFacts};
use crate::net::Family;

/// The next step.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Plan {
    /// The Shoot does not ask for native routing any more: nothing is to be held.
    Clear,
    /// The switch was given up before it happened: nothing is to be remembered.
    Forget,
    /// It was let through: see Calico's Pods through it, then forget it.
    SeeThrough,
    /// Wait for this, and write nothing meanwhile: the Network is somebody else's matter now.
    Leave(&'static str),
    /// Wait for this. There are no nodes to look at, or nobody knows.
    Wait(&'static str),
    /// Wait for this, and look at the nodes meanwhile: they may be replaced for want of a route.
    Watch(&'static str),
    /// It may pass without a look at nodes.
    Pass(Reason),
    /// Look at the nodes.
    Look,
}

/// Why a switch may pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// Every node has its route.
    Routes,
    /// There are no nodes, and no Pods to cut off: the Shoot sleeps.
    Hibernated,
    /// Somebody forced it.
    Forced,
    /// Nobody reports routes on this infrastructure; it is not among those that are configured.
    NotListed,
}

impl Reason {
    /// The one of this name.
    pub fn of(name: &str) -> Option<Self> {
        [Self::Routes, Self::Hibernated, Self::Forced, Self::NotListed].into_iter().find(|reason| reason.name() == name)
    }

    /// The word used in metrics and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Routes => "routes",
            Self::Hibernated => "hibernated",
            Self::Forced => "forced",
            Self::NotListed => "not-listed",
        }
    }

    /// What is said of a switch that may pass for this reason, as long as it does not.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Routes => "",
            Self::Hibernated => "the Shoot sleeps",
            Self::Forced => "forced",
            Self::NotListed => "nobody reports routes on this infrastructure",
        }
    }

    /// Why a switch passed with gardenlet's own write, by what was said of it last and what is known of its Shoot.
    pub fn carried(said: Option<&SwitchStatus>, shoot: Option<&SwitchFacts>) -> Self {
        let is = |reason: Self| said.is_some_and(|status| status.because == reason.words());
        if is(Self::Forced) || shoot.is_some_and(|shoot| shoot.is_forced) {
            Self::Forced
        } else if is(Self::Hibernated) || shoot.is_some_and(|shoot| shoot.hibernation == Hibernation::Asleep) {
            Self::Hibernated
        } else if is(Self::NotListed) {
            Self::NotListed
        } else {
            Self::Routes
        }
    }
}

/// The next step about a Network with a switch, in what is known of its Shoot.
pub fn plan(network: &SwitchingNetwork, shoot: Option<&SwitchFacts>, settings: &HoldSettings) -> Plan {
    if network.is_being_deleted {
        return Plan::Leave("the Network is being deleted");
    }
    if matches!(network.operation.as_deref(), Some("migrate" | "restore" | "wait-for-state")) {
        return Plan::Leave("the control plane is moving to another Seed");
    }
    if network.state.is_none() {
        return afterwards(network, shoot);
    }
    let is_forced = network.state.as_deref() == Some(state::FORCED);
    let Some(shoot) = shoot else {
        let why = "there is no readable Cluster of this name";
        return if is_forced { Plan::Pass(Reason::Forced) } else { Plan::Wait(why) };
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
    let Some(wish) = wish(shoot) else { return Plan::Wait("the Shoot's configuration of Calico cannot be read") };
    if wish.encapsulation == Encapsulation::Overlay {
        return Plan::Clear;
    }
    if shoot.is_failed {
        let why = "the Shoot's last operation failed for good; repeat it";
        return if shoot.hibernation == Hibernation::Awake { Plan::Watch(why) } else { Plan::Wait(why) };
    }
    // An operator forced what was held then; the Shoot may ask for something else by now.
    if shoot.is_forced || (is_forced && network.requested.as_deref().is_some_and(|digest| wish.is_named(digest))) {
        return Plan::Pass(Reason::Forced);
    }
    if !settings.providers.iter().any(|provider| **provider == *shoot.provider) {
        return Plan::Pass(Reason::NotListed);
    }
    match shoot.hibernation {
        Hibernation::Asleep => return Plan::Pass(Reason::Hibernated),
        Hibernation::Between => return Plan::Wait("the Shoot is falling asleep or waking up"),
        Hibernation::Awake => {}
    }
    if wish.subset.has_blocks() || held(network).has_blocks() {
        return Plan::Watch(
            "Pods have addresses of Calico's own blocks (vxlan, calico-ipam), to which no route leads: keep the overlay, or force the switch",
        );
    }
    families::obstacle(shoot, &wish).map_or(Plan::Look, Plan::Watch)
}

/// Nothing is held any more; what became of it?
fn afterwards(network: &SwitchingNetwork, shoot: Option<&SwitchFacts>) -> Plan {
    let families = shoot.map_or(&*network.families, |shoot| shoot.counting(&network.families));
    match encapsulation(network.config.as_deref(), families) {
        Ok(Encapsulation::Native) => Plan::SeeThrough,
        Ok(Encapsulation::Overlay) | Err(_) => Plan::Forget,
    }
}

/// The members that are held, as the Network has them.
pub fn held(network: &SwitchingNetwork) -> Subset {
    Subset::of(tree(network.config.as_deref()).as_ref())
}

/// The same as text, to be remembered, with the families that are held beside them: over on another Seed the Network has
/// what the Shoot asks for.
fn held_text(network: &SwitchingNetwork) -> String {
    let mut members = held(network).value();
    let names: Vec<&str> = network.families.iter().map(|family| family_name(*family)).collect();
    members["ipFamilies"] = names.into();
    members.to_string()
}

/// Whether a switch that may pass can be written now. Otherwise gardenlet's next write carries it: while gardenlet or the
/// extension are at work, or where changes wait for the maintenance window, unless somebody wants it at once.
pub fn may_write(network: &SwitchingNetwork, shoot: &SwitchFacts, reason: Reason) -> bool {
    let is_confined = shoot.confines_rollout && reason != Reason::Forced;
    network.has_succeeded && network.operation.is_none() && !shoot.is_processing && !is_confined
}

/// The record of a switch as it should be now, from what was remembered and what the Network says.
pub fn record(network: &SwitchingNetwork, remembered: Option<&Record>) -> Record {
    let requested = network.requested.as_deref().unwrap_or_default();
    let since = network.since.as_deref().unwrap_or_default();
    let remembered = remembered.filter(|record| record.since == since);
    Record {
        held: held_text(network),
        requested: requested.to_owned(),
        since: since.to_owned(),
        latched: remembered.map(|record| record.latched.clone()).unwrap_or_default(),
        status: remembered.and_then(|record| record.status.clone()),
        ..Record::default()
    }
}

/// The state that the leader writes before it lets the switch through. An operator's force stays what it is: it counts where an
/// approval does not, because no routes come.
pub fn release_word(network: &SwitchingNetwork, wish: &Wish, reason: Reason) -> &'static str {
    let is_forced = network.state.as_deref() == Some(state::FORCED);
    let is_for_this = network.requested.as_deref().is_some_and(|digest| wish.is_named(digest));
    // A force for something else is none for this, also when the Shoot forces it: its own word is looked at there.
    if reason == Reason::Forced && is_forced && is_for_this { state::FORCED } else { state::APPROVED }
}

/// The configuration by which the held switch is let through: what the Shoot asks for, in the Network's configuration.
pub fn released_config(network: &SwitchingNetwork, wish: &Wish) -> Option<Value> {
    let config = wish.subset.put_into(tree(network.config.as_deref()), None);
    match &wish.ipv6 {
        // It was held back with the family.
        Some(section) if released_families(network, wish).is_some() => {
            let mut config = config.unwrap_or_else(|| json!({}));
            config[IPV6] = section.clone();
            Some(config)
        }
        _ => config,
    }
}

/// The IP families by which it is let through, where they were held back: the same that gardenlet would write.
pub fn released_families<'w>(network: &SwitchingNetwork, wish: &'w Wish) -> Option<&'w [Family]> {
    let held: &[Family] = if network.families.is_empty() { &[Family::V4] } else { &network.families };
    wish.families.iter().any(|family| !held.contains(family)).then_some(&wish.families)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network() -> SwitchingNetwork {
        SwitchingNetwork {
            state: Some("pending".into()),
            requested: Some("x".into()),
            config: Some(r#"{"overlay":{"enabled":true},"typha":1}"#.into()),
            families: [Family::V4].into(),
            has_succeeded: true,
            ..SwitchingNetwork::default()
        }
    }

    fn shoot() -> SwitchFacts {
        SwitchFacts {
            network_type: "calico".into(),
            provider: "aws".into(),
            config: Some(r#"{"overlay":{"enabled":false}}"#.into()),
            families: [Family::V4].into(),
            ..SwitchFacts::default()
        }
    }

    fn digest(shoot: &SwitchFacts) -> Box<str> {
        wish(shoot).unwrap().digest().into()
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
                    (n.state, n.requested) = (Some("forced".into()), Some(digest(s)));
                },
                Plan::Pass(Reason::Forced),
            ),
            (
                "the same by an older version",
                &|n, s| {
                    by_families(s);
                    let wish = wish(s).unwrap();
                    (n.state, n.requested) = (Some("forced".into()), Some(wish.subset.digest().into()));
                },
                Plan::Pass(Reason::Forced),
            ),
            (
                "by the families, of which one counts, asleep",
                &|_, s| {
                    by_families(s);
                    (s.counts_one_family, s.hibernation) = (true, Hibernation::Asleep);
                },
                Plan::Pass(Reason::Hibernated),
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
                Plan::Pass(Reason::Forced),
            ),
        ];
        for (what, change, want) in table {
            let (mut network, mut shoot) = (network(), shoot());
            change(&mut network, &mut shoot);
            assert_eq!(plan(&network, Some(&shoot), &HoldSettings::default()), want, "{what}");
        }
        let table: [(&str, Change, Plan); 14] = [
            ("pending", |_, _| (), Plan::Look),
            ("approved, still looked at", |n, _| n.state = Some("approved".into()), Plan::Look),
            (
                "forced on the Network",
                |n, s| (n.state, n.requested) = (Some("forced".into()), Some(digest(s))),
                Plan::Pass(Reason::Forced),
            ),
            ("forced, but something else", |n, _| n.state = Some("forced".into()), Plan::Look),
            ("forced on the Shoot", |_, s| s.is_forced = true, Plan::Pass(Reason::Forced)),
            ("reverted", |_, s| s.config = None, Plan::Clear),
            (
                "reverted by another Shoot word",
                |_, s| s.config = Some(r#"{"overlay":{"enabled":true}}"#.into()),
                Plan::Clear,
            ),
            ("reverted, failed", |_, s| (s.config, s.is_failed) = (None, true), Plan::Clear),
            ("asleep", |_, s| s.hibernation = Hibernation::Asleep, Plan::Pass(Reason::Hibernated)),
            ("another infrastructure", |_, s| s.provider = "local".into(), Plan::Pass(Reason::NotListed)),
            ("let through", |n, _| (n.state, n.config) = (None, Some(r#"{"overlay":{}}"#.into())), Plan::SeeThrough),
            ("given up", |n, _| n.state = None, Plan::Forget),
            (
                "blocks, forced",
                |n, s| {
                    n.config = Some(r#"{"vxlan":{"enabled":true}}"#.into());
                    s.is_forced = true;
                },
                Plan::Pass(Reason::Forced),
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
            ("moving", |n, _| n.operation = Some("migrate".into())),
            ("moving", |_, s| s.is_migrating = true),
            ("Shoot is being deleted", |_, s| s.is_being_deleted = true),
            ("failed", |_, s| s.is_failed = true),
            ("waking", |_, s| s.hibernation = Hibernation::Between),
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
        let forced = SwitchingNetwork { state: Some("forced".into()), ..network() };
        assert_eq!(plan(&forced, None, &HoldSettings::default()), Plan::Pass(Reason::Forced));
    }

    #[test]
    fn writes_only_when_nobody_else_does() {
        let table: [(&str, fn(&mut SwitchingNetwork, &mut SwitchFacts), bool); 5] = [
            ("quiet", |_, _| (), true),
            ("the extension works", |n, _| n.operation = Some("reconcile".into()), false),
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
        let wish = wish(&shoot()).unwrap();
        assert_eq!(released_config(&network(), &wish), Some(json!({"overlay": {"enabled": false}, "typha": 1})));
        assert_eq!(released_families(&network(), &wish), None);
        // Families that were held back come with it, and what is held is remembered with the rest.
        let both: Box<[Family]> = [Family::V4, Family::V6].into();
        let wish = super::wish(&SwitchFacts { families: both.clone(), ..shoot() }).unwrap();
        assert_eq!(released_families(&network(), &wish), Some(&*both));
        let remembered = record(&network(), None);
        assert_eq!(remembered.held, r#"{"ipFamilies":["IPv4"],"overlay":{"enabled":true}}"#);
        assert_eq!(remembered.families(), Some(vec![Family::V4]));
        assert_eq!(remembered.subset(), held(&network()));
    }
}
