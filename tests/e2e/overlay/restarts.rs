//! Nothing is lost and nothing released early, whichever process dies, and when: the server, its leader, a Seed, a Shoot.

use serde_json::json;

use super::{LONG_WINDOW, LOOKS, SHORT_WINDOW, held, native, overlay, pending, released, stays_held, waits_for_window};
use crate::harness::{Service, Switch, until};

/// kill -9 and a new start in each phase of a switch.
#[test]
fn a_restart_loses_nothing() {
    let mut switch = Switch::start();
    switch.shoot.add_node("a");
    switch.shoot.add_node("b");

    // Pending.
    pending(&switch.shoot);
    let since = switch.shoot.held("since");
    switch.shoot.route_created("a");
    until("one is there", || switch.shoot.held("message").contains("1 of 2"));
    // Calico takes the reason back: that the route was there is remembered, also by the next process.
    switch.shoot.node_condition("a", "False", "CalicoIsUp");
    switch.after_looks(1, || held(&switch.shoot));
    switch.seed.kill_guard();
    switch.seed.restart_guard_with_window(LONG_WINDOW);
    stays_held(&switch);
    assert!(switch.shoot.held("message").contains("1 of 2"), "{}", switch.shoot.held("message"));
    assert_eq!(switch.shoot.held("since"), since);

    // In the window: it starts again, and a route that goes in the meantime counts.
    switch.shoot.route_created("b");
    waits_for_window(&switch.shoot);
    switch.seed.kill_guard();
    switch.shoot.node_condition("b", "True", "NoRouteCreated");
    switch.seed.restart_guard_with_window(SHORT_WINDOW);
    stays_held(&switch);

    // Approved, not yet released.
    switch.shoot.update_cluster(|shoot| shoot["spec"]["maintenance"]["confineSpecUpdateRollout"] = json!(true));
    switch.shoot.route_created("b");
    until("it is approved", || switch.shoot.held("state") == "approved");
    restart(&mut switch);
    switch.after_looks(LOOKS, || {
        assert_eq!((switch.shoot.held("state").as_str(), switch.shoot.calico()), ("approved", overlay()));
    });
    switch.shoot.update_cluster(|shoot| shoot["spec"]["maintenance"]["confineSpecUpdateRollout"] = json!(false));
    released(&switch.shoot);

    // Released: a new process has nothing to do, also not when a node loses its route now.
    switch.shoot.node_condition("a", "True", "NoRouteCreated");
    restart(&mut switch);
    switch.shoot.reconcile(&native()).ok();
    assert_eq!((switch.shoot.held("state").as_str(), switch.shoot.calico()), ("", native()));

    // 12: in the middle of a switch the control plane moves; the other Seed holds it again.
    switch.shoot.reconcile(&overlay()).ok();
    // What moves is what the leader remembered; one that has just started takes its time to lead.
    pending(&switch.shoot);
    let before = switch.shoot.calico_got().len();
    switch.move_to_another_seed(&native()).ok();
    let shoot = &switch.shoot;
    for rendered in &shoot.calico_got()[before..] {
        assert_ne!(rendered.provider_config, native(), "{rendered:?}");
    }
    held(shoot);
    stays_held(&switch);
    shoot.route_created("a");
    released(shoot);
    // A Shoot that was native when it moved stays it.
    shoot.node_condition("a", "True", "NoRouteCreated");
    switch.move_to_another_seed(&native()).ok();
    assert_eq!((switch.shoot.held("state").as_str(), switch.shoot.calico()), ("", native()));
}

fn restart(switch: &mut Switch) {
    switch.seed.kill_guard();
    switch.seed.restart_guard();
}

/// Two replicas behind one Service: both answer, one leads, and the other takes over.
#[test]
fn another_replica_takes_over() {
    let mut switch = Switch::start_with(&json!({"windowSeconds": LONG_WINDOW}));
    // Each reads its configuration when it starts: the window of the first one is not over before it dies.
    switch.guard().configure(|configuration| configuration["overlay"]["windowSeconds"] = json!(SHORT_WINDOW));
    let second = switch.guard().replica("network-guard-2");
    second.wait_until_ready();
    let service = Service::start(vec![switch.guard().port(), second.port()]);
    switch.guard().register_at(&service.url(), &switch.seed.control_plane);
    until("one leads", || !switch.seed.leader().is_empty());
    let leader = switch.seed.leader();
    switch.shoot.add_node("a");
    pending(&switch.shoot);
    switch.shoot.route_created("a");

    // The first replica has the Lease since before the second was there. It dies in the window.
    waits_for_window(&switch.shoot);
    switch.seed.kill_guard();
    until("the other leads", || switch.seed.leader() != leader);
    released(&switch.shoot);
    switch.shoot.reconcile(&native()).ok();
    let log = second.log();
    assert!(!log.contains("forbidden"), "{log}");
}

/// The API server of one Shoot is away: its switch waits, and that of another Shoot does not.
#[test]
fn a_dead_shoot_delays_only_itself() {
    let (mut switch, second) = Switch::start_two();
    for shoot in [&switch.shoot, &second] {
        shoot.add_node("a");
        pending(shoot);
        until("its nodes are seen", || shoot.held("message").contains("0 of 1"));
    }
    switch.shoot.route_created("a");
    switch.shoot.stop_api_server();
    second.route_created("a");
    released(&second);
    // From now on looks are those at the other Shoot.
    until("nothing is left of this switch", || !switch.has_access_of(&second));
    stays_held(&switch);
    switch.shoot.start_api_server();
    released(&switch.shoot);
}
