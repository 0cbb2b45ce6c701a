//! The cases of which people ask what happens then.

use super::*;
use crate::landscape::{Answer, Answers};

/// A Shoot with an overlay that asks to be without.
pub(super) fn pending() -> World {
    let mut world = World::with(&on());
    world.nodes = vec![node("a", CALICO_UP), node("b", CALICO_UP)];
    world.ask(off());
    assert!(world.gardenlet());
    world
}

pub(super) fn has_annotations(world: &World) -> bool {
    SWITCH_ANNOTATIONS.iter().any(|key| world.annotation(key).is_some())
}

#[test]
fn a_switch_is_held_and_everything_succeeds() {
    let mut world = pending();
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
    assert_eq!(world.annotation(SWITCH_STATE), Some("pending"));
    assert_eq!(world.annotation(SWITCH_SINCE), world.annotation(TIMESTAMP));
    assert_eq!(world.annotation(SWITCH_MESSAGE), Some(NOT_LOOKED_YET));
    world.extension();
    assert_eq!(world.decision(), "kept", "the extension takes its annotation away");
    assert_eq!(world.network["status"]["observedGeneration"], json!(world.generation()));
    assert!(world.annotation(SWITCH_STATE).is_some() && world.annotation(OPERATION).is_none());
}

#[test]
fn repeated_writes_change_nothing() {
    let mut world = pending();
    let (since, generation) = (world.annotation(SWITCH_SINCE).unwrap().to_owned(), world.generation());
    for _ in 0..3 {
        world.extension();
        world.controller();
        assert!(world.gardenlet());
        assert_eq!(world.generation(), generation);
        assert_eq!(world.annotation(SWITCH_SINCE), Some(&*since));
        assert!(world.annotation(SWITCH_MESSAGE).unwrap().starts_with("0 of 2 nodes have routes"), "it stays");
    }
}

/// Replicas that differ in their providers do not fight: the first that does not list a Shoot's lets its switch pass,
/// nothing of the hold is left, and nobody holds it again.
#[test]
fn a_replica_without_the_provider_ends_the_hold() {
    let mut world = pending();
    world.extension();
    let listed = std::mem::take(&mut world.settings.hold.providers);
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("cleared", Encapsulation::Native));
    assert!(!has_annotations(&world));
    let generation = world.generation();
    world.settings.hold.providers = listed;
    world.extension();
    assert!(world.gardenlet());
    assert_eq!((world.mode(), world.generation()), (Encapsulation::Native, generation), "{}", world.decision());
    assert!(!has_annotations(&world));
}

#[test]
fn a_revert_ends_the_hold_without_a_trace() {
    let mut world = pending();
    let generation = world.generation();
    world.extension();
    world.controller();
    world.ask(on());
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.generation()), ("cleared", generation), "Calico is not rolled");
    assert!(!has_annotations(&world));
    assert_eq!(world.controller(), Act::Forget);
    // The controller sees it in the Cluster first.
    let mut world = pending();
    world.extension();
    world.ask(on());
    assert_eq!(world.controller(), Act::Clear);
    assert!(!has_annotations(&world));
}

#[test]
fn absent_is_held_as_absent() {
    let mut world = World::with(&Value::Null);
    world.nodes = vec![node("a", CALICO_UP)];
    world.ask(off());
    let generation = world.generation();
    assert!(world.gardenlet());
    assert_eq!(world.decision(), "held");
    assert!(world.network["spec"].get("providerConfig").is_none(), "nothing is invented");
    assert_eq!(world.generation(), generation);
}

#[test]
fn everything_else_passes_while_it_is_held() {
    let mut world = pending();
    let generation = world.generation();
    world.ask(json!({"overlay": {"enabled": false}, "typha": {"enabled": false}, "vethMTU": "1400", "new": [1]}));
    assert!(world.gardenlet());
    let want = json!({"overlay": {"enabled": true}, "typha": {"enabled": false}, "vethMTU": "1400", "new": [1]});
    assert_eq!(world.network["spec"]["providerConfig"], want);
    assert_eq!(world.generation(), generation + 1);
    assert!(world.gardenlet());
    assert_eq!(world.generation(), generation + 1);
}

#[test]
fn annotations_without_a_state_are_cleaned_up() {
    let mut world = pending();
    world.extension();
    world.controller();
    let mut new = world.network.clone();
    new["metadata"]["annotations"].as_object_mut().unwrap().remove(SWITCH_STATE);
    assert!(world.write(new));
    assert_eq!(world.controller(), Act::Forget);
    assert!(SwitchingNetwork::read(&world.network.to_string()).unwrap().is_none(), "{}", world.network["metadata"]);
    assert!(world.gardenlet());
    assert_eq!(world.decision(), "held", "while the Shoot still asks for it, it is held again");
}

#[test]
fn the_first_call_may_come_before_the_cluster() {
    // gardenlet writes the Cluster first, but it arrives here by another way. Called again by the API server after other
    // webhooks, the hold must not look like a wish that was taken back.
    let mut world = World::with(&on());
    let mut new = world.network.clone();
    new["spec"]["providerConfig"] = off();
    new["metadata"]["annotations"][TIMESTAMP] = json!("2026-11-20T11:00:00Z");
    assert!(world.write(new), "and what is made of it is checked to stay the same");
    assert_eq!((world.decision(), world.annotation(SWITCH_STATE)), ("held", Some("pending")));
}

#[test]
fn it_is_held_again_on_another_seed() {
    let mut world = pending();
    world.nodes = vec![node("a", CREATED), node("b", CALICO_UP)];
    world.extension();
    world.controller();
    let state = world.network["status"]["state"].clone();
    // gardenlet of the other Seed: nothing is to be done before the state is there.
    let mut other = World::before(&off());
    other.nodes.clone_from(&world.nodes);
    other.now = world.now;
    let mut network = world.network.clone();
    network["metadata"]["annotations"] = json!({OPERATION: "wait-for-state", TIMESTAMP: other.now.to_string()});
    network["spec"]["providerConfig"] = off();
    network["status"] = json!({});
    assert!(other.write(network));
    assert_eq!(other.decision(), "not-concerned");
    other.network["status"]["state"] = state;
    let mut restore = other.network.clone();
    restore["metadata"]["annotations"][OPERATION] = json!("restore");
    assert!(other.write(restore.clone()));
    assert_eq!((other.decision(), other.mode()), ("held", Encapsulation::Overlay));
    assert_eq!(other.annotation(SWITCH_SINCE), world.annotation(SWITCH_SINCE));
    other.extension();
    other.restart();
    other.gardenlet();
    assert_eq!((other.decision(), other.mode()), ("held", Encapsulation::Overlay));
    other.extension();
    other.nodes[1] = node("b", CREATED);
    other.nodes[0] = node("a", CALICO_UP);
    other.controller();
    other.pass(30);
    assert!(matches!(other.controller(), Act::Release(_)), "the routes that were seen before still count");

    // Another wish that is native too is held as well.
    let mut elsewhere = World::before(&json!({"overlay": {"enabled": false, "createPodRoutes": true}}));
    elsewhere.gardenlet();
    elsewhere.network["status"]["state"] = world.network["status"]["state"].clone();
    let mut restore = elsewhere.network.clone();
    restore["metadata"]["annotations"][OPERATION] = json!("restore");
    assert!(elsewhere.write(restore));
    assert_eq!((elsewhere.decision(), elsewhere.mode()), ("held", Encapsulation::Overlay));

    // A record of a switch that is over, or that cannot be read, holds nothing.
    for change in [|record: &mut Value| record["phase"] = json!("released"), |record: &mut Value| *record = json!({})] {
        let mut other = World::with(&off());
        other.network["status"]["state"] = world.network["status"]["state"].clone();
        change(&mut other.network["status"]["state"][STATE_MEMBER]);
        let mut restore = other.network.clone();
        restore["metadata"]["annotations"][OPERATION] = json!("restore");
        assert!(other.write(restore));
        assert_eq!(other.mode(), Encapsulation::Native);
    }
}

#[test]
fn others_are_left_alone() {
    let table: [(&str, fn(&mut World)); 3] = [
        ("an infrastructure that is not listed", |w| w.shoot["spec"]["provider"]["type"] = json!("local")),
        ("azure", |w| w.shoot["spec"]["provider"]["type"] = json!("azure")),
        ("cilium", |w| w.shoot["spec"]["networking"]["type"] = json!("cilium")),
    ];
    for (what, change) in table {
        let mut world = World::with(&on());
        world.ask(off());
        change(&mut world);
        assert!(world.gardenlet());
        assert_eq!(world.mode(), Encapsulation::Native, "{what}");
        assert!(!has_annotations(&world), "{what}");
    }
    let mut world = World::with(&off());
    assert_eq!(world.decision(), "none", "a new Shoot, reconciled");
    for (pointer, value) in [("deletionTimestamp", json!("x")), ("annotations", json!({OPERATION: "migrate"}))] {
        let mut world = World::with(&on());
        let mut new = world.network.clone();
        new["metadata"][pointer] = value;
        new["spec"]["providerConfig"] = off();
        assert!(world.write(new));
        assert_eq!(world.decision(), "not-concerned", "{pointer}");
    }
    let mut new = world.network.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    assert!(world.write(new));
    assert_eq!(world.decision(), "none");
}

#[test]
fn blocks_are_held_with_the_reason() {
    let mut world = World::with(&json!({"overlay": {"enabled": true}, "vxlan": {"enabled": true}}));
    world.nodes = vec![node("a", CREATED)];
    world.ask(off());
    world.gardenlet();
    world.extension();
    for _ in 0..3 {
        world.pass(60);
        let Act::Say { state: SwitchState::Pending, status: Some(status) } = world.controller() else {
            panic!("let through")
        };
        assert!(status.message().contains("no route leads"), "{status:?}");
    }
}

#[test]
fn what_cannot_be_read_is_refused_with_its_path() {
    let mut world = World::with(&on());
    world.ask(json!({"overlay": {"enabled": "no"}}));
    assert!(!world.gardenlet());
    let finding = &world.verdict.as_ref().unwrap().findings[0];
    assert_eq!(
        (finding.rule.name, &*finding.path.to_string()),
        ("overlay/unreadable", "spec.providerConfig.overlay.enabled")
    );
    // What is stored already blocks nobody. It never came into force, so an overlay was there before it.
    world.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": "no"}});
    let mut switch = world.network.clone();
    switch["spec"]["providerConfig"] = off();
    let stored = world.network.clone();
    assert!(world.write(switch));
    assert_eq!(world.decision(), "held");
    world.network = stored;
    let mut new = world.network.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    assert!(world.write(new));
    world.ask(on());
    assert!(world.gardenlet());
}

#[test]
fn an_unknown_shoot_is_asked_for_and_held_without_an_answer() {
    let world = World::with(&on());
    let mut new = world.network.clone();
    new["spec"]["providerConfig"] = off();
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": "UPDATE", "namespace": NAMESPACE, "name": "orders",
            "resource": {"group": "extensions.gardener.cloud", "version": "v1alpha1", "resource": "networks"},
            "userInfo": {"username": "gardenlet"}, "object": new, "oldObject": world.network,
        },
    });
    let review = review.to_string();
    let request = admission::decode(review.as_bytes()).unwrap();
    let handler = HoldNetwork::default();
    for answer in [Answer::Absent, Answer::Unanswered("late".to_owned())] {
        let nothing = Snapshot::default();
        let review = AskLoop::new(&handler, &request, Some(&nothing));
        assert_eq!(review.questions().expect("not decided blindly").cluster.as_deref(), Some(NAMESPACE));
        let review = review.answered(Answers { cluster: Some(answer), ..Answers::default() });
        assert_eq!(review.end().expect("it is asked once").decision, "held");
    }
}
