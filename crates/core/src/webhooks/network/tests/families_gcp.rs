//! A second IP family where no routes come with it.

use super::cases::pending;
use super::families::{by_families, families, routes_come, says};
use super::*;
use crate::gardener::network::Reason;

/// Routes never come there, so an operator's word is the way out that the obstacle itself names.
#[test]
fn an_operator_forces_what_no_routes_come_for() {
    let two_networks = || {
        let mut world = pending();
        world.shoot["spec"]["provider"]["type"] = json!("gcp");
        world.shoot["status"]["networking"] = json!({"nodes": ["10.250.0.0/16", "2001:db8::/64"]});
        world
    };
    let both = || {
        let mut world = pending();
        world.shoot["spec"]["provider"]["type"] = json!("gcp");
        world.ask_for_both(None);
        assert!(world.gardenlet());
        world
    };
    let table: [(&str, &dyn Fn() -> World, &str); 4] = [
        ("by families", &|| by_families("gcp", None), "gcp makes no routes"),
        ("by families that do not count yet", &|| by_families("alicloud", Some(false)), "DualStackNodesMigrationReady"),
        ("both at once", &both, "gcp makes no routes"),
        ("two networks of nodes", &two_networks, "gcp makes no routes"),
    ];
    for (what, make, obstacle) in table {
        let mut world = make();
        world.extension();
        assert!(says(&mut world).contains(obstacle), "{what}");
        let mut new = world.network.clone();
        new["metadata"]["annotations"][SWITCH_STATE] = json!("forced");
        assert!(world.write(new));
        let asked = desired(world.snapshot().switch_facts(NAMESPACE).unwrap()).unwrap();
        assert_eq!(world.controller(), Act::Release(Reason::Forced), "{what}");
        assert_eq!(world.decision(), "forced", "{what}");
        let config = &world.network["spec"]["providerConfig"];
        let text = config.to_string();
        let stored = encapsulation(Some(&*text).filter(|_| !config.is_null()), &asked.families);
        assert_eq!(stored, Ok(Encapsulation::Native), "{what}");
        assert!(SWITCH_ANNOTATIONS.iter().all(|key| world.annotation(key).is_none()), "{what}");
    }
}

#[test]
fn on_gcp_both_at_once_wait_with_the_reason_until_the_edit_is_split() {
    let mut world = pending();
    world.shoot["spec"]["provider"]["type"] = json!("gcp");
    world.ask_for_both(None);
    assert!(world.gardenlet(), "it is never refused");
    assert_eq!((world.decision(), world.mode(), families(&world)), ("held", Encapsulation::Overlay, &json!(["IPv4"])));
    let finding = &world.verdict.as_ref().unwrap().findings[0];
    assert!(finding.message.contains("can be taken back instead"), "{finding:?}");
    world.extension();
    // Whatever routes there are, they are not made any more.
    world.nodes = vec![node("a", CREATED)];
    for _ in 0..3 {
        world.pass(60);
        assert!(says(&mut world).contains("gcp makes no routes for a Shoot with two IP families"));
        assert!(world.annotation(SWITCH_MESSAGE).unwrap().contains("can be taken back instead"));
    }
    // The owner splits it: first the overlay …
    let since = world.annotation(SWITCH_SINCE).unwrap().to_owned();
    world.shoot["spec"]["networking"]["ipFamilies"] = json!(["IPv4"]);
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.annotation(SWITCH_SINCE)), ("held", Some(&*since)));
    world.extension();
    assert_eq!(routes_come(&mut world), Act::Release(Reason::Routes));
    assert_eq!((world.mode(), families(&world)), (Encapsulation::Native, &json!(["IPv4"])));
    world.extension();
    world.controller();
    // … then the families.
    world.ask_for_both(Some(false));
    assert!(world.gardenlet());
    assert_eq!((world.decision(), families(&world)), ("none", &json!(["IPv4", "IPv6"])));

    // The infrastructure does not take a family back.
    let mut world = pending();
    world.shoot["spec"]["provider"]["type"] = json!("gcp");
    world.shoot["status"]["networking"] = json!({"nodes": ["10.250.0.0/16", "2001:db8::/64"]});
    world.extension();
    let message = says(&mut world);
    assert!(message.contains("replace all nodes") && message.contains("force the switch"), "{message}");
    world.ask(on());
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("cleared", Encapsulation::Overlay));
}

/// An approval is for what routes lead to: with a second family on GCP none are made any more.
#[test]
fn an_approval_lets_no_second_family_pass_for_which_no_routes_come() {
    for (provider, want) in [("gcp", "held"), ("aws", "released")] {
        let mut world = pending();
        world.shoot["spec"]["provider"]["type"] = json!(provider);
        world.shoot["spec"]["maintenance"] = json!({"confineSpecUpdateRollout": true});
        world.extension();
        assert!(matches!(routes_come(&mut world), Act::Say { state: SwitchState::Approved, .. }), "{provider}");
        world.ask_for_both(None);
        assert!(world.gardenlet());
        assert_eq!(world.decision(), want, "{provider}");
    }
}
