//! Faults of certificates, registration and leadership, which are the same on a Seed and in the garden.

use std::path::Path;

use serde_json::{Value, json};

use super::play::{Take, Walk, again, monitored_with, pod};
use crate::harness::{Guard, Kubectl, until};

/// Two replicas as a chart installs them, and who gives them their rights.
pub struct Installed {
    pub admin: Kubectl,
    /// The namespace of the Secret and the Lease.
    pub namespace: &'static str,
    /// The name of both.
    pub ca: &'static str,
    /// The ServiceAccount for these, and the one for the registration.
    pub accounts: [String; 2],
    /// The role for these, and the one for the registration, each with kind and namespace.
    pub roles: [Value; 2],
    /// The kinds of the webhook configurations, and their name.
    pub registration: (&'static str, &'static str),
}

pub fn take(first: &Guard, second: &Guard) -> Take {
    vec![pod("a", first.scrape()), pod("b", second.scrape())]
}

impl Installed {
    /// Waits until all is well.
    pub fn settle(&self, guards: [&Guard; 2]) {
        for guard in guards {
            guard.wait_until_ready();
        }
        until("one leads", || guards.iter().any(|guard| guard.metric("network_guard_leader") > 0.0));
        until("all is registered", || self.is_registered());
        // The leader looks again a moment after it has written.
        for wrong in ["registrations_missing", "registration_contested", "certificate_unpublished"] {
            let wrong = format!("network_guard_{wrong}");
            until(&wrong, || guards.iter().all(|guard| guard.metric(&wrong) < 0.5));
        }
    }

    fn is_registered(&self) -> bool {
        let (kinds, name) = self.registration;
        kinds.split(',').all(|kind| self.admin.run(&["get", kind, name], None).ok)
    }

    /// Has a role with these rules only, until it is given back.
    pub fn restrict(&self, role: usize, keep: impl Fn(&Value) -> Option<Value>, gone: &[&str]) {
        let mut restricted = self.roles[role].clone();
        let rules = restricted["rules"].as_array().unwrap().iter().filter_map(keep).collect();
        restricted["rules"] = Value::Array(rules);
        self.admin.ok(&["replace", "-f", "-"], Some(&restricted.to_string()));
        self.wait_for(role, gone, "no");
    }

    /// Gives a role back.
    pub fn give_back(&self, role: usize, gone: &[&str]) {
        self.admin.ok(&["replace", "-f", "-"], Some(&self.roles[role].to_string()));
        self.wait_for(role, gone, "yes");
    }

    fn wait_for(&self, role: usize, question: &[&str], answer: &str) {
        let user = format!("--as=system:serviceaccount:{}", self.accounts[role]);
        let arguments: Vec<&str> =
            ["auth", "can-i"].iter().chain(question).copied().chain(["-n", self.namespace, &user]).collect();
        until(&format!("{question:?}: {answer}"), || self.admin.run(&arguments, None).stdout.starts_with(answer));
    }

    /// Everything but what ends with other settings; all is well afterwards.
    pub fn walk(&self, walk: &mut Walk, first: &Guard, second: &Guard) {
        let take = || take(first, second);
        let sum = |name: &str| first.metric(name) + second.metric(name);
        self.settle([first, second]);
        let healthy = take();
        walk.is_silent(&healthy);

        let question = ["get", &format!("secrets/{}", self.ca)];
        self.restrict(0, |rule| (rule["resources"][0] != "secrets").then(|| rule.clone()), &question);
        let failures = again(|| {
            let count = first.metric("network_guard_certificate_failures_total");
            until("it fails", || first.metric("network_guard_certificate_failures_total") > count);
            take()
        });
        walk.fires("NetworkGuardCertificatesFail", &[("pod", "a")], &healthy, &failures);
        self.give_back(0, &question);

        let question = ["update", &format!("leases/{}", self.ca)];
        self.restrict(0, |rule| (rule["resources"][0] != "leases").then(|| rule.clone()), &question);
        until("nobody leads", || sum("network_guard_leader") < 0.5);
        walk.fires("NetworkGuardNoLeader", &[], &healthy, &[take()]);
        self.give_back(0, &question);
        self.settle([first, second]);

        // Webhooks that lead somewhere else, which no server wrote.
        let (kinds, name) = self.registration;
        let kind = kinds.split(',').next().unwrap();
        let mut elsewhere = self.admin.get(&[kind, name]);
        let metadata = json!({"name": name});
        elsewhere["metadata"] = metadata;
        for webhook in elsewhere["webhooks"].as_array_mut().unwrap() {
            webhook["clientConfig"] = json!({"url": "https://elsewhere.example/webhook"});
        }
        self.admin.ok(&["replace", "-f", "-"], Some(&elsewhere.to_string()));
        until("the leader sees it", || sum("network_guard_registration_contested") > 0.5);
        let contested = take();
        walk.fires("NetworkGuardRegistrationContested", &[], &healthy, std::slice::from_ref(&contested));
        walk.fires_not("NetworkGuardRegistrationGone", &healthy, &[contested]);
        self.admin.ok(&["delete", kind, name], None);
        self.settle([first, second]);

        // It may not even look, as where the role is gone that owns the registration.
        let question = ["get", &format!("{kind}/{name}")];
        self.restrict(1, |rule| (!rule.to_string().contains("webhookconfigurations")).then(|| rule.clone()), &question);
        until("the leader sees nothing", || sum("network_guard_registrations_missing") > 0.5);
        walk.fires("NetworkGuardRegistrationGone", &[], &healthy, &[take()]);
        self.give_back(1, &question);
        self.settle([first, second]);

        // It may look, and not write.
        let question = ["create", kind];
        let only_looks = |rule: &Value| {
            if !rule.to_string().contains("webhookconfigurations") {
                return Some(rule.clone());
            }
            let may_look = rule["verbs"].as_array().unwrap().iter().any(|verb| verb == "get");
            may_look.then(|| {
                let mut rule = rule.clone();
                rule["verbs"] = json!(["get"]);
                rule
            })
        };
        self.restrict(1, only_looks, &question);
        let patch = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
        self.admin.ok(&["patch", kind, name, "--type=json", "-p", patch], None);
        until("the leader sees it", || sum("network_guard_certificate_unpublished") > 0.5);
        walk.fires("NetworkGuardCertificateUnpublished", &[], &healthy, &[take()]);
        self.admin.ok(&["delete", kinds, name], None);
        until("the leader misses it", || sum("network_guard_registrations_missing") > 0.5);
        self.give_back(1, &question);
        self.settle([first, second]);
    }

    /// A clock that is two minutes ahead, and a CA that nobody can replace. The second replica is gone after that, and the
    /// first one is as it was.
    pub fn walk_with_other_settings(&self, walk: &mut Walk, first: &mut Guard, second: &mut Guard, folder: &Path) {
        let healthy = take(first, second);
        second.kill();
        let alone = |guard: &Guard| vec![pod("a", guard.scrape())];
        first.restart_with_own_clock();
        first.wait_until_ready();
        first.set_clock("+120");
        until("it sees that", || first.metric("network_guard_clock_difference_seconds") > 100.0);
        walk.fires("NetworkGuardClockDiffers", &[("pod", "a")], &healthy, &[alone(first)]);
        first.set_clock("+0");

        // Of half a minute, and replaced after two thirds of that.
        let short = json!({"caLifetimeSeconds": 30, "leafLifetimeSeconds": 6, "marginSeconds": 1});
        let mut usual = configure(folder, &short);
        usual["marginSeconds"] = json!(1);
        let secret = ["delete", "secret", self.ca, "-n", self.namespace];
        let begin = |first: &mut Guard| {
            first.kill();
            self.admin.ok(&secret, None);
            self.admin.run(&["delete", "lease", self.ca, "-n", self.namespace], None);
            first.start_again();
            first.wait_until_ready();
            until("it leads", || first.metric("network_guard_leader") > 0.5);
        };
        // Before there is any haste: what is shown as well must not be over for a minute when it is played.
        let values = json!({"tls": {"selfManaged": short}});
        let places: Vec<_> = monitored_with(&values).into_iter().filter(|chart| walk.has(chart.name)).collect();
        begin(first);
        let before = alone(first);
        let question = ["get", &format!("secrets/{}", self.ca)];
        self.restrict(0, |rule| (rule["resources"][0] != "secrets").then(|| rule.clone()), &question);
        until("it is late", || {
            let end = first.metric("network_guard_certificate_authority_not_after_timestamp_seconds");
            end > 0.0 && end - jiff::Timestamp::now().as_duration().as_secs_f64() < 5.0
        });
        let late = [alone(first)];
        walk.with(places, |walk| {
            walk.fires("NetworkGuardCertificateAuthorityExpires", &[], &before, &late);
        });
        self.give_back(0, &question);
        configure(folder, &usual);
        begin(first);
        until("all is registered", || self.is_registered());
    }
}

/// Changes the section `certificates` of an installed server, and gives what was there.
fn configure(folder: &Path, certificates: &Value) -> Value {
    let path = folder.join("mounted/etc/network-guard/config/config.yaml");
    let mut config: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let usual = config["certificates"].clone();
    for (name, value) in certificates.as_object().unwrap() {
        config["certificates"][name] = value.clone();
    }
    std::fs::write(&path, config.to_string()).unwrap();
    usual
}
