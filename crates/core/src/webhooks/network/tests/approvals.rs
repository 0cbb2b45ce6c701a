//! Approvals and force: what lets a switch through, and what does not.

use super::cases::pending;
use super::*;
use crate::gardener::network::Reason;
use crate::gardener::shoot::OVERLAY_SWITCH;

/// A switch of which all routes are there, and that waits for the maintenance window.
fn approved() -> World {
    let mut world = pending();
    world.extension();
    world.shoot["spec"]["maintenance"] = json!({"confineSpecUpdateRollout": true});
    world.nodes = vec![node("a", CREATED)];
    world.controller();
    world.pass(30);
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Approved, .. }));
    world
}

#[test]
fn a_confined_switch_is_approved_and_carried_by_maintenance() {
    let mut world = pending();
    world.extension();
    world.shoot["spec"]["maintenance"] = json!({"confineSpecUpdateRollout": true});
    world.nodes = vec![node("a", CREATED), node("b", CREATED)];
    world.controller();
    world.pass(30);
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Approved, .. }));
    assert_eq!((world.annotation(SWITCH_STATE), world.mode()), (Some("approved"), Encapsulation::Overlay));
    // A leader that just started keeps the approval, and takes it back when a node without a route is there.
    world.restart();
    world.pass(10);
    world.controller();
    assert_eq!(world.annotation(SWITCH_STATE), Some("approved"));
    world.nodes.push(node("c", CALICO_UP));
    world.controller();
    assert_eq!(world.annotation(SWITCH_STATE), Some("pending"));
    world.nodes.pop();
    world.controller();
    world.pass(30);
    world.controller();
    assert_eq!(world.annotation(SWITCH_STATE), Some("approved"));
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("released", Encapsulation::Native));
}

#[test]
fn an_approval_is_for_what_was_asked_for() {
    let mut world = approved();
    let since = world.annotation(SWITCH_SINCE).unwrap().to_owned();
    world.ask(json!({"overlay": {"enabled": false, "createPodRoutes": true}}));
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
    assert_eq!((world.annotation(SWITCH_STATE), world.annotation(SWITCH_SINCE)), (Some("pending"), Some(&*since)));
}

#[test]
fn by_force() {
    let mut world = pending();
    world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] = json!("force");
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("forced", Encapsulation::Native));
    // Or by an operator of the Seed.
    let mut world = pending();
    world.extension();
    let mut new = world.network.clone();
    new["metadata"]["annotations"][SWITCH_STATE] = json!("forced");
    assert!(world.write(new));
    assert_eq!(world.controller(), Act::Release(Reason::Forced));
    assert_eq!(world.mode(), Encapsulation::Native);
}

/// What passes before anything is remembered of it leaves a trace, by which the leader sees Calico's Pods through it.
#[test]
fn what_passes_at_once_leaves_a_trace() {
    let sleep = |world: &mut World| {
        world.shoot["spec"]["hibernation"] = json!({"enabled": true});
        world.shoot["status"]["hibernated"] = json!(true);
    };
    let force = |world: &mut World| world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] = json!("force");
    let table: [(fn(&mut World), &str); 2] = [(force, "forced"), (sleep, "hibernated")];
    for (change, word) in table {
        let mut world = World::with(&on());
        world.ask(off());
        change(&mut world);
        assert!(world.gardenlet());
        let trace = format!("{word} {}", world.annotation(TIMESTAMP).unwrap());
        assert_eq!((world.mode(), world.annotation(SWITCH_PASSED)), (Encapsulation::Native, Some(&*trace)));
        // Nobody takes it for a held one, and nobody but the leader takes it away.
        world.extension();
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.annotation(SWITCH_PASSED)), ("none", Some(&*trace)));
        assert!(matches!(world.controller(), Act::Begin(_)));
        assert_eq!(world.annotation(SWITCH_PASSED), None);

        // The same once more before a leader came: the trace of a former switch is none of one that is held.
        let mut world = World::with(&on());
        world.ask(off());
        change(&mut world);
        assert!(world.gardenlet());
        world.ask(on());
        assert!(world.gardenlet());
        world.shoot["metadata"]["annotations"] = json!({});
        world.shoot["spec"]["hibernation"] = json!({});
        world.shoot["status"]["hibernated"] = json!(false);
        world.ask(off());
        assert!(world.gardenlet());
        assert_eq!((world.decision(), world.annotation(SWITCH_PASSED)), ("held", None));

        // Where the leader remembers it, there is no need.
        let mut world = pending();
        world.controller();
        change(&mut world);
        assert!(world.gardenlet());
        assert_eq!((world.mode(), world.annotation(SWITCH_PASSED)), (Encapsulation::Native, None), "{word}");
    }
}

#[test]
fn force_is_at_once_and_can_be_taken_back() {
    // Confined to the maintenance window, and gardenlet is at work: the next write passes.
    let mut world = pending();
    world.extension();
    world.shoot["spec"]["maintenance"] = json!({"confineSpecUpdateRollout": true});
    world.shoot["status"]["lastOperation"]["state"] = json!("Processing");
    world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] = json!("force");
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }));
    world.shoot["metadata"]["annotations"] = json!({});
    world.controller();
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
    world.extension();
    // And when gardenlet is done, the window is not waited for.
    world.shoot["status"]["lastOperation"]["state"] = json!("Succeeded");
    world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] = json!("force");
    assert_eq!(world.controller(), Act::Release(Reason::Forced));
    assert_eq!(world.mode(), Encapsulation::Native);

    // What an operator of the Seed forces is what is held now, and nothing that comes later.
    let mut world = pending();
    world.extension();
    let mut new = world.network.clone();
    new["metadata"]["annotations"][SWITCH_STATE] = json!("forced");
    assert!(world.write(new));
    world.ask(json!({"overlay": {"enabled": false, "createPodRoutes": true}}));
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
}

#[test]
fn an_approval_that_nobody_confirms_grows_old() {
    let mut world = approved();
    world.pass(299);
    assert!(world.gardenlet());
    assert_eq!(world.decision(), "released");
    // No leader any more; a node joined since.
    let mut world = approved();
    world.pass(300);
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.annotation(SWITCH_STATE)), ("held", Some("pending")));
    // Nor does it count for writes of others, however young it is.
    let mut world = approved();
    let mut new = world.network.clone();
    new["spec"]["providerConfig"] = off();
    assert!(world.write(new));
    assert_eq!(world.decision(), "held");
    // Without a time, or from the future, it counts for nothing.
    let mut world = approved();
    let mut new = world.network.clone();
    new["metadata"]["annotations"][SWITCH_APPROVED] = json!("2026-11-20T12:00:00Z");
    assert!(world.write(new));
    assert!(world.gardenlet());
    assert_eq!(world.decision(), "held");
    let mut world = approved();
    let mut new = world.network.clone();
    new["metadata"]["annotations"].as_object_mut().unwrap().remove(SWITCH_APPROVED);
    assert!(world.write(new));
    assert!(world.gardenlet());
    assert_eq!(world.decision(), "held");
}

#[test]
fn an_approval_is_withdrawn_when_a_route_flaps_between_two_looks() {
    let mut world = approved();
    world.nodes[0].route.as_mut().unwrap().transition = "later".into();
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }));
}

#[test]
fn an_approval_is_withdrawn_when_nobody_answers() {
    let mut world = approved();
    world.answers = false;
    let Act::Say { state: SwitchState::Pending, status: Some(status) } = world.controller() else {
        panic!("still approved")
    };
    let want = "1 of 1 nodes have routes; the Shoot's nodes cannot be listed: it does not answer; what is said of them was seen before that";
    assert_eq!(status.message(), want);
}

/// A release by force ends after its approval, the force is taken back, and another leader sees all routes at its first look.
#[test]
fn an_interrupted_force_approves_nothing_for_another_leader() {
    let mut world = pending();
    world.extension();
    world.nodes = vec![node("a", CREATED)];
    world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] = json!("force");
    world.deliver();
    assert_eq!(world.look(), Act::Release(Reason::Forced));
    assert!(world.send() && world.send() && world.is_writing(), "the record and the approval, and no more");
    world.shoot["metadata"]["annotations"] = json!({});
    world.restart();
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }));
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
}
