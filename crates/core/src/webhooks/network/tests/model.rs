//! Random interleavings of everything that can happen, against what must always hold. The leader is the one of
//! [`super::leader`], which executes the writes of the controller; between any two of them everything else can happen.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

use super::*;
use crate::gardener::network::Phase;
use crate::gardener::shoot::OVERLAY_SWITCH;
use crate::overlay::{APPROVAL, Patch, Precondition, Target, Write};

/// How many interleavings a run has.
const CASES: u32 = 10_000;

/// Something that happens.
#[derive(Clone, Debug)]
enum Event {
    Ask(usize),
    Gardenlet,
    /// The extension takes the request, and succeeds or not.
    Extension(bool),
    /// The leader writes, or begins a turn, by what the watches delivered now or before.
    Leader(bool),
    Restart,
    Rollout(bool),
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
static WISHES: LazyLock<[(Value, bool); 8]> = LazyLock::new(|| {
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
});

fn ask(world: &mut World, wish: usize) {
    let (config, is_dual) = &WISHES[wish];
    world.ask(config.clone());
    world.shoot["spec"]["networking"]["ipFamilies"] = if *is_dual { json!(["IPv4", "IPv6"]) } else { json!(["IPv4"]) };
}

fn events() -> impl Strategy<Value = Event> {
    let condition = || prop_oneof![4 => Just(0_usize), 1 => 1..CONDITIONS.len()];
    prop_oneof![
        1 => (0..WISHES.len()).prop_map(Event::Ask),
        3 => Just(Event::Gardenlet),
        3 => prop::bool::weighted(0.8).prop_map(Event::Extension),
        12 => prop::bool::weighted(0.8).prop_map(Event::Leader),
        1 => Just(Event::Restart),
        1 => any::<bool>().prop_map(Event::Rollout),
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
    /// What the leader could know when it looked last; `None` when nobody has looked since the switch is held.
    looked: Option<Look>,
    /// Whether somebody else has written since the leader read the Network.
    is_overtaken: bool,
    /// What gardenlet wrote last besides what is held.
    typha: Value,
    serial: usize,
}

/// A look of the leader.
struct Look {
    /// An approval that is older than some minutes must not count.
    at: Timestamp,
    /// Whether a node was without a route, and the Shoot awake. What happened since then it cannot know.
    is_unsafe: bool,
    is_forced: bool,
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

    fn look(&mut self, world: &World) {
        let is_unsafe = !sleeps(world) && world.nodes.iter().any(|node| !self.routed.contains(&node.uid));
        self.looked = Some(Look { at: world.now, is_unsafe, is_forced: is_forced(world) });
    }
}

fn sleeps(world: &World) -> bool {
    world.shoot["status"]["hibernated"] == true && world.shoot["spec"]["hibernation"]["enabled"] == true
}

/// Whether nothing is left of a switch.
fn is_over(world: &World) -> bool {
    let has = |key| world.annotation(key).is_some();
    !SWITCH_ANNOTATIONS.into_iter().any(has) && !has(SWITCH_PASSED) && world.network["status"]["state"].is_null()
}

fn is_forced(world: &World) -> bool {
    world.shoot["metadata"]["annotations"][OVERLAY_SWITCH] == "force"
}

fn apply(world: &mut World, truth: &mut Truth, event: &Event) -> TestCaseResult {
    let (writes, since) = (world.writes, world.annotation(SWITCH_SINCE).map(str::to_owned));
    match event {
        Event::Ask(desired) => ask(world, *desired),
        Event::Gardenlet => {
            prop_assert!(world.gardenlet());
            truth.typha = world.shoot["spec"]["networking"]["providerConfig"]["typha"].clone();
        }
        Event::Extension(succeeds) => {
            world.extension();
            if !succeeds && world.writes > writes {
                world.network["status"]["lastOperation"]["state"] = json!("Error");
            }
        }
        Event::Leader(_) if world.is_writing() => {
            let is_stored = world.send();
            prop_assert!(!(is_stored && truth.is_overtaken), "the leader overwrote what it has not seen");
            return Ok(());
        }
        Event::Leader(is_up_to_date) => {
            if *is_up_to_date {
                world.deliver();
            }
            truth.is_overtaken = false;
            // By what an old version says nothing is decided.
            let is_up_to_date = world.is_up_to_date();
            if matches!(world.look(), Act::Release(_)) || is_up_to_date {
                truth.look(world);
            }
            return Ok(());
        }
        Event::Restart => world.restart(),
        Event::Rollout(is_over) => world.is_rolled_out = *is_over,
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
            prop_assert!(world.write(new), "a label is never refused");
        }
    }
    if world.writes > writes {
        truth.is_overtaken = true;
        let held = world.annotation(SWITCH_SINCE);
        if held.is_some() && held != since.as_deref() {
            // Another hold: nobody has looked yet.
            truth.looked = None;
        }
    }
    Ok(())
}

/// What must hold after any event.
fn holds(world: &World, truth: &mut Truth, event: &Event, before: Encapsulation) -> TestCaseResult {
    let record = || Record::read(&world.network["status"]["state"][STATE_MEMBER].to_string());
    match (before, world.mode()) {
        (Encapsulation::Native, Encapsulation::Overlay) => {
            // Nobody looks after routes any more.
            truth.routed.clear();
            world.nodes.iter().for_each(|node| truth.note(node));
        }
        (Encapsulation::Overlay, Encapsulation::Native) => {
            let is_leaders = matches!(event, Event::Leader(_));
            if !sleeps(world) && !is_forced(world) {
                let Some(look) = &truth.looked else { return Err(TestCaseError::fail("nobody looked")) };
                // What was forced at that time is for the leader alone to carry.
                prop_assert!(!look.is_unsafe || (is_leaders && look.is_forced), "too early, after {event:?}");
                let age = world.now.duration_since(look.at);
                prop_assert!(age <= APPROVAL + SignedDuration::from_secs(1), "nobody looked for {age}");
            }
            prop_assert!(world.annotation(SWITCH_STATE).is_none());
            // Whoever leads next can follow it, here or on another Seed.
            let record = record();
            prop_assert!(record.is_some() || world.annotation(SWITCH_PASSED).is_some(), "nothing tells of it");
            let is_recorded = record.as_ref().is_some_and(|record| record.phase == Phase::Released);
            prop_assert!(is_recorded || !is_leaders, "the leader did not record it");
        }
        _ => {}
    }
    // The annotations of a hold come and go together.
    let is_held = world.annotation(SWITCH_STATE).is_some();
    prop_assert!(is_held || SWITCH_ANNOTATIONS.iter().all(|key| world.annotation(key).is_none()));
    if world.annotation(SWITCH_STATE) == Some(SwitchState::Approved.name()) {
        let since = record().map(|record| record.since);
        prop_assert_eq!(since.as_deref(), world.annotation(SWITCH_SINCE), "what is approved is recorded");
    }
    // Whatever is held, the rest of the wish is there.
    prop_assert_eq!(&world.network["spec"]["providerConfig"]["typha"], &truth.typha);
    Ok(())
}

/// What happens, how many nodes there are at first, and what the Shoot asks for in the end.
fn interleavings() -> impl Strategy<Value = (Vec<Event>, usize, usize)> {
    (prop::collection::vec(events(), 0..30), 0..4_usize, 0..WISHES.len())
}

/// Native routing is never admitted while the leader, at its last look, could see a node without a route; no writer
/// loses what it wrote; and once all nodes have their routes and nobody interferes, the Network is within a bounded
/// number of turns what the Shoot asks for, and nothing else is left.
fn run(mut world: World, events: &[Event], nodes: usize, desired: usize) -> TestCaseResult {
    let mut truth = Truth::default();
    for _ in 0..nodes {
        apply(&mut world, &mut truth, &Event::Join(2))?;
    }
    let mut mode = world.mode();
    for event in events {
        let writes = world.writes;
        apply(&mut world, &mut truth, event)?;
        if world.writes > writes {
            holds(&world, &mut truth, event, mode)?;
            mode = world.mode();
        }
    }
    // Now all is quiet, and every route is there.
    world.shoot["spec"]["hibernation"] = json!({"enabled": false});
    world.shoot["status"] = json!({"lastOperation": {"type": "Reconcile", "state": "Succeeded"}, "hibernated": false});
    world.shoot["spec"]["maintenance"] = json!(null);
    world.shoot["metadata"]["annotations"] = json!({});
    (world.answers, world.is_rolled_out) = (true, true);
    ask(&mut world, desired);
    for at in 0..world.nodes.len() {
        apply(&mut world, &mut truth, &Event::Node(at, 0))?;
    }
    world.gardenlet();
    world.extension();
    // All routes are seen, are still there after the window, and the extension has carried the switch out.
    for _ in 0..3 {
        if is_over(&world) {
            break;
        }
        world.controller();
        world.extension();
        world.pass(30);
    }
    prop_assert!(is_over(&world), "held for ever: {}", world.network);
    let networking = &world.shoot["spec"]["networking"];
    prop_assert_eq!(&world.network["spec"]["providerConfig"], &networking["providerConfig"]);
    prop_assert_eq!(&world.network["spec"]["ipFamilies"], &networking["ipFamilies"]);
    let is_deployed = world.network["status"]["observedGeneration"] == world.network["metadata"]["generation"];
    prop_assert!(is_deployed, "the extension was not told");
    Ok(())
}

/// Runs random interleavings with a leader that has this fault, until something does not hold.
fn explore(fault: Fault, max_shrink_iters: u32) -> Result<(), String> {
    let config =
        ProptestConfig { cases: CASES, max_shrink_iters, failure_persistence: None, ..ProptestConfig::default() };
    let (mut runner, world) = (TestRunner::new(config), World { fault, ..World::with(&on()) });
    let result = runner.run(&interleavings(), |(events, nodes, desired)| run(world.clone(), &events, nodes, desired));
    result.map_err(|error| error.to_string())
}

#[test]
fn never_too_early_and_not_for_ever() {
    explore(|_| (), 10_000).unwrap();
}

/// A release by force that does not end, and whose force is taken back, leaves no approval behind: not the one from before
/// a node came without a route. Chance hardly finds so long a way.
#[test]
fn an_interrupted_force_revives_no_approval() {
    // The leader looks, and two of its writes arrive.
    let leader = || std::iter::repeat_n(Event::Leader(true), 3);
    let held = [Event::Ask(1), Event::Confine(true), Event::Join(0), Event::Gardenlet, Event::Extension(true)];
    let approved = held.into_iter().chain(leader()).chain([Event::Pass(30)]).chain(leader());
    let withdrawn = approved.chain([Event::Join(1)]).chain(leader());
    let forced = withdrawn.chain([Event::Force(true)]).chain(leader());
    let events: Vec<Event> = forced.chain([Event::Force(false), Event::Gardenlet]).collect();
    run(World::with(&on()), &events, 0, 1).unwrap();
}

/// Changes which writes there are, or their order. The first of them requires what was seen.
fn rearrange(writes: &mut Vec<Write>, change: impl FnOnce(&mut Vec<Write>)) {
    let Some(seen) = writes.first().map(|write| write.precondition.clone()) else { return };
    change(writes);
    let preconditions = std::iter::once(seen).chain(std::iter::repeat(Precondition::Previous));
    writes.iter_mut().zip(preconditions).for_each(|(write, precondition)| write.precondition = precondition);
}

fn is_status(write: &Write) -> bool {
    write.target == Target::Status
}

fn is_release(write: &Write) -> bool {
    matches!(write.patch, Patch::Json(_))
}

/// Changes the operations of the write that lets a switch through.
fn in_release(writes: &mut [Write], change: impl Fn(&mut Vec<Value>)) {
    for write in writes {
        if let Patch::Json(operations) = &mut write.patch {
            change(operations);
        }
    }
}

/// Leaves an annotation out of all merge patches.
fn without(writes: &mut [Write], key: &str) {
    for write in writes {
        if let Patch::Merge(patch) = &mut write.patch
            && let Some(annotations) = patch.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut)
        {
            annotations.remove(key);
        }
    }
}

/// Applies to any version.
fn unconditional(write: &mut Write) {
    write.precondition = Precondition::Seen("".into());
}

/// The model notices what it is for.
#[test]
fn a_broken_leader_is_noticed() {
    let faults: [(&str, Fault); 14] = [
        ("the first write takes any version", |writes| writes.iter_mut().take(1).for_each(unconditional)),
        ("the others take any version", |writes| writes.iter_mut().skip(1).for_each(unconditional)),
        ("a switch is let through before it is approved", |writes| {
            rearrange(writes, |writes| writes.sort_by_key(|write| (!is_status(write), !is_release(write))));
        }),
        ("a release is not approved", |writes| {
            if writes.iter().any(is_release) {
                rearrange(writes, |writes| writes.retain(|write| is_status(write) || is_release(write)));
            }
        }),
        ("a release is not recorded", |writes| {
            if writes.iter().any(is_release) {
                rearrange(writes, |writes| writes.retain(|write| !is_status(write)));
            }
        }),
        ("the extension is not told", |writes| in_release(writes, |operations| drop(operations.remove(0)))),
        ("a release has no time of its own", |writes| in_release(writes, |operations| drop(operations.remove(1)))),
        ("the families stay", |writes| {
            in_release(writes, |operations| operations.retain(|it| it["path"] != "/spec/ipFamilies"));
        }),
        ("nothing is recorded", |writes| rearrange(writes, |writes| writes.retain(|write| !is_status(write)))),
        ("the record comes last", |writes| rearrange(writes, |writes| writes.sort_by_key(is_status))),
        ("the record stays", |writes| {
            let is_removal = |write: &Write| {
                is_status(write) && matches!(&write.patch, Patch::Merge(patch) if patch["status"]["state"].is_null())
            };
            rearrange(writes, |writes| writes.retain(|write| !is_removal(write)));
        }),
        ("the trace stays", |writes| without(writes, SWITCH_PASSED)),
        ("the message stays", |writes| without(writes, SWITCH_MESSAGE)),
        ("what is requested stays", |writes| without(writes, SWITCH_REQUESTED)),
    ];
    let unnoticed = faults.into_iter().filter(|(_, fault)| explore(*fault, 0).is_ok());
    assert_eq!(unnoticed.map(|(what, _)| what).collect::<Vec<_>>(), [""; 0]);
}
