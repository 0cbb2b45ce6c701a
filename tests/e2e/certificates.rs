//! Self-managed certificates, on a real API server that believes in nothing but its own webhook configuration.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard::tls::Ca;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Guard, Kubectl, Output, fixture, until};

const CONFIGURATION: [&str; 2] = ["mutatingwebhookconfiguration", "gardener-extension-network-guard"];
const SECRET: [&str; 4] = ["secret", "network-guard-certificates", "-n", "garden"];

/// A Seed on which network-guard looks after itself.
struct Seed {
    control_plane: ControlPlane,
    guard: Guard,
    deployment: String,
}

/// The section of the configuration, with these lifetimes.
fn configuration(lifetimes: &str) -> String {
    format!("certificates: {{namespace: garden, {lifetimes} registration: {{url: OWN_URL, owner: network-guard}}}}\n")
}

impl Seed {
    fn start(lifetimes: &str) -> Self {
        let control_plane = ControlPlane::start();
        let mut cluster = fixture("ha", "cluster");
        cluster["spec"]["seed"]["spec"]["networks"]["pods"] = json!("10.0.0.0/8");
        control_plane.apply_cluster(&cluster);
        let guard = Guard::start_configured(&control_plane, &configuration(lifetimes));
        guard.wait_until_ready();
        let seed = Self { control_plane, guard, deployment: fixture("ha", "deployment").to_string() };
        until("the webhook is called", || seed.write().ok && seed.calls() > 0.0);
        seed
    }

    fn admin(&self) -> Kubectl {
        self.control_plane.admin()
    }

    /// gardenlet's write, as far as the webhook.
    fn write(&self) -> Output {
        self.admin().run(&["create", "--dry-run=server", "-o", "name", "-f", "-"], Some(&self.deployment))
    }

    fn calls(&self) -> f64 {
        self.guard.metric("network_guard_requests_total")
    }

    fn secret(&self) -> Value {
        self.admin().get(&SECRET)
    }

    /// The fingerprints of all certificates under a key of the Secret.
    fn stored(&self, key: &str) -> BTreeSet<String> {
        bundle(self.secret()["data"][key].as_str().unwrap_or_default())
    }

    /// Those of the CAs that API servers are told to trust, by the first webhook.
    fn published(&self) -> BTreeSet<String> {
        let configuration = self.admin().get(&CONFIGURATION);
        bundle(configuration["webhooks"][0]["clientConfig"]["caBundle"].as_str().unwrap_or_default())
    }
}

/// The fingerprints of a bundle in base64.
fn bundle(text: &str) -> BTreeSet<String> {
    let pem = STANDARD.decode(text).unwrap();
    Ca::parse_bundle(&pem).unwrap().iter().map(|ca| ca.fingerprint.to_string()).collect()
}

#[test]
fn looks_after_itself() {
    let seed = Seed::start("");
    let admin = seed.admin();
    let ca = seed.stored("ca.crt");
    assert_eq!((ca.len(), &seed.published()), (1, &ca));

    // What is registered is what `network-guard webhooks` prints, and it goes with its owner.
    let registered = admin.get(&CONFIGURATION);
    let owner = &registered["metadata"]["ownerReferences"][0];
    assert_eq!((owner["kind"].as_str(), owner["name"].as_str()), (Some("ClusterRole"), Some("network-guard")));
    let printed: Value = serde_json::from_str(&seed.guard.configurations()).unwrap();
    for (i, webhook) in printed["webhooks"].as_array().unwrap().iter().enumerate() {
        for (field, value) in webhook.as_object().unwrap().iter().filter(|(field, _)| *field != "clientConfig") {
            assert_eq!(&registered["webhooks"][i][field], value, "{field}");
        }
        assert_eq!(registered["webhooks"][i]["clientConfig"]["url"], webhook["clientConfig"]["url"]);
    }

    // Whatever becomes of the Secret: what was good comes back, and no write fails meanwhile.
    let good = seed.secret();
    let other =
        network_guard::tls::CaPair::issue(jiff::Timestamp::now(), std::time::Duration::from_secs(3_600)).unwrap();
    let replaced = |certificate: &str, key: &str| {
        json!({"data": {"ca.crt": STANDARD.encode(certificate), "ca.key": STANDARD.encode(key)}}).to_string()
    };
    let patch = |text: String| {
        [&["patch"][..], &SECRET, &["--type=merge", "-p"]]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .chain([text])
            .collect::<Vec<_>>()
    };
    let faults: [(&str, Vec<String>); 5] = [
        ("deleted", [&["delete"][..], &SECRET].concat().into_iter().map(str::to_owned).collect()),
        ("emptied", patch(json!({"data": null}).to_string())),
        ("half", patch(json!({"data": {"ca.key": null}}).to_string())),
        ("rubbish", patch(replaced("rubbish", "rubbish"))),
        ("another's key", patch(replaced("", other.key()))),
    ];
    for (name, arguments) in faults {
        admin.ok(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), None);
        until(name, || {
            let output = seed.write();
            assert!(output.ok, "{name}: {output:?}");
            let secret = admin.run(&[&["get", "-o", "json"][..], &SECRET].concat(), None);
            secret.ok && serde_json::from_str::<Value>(&secret.stdout).unwrap()["data"] == good["data"]
        });
        assert_eq!(seed.published(), ca, "{name}");
    }

    // A valid Secret of somebody else, such as that of a backup: what API servers trust stays trusted until no leaf of it
    // can be left, and the other CA signs only after it was published.
    let before = seed.guard.log().len();
    admin.ok(&patch(replaced(other.ca.pem(), other.key())).iter().map(String::as_str).collect::<Vec<_>>(), None);
    until("both are trusted", || {
        let output = seed.write();
        assert!(output.ok, "{output:?}");
        seed.published().len() == 2 && seed.published().is_superset(&ca)
    });
    assert!(!seed.guard.log()[before..].contains("issued a leaf"), "nobody believes in the other one yet");

    // What somebody does to the configuration is put right.
    let emptied = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
    admin.ok(&[&["patch"][..], &CONFIGURATION, &["--type=json", "-p", emptied]].concat(), None);
    until("the bundle is back", || seed.published().len() == 2 && seed.write().ok);
    admin.ok(&[&["delete"][..], &CONFIGURATION].concat(), None);
    until("the configuration is back", || {
        admin.run(&[&["get"][..], &CONFIGURATION].concat(), None).ok && seed.published().len() == 2 && seed.write().ok
    });

    assert!(!seed.guard.log().contains("PRIVATE KEY"), "a key was logged");
}

#[test]
#[expect(clippy::print_stdout, reason = "figures are for people")]
fn rotates_without_a_failed_write() {
    let seed = Seed::start("caLifetimeSeconds: 15, leafLifetimeSeconds: 2, marginSeconds: 1,");
    let (mut writes, mut cas) = (0, BTreeSet::new());
    until("two rotations", || {
        let output = seed.write();
        assert!(output.ok, "after {writes} writes and {} CAs: {output:?}\n{}", cas.len(), seed.guard.log());
        writes += 1;
        cas.extend(seed.stored("ca.crt"));
        cas.len() > 2
    });
    let log = seed.guard.log();
    let leaves = log.matches("issued a leaf").count();
    println!(
        "figure: {} rotations of the CA, {leaves} leaves, {writes} writes through the API server, 0 failed",
        cas.len() - 1
    );
    let order = ["made the next CA", "every configuration has the next CA", "the next CA signs", "forgot the old CA"];
    let places: Vec<usize> = order.iter().map(|words| log.find(words).expect(words)).collect();
    assert!(places.is_sorted(), "{places:?}");
    let failures = seed.guard.metric("network_guard_certificate_failures_total");
    assert!(failures < 5.0, "{failures}: before there was a Secret, and no more");
}
