//! Random interleavings of everything that can happen, against what must always hold.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::gardener::shoot::OVERLAY_SWITCH;
use crate::overlay::APPROVAL;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Ask(usize),
    Gardenlet,
    Extension,
    Controller,
    Restart,
    Pass(i64),
    Node(usize, usize),
    Join(usize),
    Leave(usize),
    Confine(bool),
    Processing(bool),
    Sleep(u8),
    Label,
    Force(bool),
    Absent(i64),
    Answers(bool),
}

const CONDITIONS: [&str; 4] = [CREATED, DENIED, CALICO_UP, CALICO_DOWN];

/// Configurations, and whether there is a second IP family besides.
fn wishes() -> [(Value, bool); 8] {
    [
        (on(), false),
        (off(), false),
        (Value::Null, false),
        (json!({"overlay": {"enabled": false, "createPodRoutes": true}, "typha": {"enabled": true}}), false),
        (off(), true),
        (Value::Null, true),
        (json!({"typha": {"enabled": false}}), true),
        (json!({"ipv6": {"sourceNATEnabled": true, "mode": "Never"}}), true),
    ]
}

fn ask(world: &mut World, (config, is_dual): (Value, bool)) {
    world.ask(config);
    world.shoot["spec"]["networking"]["ipFamilies"] = if is_dual { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
}

fn events() -> impl Strategy<Value = Event> {
    let condition = || prop_oneof![4 => Just(0_usize), 1 => 1..CONDITIONS.len()];
    prop_oneof![
        1 => (0..wishes().len()).prop_map(Event::Ask),
        3 => Just(Event::Gardenlet),
        3 => Just(Event::Extension),
        6 => Just(Event::Controller),
        1 => Just(Event::Restart),
        3 => (1..40_i64).prop_map(Event::Pass),
        6 => (0..4_usize, condition()).prop_map(|(node, condition)| Event::Node(node, condition)),
        1 => (0..4_usize).prop_map(Event::Join),
        1 => (0..4_usize).prop_map(Event::Leave),
        1 => any::<bool>().prop_map(Event::Confine),
        1 => any::<bool>().prop_map(Event::Processing),
        1 => (0..4_u8).prop_map(Event::Sleep),
        1 => Just(Event::Label),
        1 => prop::bool::weighted(0.2).prop_map(Event::Force),
        1 => (200..900_i64).prop_map(Event::Absent),
        1 => any::<bool>().prop_map(Event::Answers),
    ]
}

/// What really is: a node has its route from when a route controller says so until one says the contrary.
#[derive(Default)]
struct Truth {
    routed: BTreeSet<Box<str>>,
    /// Whether a node was without a route, and the Shoot awake, when the controller last looked. What happened since
    /// then it cannot know.
    was_unsafe: bool,
    /// When that was. An approval that is older than some minutes must not count.
    looked: Option<Timestamp>,
    serial: usize,
}

impl Truth {
    fn note(&mut self, node: &NodeFacts) {
        match &node.route {
            Some(route) if route.is_route_created() => drop(self.routed.insert(node.uid.clone())),
            // That calico-node stopped says nothing of routes.
            Some(route) if &*route.status == "True" && !route.is_calico_down() => drop(self.routed.remove(&node.uid)),
            _ => {}
        }
    }
}

fn apply(world: &mut World, truth: &mut Truth, event: &Event) {
    match event {
        Event::Ask(desired) => ask(world, wishes()[*desired].clone()),
        Event::Gardenlet => assert!(world.gardenlet()),
        Event::Extension => world.extension(),
        Event::Controller => {
            let sleeps =
                world.shoot["status"]["hibernated"] == true && world.shoot["spec"]["hibernation"]["enabled"] == true;
            truth.looked = Some(world.now);
            truth.was_unsafe = !sleeps && world.nodes.iter().any(|node| !truth.routed.contains(&node.uid));
            world.controller();
        }
        Event::Restart => world.restart(),
        // No leader for a while, or an hour.
        Event::Pass(seconds) | Event::Absent(seconds) => world.pass(*seconds),
        Event::Answers(answers) => world.answers = *answers,
        Event::Force(force) => {
            let annotations = if *force { json!({OVERLAY_SWITCH: "force"}) } else { json!({}) };
            world.shoot["metadata"]["annotations"] = annotations;
        }
        Event::Node(at, condition) => {
            if let Some(known) = world.nodes.get_mut(*at) {
                let uid = known.uid.clone();
                *known = NodeFacts { uid, ..node(&known.name, CONDITIONS[*condition]) };
                truth.note(&world.nodes[*at]);
            }
        }
        Event::Join(condition) => {
            truth.serial += 1;
            let node = node(&format!("n{}", truth.serial), CONDITIONS[*condition]);
            truth.note(&node);
            world.nodes.push(node);
        }
        Event::Leave(at) => {
            if *at < world.nodes.len() {
                world.nodes.remove(*at);
            }
        }
        Event::Confine(confine) => world.shoot["spec"]["maintenance"] = json!({"confineSpecUpdateRollout": confine}),
        Event::Processing(processing) => {
            let state = if *processing { "Processing" } else { "Succeeded" };
            world.shoot["status"]["lastOperation"]["state"] = json!(state);
        }
        Event::Sleep(state) => {
            world.shoot["spec"]["hibernation"] = json!({"enabled": state & 1 == 1});
            world.shoot["status"]["hibernated"] = json!(state & 2 == 2);
        }
        Event::Label => {
            let mut new = world.network.clone();
            new["metadata"]["labels"] = json!({"a": world.writes.to_string()});
            assert!(world.write(new), "a label is never refused");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Native routing is never admitted while the controller, at its last look, could see a node without a route; and
    /// once all nodes have theirs and nobody interferes, it is admitted within a bounded number of steps.
    #[test]
    fn never_too_early_and_not_for_ever(
        events in prop::collection::vec(events(), 0..60),
        nodes in 0..4_usize,
        // In the end it is one of those that mean native routing.
        desired in prop::sample::select(vec![1, 3, 4, 5, 6, 7]).prop_map(|desired| wishes()[desired].clone()),
    ) {
        let mut world = World::with(&on());
        let mut truth = Truth::default();
        for _ in 0..nodes {
            apply(&mut world, &mut truth, &Event::Join(2));
        }
        truth.was_unsafe = true;
        for event in &events {
            let before = world.mode();
            apply(&mut world, &mut truth, event);
            if before == Encapsulation::Native && world.mode() == Encapsulation::Overlay {
                // Nobody looks after routes any more.
                truth.routed.clear();
                world.nodes.clone().iter().for_each(|node| truth.note(node));
            }
            if before == Encapsulation::Overlay && world.mode() == Encapsulation::Native {
                let sleeps = world.shoot["status"]["hibernated"] == true && world.shoot["spec"]["hibernation"]["enabled"] == true;
                let forced = world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] == "force";
                if !sleeps && !forced {
                    prop_assert!(!truth.was_unsafe, "too early, after {event:?}");
                    let age = world.now.duration_since(truth.looked.unwrap());
                    prop_assert!(age <= APPROVAL + SignedDuration::from_secs(1), "nobody looked for {age}");
                }
                prop_assert!(SWITCH_ANNOTATIONS.iter().all(|key| world.annotation(key).is_none()));
            }
            // Whatever is held, the rest of the wish is there once gardenlet wrote it.
            if matches!(event, Event::Gardenlet) {
                let typha = &world.shoot["spec"]["networking"]["providerConfig"]["typha"];
                prop_assert_eq!(&world.network["spec"]["providerConfig"]["typha"], typha);
            }
        }
        // Now all is quiet, and every route is there.
        world.shoot["spec"]["hibernation"] = json!({"enabled": false});
        world.shoot["status"] = json!({"lastOperation": {"type": "Reconcile", "state": "Succeeded"}, "hibernated": false});
        world.shoot["spec"]["maintenance"] = json!(null);
        world.shoot["metadata"]["annotations"] = json!({});
        world.answers = true;
        ask(&mut world, desired);
        for at in 0..world.nodes.len() {
            apply(&mut world, &mut truth, &Event::Node(at, 0));
        }
        world.gardenlet();
        world.extension();
        let mut turns = 0;
        while world.mode() == Encapsulation::Overlay {
            prop_assert!(turns < 6, "held for ever: {}", world.network);
            world.controller();
            world.extension();
            world.pass(10);
            turns += 1;
        }
        // And the record does not outlive the switch.
        world.controller();
        prop_assert!(world.network["status"]["state"][STATE_MEMBER].is_null());
    }
}
