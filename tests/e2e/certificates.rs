//! Self-managed certificates, on a real API server that believes in nothing but its own webhook configuration.

#![allow(clippy::print_stdout, reason = "people may want to see figures and tables")]

use std::collections::BTreeSet;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use network_guard_controllers::certificates::pem;
use serde_json::{Value, json};

use crate::harness::{ControlPlane, Guard, Kubectl, Output, eventually, fixture, run, until};

const CONFIGURATION: [&str; 2] = ["mutatingwebhookconfiguration", "gardener-extension-network-guard"];
const SECRET: [&str; 4] = ["secret", "network-guard-certificates", "-n", "garden"];

/// With this annotation somebody asks for a new CA.
const ROTATE: &str = "network-guard.extensions.gardener.cloud/rotate=";

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
        seed.guard.wait_until_called(&seed.control_plane);
        seed
    }

    /// The same with certificates in files.
    fn start_with_files() -> Self {
        let control_plane = ControlPlane::start();
        control_plane.apply_cluster(&fixture("ha", "cluster"));
        let guard = Guard::start(&control_plane);
        guard.register(&control_plane);
        Self { control_plane, guard, deployment: fixture("ha", "deployment").to_string() }
    }

    /// What `network-guard certs inspect` says.
    fn inspect(&self) -> Output {
        let kubeconfig = self.control_plane.kubeconfig("network-guard", "webhooks");
        let mut command = Command::new(env!("CARGO_BIN_EXE_network-guard"));
        command.args(["certs", "inspect", "--config"]).arg(self.guard.certificates().join("config.yaml"));
        command.arg("--kubeconfig").arg(kubeconfig).arg("--server").arg(format!("127.0.0.1:{}", self.guard.port()));
        run(&mut command, None)
    }

    fn admin(&self) -> Kubectl {
        self.control_plane.admin()
    }

    /// gardenlet's write, as far as the webhook.
    fn write(&self) -> Output {
        self.admin().run(&["create", "--dry-run=server", "-o", "name", "-f", "-"], Some(&self.deployment))
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
    pem::bundle(&pem).unwrap().iter().map(|ca| ca.fingerprint.to_string()).collect()
}

#[test]
fn looks_after_itself() {
    let seed = Seed::start("marginSeconds: 3600,");
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
    let other = network_guard_controllers::certificates::issue_ca(
        jiff::Timestamp::now(),
        std::time::Duration::from_secs(3_600),
    )
    .unwrap();
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
    admin.ok(&patch(replaced(&other.ca.pem, other.key())).iter().map(String::as_str).collect::<Vec<_>>(), None);
    until("both are trusted", || {
        let output = seed.write();
        assert!(output.ok, "{output:?}");
        seed.published().len() == 2 && seed.published().is_superset(&ca)
    });
    seed.guard.after_turns("certificate-leaf", 1, || ());
    assert!(!seed.guard.log()[before..].contains("issued a leaf"), "nobody believes in the other one yet");

    // What somebody does to the configuration is corrected.
    let emptied = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
    admin.ok(&[&["patch"][..], &CONFIGURATION, &["--type=json", "-p", emptied]].concat(), None);
    until("the bundle is back", || seed.published().len() == 2 && seed.write().ok);
    admin.ok(&[&["delete"][..], &CONFIGURATION].concat(), None);
    until("the configuration is back", || {
        admin.run(&[&["get"][..], &CONFIGURATION].concat(), None).ok && seed.published().len() == 2 && seed.write().ok
    });

    // Nor does anything stay that somebody else wrote into it: another place, a condition, a webhook.
    let good = admin.get(&CONFIGURATION);
    let mut foreign = good.clone();
    let service = json!({"service": {"namespace": "x", "name": "y", "path": "/z"}});
    foreign["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("Helm");
    foreign["webhooks"][0]["clientConfig"] = service;
    foreign["webhooks"][1]["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
    let mut further = good["webhooks"][1].clone();
    further["name"] = json!("further.network-guard.extensions.gardener.cloud");
    foreign["webhooks"].as_array_mut().unwrap().push(further);
    admin.ok(&["replace", "-f", "-"], Some(&foreign.to_string()));
    until("all of that is gone", || admin.get(&CONFIGURATION)["webhooks"] == good["webhooks"]);

    // What people see of it: an API server would trust what is served, and what comes next.
    let inspected = eventually("all of it is shown", || {
        let inspected = seed.inspect();
        let words = ["signs next", "retired", "TRUSTED BY", "2 of 2 webhooks", "the next CA signs"];
        let is_all_shown = inspected.ok && words.iter().all(|words| inspected.stdout.contains(words));
        if is_all_shown { Ok(inspected) } else { Err(format!("{inspected:?}")) }
    });
    println!("{}", inspected.stdout);
    for private in ["PRIVATE KEY", &STANDARD.encode("-----BEGIN PRIVATE")] {
        assert!(!seed.guard.log().contains(private), "a key was logged");
    }
    assert!(!inspected.stdout.contains("PRIVATE KEY"), "a key was printed");
}

/// A rotation that somebody asks for, and what is said of what goes wrong.
#[test]
fn rotates_when_asked_and_tells_what_is_wrong() {
    let seed = Seed::start("marginSeconds: 3,");
    let (admin, old) = (seed.admin(), seed.stored("ca.crt"));
    admin.ok(&[&["annotate"][..], &SECRET, &[ROTATE]].concat(), None);
    until("another CA signs", || seed.write().ok && seed.stored("ca.crt") != old);
    assert!(!seed.secret().to_string().contains("/rotate"), "asked once, done once");
    assert_eq!(seed.stored("retired.crt"), old);
    let why = r#""message":"made the next CA; it is published now","reason":"Asked""#;
    until("it is logged why", || seed.guard.log().contains(why));
    eventually("it waits for the last leaf", || {
        let inspected = seed.inspect();
        let is_shown = inspected.ok && inspected.stdout.contains("the last leaf of the retired CA has run out");
        is_shown.then_some(()).ok_or_else(|| format!("{inspected:?}"))
    });

    // Somebody else's bundle in one webhook, a server that nobody can reach, a Secret that cannot be used.
    let foreign =
        network_guard_controllers::certificates::issue_ca(jiff::Timestamp::now(), std::time::Duration::from_secs(600))
            .unwrap();
    let foreign = STANDARD.encode(&foreign.ca.pem);
    // With the server stopped, nobody puts that right, or writes at the same time.
    seed.guard.pause();
    let mut configuration = admin.get(&CONFIGURATION);
    configuration["webhooks"][0]["clientConfig"]["caBundle"] = json!(foreign);
    admin.ok(&["replace", "-f", "-"], Some(&configuration.to_string()));
    admin.ok(&[&["patch"][..], &SECRET, &["--type=merge", "-p", r#"{"data": {"ca.key": null}}"#]].concat(), None);
    let inspected = seed.inspect();
    assert!(!inspected.ok, "{inspected:?}");
    for words in ["cannot be used: `ca.crt` is there without the other half", "shows no certificate: it took too long"]
    {
        assert!(inspected.stdout.contains(words), "{words}: {}", inspected.stdout);
    }
    seed.guard.go_on();
    until("everything is corrected", || seed.inspect().ok && seed.write().ok);
}

/// Secret, configuration and leader are lost at the same time: any replica that is left has seen the CA, and restores it.
#[test]
fn a_replica_remembers_what_was_lost() {
    let mut seed = Seed::start("");
    let second = seed.guard.replica("second");
    second.wait_until_ready();
    let (admin, old) = (seed.admin(), seed.secret()["data"].clone());
    seed.guard.kill();
    admin.ok(&["delete", "secret", SECRET[1], "-n", "garden"], None);
    admin.ok(&[&["delete"][..], &CONFIGURATION].concat(), None);
    admin.ok(&["delete", "lease", "--all", "-n", "garden"], None);
    until("the Secret is back", || admin.run(&[&["get"][..], &SECRET].concat(), None).ok);
    assert_eq!(seed.secret()["data"], old);
    until("the configuration is back", || admin.run(&[&["get"][..], &CONFIGURATION].concat(), None).ok);
    until("it has the CA", || seed.published() == seed.stored("ca.crt"));
    drop(second);
}

/// What is the time? The API server knows: it is the one that judges certificates.
#[test]
fn a_clock_that_jumps_breaks_nothing() {
    for is_self_managed in [true, false] {
        let mut seed = if is_self_managed { Seed::start("") } else { Seed::start_with_files() };
        seed.guard.restart_with_own_clock();
        seed.guard.wait_until_ready();
        until("it is called", || seed.write().ok);
        let leaves = || seed.guard.log().matches("issued a leaf").count();
        // A thread of its own writes the log.
        until("its leaves are logged", || leaves() >= if is_self_managed { 2 } else { 0 });
        let before = leaves();
        let mut writes = 0;
        for by in ["+3600", "-3600", "+10y", "-10y", "+0"] {
            seed.guard.set_clock(by);
            // Until whatever looks at its certificate has done so by this clock.
            let task = if is_self_managed { "certificate-leaf" } else { "certificate" };
            seed.guard.after_turns(task, 1, || {
                let output = seed.write();
                assert!(output.ok, "{by}: {output:?}");
                let ready = seed.guard.health("/readyz");
                assert!(ready.starts_with("HTTP/1.1 200"), "{by}: {ready}");
                writes += 1;
            });
            if is_self_managed && by == "+10y" {
                let ahead = seed.guard.metric("network_guard_clock_difference_seconds");
                assert!(ahead > 9.0 * 365.0 * 86_400.0, "the clock did jump: {ahead}");
            }
        }
        assert_eq!(leaves(), before, "nothing was issued by a wrong clock");
        say!("figure: clock jumps of 1 h and 10 y, self-managed {is_self_managed}: {writes} writes, 0 failed");
    }
}

#[test]
fn rotates_without_a_failed_write() {
    let seed = Seed::start("leafLifetimeSeconds: 30, marginSeconds: 5,");
    let (admin, mut writes) = (seed.admin(), 0);
    let mut write = || {
        let output = seed.write();
        assert!(output.ok, "after {writes} writes: {output:?}");
        writes += 1;
    };
    for _ in 0..2 {
        let old = seed.stored("ca.crt");
        admin.ok(&[&["annotate"][..], &SECRET, &[ROTATE]].concat(), None);
        until("another CA signs", || {
            write();
            seed.stored("ca.crt") != old
        });
    }
    until("the old ones are forgotten", || {
        write();
        seed.secret()["data"]["retired.crt"].is_null() && seed.published() == seed.stored("ca.crt")
    });
    let order = ["made the next CA", "every configuration has the next CA", "the next CA signs", "forgot the old CA"];
    // It is logged after it was done.
    until("every step is logged", || order.iter().all(|words| seed.guard.log().contains(words)));
    let log = seed.guard.log();
    let leaves = log.matches("issued a leaf").count();
    say!("figure: 2 rotations of the CA, {leaves} leaves, {writes} writes through the API server, 0 failed");
    let places: Vec<usize> = order.iter().map(|words| log.find(words).expect(words)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

/// What is registered for the time when no replica answers follows the configuration, and changes with it.
#[test]
fn the_failure_policy_is_the_configured_one() {
    let of_seed = configuration("");
    let control_plane = ControlPlane::start();
    let configured = |policy: &str| format!("vpn: {{failurePolicy: {policy}}}\n{of_seed}");
    let mut guard = Guard::start_configured(&control_plane, &configured("Ignore"));
    guard.wait_until_ready();
    let admin = control_plane.admin();
    let policies = || {
        let output = admin.run(&[&["get", "-o", "json"], &CONFIGURATION[..]].concat(), None);
        let registered: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
        [0, 1].map(|index| registered["webhooks"][index]["failurePolicy"].as_str().unwrap_or_default().to_owned())
    };
    until("it is registered", || policies() == ["Ignore", "Fail"]);
    guard.wait_until_called(&control_plane);

    let file = guard.certificates().join("config.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("failurePolicy: Ignore", "failurePolicy: Fail")).unwrap();
    guard.restart();
    until("it is registered as it is configured now", || policies() == ["Fail", "Fail"]);
}
