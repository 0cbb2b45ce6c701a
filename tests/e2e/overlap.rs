//! The main job: `kubectl apply` and gardenlet's own way of writing, on a real API server with the webhook registered.

mod conditions;
mod mutations;

use serde_json::{Value, json};

use crate::harness::{ControlPlane, Guard, Scene, eventually, fixture, until};

const NAMESPACE: &str = Scene::NAMESPACE;

fn containers(deployment: &Value) -> Vec<String> {
    let containers = deployment["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    containers.iter().map(|container| container["name"].as_str().unwrap().to_owned()).collect()
}

const WITH_SIDECAR: [&str; 5] =
    ["kube-apiserver", "envoy-proxy", "vpn-client-0", "vpn-client-1", "vpn-path-controller"];
const WITHOUT: [&str; 4] = ["kube-apiserver", "vpn-client-0", "vpn-client-1", "vpn-path-controller"];

#[test]
fn overlap_from_apply_to_removal() {
    let scene = Scene::start("");
    let admin = scene.control_plane.admin();
    let desired = fixture("ha", "deployment");

    // No overlap: the object is stored exactly as without a webhook.
    scene.seed_pods("10.64.0.0/11");
    let output = admin.run(&["apply", "-f", "-"], Some(&desired.to_string()));
    assert!(output.ok && !output.stderr.contains("Warning"), "{output:?}");
    let plain = scene.stored();
    assert_eq!(containers(&plain), WITHOUT);
    assert!(!plain.to_string().contains("network-guard.extensions"), "nothing of ours");

    // The report tells of Shoots that lack the sidecar because they were there before the overlap was.
    assert_eq!(scene.report(), "0 of 1 Shoot overlaps the Pods of its Seed\n");
    scene.seed_pods("10.0.0.0/8");
    let report = scene.report();
    assert!(report.contains("shoot--local--ha  MISSING  OTHER  pods 100.96.0.0/11"), "{report}");
    assert!(report.contains("nodes 10.250.0.0/16     242.0.0.0/16   10.0.0.0/8"), "{report}");
    assert!(
        report.ends_with(
            "1 of 1 Shoot overlaps the Pods of its Seed; 1 without the sidecar that they need; 1 told other networks than \
             their Clusters have\n"
        ),
        "{report}"
    );
    scene.delete();
    assert!(scene.report().contains("shoot--local--ha  unknown (no Deployment)"));

    // Overlap: sidecar, egress selector and volumes are there, and the caller is told.
    scene.seed_pods("10.0.0.0/8");
    let output = admin.run(&["apply", "-f", "-"], Some(&desired.to_string()));
    assert!(output.ok, "{output:?}");
    assert!(
        output.stderr.contains(
            "Warning: nodes 10.250.0.0/16 overlaps Seed pods 10.0.0.0/8: added envoy-proxy and egress selector"
        ),
        "{}",
        output.stderr
    );
    let injected = scene.stored();
    assert_eq!(containers(&injected), WITH_SIDECAR);
    let pod = &injected["spec"]["template"]["spec"];
    let arguments = pod["containers"][0]["args"].as_array().unwrap();
    assert!(arguments.contains(&json!("--egress-selector-config-file=/etc/network-guard/egress-selector.json")));
    for volume in ["network-guard-config", "network-guard-socket"] {
        assert!(pod["volumes"].as_array().unwrap().iter().any(|v| v["name"] == volume), "{volume}");
    }
    assert_eq!(
        injected["metadata"]["annotations"]["network-guard.extensions.gardener.cloud/overlaps"],
        "nodes 10.250.0.0/16 overlaps Seed pods 10.0.0.0/8"
    );
    assert_eq!(injected["metadata"]["generation"], 1);

    // What the API server stored is what we wrote: no default was added to the sidecar, so nothing will look changed.
    let sidecar = pod["containers"][1].clone();
    let patched: Value = scene_patch_container();
    assert_eq!(sidecar, patched, "the container is complete");

    // gardenlet writes its own desired object again and again: the generation stays.
    for round in 0..3 {
        let output = scene.control_plane.gardenlet_writes(&desired);
        assert!(output.ok, "round {round}: {output:?}");
        assert_eq!(containers(&scene.stored()), WITH_SIDECAR, "round {round}");
    }
    let generation = scene.stored()["metadata"]["generation"].clone();
    let output = scene.control_plane.gardenlet_writes(&desired);
    let generations: Vec<&str> = output.stdout.split_whitespace().skip(1).collect();
    assert_eq!(generations[0], generations[1], "{output:?}");
    assert_eq!(scene.stored()["metadata"]["generation"], generation);
    assert_eq!(scene.stored()["spec"], injected["spec"], "not a byte of the spec moves");

    // Somebody else changes the replicas, through the main resource and through scale.
    admin.ok(&["patch", "deployment", "kube-apiserver", "-n", NAMESPACE, "-p", r#"{"spec":{"replicas":3}}"#], None);
    assert_eq!(
        (containers(&scene.stored()).as_slice(), &scene.stored()["spec"]["replicas"]),
        (&WITH_SIDECAR.map(str::to_owned)[..], &json!(3))
    );
    admin.ok(&["scale", "deployment", "kube-apiserver", "-n", NAMESPACE, "--replicas=0"], None);
    assert_eq!(scene.stored()["spec"]["replicas"], 0);

    // Dry run answers the same and stores nothing.
    let before = scene.stored()["metadata"]["resourceVersion"].clone();
    let output = admin.run(&["apply", "--dry-run=server", "-o", "json", "-f", "-"], Some(&desired.to_string()));
    assert!(output.ok, "{output:?}");
    assert_eq!(containers(&serde_json::from_str(&output.stdout).unwrap()), WITH_SIDECAR);
    assert_eq!(scene.stored()["metadata"]["resourceVersion"], before);

    // Server-side apply takes the same way.
    let output = admin.run(&["apply", "--server-side", "--force-conflicts", "-f", "-"], Some(&desired.to_string()));
    assert!(output.ok, "{output:?}");
    assert_eq!(containers(&scene.stored()), WITH_SIDECAR);

    assert!(scene.report().contains("shoot--local--ha  network-guard's "));

    // The overlap is gone: what we injected goes, and what gardenlet wants is what is stored.
    scene.seed_pods("10.64.0.0/11");
    assert!(scene.report().contains("; 1 with a sidecar that is no longer needed"));
    let output = scene.control_plane.gardenlet_writes(&desired);
    assert!(output.ok, "{output:?}");
    let removed = scene.stored();
    assert_eq!(containers(&removed), WITHOUT);
    let mut spec = removed["spec"].clone();
    spec["replicas"] = plain["spec"]["replicas"].clone();
    assert_eq!(spec, plain["spec"]);
    assert!(removed["metadata"]["annotations"].get("network-guard.extensions.gardener.cloud/overlaps").is_none());

    // Metrics, and a log without anything of the object.
    assert!(scene.guard.metric("network_guard_decisions_total") > 5.0);
    until("decisions are logged", || {
        let log = scene.guard.log();
        log.contains("\"uid\":") && log.contains("\"decision\":\"injected\"")
    });
    let log = scene.guard.log();
    assert!(!log.contains("Bearer") && !log.contains("volumeMounts"), "the object is not logged");
}

/// The sidecar as the settings make it, with what the API server shows of it.
fn scene_patch_container() -> Value {
    let injection =
        network_guard_core::vpn::sidecar::Injection::new(&network_guard_core::vpn::sidecar::Settings::default());
    injection.container().clone()
}

/// `vpn.sidecar: always`: ours instead of gardenlet's own proxy, however often gardenlet writes it, and the way back.
#[test]
fn ours_in_place_of_gardenlets_proxy() {
    let control_plane = ControlPlane::start();
    let (desired, cluster) = (fixture("ha-overlap", "deployment"), fixture("ha-overlap", "cluster"));
    control_plane.apply_cluster(&cluster);
    let guard = Guard::start_configured(&control_plane, "vpn: {sidecar: always}\n");
    guard.wait_until_ready();
    let mut scene = Scene { control_plane, guard };
    let writes = |scene: &Scene| {
        let output = scene.control_plane.gardenlet_writes(&desired);
        assert!(output.ok, "{output:?}");
        scene.stored()
    };
    // As gardenlet has it where nobody else takes part.
    let gardenlets = writes(&scene);
    assert!(gardenlets.to_string().contains("kube-apiserver-http-proxy"));
    scene.delete();
    scene.guard.register(&scene.control_plane);
    let knows = |scene: &Scene| {
        until("the webhook knows the Cluster", || scene.guard.metric("network_guard_clusters_overlapping") > 0.0);
    };
    knows(&scene);

    let replaced = writes(&scene);
    assert_eq!(containers(&replaced), WITH_SIDECAR);
    let pod = &replaced["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][1], scene_patch_container(), "the container is complete");
    assert!(pod.get("hostAliases").is_none());
    for gone in ["9443", "/etc/kubernetes/egress", "kube-apiserver-http-proxy-client"] {
        assert!(!pod.to_string().contains(gone), "{gone}");
    }
    // gardenlet sends its own proxy again and again: nothing moves.
    for round in 0..3 {
        let again = writes(&scene);
        assert_eq!(again["metadata"]["generation"], replaced["metadata"]["generation"], "round {round}");
        assert_eq!(again["spec"], replaced["spec"], "round {round}: not a byte of the spec moves");
    }
    let admin = scene.control_plane.admin();
    let output = admin.run(&["label", "deployment", "kube-apiserver", "-n", NAMESPACE, "a=b"], None);
    assert!(output.ok && !output.stderr.contains("Warning"), "{output:?}");
    assert_eq!(scene.stored()["spec"], replaced["spec"], "somebody else's edit");
    assert!(scene.report().contains("shoot--local--ha  network-guard's "));

    // The way back is gardenlet's next write.
    scene.guard.kill();
    let path = scene.guard.certificates().join("config.yaml");
    let configuration = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, configuration.replace("always", "whereMissing")).unwrap();
    scene.guard.restart();
    knows(&scene);
    let back = writes(&scene);
    assert_eq!(back["spec"], gardenlets["spec"]);
    assert!(!back.to_string().contains("network-guard"), "nothing of ours");
}

#[test]
fn clusters_that_cannot_be_used() {
    let scene = Scene::start("");
    let admin = scene.control_plane.admin();
    let desired = fixture("ha", "deployment").to_string();
    admin.apply(&json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": NAMESPACE, "labels": {"gardener.cloud/role": "shoot"}}}));

    // No Cluster: the API server is asked once, then the write is refused with what to do.
    let output = admin.run(&["apply", "-f", "-"], Some(&desired));
    assert!(!output.ok);
    assert!(
        output.stderr.contains(
            "admission webhook \"kube-apiserver.network-guard.extensions.gardener.cloud\" denied the request: \
             Deployment shoot--local--ha/kube-apiserver is refused:\n\
             - metadata.namespace: there is no Cluster `shoot--local--ha` to read the networks from; \
             wait for gardenlet to write it, then repeat (vpn/cluster-missing)"
        ),
        "{}",
        output.stderr
    );

    // A Cluster that was written a moment ago is found, in the cache or by a live read.
    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
    scene.control_plane.apply_cluster(&cluster);
    let output = admin.run(&["apply", "-f", "-"], Some(&desired));
    assert!(output.ok, "{output:?}");
    assert_eq!(containers(&scene.stored()), WITH_SIDECAR);

    // A network that cannot be read: refused with the path of the field, and only where it matters.
    cluster["spec"]["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.250.0.0/33"]);
    scene.control_plane.apply_cluster(&cluster);
    until("the webhook knows", || scene.guard.metric("network_guard_clusters_unreadable") > 0.0);
    let mut changed: Value = serde_json::from_str(&desired).unwrap();
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.k8s.io/kube-apiserver:v1.33.5");
    let output = admin.run(&["apply", "-f", "-"], Some(&changed.to_string()));
    assert!(
        output.stderr.contains(
            "cluster shoot--local--ha: spec.shoot.status.networking.nodes[1]: \"10.250.0.0/33\" is not a CIDR"
        ),
        "{output:?}"
    );
    // What starts no Pod, and a deletion, pass without a word; more Pods of what is there with one.
    let output = admin.run(&["label", "deployment", "kube-apiserver", "-n", NAMESPACE, "a=b"], None);
    assert!(output.ok && !output.stderr.contains("Warning"), "{output:?}");
    let more = r#"{"spec":{"replicas":7}}"#;
    let output = admin.run(&["patch", "deployment", "kube-apiserver", "-n", NAMESPACE, "-p", more], None);
    assert!(output.ok && output.stderr.contains("Warning: cluster shoot--local--ha"), "{output:?}");
    scene.delete();
}

/// Where more is sent than the webhook asks for, the handler passes what the API server would have kept back: an API
/// server writes both objects alike.
#[test]
fn the_handler_decides_as_the_match_conditions_do() {
    let scene = Scene::start("");
    let admin = scene.control_plane.admin();
    scene.seed_pods("10.0.0.0/8");
    let desired = fixture("ha", "deployment");
    assert!(scene.control_plane.gardenlet_writes(&desired).ok);
    let injected = scene.stored();
    assert_eq!(containers(&injected), WITH_SIDECAR);
    // The overlap is gone, so anything else than passing would take the sidecar away.
    scene.seed_pods("10.64.0.0/11");
    let mut wide = admin.get(&["mutatingwebhookconfiguration", "gardener-extension-network-guard"]);
    wide["webhooks"][0]["matchConditions"] = json!([]);
    admin.ok(&["replace", "-f", "-"], Some(&wide.to_string()));
    let mut edit = 0;
    until("an edit is sent", || {
        edit += 1;
        let label = format!("edit={edit}");
        admin.ok(&["label", "deployment", "kube-apiserver", "-n", NAMESPACE, "--overwrite", &label], None);
        scene.guard.log().contains("\"decision\":\"starts-nothing\"")
    });
    admin.ok(&["patch", "deployment", "kube-apiserver", "-n", NAMESPACE, "-p", r#"{"spec":{"replicas":1}}"#], None);
    assert_eq!(scene.stored()["spec"]["template"], injected["spec"]["template"]);
    assert!(scene.control_plane.gardenlet_writes(&desired).ok);
    assert_eq!(containers(&scene.stored()), WITHOUT, "gardenlet's next write");
}

/// A Shoot that was there before the webhook: an operator who wants it to be checked sets our annotation.
#[test]
fn our_annotation_asks_for_a_decision() {
    let control_plane = ControlPlane::start();
    let admin = control_plane.admin();
    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
    control_plane.apply_cluster(&cluster);
    assert!(control_plane.gardenlet_writes(&fixture("ha", "deployment")).ok);
    let guard = Guard::start(&control_plane);
    guard.register(&control_plane);
    until("the overlap is known", || guard.metric("network_guard_clusters_overlapping") > 0.0);
    let scene = Scene { control_plane, guard };
    assert!(scene.control_plane.gardenlet_writes(&fixture("ha", "deployment")).ok);
    assert_eq!(containers(&scene.stored()), WITHOUT, "nothing of it has changed");
    assert!(scene.report().contains("MISSING"));
    let ask = "network-guard.extensions.gardener.cloud/overlaps=ask";
    let output = admin.run(&["annotate", "deployment", "kube-apiserver", "-n", NAMESPACE, "--overwrite", ask], None);
    assert!(output.ok && output.stderr.contains("added envoy-proxy"), "{output:?}");
    assert_eq!(containers(&scene.stored()), WITH_SIDECAR);
}

/// What must never be changed or refused, with an overlapping Cluster of the same name.
#[test]
fn others_are_left_alone() {
    let scene = Scene::start("");
    let admin = scene.control_plane.admin();
    scene.seed_pods("10.0.0.0/8");

    // Another name, other labels, another namespace.
    let mut other = fixture("ha", "deployment");
    other["metadata"]["name"] = json!("virtual-kube-apiserver");
    let mut unlabelled = fixture("ha", "deployment");
    unlabelled["metadata"]["labels"]["role"] = json!("something");
    let mut elsewhere = fixture("ha", "deployment");
    elsewhere["metadata"]["namespace"] = json!("default");
    for (name, deployment) in [("name", other), ("label", unlabelled), ("namespace", elsewhere)] {
        let output = admin.run(&["create", "--dry-run=server", "-o", "json", "-f", "-"], Some(&deployment.to_string()));
        assert!(output.ok, "{name}: {output:?}");
        assert_eq!(containers(&serde_json::from_str(&output.stdout).unwrap()), WITHOUT, "{name}");
    }

    // gardenlet's own proxy stays gardenlet's, where its VPN is told what the Cluster has.
    scene.seed_pods("10.250.128.0/17");
    let output = admin.run(&["apply", "-f", "-"], Some(&fixture("ha-overlap", "deployment").to_string()));
    assert!(output.ok && !output.stderr.contains("Warning"), "{output:?}");
    assert!(!scene.stored().to_string().contains("network-guard"));
    // It is as it should be on most landscapes, at each write: a note.
    let noted = r#"rule="vpn/gardenlet-proxy",severity="note""#;
    assert!(scene.guard.series("network_guard_findings_total", noted) >= 1.0, "{}", scene.guard.metrics());
    // The log is written a moment after the answer.
    until("it is logged", || scene.guard.log().contains("vpn/gardenlet-proxy"));

    // A Cluster that goes away is gone for the webhook too.
    admin.ok(&["delete", "cluster.extensions.gardener.cloud", NAMESPACE], None);
    until("the webhook knows", || scene.guard.metric("network_guard_clusters") == 0.0);

    // The audit annotations are accepted: the API server logs a line for each that it drops.
    assert!(!scene.control_plane.log().contains("Failed to set admission audit annotation"));
}

/// Another webhook changes the Deployment after us, so the API server calls us a second time: nothing moves.
#[test]
fn reinvocation_changes_nothing() {
    let scene = Scene::start("");
    let admin = scene.control_plane.admin();
    scene.seed_pods("10.0.0.0/8");
    let before = scene.guard.metric("network_guard_requests_total");

    // A policy that runs with the mutating webhooks and changes the object makes the API server repeat the round.
    admin.ok(&["apply", "-f", "-"], Some(&mutating_policy().to_string()));
    let desired = fixture("ha", "deployment").to_string();
    let object = eventually("the other mutation takes part", || {
        let output = admin.run(&["create", "--dry-run=server", "-o", "json", "-f", "-"], Some(&desired));
        let object: Value = serde_json::from_str(&output.stdout).map_err(|_| output.stderr.clone())?;
        let label = &object["metadata"]["labels"]["other"];
        if label == "was-here" { Ok(object) } else { Err(format!("label {label}: {}", output.stderr)) }
    });
    assert_eq!(containers(&object), WITH_SIDECAR);
    assert!(scene.guard.metric("network_guard_requests_total") - before >= 2.0);
    // The log is written a moment after the answer.
    until("the second look found all in place", || scene.guard.log().contains("\"decision\":\"unchanged\""));
}

/// A second mutating webhook would do; a MutatingAdmissionPolicy is one that needs no server.
fn mutating_policy() -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": "other"},
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": "IfNeeded",
                "matchConstraints": {"resourceRules": [{
                    "apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"],
                }]},
                "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {
                    // Policies run before webhooks and again after them. Only what they were called for in the first
                    // round comes back in the second, where this one changes what we have already seen.
                    "expression": "Object{metadata: Object.metadata{labels: {'other': \
                        object.spec.template.spec.containers.exists(c, c.name == 'envoy-proxy') ? 'was-here' : 'first'}}}",
                }}],
            },
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": "other"},
            "spec": {"policyName": "other"},
        },
    ]})
}
