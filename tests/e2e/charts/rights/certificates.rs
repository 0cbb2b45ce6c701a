//! What self-managed certificates need, on a Seed and in the garden.

use std::path::Path;

use serde_json::{Value, json};

use super::{Audit, refused, replace_rules, without};
use crate::harness::{Guard, Kubectl, until};

const FAILURES: &str = "network_guard_certificate_failures_total";

/// Where they are, in one cluster here.
pub struct Place<'a> {
    pub admin: Kubectl,
    /// The namespace of the Secret and the Lease.
    pub namespace: &'a str,
    /// The kinds of the webhook configurations.
    pub kinds: &'a str,
    /// Their name.
    pub name: &'a str,
    /// The Secret of the CA.
    pub secret: &'a str,
}

impl Place<'_> {
    /// Whether a rule is for them alone.
    pub fn is_concerned(&self, rule: &Value) -> bool {
        let text = rule.to_string();
        let is_lease = rule["resources"][0] == "leases";
        !is_lease && ["webhookconfigurations", "clusterroles", self.secret].iter().any(|word| text.contains(word))
    }

    /// Whether all webhook configurations are there.
    pub fn is_registered(&self) -> bool {
        self.admin.run(&["get", self.kinds, self.name], None).stdout.matches(self.name).count()
            == self.kinds.split(',').count()
    }

    fn has_secret(&self) -> bool {
        self.admin.run(&["get", "secret", self.secret, "-n", self.namespace], None).ok
    }

    /// Makes the leader write what is there already: what it remembers comes back.
    pub fn empty_secret(&self) {
        let stored = || self.admin.get(&["secret", self.secret, "-n", self.namespace])["data"].clone();
        let good = stored();
        self.admin.ok(
            &["patch", "secret", self.secret, "-n", self.namespace, "--type=merge", "-p", r#"{"data": null}"#],
            None,
        );
        until("the Secret is as it was", || stored() == good);
    }

    /// Makes the leader write configurations again that somebody spoilt.
    pub fn empty_bundles(&self) {
        for kind in self.kinds.split(',') {
            let bundle = || {
                let found = self.admin.get(&[kind, self.name]);
                found["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default().to_owned()
            };
            let good = bundle();
            let patch = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
            self.admin.ok(&["patch", kind, self.name, "--type=json", "-p", patch], None);
            until("the bundle is as it was", || bundle() == good);
        }
    }

    /// Takes a rule away, does what the rule is for, sees that it is missed and that the server lives on, and gives it
    /// back.
    pub fn miss(&self, audit: &Audit, guard: &Guard, held: &Value, index: usize) {
        let rule = &held["rules"][index];
        let resource = rule["resources"][0].as_str().unwrap();
        let what = format!("{} {resource} {}", rule["verbs"], rule["resourceNames"]);
        let is_secret = resource == "secrets";
        let is_there = || if is_secret { self.has_secret() } else { self.is_registered() };
        until("all is well", || self.has_secret() && self.is_registered());
        replace_rules(&self.admin, audit, &without(held, index), rule, self.namespace, false);
        let (position, failures) = (audit.position(), guard.metric(FAILURES));
        if is_secret {
            self.admin.ok(&["delete", "secret", self.secret, "-n", self.namespace], None);
        } else {
            self.admin.ok(&["delete", self.kinds, self.name], None);
        }
        refused(&what, audit, position, 1, |asked| asked.resource == resource);
        until(&format!("{what}: its turn has ended"), || guard.metric(FAILURES) > failures);
        assert!(!is_there(), "{what}");
        assert!(guard.health("/readyz").starts_with("HTTP/1.1 200"), "{what}: what is served stays");
        replace_rules(&self.admin, audit, held, rule, self.namespace, true);
        until("it is back", is_there);
        println!("missed when it is taken away: {what}");
    }
}

/// Has the server's configuration say whether it is registered, as `webhooks.enabled` of the chart does.
pub fn register(folder: &Path, is_registered: bool) {
    let path = folder.join("mounted/etc/network-guard/config/config.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: Value = serde_saphyr::from_str(&text).unwrap();
    config["certificates"]["registration"]["enabled"] = json!(is_registered);
    std::fs::write(&path, config.to_string()).unwrap();
}
