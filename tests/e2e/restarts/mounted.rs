//! What a Secret and a registration are to the server: a certificate that is mounted, and the bundle by which callers know
//! it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use network_guard_controllers::certificates::{Authority, Issued};
use serde_json::json;

use super::replicas::Replicas;
use crate::harness::{Api, Balancer, Caller, ControlPlane, until};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// No leaf outlives its CA, and each leaf here lives longer than the one before.
const LIFE_OF_A_CA: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What the API server is asked to find out by which configuration it calls.
const PROBES: &str = "/api/v1/namespaces/default/configmaps?dryRun=All";

/// Replicas with a certificate that somebody else issues.
pub struct Mounted {
    pub replicas: Replicas,
    api: Api,
    ca: Authority,
    mounted: u32,
    /// When the leaf ends that is mounted: no two have the same.
    not_after: i64,
}

impl Mounted {
    /// Two of them, registered at the address of the balancer.
    pub fn start(control_plane: &ControlPlane, configuration: &str) -> Self {
        let mut all = Self {
            replicas: Replicas::start(control_plane, Balancer::start(), configuration),
            api: Api::new(&control_plane.kubeconfig("admin", "system:masters")),
            ca: Authority::new("first CA", Timestamp::now(), LIFE_OF_A_CA).unwrap(),
            mounted: 0,
            not_after: 0,
        };
        all.rotate_leaf();
        let first = &all.replicas.serving[0];
        fs::write(first.certificates().join("ca.crt"), all.ca.certificate()).unwrap();
        // Alone: the API server would stay with one of two, perhaps not with the one that is asked whether it was called.
        first.register_at(&all.replicas.balancer.url(), control_plane);
        all.replicas.add();
        until("both are known", || all.replicas.all_known());
        all
    }

    /// A new leaf of the same CA; ends when every replica serves it.
    pub fn rotate_leaf(&mut self) {
        self.mount(None);
        self.wait_until_served();
    }

    /// A new CA, in the order in which nothing breaks.
    pub fn rotate_ca(&mut self, caller: &Caller) {
        let next = Authority::new("next CA", Timestamp::now(), LIFE_OF_A_CA).unwrap();
        self.publish(&format!("{}{}", self.ca.certificate(), next.certificate()), caller);
        self.ca = next;
        self.rotate_leaf();
        self.publish(self.ca.certificate(), caller);
    }

    /// A leaf that nobody was told of how to check.
    pub fn mount_leaf_of_unknown_issuer(&mut self) {
        self.mount(Some(&Authority::new("strange CA", Timestamp::now(), LIFE_OF_A_CA).unwrap()));
        self.wait_until_served();
    }

    fn publish(&self, bundle: &str, caller: &Caller) {
        let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
        for mut configuration in self.api.list(path) {
            for webhook in configuration["webhooks"].as_array_mut().unwrap() {
                webhook["clientConfig"]["caBundle"] = json!(STANDARD.encode(bundle));
            }
            let name = configuration["metadata"]["name"].as_str().unwrap().to_owned();
            let stored = self.api.try_replace(&format!("{path}/{name}"), &configuration).unwrap();
            if name == super::CONFIGURATION {
                caller.wait_until_taken(stored["metadata"]["resourceVersion"].as_str().unwrap());
            }
        }
        self.wait_until_called_by();
    }

    /// Waits until the API server calls by what is stored now. It learns of all configurations of a kind in the order in
    /// which they were written, so it has them when it has one that was written after them, and refuses what that is for.
    fn wait_until_called_by(&self) {
        let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
        let marker = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": "marker"},
            "webhooks": [{
                "name": "marker.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "failurePolicy": "Fail", "clientConfig": {"url": "https://127.0.0.1:1/"},
                "objectSelector": {"matchLabels": {"marker": "true"}},
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"],
                }],
            }],
        });
        let probe = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"generateName": "probe-", "namespace": "default", "labels": {"marker": "true"}},
        });
        let is_refused = || self.api.try_create(PROBES, &probe).is_err();
        self.api.create(path, &marker);
        until("the API server has the marker", is_refused);
        self.api.delete(&format!("{path}/marker"));
        until("the API server has forgotten it", || !is_refused());
    }

    /// Issues a leaf and mounts it.
    fn mount(&mut self, ca: Option<&Authority>) {
        self.mounted += 1;
        let lifetime = DAY + Duration::from_secs(60) * self.mounted;
        let now = Timestamp::now();
        let names = ["127.0.0.1".to_owned()];
        let leaf = ca.unwrap_or(&self.ca).server(&names, now, lifetime).unwrap();
        mount(&self.replicas.serving[0].certificates(), self.mounted, &leaf);
        self.not_after = now.checked_add(lifetime).unwrap().as_second();
    }

    /// Also those on their way out take connections for a while. One that has just gone says nothing.
    fn wait_until_served(&self) {
        until("the leaf is served", || {
            self.replicas.running().all(|guard| {
                match guard.metric_of_what_may_end("network_guard_certificate_not_after_timestamp_seconds") {
                    Some(served) => served.to_string() == self.not_after.to_string(),
                    None => guard.health("/healthz").is_empty(),
                }
            })
        });
    }
}

/// Changes files as kubelet changes those of a Secret: they are links through one folder, which is a link to a folder for
/// each content, and that link is replaced.
fn mount(folder: &Path, number: u32, leaf: &Issued) {
    let replace = |target: &str, link: &str| {
        let temporary = folder.join("..data_tmp");
        symlink(target, &temporary).unwrap();
        fs::rename(&temporary, folder.join(link)).unwrap();
    };
    let before = fs::read_link(folder.join("..data"));
    let content = format!("..{number}");
    fs::create_dir(folder.join(&content)).unwrap();
    fs::write(folder.join(&content).join("tls.crt"), &leaf.certificate).unwrap();
    fs::write(folder.join(&content).join("tls.key"), &leaf.key).unwrap();
    replace(&content, "..data");
    match before {
        Ok(before) => fs::remove_dir_all(folder.join(before)).unwrap(),
        Err(_) => ["tls.crt", "tls.key"].iter().for_each(|file| replace(&format!("..data/{file}"), file)),
    }
}
