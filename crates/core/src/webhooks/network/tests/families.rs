//! A second IP family: together with a switch, and as one.

use super::cases::pending;
use super::*;
use crate::gardener::network::{Phase, Reason};
use crate::gardener::shoot::OVERLAY_SWITCH;

/// A Shoot without a word about the overlay that asks for IPv6 too.
pub(super) fn by_families(provider: &str, are_nodes_dual: Option<bool>) -> World {
    let mut world = World::with(&Value::Null);
    world.shoot["spec"]["provider"]["type"] = json!(provider);
    world.nodes = vec![node("a", CALICO_UP), node("b", CALICO_UP)];
    world.ask_for_both(are_nodes_dual);
    assert!(world.gardenlet());
    world
}

pub(super) fn families(world: &World) -> &Value {
    &world.network["spec"]["ipFamilies"]
}

pub(super) fn says(world: &mut World) -> String {
    match world.controller() {
        Act::Say { state: SwitchState::Pending, status: Some(status) } => status.message(),
        act => panic!("{act:?}"),
    }
}

/// All routes are there, for as long as it takes.
pub(super) fn routes_come(world: &mut World) -> Act {
    for node in &mut world.nodes {
        node.route.as_mut().unwrap().reason = "RouteCreated".into();
        node.route.as_mut().unwrap().status = "False".into();
    }
    world.controller();
    world.pass(30);
    world.controller()
}

#[test]
fn a_second_family_waits_for_a_switch() {
    // Calico with an overlay cannot have two families, so the second one waits too, whatever nodes are ready for.
    for are_nodes_dual in [None, Some(false), Some(true)] {
        let mut world = pending();
        let generation = world.generation();
        world.ask_for_both(are_nodes_dual);
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
        assert_eq!((families(&world), world.generation()), (&json!(["IPv4"]), generation));
        // And comes with it.
        world.extension();
        assert_eq!(routes_come(&mut world), Act::Release(Reason::Routes));
        assert_eq!((families(&world), world.mode()), (&json!(["IPv4", "IPv6"]), Encapsulation::Native));
        world.extension();
        let generation = world.generation();
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.generation()), ("none", generation));
    }
    // Nothing was said before.
    let mut world = World::with(&Value::Null);
    world.ask(off());
    world.ask_for_both(None);
    let generation = world.generation();
    assert!(world.gardenlet());
    assert_eq!((world.decision(), families(&world), world.generation()), ("held", &json!(["IPv4"]), generation));
}

#[test]
fn a_family_that_ends_the_overlay_is_a_switch() {
    let mut world = by_families("aws", None);
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
    assert_eq!(families(&world), &json!(["IPv4"]));
    assert!(world.network["spec"].get("providerConfig").is_none(), "nothing is invented");
    let (since, generation) = (world.annotation(SWITCH_SINCE).unwrap().to_owned(), world.generation());
    for _ in 0..2 {
        world.extension();
        let message = says(&mut world);
        assert!(message.starts_with("0 of 2 nodes have routes"), "{message}");
        // The infrastructure looks at `overlay` only.
        assert!(message.ends_with("write overlay: {enabled: false} into it"), "{message}");
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.generation()), ("held", generation));
        assert_eq!(world.annotation(SWITCH_SINCE), Some(&*since));
    }
    world.extension();
    // What else changes passes.
    world.ask(json!({"typha": {"enabled": false}}));
    assert!(world.gardenlet());
    assert_eq!(world.network["spec"]["providerConfig"], json!({"typha": {"enabled": false}}));
    world.extension();
    assert_eq!(routes_come(&mut world), Act::Release(Reason::Routes));
    assert_eq!((world.decision(), world.mode()), ("released", Encapsulation::Native));
    assert_eq!(families(&world), &json!(["IPv4", "IPv6"]));
    assert!(SWITCH_ANNOTATIONS.iter().all(|key| world.annotation(key).is_none()));
    // gardenlet may write again before the extension has deployed it.
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("none", Encapsulation::Native));
    world.extension();
    assert_eq!(world.controller(), Act::AwaitRollout);
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("none", Encapsulation::Native));
}

#[test]
fn it_counts_from_when_nodes_have_both() {
    // gardenlet's constraint: until it is true, the extension cuts the families by itself.
    let mut world = by_families("alicloud", Some(false));
    assert_eq!((world.decision(), families(&world)), ("held", &json!(["IPv4"])));
    world.extension();
    world.nodes = vec![node("a", CREATED)];
    for _ in 0..3 {
        world.pass(60);
        let message = says(&mut world);
        assert!(message.contains("DualStackNodesMigrationReady"), "{message}");
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
        world.extension();
    }
    // New nodes have both, and no routes yet.
    world.constrain(Some(true));
    world.nodes = vec![node("b", CALICO_UP)];
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
    world.extension();
    assert!(says(&mut world).starts_with("0 of 1 nodes have routes"));
    assert_eq!(routes_come(&mut world), Act::Release(Reason::Routes));
    assert_eq!((families(&world), world.mode()), (&json!(["IPv4", "IPv6"]), Encapsulation::Native));
}

#[test]
fn it_is_caught_when_it_was_let_in_before() {
    // A webhook that did not know took the family in while it did not count.
    let mut world = World::with(&Value::Null);
    world.ask_for_both(Some(false));
    world.network["spec"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
    world.network["metadata"]["annotations"][OPERATION] = json!("reconcile");
    world.extension();
    assert_eq!(world.network["status"]["ipFamilies"], json!(["IPv4"]));
    world.nodes = vec![node("a", CALICO_UP)];
    // Now it counts, and nothing else need change.
    world.constrain(Some(true));
    assert!(world.gardenlet());
    assert_eq!((world.decision(), families(&world), world.mode()), ("held", &json!(["IPv4"]), Encapsulation::Overlay));
    world.extension();
    assert_eq!(routes_come(&mut world), Act::Release(Reason::Routes));
    assert_eq!((families(&world), world.mode()), (&json!(["IPv4", "IPv6"]), Encapsulation::Native));
    // A Shoot that runs with both already is left alone, also by a switch of words.
    let mut world = World::before(&Value::Null);
    world.ask_for_both(None);
    world.gardenlet();
    world.extension();
    for config in [Value::Null, off(), json!({"typha": {"enabled": false}})] {
        world.ask(config);
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.mode()), ("none", Encapsulation::Native));
        world.extension();
    }
}

#[test]
fn it_can_be_taken_back_forced_and_slept_through() {
    let mut world = by_families("aws", None);
    world.extension();
    world.controller();
    world.shoot["spec"]["networking"]["ipFamilies"] = json!(["IPv4"]);
    let generation = world.generation();
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.generation()), ("cleared", generation));
    assert_eq!(world.controller(), Act::Forget);

    let mut world = by_families("gcp", Some(false));
    world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] = json!("force");
    assert!(world.gardenlet());
    assert_eq!((world.decision(), families(&world)), ("forced", &json!(["IPv4", "IPv6"])));

    // By an operator: exactly this, and nothing that comes later.
    let mut world = by_families("aws", None);
    world.extension();
    let mut new = world.network.clone();
    new["metadata"]["annotations"][SWITCH_STATE] = json!("forced");
    assert!(world.write(new));
    let mut other = World { network: world.network.clone(), ..by_families("aws", None) };
    other.ask(json!({"overlay": {"enabled": false}}));
    assert!(other.gardenlet());
    assert_eq!((other.decision(), other.mode()), ("held", Encapsulation::Overlay));
    assert_eq!(world.controller(), Act::Release(Reason::Forced));
    assert_eq!((families(&world), world.mode()), (&json!(["IPv4", "IPv6"]), Encapsulation::Native));

    let mut world = by_families("gcp", None);
    world.shoot["spec"]["hibernation"] = json!({"enabled": true});
    world.shoot["status"]["hibernated"] = json!(true);
    assert!(world.gardenlet());
    assert_eq!((world.decision(), families(&world)), ("asleep", &json!(["IPv4", "IPv6"])));
}

#[test]
fn what_an_older_version_held_is_known_again() {
    // It named the configuration alone, which was held because the families made it native.
    let before = json!({"backend": "bird"});
    let mut world = World::with(&before);
    world.nodes = vec![node("a", CREATED)];
    world.ask(Value::Null);
    world.ask_for_both(None);
    assert!(world.gardenlet());
    world.extension();
    let digest = desired(world.snapshot().switch_facts(NAMESPACE).unwrap()).unwrap().subset.digest();
    assert_ne!(world.annotation(SWITCH_REQUESTED), Some(&*digest));
    for (state, decision) in [("pending", "held"), ("forced", "forced"), ("approved", "released")] {
        let mut world = World {
            network: world.network.clone(),
            shoot: world.shoot.clone(),
            now: world.now,
            ..World::with(&before)
        };
        let annotations = &mut world.network["metadata"]["annotations"];
        annotations[SWITCH_REQUESTED] = json!(digest);
        annotations[SWITCH_STATE] = json!(state);
        annotations[SWITCH_MESSAGE] = json!("0 of 1 nodes have routes");
        annotations[SWITCH_APPROVED] = json!(world.now.to_string());
        let since = world.annotation(SWITCH_SINCE).map(str::to_owned);
        assert!(world.gardenlet());
        assert_eq!(world.decision(), decision, "{state}");
        if decision == "held" {
            assert_eq!(world.annotation(SWITCH_SINCE), since.as_deref());
            assert_eq!(world.annotation(SWITCH_MESSAGE), Some("0 of 1 nodes have routes"));
            assert_eq!((&world.network["spec"]["providerConfig"], families(&world)), (&before, &json!(["IPv4"])));
        }
    }
}

#[test]
fn it_is_held_again_on_another_seed() {
    for (is_older, says_so) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut world = if says_so { pending() } else { by_families("aws", None) };
        let (before, asked) = if says_so { (on(), off()) } else { (Value::Null, Value::Null) };
        world.ask_for_both(None);
        assert!(world.gardenlet());
        world.extension();
        world.controller();
        let mut state = world.network["status"]["state"].clone();
        if is_older {
            let held = if says_so { before.to_string() } else { "{}".to_owned() };
            state[STATE_MEMBER]["held"] = json!(held);
        }
        let record = Record::read(&state[STATE_MEMBER].to_string()).unwrap();
        assert_eq!(record.phase, Phase::Held);
        // The other Seed stores what gardenlet writes, before the state is there.
        let mut other = World::before(&asked);
        other.nodes = vec![node("a", CALICO_UP)];
        other.ask_for_both(None);
        assert!(other.gardenlet());
        assert_eq!(families(&other), &json!(["IPv4", "IPv6"]));
        other.network["status"]["state"] = state;
        let mut restore = other.network.clone();
        restore["metadata"]["annotations"][OPERATION] = json!("restore");
        assert!(other.write(restore));
        assert_eq!((other.decision(), families(&other)), ("held", &json!(["IPv4"])), "older: {is_older}, {asked}");
        assert_eq!(other.mode(), Encapsulation::Overlay);
        other.extension();
        other.restart();
        assert!(other.gardenlet());
        assert_eq!((other.decision(), other.mode()), ("held", Encapsulation::Overlay));
        other.extension();
        assert_eq!(routes_come(&mut other), Act::Release(Reason::Routes));
        assert_eq!((families(&other), other.mode()), (&json!(["IPv4", "IPv6"]), Encapsulation::Native));
    }
}

#[test]
fn what_gardenlet_writes_for_it_is_held() {
    let cluster = include_str!("../../../../../../tests/fixtures/overlay/cluster-gains-ipv6.json");
    let cluster: Value = serde_json::from_str(cluster).unwrap();
    let mut snapshot = Snapshot::default();
    let record = crate::gardener::ClusterFacts::parse(&cluster["spec"].to_string());
    snapshot.put_cluster(cluster["metadata"]["name"].as_str().unwrap(), record);
    let review = include_str!("../../../../../../tests/fixtures/overlay/network-gains-ipv6.json");
    let request = admission::decode(review.as_bytes()).unwrap();
    let handler = HoldNetwork::default();
    let verdict = AskLoop::new(&handler, &request, Some(&snapshot)).end().expect("nothing is asked");
    assert_eq!(verdict.decision, "held");
    let Outcome::Patched(patch) = &verdict.outcome else { panic!("{:?}", verdict.outcome) };
    assert!(patch.json().contains(r#""path":"/spec/ipFamilies","value":["IPv4"]"#), "{}", patch.json());
}

/// Calico's chart fails over a section of IPv6 where that family does not count. So it is held back with the family, and comes
/// with it.
#[test]
fn the_section_of_a_family_waits_with_it() {
    let section = json!({"sourceNATEnabled": true, "mode": "Never"});
    for (before, asked, held) in [
        (Value::Null, json!({"ipv6": section}), Value::Null),
        (json!({}), json!({"ipv6": section}), json!({})),
        (on(), json!({"overlay": {"enabled": false}, "ipv6": section}), on()),
        (Value::Null, json!({"typha": {}, "ipv6": section}), json!({"typha": {}})),
        (json!({"vethMTU": "1"}), json!({"ipv6": {}}), json!({})),
    ] {
        let mut world = World::with(&before);
        world.nodes = vec![node("a", CALICO_UP)];
        world.ask(asked.clone());
        world.ask_for_both(None);
        for _ in 0..2 {
            assert!(world.gardenlet());
            let spec = &world.network["spec"];
            assert_eq!((world.decision(), &spec["providerConfig"]), ("held", &held), "{asked}");
            assert_eq!(spec["ipFamilies"], json!(["IPv4"]), "{asked}");
            world.extension();
        }
        world.controller();
        assert_eq!(routes_come(&mut world), Act::Release(Reason::Routes), "{asked}");
        assert_eq!(world.network["spec"]["providerConfig"], asked);
        world.extension();
        let generation = world.generation();
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.generation()), ("none", generation), "{asked}");
    }
}
