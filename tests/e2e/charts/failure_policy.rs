//! What the chart of a Seed registers for the time when no replica answers.

use serde_json::{Value, json};

use super::render::{config_map, webhooks};
use super::{SEED, merged, modes};
use crate::harness::{Chart, only};

/// What becomes of writes of kube-apiservers while no replica answers follows gardenlet's version, unless somebody says it;
/// the chart's registration and the server's own say the same, and why.
#[test]
fn the_failure_policy_follows_gardener() {
    const WHY: &str = "network-guard.extensions.gardener.cloud/failure-policy";
    let version = |text: &str| json!({"gardener": {"version": text}});
    let overlap = |overlap: Value| json!({"config": {"vpn": overlap}});
    let recent = version("v1.149.0");
    let mut rows = vec![
        (json!({}), "Fail", "does not say"),
        (version(""), "Fail", "does not say"),
        (json!({"gardener": {"version": null}}), "Fail", "does not say"),
        (json!({"gardener": {"version": 1.149}}), "Fail", "cannot be read"),
        (overlap(json!({"failurePolicy": "Ignore"})), "Ignore", "config.vpn.failurePolicy"),
        (merged(recent.clone(), &overlap(json!({"failurePolicy": "Fail"}))), "Fail", "config.vpn.failurePolicy"),
        (overlap(json!({"sidecar": "always", "failurePolicy": "Fail"})), "Fail", "config.vpn.failurePolicy"),
        (overlap(json!({"sidecar": "always", "failurePolicy": "Ignore"})), "Ignore", "config.vpn.failurePolicy"),
        (merged(recent, &overlap(json!({"sidecar": "whereMissing"}))), "Ignore", "this is v1.149.0"),
        // Where gardenlet has no proxy, none takes the place of the sidecar that a missed call leaves out.
        (overlap(json!({"sidecar": "always"})), "Fail", "does not say"),
    ];
    for (text, policy, why) in [
        ("v1.149.0", "Ignore", "gardenlet brings a proxy of its own from v1.124 on, and this is v1.149.0"),
        ("v1.124.0", "Ignore", "gardenlet brings a proxy of its own from v1.124 on, and this is v1.124.0"),
        ("v1.124.0-dev", "Fail", "gardenlet brings no proxy of its own before v1.124, and this is v1.124.0-dev"),
        ("v1.123.9", "Fail", "gardenlet brings no proxy of its own before v1.124, and this is v1.123.9"),
        ("latest", "Fail", "cannot be read"),
    ] {
        rows.push((merged(version(text), &overlap(json!({"sidecar": "always"}))), policy, why));
    }
    for (text, policy) in [
        ("v1.149.0", "Ignore"),
        ("1.149.0", "Ignore"),
        ("v1.124.0", "Ignore"),
        ("v1.124.3", "Ignore"),
        ("v1.124.0+build", "Ignore"),
        ("v1.124.1-dev", "Ignore"),
        ("v1.150.0-dev", "Ignore"),
        ("v1.150.0-dev-0a1b2c3d", "Ignore"),
        ("v1.150.0-01", "Ignore"),
        ("v2.0.0", "Ignore"),
        ("v10.1.0", "Ignore"),
        ("v1.124.0-dev", "Fail"),
        ("v1.123.9", "Fail"),
        ("v1.99.12", "Fail"),
        ("v0.124.0", "Fail"),
        ("v0.0.0-master+$Format:%H$", "Fail"),
        ("v1.124", "Fail"),
        ("v1.149.0x", "Fail"),
        ("v1.149.0: \"x\" # y", "Fail"),
        ("v1.99999999999999999999.0", "Fail"),
        ("vv1.149.0", "Fail"),
        ("latest", "Fail"),
    ] {
        rows.push((version(text), policy, "garden"));
    }
    for (values, policy, why) in rows {
        for mode in modes() {
            let values = merged(mode.clone(), &values);
            let objects = Chart::SEED.render(SEED, &values);
            let config = config_map(&objects);
            let told: Value = serde_saphyr::from_str(config["data"]["config.yaml"].as_str().unwrap()).unwrap();
            assert_eq!(told["vpn"]["failurePolicy"], policy, "{values}");
            let mut said = vec![&config["metadata"]["annotations"][WHY]];
            // With certificates of its own the server registers itself.
            if mode != json!({}) {
                let registration = only(&objects, "MutatingWebhookConfiguration");
                said.push(&registration["metadata"]["annotations"][WHY]);
                let policies: Vec<Value> =
                    webhooks(registration).iter().map(|webhook| webhook["failurePolicy"].clone()).collect();
                assert_eq!(policies, [json!(policy), json!("Fail")], "{values}");
            }
            for said in said.into_iter().map(|said| said.as_str().unwrap()) {
                assert!(said.starts_with(&format!("{policy}: ")) && said.contains(why), "{values}: {said}");
            }
            let alerts = only(&objects, "PrometheusRule").to_string();
            assert_eq!(alerts.contains("are refused until one does"), policy == "Fail", "{values}");
        }
    }
    let error = Chart::SEED.template(SEED, &overlap(json!({"failurePolicy": "ignore"}))).unwrap_err();
    assert!(error.contains("value must be one of 'Fail', 'Ignore'"), "{error}");

    // Another Gardener replaces Pods only where it changes what they are told.
    let checksum = |text: &str| {
        let objects = Chart::SEED.render(SEED, &version(text));
        only(&objects, "Deployment")["spec"]["template"]["metadata"]["annotations"]["checksum/config"].clone()
    };
    assert_eq!(checksum("v1.149.0"), checksum("v1.150.0"));
    assert_ne!(checksum("v1.149.0"), checksum("v1.123.0"));
}
