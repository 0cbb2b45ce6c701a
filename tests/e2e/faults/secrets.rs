//! Nothing that is secret gets into a log.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::overlay;
use crate::harness::{Patch, Switch, eventually, fixture, until};

/// What is planted: as an annotation, in a kubeconfig, in the provider's configuration, and in an argument.
const PLANTED: [&str; 4] =
    ["planted-token-4711", "planted-kubeconfig-4712", "planted-provider-4713", "planted-flag-4714"];

/// The texts of a log that are not for it.
fn found_in<'t>(log: &str, texts: &'t BTreeSet<String>) -> Vec<&'t str> {
    texts.iter().filter(|text| log.contains(text.as_str())).map(String::as_str).collect()
}

#[test]
fn logs_hold_no_secrets() {
    let switch = Switch::start();
    let (api, admin) = (&switch.seed.api, switch.seed.control_plane.admin());
    let namespace = switch.shoot.namespace.clone();

    // A switch of the overlay from beginning to end: with a token for the Shoot, and ManagedResources.
    switch.shoot.add_node("a");
    overlay::pending(&switch.shoot);
    let mut secrets = BTreeSet::new();
    until("there is a token", || {
        for secret in api.list(&format!("/api/v1/namespaces/{namespace}/secrets")) {
            for value in secret["data"].as_object().into_iter().flat_map(|data| data.values()) {
                let encoded = value.as_str().unwrap().to_owned();
                if let Ok(text) = String::from_utf8(STANDARD.decode(&encoded).unwrap()) {
                    // Long lines, such as tokens and certificates; a name is no secret.
                    secrets.extend(text.lines().filter(|line| line.len() > 40).map(str::to_owned));
                }
                secrets.extend(Some(encoded).filter(|encoded| encoded.len() > 40));
            }
        }
        secrets.len() > 3 && switch.shoot.held("message").contains("0 of 1")
    });

    // Planted in everything that it reads: decided about, refused, and unreadable.
    let texts = &PLANTED.map(|text| json!(text));
    let mut cluster = fixture("ha", "cluster");
    cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
    cluster["spec"]["shoot"]["metadata"]["annotations"]["kubeconfig"] = texts[1].clone();
    cluster["spec"]["shoot"]["spec"]["provider"]["infrastructureConfig"] = json!({"credentials": texts[2]});
    switch.seed.control_plane.apply_cluster(&cluster);
    let mut deployment = fixture("ha", "deployment");
    deployment["metadata"]["annotations"] = json!({"token": texts[0]});
    deployment["spec"]["template"]["metadata"]["annotations"]["token"] = texts[0].clone();
    let command = |deployment: &Value| {
        admin.run(&["create", "--dry-run=server", "-o", "name", "-f", "-"], Some(&deployment.to_string()))
    };
    until("the Cluster is known", || command(&deployment).ok);
    let mut strange = deployment.clone();
    strange["spec"]["template"]["spec"]["containers"][0]["args"] = json!([
        format!("--token={}", PLANTED[3]),
        "--egress-selector-config-file=x",
        "--egress-selector-config-file=y"
    ]);
    command(&strange);
    cluster["spec"]["shoot"]["spec"]["networking"]["nodes"] = json!("10.0.0.0/99");
    switch.seed.control_plane.apply_cluster(&cluster);
    until("the Cluster cannot be used", || !command(&deployment).ok);
    api.patch(
        &format!("/apis/extensions.gardener.cloud/v1alpha1/namespaces/{namespace}/networks/{}", switch.shoot.name),
        Patch::Merge,
        &json!({"metadata": {"annotations": {"token": PLANTED[0]}}}),
    );
    switch.shoot.route_created("a");
    overlay::released(&switch.shoot);

    secrets.extend(PLANTED.map(str::to_owned));
    // It would be seen: what may be logged is there, of each of these decisions. A thread of its own writes the log.
    let log = eventually("each decision is logged", || {
        let log = switch.guard().log();
        let is_logged = |decision: &&str| log.contains(&format!("\"decision\":\"{decision}\""));
        if ["injected", "refused", "held", "released"].iter().all(is_logged) { Ok(log) } else { Err(log) }
    });
    say!("figure: log: {} secrets, none of them in {} lines", secrets.len(), log.lines().count());
    assert_eq!(found_in(&log, &secrets), Vec::<&str>::new());
}
