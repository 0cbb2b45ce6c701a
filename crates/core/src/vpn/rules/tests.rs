//! What the rules about the VPN find in Deployments and Clusters that Gardener's own code wrote.

mod gardenlet;

pub(crate) use self::gardenlet::{fixture, told};
use serde_json::{Value, json};

use super::*;
use crate::admission::{ListEdits, PatchBuilder};
use crate::diagnostics::{Finding, Severity};
use crate::gardener::Deployment;
use crate::vpn::nat::{KnownFacts, Mode, Own, Side, Translation};
use crate::vpn::sidecar::{Injection, Settings, mutate};
use crate::vpn::{Change, Decision, Overlap, Vpn, decide, overlaps, overlaps_text};

/// gardenlet's Deployment of one case, and the Cluster of another.
struct Scene {
    deployment: Value,
    cluster: Value,
}

impl Scene {
    fn new(deployment: &'static str, cluster: &'static str) -> Self {
        let cluster = fixture(cluster, "cluster");
        Self { deployment: told(fixture(deployment, "deployment"), &cluster), cluster }
    }

    /// A highly available VPN, and an overlap by nodes.
    fn overlapping() -> Self {
        Self::new("ha", "ha-overlap")
    }

    fn pod(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.deployment["spec"]["template"]["spec"]);
        self
    }

    fn cluster(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(&mut self.cluster["spec"]);
        self.deployment = told(self.deployment, &self.cluster);
        self
    }

    fn facts(&self) -> ClusterFacts {
        ClusterFacts::parse(&self.cluster["spec"].to_string()).unwrap()
    }

    /// What is found when the sidecar is brought into its place, or taken away.
    fn found(&self) -> Vec<Finding> {
        let facts = match ClusterFacts::parse(&self.cluster["spec"].to_string()) {
            Ok(facts) => facts,
            Err(errors) => return errors.iter().map(|error| cluster_unreadable("shoot--local--ha", error)).collect(),
        };
        let raw = self.deployment.to_string();
        let deployment = Deployment::read(&raw).unwrap();
        let (decision, conflicts) = decide(&Vpn::of(&deployment.spec.template.spec), &facts);
        let mut findings: Vec<Finding> = conflicts.iter().map(conflict).collect();
        let overlaps = match &decision {
            Decision::Inject(overlaps) => Some(overlaps.as_slice()),
            Decision::Leave => None,
            Decision::Incomplete(overlaps, missing) => {
                findings.push(vpn_incomplete(overlaps, missing));
                return findings;
            }
        };
        let (text, injection) = (overlaps.map(overlaps_text), Injection::new(&Settings::default()));
        let (mut patch, mut edits) = (PatchBuilder::default(), ListEdits::default());
        match mutate(&injection, text.as_deref(), &deployment, &raw, &mut patch, &mut edits) {
            Ok(done) => {
                findings.extend(change(done, overlaps.unwrap_or_default()));
                assert_eq!(patch.finish().is_some(), done != Change::Unchanged);
            }
            Err(places) => findings.extend(places.iter().map(name_taken)),
        }
        findings
    }
}

/// A name, a scene, the rules that speak.
#[test]
fn what_is_found() {
    const INJECTED: &[&str] = &["warn vpn/injected"];
    const TAKEN: &[&str] = &["deny vpn/name-taken"];
    let nodes = |cidr: &'static str| {
        move |spec: &mut Value| {
            spec["shoot"]["spec"]["networking"]["nodes"] = json!(cidr);
            spec["shoot"]["status"]["networking"]["nodes"] = json!([cidr]);
        }
    };
    let seed_pods = |cidr: &'static str| move |spec: &mut Value| spec["seed"]["spec"]["networks"]["pods"] = json!(cidr);
    let removed = |pod: &mut Value, list: &str, name: &str| {
        pod[list].as_array_mut().unwrap().retain(|container| container["name"] != name);
    };
    let push = |list: &mut Value, item: Value| list.as_array_mut().unwrap().push(item);
    let container = |pod: &mut Value| push(&mut pod["containers"], json!({"name": "envoy-proxy", "image": "x"}));
    let rows: Vec<(&str, Scene, &[&str])> = vec![
        ("overlap by pods", Scene::new("ha", "ha").cluster(seed_pods("100.96.0.0/16")), INJECTED),
        ("overlap by services", Scene::new("ha", "ha").cluster(seed_pods("100.64.0.0/16")), INJECTED),
        (
            "overlap by a node network in status only",
            Scene::new("ha", "ha").cluster(|spec| {
                spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "10.65.0.0/16"]);
            }),
            INJECTED,
        ),
        (
            "several node networks",
            Scene::new("ha-several-nodes", "ha-several-nodes").cluster(seed_pods("10.100.0.0/16")),
            INJECTED,
        ),
        (
            "node networks that repeat themselves, told as Gardener tells them",
            Scene::new("ha-repeated-nodes", "ha-repeated-nodes").cluster(seed_pods("10.249.0.0/17")),
            INJECTED,
        ),
        ("none, several node networks", Scene::new("ha-several-nodes", "ha-several-nodes"), &[]),
        (
            "IPv6 overlap only",
            Scene::new("ha-dual-stack", "ha-dual-stack").cluster(|spec| {
                let pods = spec["shoot"]["status"]["networking"]["pods"].as_array().unwrap().clone();
                let v6 = pods.iter().find(|cidr| cidr.as_str().unwrap().contains(':')).unwrap();
                spec["seed"]["spec"]["networks"]["pods"] = v6.clone();
            }),
            &["warn vpn/ipv6"],
        ),
        ("dual-stack without", Scene::new("ha-dual-stack", "ha-dual-stack"), &[]),
        (
            "dual-stack with IPv4 overlap",
            Scene::new("ha-dual-stack", "ha-dual-stack").cluster(seed_pods("100.64.0.0/10")),
            INJECTED,
        ),
        ("non-HA with overlap", Scene::new("non-ha", "non-ha").cluster(seed_pods("0.0.0.0/0")), &[]),
        ("workerless with overlap", Scene::new("workerless", "workerless").cluster(seed_pods("0.0.0.0/0")), &[]),
        ("self-hosted", Scene::overlapping().cluster(|spec| drop(spec.as_object_mut().unwrap().remove("seed"))), &[]),
        ("self-hosted, null", Scene::overlapping().cluster(|spec| spec["seed"] = Value::Null), &[]),
        (
            "networks that do not parse",
            Scene::overlapping().cluster(nodes("10.250.0.0/33")),
            &["deny vpn/cluster-unreadable", "deny vpn/cluster-unreadable"],
        ),
        ("foreign container", Scene::overlapping().pod(container), TAKEN),
        (
            "foreign volumes",
            Scene::overlapping().pod(|pod| {
                pod["volumes"].as_array_mut().unwrap().extend([
                    json!({"name": "network-guard-config", "configMap": {"name": "x"}}),
                    json!({"name": "network-guard-socket", "hostPath": {"path": "/"}}),
                ]);
            }),
            &["deny vpn/name-taken", "deny vpn/name-taken"],
        ),
        (
            "foreign egress selector",
            Scene::overlapping().pod(|pod| {
                push(&mut pod["containers"][0]["args"], json!("--egress-selector-config-file=/x"));
            }),
            TAKEN,
        ),
        (
            "foreign mount",
            Scene::overlapping().pod(|pod| {
                push(
                    &mut pod["containers"][0]["volumeMounts"],
                    json!({"name": "ca", "mountPath": "/etc/network-guard"}),
                );
            }),
            TAKEN,
        ),
        ("foreign container without overlap", Scene::new("ha", "ha").pod(container), &[]),
        (
            "foreign volumes without overlap",
            Scene::new("ha", "ha").pod(|pod| {
                push(&mut pod["volumes"], json!({"name": "network-guard-config", "configMap": {"name": "x"}}));
                push(
                    &mut pod["containers"][0]["volumeMounts"],
                    json!({"name": "network-guard-config", "mountPath": "/x"}),
                );
            }),
            &[],
        ),
        (
            "a container that only looks like gardenlet's",
            Scene::overlapping().pod(|pod| {
                let mounts = json!([{"name": "envoy-config", "mountPath": "/etc/envoy"}]);
                push(&mut pod["containers"], json!({"name": "envoy-proxy", "image": "x", "volumeMounts": mounts}));
            }),
            TAKEN,
        ),
        (
            "a Cluster without networks",
            Scene::overlapping().cluster(|spec| {
                drop(spec["shoot"]["spec"].as_object_mut().unwrap().remove("networking"));
                drop(spec["shoot"].as_object_mut().unwrap().remove("status"));
            }),
            &["deny vpn/cluster-unreadable", "deny vpn/cluster-unreadable"],
        ),
        (
            "no container kube-apiserver",
            Scene::overlapping().pod(|pod| pod["containers"][0]["name"] = json!("apiserver")),
            TAKEN,
        ),
        ("HA Shoot, no VPN containers yet", Scene::new("non-ha", "ha-overlap"), &["warn vpn/ha-vpn-mismatch"]),
        (
            "VPN containers, no HA Shoot any more",
            Scene::overlapping()
                .cluster(|spec| drop(spec["shoot"]["spec"].as_object_mut().unwrap().remove("controlPlane"))),
            &["warn vpn/ha-vpn-mismatch", "warn vpn/injected"],
        ),
        (
            "a VPN container is missing",
            Scene::overlapping().pod(|pod| removed(pod, "containers", "vpn-client-1")),
            &["deny vpn/vpn-incomplete"],
        ),
        (
            "the init container is missing",
            Scene::overlapping().pod(|pod| removed(pod, "initContainers", "vpn-client-init")),
            &["deny vpn/vpn-incomplete"],
        ),
        (
            "a VPN container is missing, no overlap",
            Scene::new("ha", "ha").pod(|pod| removed(pod, "containers", "vpn-client-1")),
            &[],
        ),
    ];
    for (name, scene, rules) in rows {
        let found: Vec<String> =
            scene.found().iter().map(|finding| format!("{} {}", finding.severity.name(), finding.rule.name)).collect();
        assert_eq!(found, rules, "{name}");
    }
}

/// vpn2 passes with a warning, because a proxy changes nothing about it; our own containers would not start.
#[test]
fn what_cannot_be_translated() {
    let too_many = |spec: &mut Value| {
        spec["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
        spec["shoot"]["spec"]["networking"]["nodes"] = json!("10.0.0.0/9");
        spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.0.0.0/9", "11.0.0.0/9", "12.0.0.0/9"]);
    };
    let too_wide = |spec: &mut Value| spec["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/7");
    let fits = |spec: &mut Value| {
        too_many(spec);
        spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.0.0.0/9", "11.0.0.0/9"]);
    };
    let all: [(&str, &dyn Fn(&mut Value), Option<&str>); 3] = [
        (
            "three node networks of a /9",
            &too_many,
            Some(
                "nodes 10.0.0.0/9 overlaps Seed pods 10.0.0.0/8, and cannot be translated: the IPv4 nodes networks do \
                 not fit into 242.0.0.0/8: no room left for 12.0.0.0/9; give the Shoot fewer or smaller networks, or \
                 networks apart from the Seed's Pods",
            ),
        ),
        (
            "a Seed's Pods of a /7",
            &too_wide,
            Some(
                "nodes 10.250.0.0/16 overlaps Seed pods 10.0.0.0/7, and cannot be translated: the Seed's Pod network \
                 10.0.0.0/7 does not fit into 241.0.0.0/8: it has to have a prefix length of at least 8; give the \
                 Shoot fewer or smaller networks, or networks apart from the Seed's Pods",
            ),
        ),
        ("two of a /9", &fits, None),
    ];
    let of = |mode: &Mode, scene: &Scene| {
        let (raw, facts) = (scene.deployment.to_string(), scene.facts());
        let deployment = Deployment::read(&raw).unwrap();
        let overlaps: Vec<Overlap> = overlaps(&facts).collect();
        let overlaps = (!overlaps.is_empty()).then_some(&*overlaps);
        let known = KnownFacts { facts: &facts, why_old: None };
        let translation = Translation::of(mode, Side::Seed, &deployment.spec.template.spec, &known, overlaps);
        let found =
            translation.map_or_else(|finding| vec![finding], |translation| translation.findings(Change::Unchanged));
        found.iter().map(|finding| (finding.severity, finding.to_string())).collect::<Vec<_>>()
    };
    for (mode, severity) in [(Mode::VpnClient, Severity::Warn), (Mode::Own(Own::new("x")), Severity::Deny)] {
        for (name, networks, want) in &all {
            let want: Vec<(Severity, String)> = want.iter().map(|want| (severity, (*want).to_owned())).collect();
            assert_eq!(of(&mode, &Scene::overlapping().cluster(networks)), want, "{name}, {mode:?}");
        }
        // Without an overlap, nothing has to be translated.
        let apart = |spec: &mut Value| {
            too_many(spec);
            spec["seed"]["spec"]["networks"]["pods"] = json!("192.168.0.0/16");
        };
        assert_eq!(of(&mode, &Scene::new("ha", "ha").cluster(apart)), [], "{mode:?}");
    }
}
