//! What goes with the overlap, and what stays.

use super::*;

#[test]
fn removes_exactly_what_it_added() {
    let object = told(injected(), &fixture("ha", "cluster"));
    let done = Call { object, ..Call::new("ha", "ha") }.run();
    assert_eq!((done.verdict.decision, done.rules()), ("removed", vec!["warn vpn/removed".to_owned()]));
    assert_eq!(without_empty(done.object), without_empty(fixture("ha", "deployment")));
}

#[test]
fn removes_its_own_beside_gardenlets_proxy() {
    let mut object = fixture("ha-overlap", "deployment");
    let annotation = "network-guard.extensions.gardener.cloud/overlaps";
    object["metadata"]["annotations"][annotation] = json!("left over");
    let done = Call { object, ..Call::new("ha-overlap", "ha-overlap") }.run();
    assert_eq!((done.verdict.decision, done.object), ("gardenlet", fixture("ha-overlap", "deployment")));
}

#[test]
fn keeps_a_volume_that_somebody_else_mounts() {
    let mut object = injected();
    object["spec"]["template"]["spec"]["containers"][2]["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "network-guard-socket", "mountPath": "/x"}));
    let done = Call { object: told(object, &fixture("ha", "cluster")), ..Call::new("ha", "ha") }.run();
    let volumes = done.names("volumes");
    assert!(
        volumes.contains(&"network-guard-socket".to_owned()) && !volumes.contains(&"network-guard-config".to_owned())
    );
}

#[test]
fn keeps_a_volume_that_an_init_container_mounts() {
    let mut object = injected();
    object["spec"]["template"]["spec"]["initContainers"][0]["volumeMounts"]
        .as_array_mut()
        .unwrap()
        .push(json!({"name": "network-guard-socket", "mountPath": "/x"}));
    let done = Call { object: told(object, &fixture("ha", "cluster")), ..Call::new("ha", "ha") }.run();
    assert!(done.names("volumes").contains(&"network-guard-socket".to_owned()));
}

#[test]
fn puts_right_what_would_run_something_else() {
    let mut object = injected();
    object["spec"]["template"]["spec"]["containers"][1]["args"] = json!(["--mode", "validate"]);
    let done = Call { object, ..Call::overlapping() }.run();
    assert_eq!((done.verdict.decision, &done.object), ("updated", &injected()));
}
