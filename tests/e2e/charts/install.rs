//! How charts get to a cluster: by Helm, and by gardener-operator and gardenlet, which have a renderer of their own.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use super::{RUNTIME, SEED, by_secret, charts, merged, modes, servers};
use crate::harness::{Chart, ControlPlane, documents, only, tool};

/// Objects by kind and name.
fn by_name(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let count = objects.len();
    let name = |object: &Value| format!("{} {}", object["kind"], object["metadata"]["name"]);
    let objects: BTreeMap<String, Value> = objects.into_iter().map(|object| (name(&object), object)).collect();
    assert_eq!(objects.len(), count, "none hides another one");
    objects
}

/// What Gardener makes of the package of a chart.
fn rendered_by_gardener(chart: Chart, namespace: &str, values: &Value, further: &[&str]) -> Vec<Value> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let archive = chart.package(folder.path());
    let output = Command::new(tool("chart-render"))
        .args(["-name", "network-guard", "-namespace", namespace, "-archive"])
        .arg(archive)
        .args(["-values", &merged(chart.least(), values).to_string()])
        .args(further)
        .output()
        .unwrap();
    assert!(output.status.success(), "{chart:?}: {}", String::from_utf8_lossy(&output.stderr));
    documents(&String::from_utf8(output.stdout).unwrap())
}

#[test]
fn gardener_renders_what_helm_renders() {
    for ((chart, namespace, values), added) in
        charts().into_iter().zip([servers()[0].3.clone(), servers()[1].3.clone(), json!({})])
    {
        for mode in modes() {
            let values = merged(merged(values.clone(), &added), &mode);
            let by_gardener = by_name(rendered_by_gardener(chart, namespace, &values, &[]));
            assert_eq!(by_gardener, by_name(chart.render(namespace, &values)), "{chart:?} {mode}");
        }
    }
}

/// gardener-operator gives the server of the garden its kubeconfig, unless somebody else did.
#[test]
fn gardener_operator_injects_the_kubeconfig() {
    let folder = "/var/run/secrets/gardener.cloud/shoot/generic-kubeconfig";
    let inject = ["-inject-garden-kubeconfig"];
    let objects = rendered_by_gardener(Chart::RUNTIME, RUNTIME, &json!({}), &inject);
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    let environment = pod["containers"][0]["env"].as_array().unwrap();
    let path = json!({"name": "GARDEN_KUBECONFIG", "value": format!("{folder}/kubeconfig")});
    assert!(environment.contains(&path), "{environment:?}");
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().any(|mount| mount["mountPath"] == folder), "{mounts:?}");

    let values = json!({"kubeconfig": {"secretName": "a", "tokenSecretName": "b"}});
    let objects = rendered_by_gardener(Chart::RUNTIME, RUNTIME, &values, &inject);
    let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    let kubeconfigs: Vec<&Value> = volumes.iter().filter(|volume| volume["name"] == "garden-kubeconfig").collect();
    assert_eq!(kubeconfigs.len(), 1);
    assert_eq!(kubeconfigs[0]["projected"]["sources"][0]["secret"]["name"], "a");
}

/// As docs/operations/install.md has it for certificates that somebody made, on a cluster without anything of Gardener: first the
/// server, then the registration, and nothing is left in the end.
#[test]
fn helm_installs_upgrades_and_uninstalls() {
    let control_plane = ControlPlane::start_bare(&[]);
    let admin = control_plane.admin();
    admin.ok(&["create", "namespace", SEED], None);
    let kubeconfig = control_plane.kubeconfig("admin", "system:masters").display().to_string();
    let flags = ["--namespace", SEED, "--kubeconfig", &kubeconfig];
    // Nothing has to be switched off: a cluster without the kinds of monitoring and scaling gets no objects of them.
    let plain = json!({"priorityClassName": ""});
    let registrations = || admin.ok(&["get", "mutatingwebhookconfigurations", "-o", "name"], None);
    let ours = || {
        let kinds = "all,cm,sa,pdb,role,rolebinding,secret";
        admin.ok(&["get", kinds, "-n", SEED, "-l", "app.kubernetes.io/instance=network-guard", "-o", "name"], None)
    };

    let plain = merged(plain, &by_secret());
    let server = merged(plain.clone(), &json!({"webhooks": {"enabled": false}}));
    let output = Chart::SEED.helm(&["install", "network-guard"], &flags, &server);
    assert!(output.ok, "{output:?}");
    // What it prints in the end names what is there, and what to do next.
    let notes = output.stdout.split_once("NOTES:").expect("it has notes").1;
    assert!(
        notes.contains("kubectl rollout status deployment/gardener-extension-network-guard -n extension-network-guard")
    );
    assert!(ours().contains("deployment.apps/gardener-extension-network-guard"), "{}", ours());
    assert_eq!(registrations(), "");

    let output = Chart::SEED.helm(&["upgrade", "network-guard"], &flags, &plain);
    assert!(output.ok, "{output:?}");
    assert!(registrations().contains("gardener-extension-network-guard"), "{}", registrations());
    let unregistered = Chart::SEED.helm(&["upgrade", "network-guard"], &flags, &server);
    assert!(unregistered.ok && registrations().is_empty(), "{unregistered:?}");

    let mut helm = Command::new(tool("helm"));
    let output = helm.args(["uninstall", "network-guard"]).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ours(), "");
    let roles = admin.ok(&["get", "clusterroles,clusterrolebindings", "-o", "name"], None);
    assert!(!roles.contains("network-guard"), "{roles}");
}
