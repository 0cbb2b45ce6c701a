//! When a held switch passes, and what starts the wait again.

use super::cases::{has_annotations, pending};
use super::*;
use crate::gardener::network::Reason;

#[test]
fn it_passes_when_all_routes_have_been_there_for_a_while() {
    let mut world = pending();
    world.extension();
    let says = |world: &World| world.annotation(SWITCH_MESSAGE).unwrap_or_default().to_owned();
    world.controller();
    assert!(says(&world).starts_with("0 of 2 nodes have routes; missing: a, b (+0)"), "{}", says(&world));
    world.nodes = vec![node("a", CREATED), node("b", DENIED)];
    world.pass(10);
    world.controller();
    assert_eq!(says(&world), "1 of 2 nodes have routes; missing: b (+0); b: NoRouteCreated");
    world.nodes[1] = node("b", CREATED);
    for _ in 0..3 {
        world.pass(10);
        assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }));
        assert_eq!(world.mode(), Encapsulation::Overlay);
    }
    let timestamp = world.annotation(TIMESTAMP).unwrap().to_owned();
    world.pass(10);
    assert_eq!(world.controller(), Act::Release(Reason::Routes));
    assert_eq!((world.decision(), world.mode()), ("released", Encapsulation::Native));
    assert!(!has_annotations(&world));
    assert_eq!(world.annotation(OPERATION), Some("reconcile"), "the extension is told");
    assert_eq!(world.annotation(TIMESTAMP), Some(&*timestamp), "gardenlet may be waiting for its own write");
    world.extension();
    let generation = world.generation();
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.generation()), ("none", generation), "what gardenlet writes is what is there");
}

#[test]
fn a_flap_restarts_the_wait() {
    let mut world = pending();
    world.extension();
    world.nodes = vec![node("a", CREATED), node("b", CREATED)];
    world.controller();
    world.pass(20);
    world.nodes[0] = node("a", DENIED);
    world.controller();
    world.pass(10);
    world.nodes[0] = node("a", CREATED);
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }));
    world.pass(29);
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }));
    world.pass(1);
    assert!(matches!(world.controller(), Act::Release(_)));
}

#[test]
fn what_nobody_saw_is_no_part_of_the_wait() {
    let table: [(&str, fn(&mut World, bool)); 2] = [
        ("nobody answered", |world, well| world.answers = well),
        ("it was to fall asleep", |world, well| world.shoot["spec"]["hibernation"] = json!({"enabled": !well})),
    ];
    for (what, set) in table {
        let mut world = pending();
        world.extension();
        world.nodes = vec![node("a", CREATED)];
        world.controller();
        world.pass(20);
        set(&mut world, false);
        assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }), "{what}");
        set(&mut world, true);
        world.pass(10);
        assert!(
            matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }),
            "{what}: the wait starts again"
        );
        world.pass(30);
        assert!(matches!(world.controller(), Act::Release(_)), "{what}");
    }
}

#[test]
fn routes_of_a_former_switch_do_not_count() {
    let mut world = pending();
    world.extension();
    world.nodes = vec![node("a", CREATED), node("b", CREATED)];
    world.controller();
    world.pass(30);
    assert!(matches!(world.controller(), Act::Release(_)));
    world.extension();
    // Back and forth at once, before the controller saw anything of it.
    world.ask(on());
    assert!(world.gardenlet());
    world.extension();
    world.nodes = vec![node("a", CALICO_UP), node("b", CALICO_UP)];
    world.ask(off());
    assert!(world.gardenlet());
    world.extension();
    for _ in 0..3 {
        assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }));
        world.pass(30);
    }
}

#[test]
fn sleeping_and_waking() {
    let mut world = pending();
    world.extension();
    world.shoot["spec"]["maintenance"] = json!({"confineSpecUpdateRollout": true});
    world.shoot["spec"]["hibernation"] = json!({"enabled": true});
    assert!(matches!(world.controller(), Act::Say { state: SwitchState::Pending, .. }), "falling asleep");
    world.shoot["status"]["hibernated"] = json!(true);
    let Act::Say { state: SwitchState::Pending, status: Some(status) } = world.controller() else {
        panic!("an approval would outlive the sleep")
    };
    assert_eq!(status.message(), "the Shoot is hibernated; it passes in the next maintenance window");
    // It wakes before anybody looks again.
    world.shoot["spec"]["hibernation"] = json!({"enabled": false});
    world.shoot["status"]["hibernated"] = json!(false);
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("held", Encapsulation::Overlay));
    // Asleep again, gardenlet's own write carries it.
    world.shoot["spec"]["hibernation"] = json!({"enabled": true});
    world.shoot["status"]["hibernated"] = json!(true);
    assert!(world.gardenlet());
    assert_eq!((world.decision(), world.mode()), ("asleep", Encapsulation::Native));

    let mut world = pending();
    world.extension();
    world.shoot["spec"]["hibernation"] = json!({"enabled": true});
    world.shoot["status"]["hibernated"] = json!(true);
    assert_eq!(world.controller(), Act::Release(Reason::Hibernated));
}

#[test]
fn without_nodes_nothing_is_cut_off() {
    let mut world = pending();
    world.extension();
    world.nodes.clear();
    world.controller();
    world.pass(30);
    assert!(matches!(world.controller(), Act::Release(_)));
}

/// What was seen of the nodes stays until the next good look, and they are looked at whatever a switch waits for.
#[test]
fn what_was_seen_stays_and_nodes_are_watched_while_it_waits() {
    let mut world = pending();
    world.extension();
    let mut late = node("a", DENIED);
    late.pool = Some("a".into());
    late.route.as_mut().unwrap().transition = world.now.to_string().into();
    world.nodes = vec![late, node("b", CREATED)];
    world.pass(300);
    let said = |world: &mut World| match world.controller() {
        Act::Say { state: SwitchState::Pending, status: Some(status) } => *status,
        act => panic!("{act:?}"),
    };
    let seen = said(&mut world);
    let (routes, replacement) = (seen.routes.clone().unwrap(), seen.replacement.clone().unwrap());
    assert_eq!((routes.with_route, routes.nodes, &*replacement.node), (1, 2, "a"));
    // They cannot be listed for a while, and nobody knows the Shoot for a moment.
    let cluster = world.shoot.clone();
    for (answers, shoot, because) in [
        (
            false,
            cluster.clone(),
            "the Shoot's nodes cannot be listed: it does not answer; what is said of them was seen before that",
        ),
        (
            false,
            json!(5),
            "there is no readable Cluster of this name; nodes are not looked at, and what is said of them was seen before that",
        ),
        (true, cluster.clone(), ""),
    ] {
        (world.answers, world.shoot) = (answers, shoot);
        let status = said(&mut world);
        assert_eq!((&status.routes, &status.replacement), (&seen.routes, &seen.replacement), "{because}");
        assert_eq!(&*status.because, because);
        assert!(!status.replacement.unwrap().is_news(Some(&replacement), world.now), "it is told once");
    }
    // Asleep there are none.
    world.shoot["spec"]["hibernation"] = json!({"enabled": true});
    assert_eq!(said(&mut world).replacement, None);
    // What it waits for instead of routes says nothing of them.
    let failed = |world: &mut World| world.shoot["status"]["lastOperation"]["state"] = json!("Failed");
    let blocks = |world: &mut World| world.ask(json!({"overlay": {"enabled": false}, "vxlan": {"enabled": true}}));
    let table: [(fn(&mut World), &str); 2] = [(failed, "failed for good"), (blocks, "Calico's own blocks")];
    for (change, because) in table {
        world.shoot = cluster.clone();
        world.shoot["metadata"]["annotations"] = json!({});
        world.network["status"]["state"] = Value::Null;
        change(&mut world);
        let status = said(&mut world);
        assert!(status.because.contains(because), "{}", &*status.because);
        assert_eq!(status.replacement.as_ref(), Some(&replacement), "{because}");
        assert!(status.message().contains("replaces node a"), "{}", status.message());
    }
    // Nor are nodes seen any more, for days: what was due meanwhile is not told on.
    for (minutes, is_told) in [(0, true), (7 * 24 * 60, false)] {
        world.pass(60 * minutes);
        world.answers = false;
        let status = said(&mut world);
        let want = "Calico's own blocks";
        let age = "; the Shoot's nodes cannot be listed: it does not answer; what is said of them was seen before that";
        assert!(status.because.contains(want) && status.because.ends_with(age), "{}", &*status.because);
        assert_eq!((status.routes.as_ref(), status.replacement.is_some()), (seen.routes.as_ref(), is_told));
    }
    world.answers = true;
    // All routes at last: the time counts from when nothing else was waited for.
    world.nodes[0] = node("a", CREATED);
    world.shoot = cluster;
    failed(&mut world);
    for _ in 0..3 {
        world.pass(60);
        said(&mut world);
    }
    world.shoot["status"]["lastOperation"]["state"] = json!("Succeeded");
    assert_eq!(said(&mut world).message(), "2 of 2 nodes have routes; waiting to see whether they stay");
}
