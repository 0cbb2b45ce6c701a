//! The reports of the doctor for given facts, word for word.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::WebhookClientConfig;

use super::allowed::Facts as Rights;
use super::ask::Trouble;
use super::fresh::Metrics;
use super::led::{Facts as Lease, Held};
use super::reachable::{Asked, Tries, Try};
use super::registered::{Behind, Expected, Found};
use super::report::{Check, Report, State};
use super::trusted::Facts as Certificates;
use super::*;
use crate::cli::served::Served;
use crate::wiring::{GARDEN_LEASE, SELF_MANAGED_LEASE};
use network_guard_controllers::certificates;
use network_guard_controllers::registration::set_endpoint;
use network_guard_core::admission::Sign;
use network_guard_core::certificates::Published;

const NOW: &str = "2026-11-20T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// The facts about one installation; a healthy one, until a test changes something.
struct Scene {
    role: Role,
    found: Vec<Found>,
    behind: Behind,
    tries: Tries,
    certificates: Certificates,
    lease: Lease,
    metrics: Option<Result<Metrics, String>>,
    rights: Rights,
    to: Option<Endpoint>,
    namespace: Option<String>,
    is_configured: bool,
    is_self_managed: Option<bool>,
}

impl Scene {
    fn new(role: Role) -> Self {
        let to = match role {
            Role::Seed => Endpoint::Service {
                namespace: "extension-network-guard-x7k2p".to_owned(),
                name: role.component().to_owned(),
                port: None,
            },
            Role::Garden => Endpoint::Url(format!("https://{}.garden", role.component())),
        };
        let originals = Registered::originals(if role == Role::Seed { SEED } else { GARDEN }).unwrap();
        let found: Vec<Found> = originals
            .into_iter()
            .map(|original| {
                let mut there = original.clone();
                for (_, client) in there.webhooks() {
                    set_endpoint(client, Some(&to), Some(b"PEM"));
                }
                Found { original, there: Ok(there) }
            })
            .collect();
        let webhooks = if role == Role::Seed { 2 } else { 4 };
        let signed = certificates::issue_ca(now(), Duration::from_secs(30 * 86_400)).unwrap().ca;
        let day = SignedDuration::from_hours(24);
        Self {
            role,
            behind: Behind::Pods(2),
            tries: asked(
                role,
                Asked::Answered(Sign { id: "c0ffee".to_owned(), release: "0.1.0".to_owned(), stale: false }, None),
            ),
            certificates: Certificates {
                published: (0..webhooks)
                    .map(|i| Published { name: format!("mutating/{i}"), bundle: vec![signed.clone()], is_told: true })
                    .collect(),
                served: vec![Served {
                    server: "guard.svc:443".to_owned(),
                    trusted_by: webhooks,
                    of: webhooks,
                    from: now() - day,
                    until: now() + day * 6,
                }],
                ..Certificates::default()
            },
            lease: Lease::Lease {
                name: format!(
                    "extension-network-guard-x7k2p/{}",
                    if role == Role::Seed { SELF_MANAGED_LEASE } else { GARDEN_LEASE }
                ),
                there: Ok(held("guard-0", 2)),
            },
            metrics: Some(Ok(Metrics { is_synced: true, ages: vec![("the landscape of the webhooks", 0.4)] })),
            rights: Rights {
                users: vec!["system:serviceaccount:extension-network-guard-x7k2p:guard".to_owned()],
                answers: allowed::tests::answers(role),
                ..Rights::default()
            },
            to: Some(to),
            namespace: None,
            is_configured: true,
            is_self_managed: Some(true),
            found,
        }
    }

    fn report(&self) -> Report {
        let namespace = Some("extension-network-guard-x7k2p".to_owned());
        let place = Place {
            lease_namespaces: namespace.iter().cloned().collect(),
            namespace: namespace.clone(),
            service: self.role.component().to_owned(),
            elsewhere: None,
            is_registered: self.found.iter().any(|found| found.there.is_ok()),
        };
        let expected = Expected {
            is_configured: self.is_configured,
            is_self_managed: self.is_self_managed,
            answers: self.tries.is_answered() || !self.certificates.served.is_empty(),
            to: self.to.clone(),
            namespace: self.namespace.clone(),
        };
        let checks: Vec<Check> = vec![
            registered::judge(self.role, &self.found, &self.behind, &place, &expected),
            reachable::judge(self.role, &self.tries, &place),
            trusted::judge(&self.certificates, self.tries.is_answered(), self.is_self_managed, now()),
            led::judge(self.role, &self.lease, &place, now()),
            fresh::judge(self.role, &self.tries, self.metrics.as_ref()),
            allowed::judge(&self.rights, &place),
        ];
        Report {
            role: self.role.name(),
            server: "https://api.seed.example.com".to_owned(),
            user: Some("operator".to_owned()),
            namespace,
            state: checks.iter().map(|check| check.state).max().unwrap(),
            checks,
        }
    }

    /// The checks with this result.
    fn named(&self, state: State) -> Vec<&'static str> {
        self.report().checks.iter().filter(|check| check.state == state).map(|check| check.name).collect()
    }
}

fn asked(role: Role, asked: Asked) -> Tries {
    let what =
        if role == Role::Seed { "Deployment shoot--shop--orders/kube-apiserver" } else { "Shoot garden-shop/orders" };
    let right =
        if role == Role::Seed { "patch deployments.apps/kube-apiserver" } else { "patch shoots.core.gardener.cloud" };
    let (what, right) = (what.to_owned(), right.to_owned());
    Tries { tries: vec![Try { what, right, asked, milliseconds: 12 }], unseen: Vec::new() }
}

fn held(holder: &str, seconds: i64) -> Held {
    Held { holder: holder.to_owned(), renewed: Some(now() - SignedDuration::from_secs(seconds)), duration: 15 }
}

fn forbidden() -> Trouble {
    Trouble::Forbidden("x is forbidden: User \"operator\" cannot get resource \"x\"".to_owned())
}

#[test]
fn a_healthy_one() {
    let seed = Scene::new(Role::Seed).report();
    assert_eq!((seed.state, seed.exit_code()), (State::Ok, 0));
    insta::assert_snapshot!("healthy", seed.text(false));
    insta::assert_snapshot!("healthy_json", seed.json());
    let garden = Scene::new(Role::Garden).report();
    insta::assert_snapshot!("healthy_garden", garden.text(false));
    // The same text, with colours around the result of each check.
    let coloured = seed.text(true);
    assert_eq!(coloured.replace("\x1b[32m", "").replace("\x1b[0m", ""), seed.text(false));
    assert!(coloured.contains("\x1b[32mok     \x1b[0m  led"), "{coloured:?}");
}

#[test]
fn not_registered() {
    let mut scene = Scene::new(Role::Seed);
    scene.found[0].there = Err(Trouble::Absent);
    scene.behind = Behind::Pods(0);
    scene.tries = asked(Role::Seed, Asked::Unanswered);
    scene.certificates = Certificates::default();
    assert_eq!(scene.named(State::Problem), ["registered", "reachable"]);
    insta::assert_snapshot!("not_registered", scene.report().text(false));
}

#[test]
fn registered_otherwise() {
    let mut scene = Scene::new(Role::Garden);
    scene.is_self_managed = Some(false);
    scene.lease = Lease::Nothing;
    for found in &mut scene.found {
        let Ok(there) = &mut found.there else { panic!("it is there") };
        for (name, client) in there.webhooks() {
            if name.starts_with("mutator") {
                client.ca_bundle = Some(ByteString(Vec::new()));
            }
        }
        if let Registered::Validating(there) = there {
            for webhook in there.webhooks.iter_mut().flatten() {
                if webhook.name.starts_with("validator") {
                    webhook.failure_policy = Some("Ignore".to_owned());
                    webhook.match_conditions = None;
                    // The webhooks are kept away from some namespaces.
                    let labels = std::iter::once(("a".to_owned(), "b".to_owned())).collect();
                    webhook.namespace_selector.get_or_insert_default().match_labels = Some(labels);
                }
            }
            there
                .webhooks
                .iter_mut()
                .for_each(|webhooks| webhooks.retain(|webhook| !webhook.name.starts_with("advisor")));
        }
    }
    assert_eq!(scene.named(State::Problem), ["registered"]);
    insta::assert_snapshot!("registered_otherwise", scene.report().text(false));
    // Without the configuration of the server it is unknown whether one is disabled.
    scene.is_configured = false;
    let report = scene.report();
    assert!(report.checks[0].saw.iter().any(|line| line.contains("advisor is not among them; perhaps")));
}

/// Changes the address of webhooks.
fn lead(scene: &mut Scene, change: impl Fn(&str, &mut WebhookClientConfig)) {
    for there in scene.found.iter_mut().filter_map(|found| found.there.as_mut().ok()) {
        for (name, client) in there.webhooks() {
            change(name, client);
        }
    }
}

/// Webhooks that lead elsewhere: all of them, to another installation; or one.
#[test]
fn registered_elsewhere() {
    let service = |namespace: &str| Endpoint::Service {
        namespace: namespace.to_owned(),
        name: Role::Seed.component().to_owned(),
        port: None,
    };
    // By its configuration, by its namespace, and by nothing.
    for (to, namespace, want) in [
        (
            Some(service("second")),
            None,
            Some("this installation is the Service second/gardener-extension-network-guard:443"),
        ),
        (None, Some("second"), Some("this installation is in second")),
        (None, Some("extension-network-guard-x7k2p"), None),
        (None, None, None),
    ] {
        let scene = Scene { to, namespace: namespace.map(str::to_owned), ..Scene::new(Role::Seed) };
        let report = scene.report();
        assert_eq!(scene.named(State::Problem), if want.is_some() { vec!["registered"] } else { vec![] });
        let told = |line: &String| {
            line.starts_with("kube-apiserver calls the Service extension-network-guard-x7k2p/")
                && line.contains(want.unwrap())
        };
        assert!(want.is_none() || report.checks[0].saw.iter().any(told), "{}", report.text(false));
    }
    let scene = Scene { to: Some(service("second")), ..Scene::new(Role::Seed) };
    insta::assert_snapshot!("registered_elsewhere", scene.report().text(false));
    // In the garden the name of the host decides, if it has the form of network-guard's.
    let other = || Some("second".to_owned());
    let mut scene = Scene { to: None, namespace: other(), ..Scene::new(Role::Garden) };
    assert_eq!(scene.named(State::Problem), ["registered"]);
    let proxy = Endpoint::Url("https://proxy.example/garden/".to_owned());
    lead(&mut scene, |_, client| set_endpoint(client, Some(&proxy), None));
    assert!(scene.named(State::Problem).is_empty(), "{}", scene.report().text(false));
    scene.to = Some(proxy);
    assert!(scene.named(State::Problem).is_empty(), "{}", scene.report().text(false));

    // One of them was changed by hand, though the one that was called is right.
    let own = "https://gardener-extension-admission-network-guard.garden";
    for (url, want) in [
        (
            format!("{own}/webhooks/validate/other"),
            "validator calls the path \"/webhooks/validate/other\", and should call",
        ),
        (own.to_owned(), "validator calls the path \"\", and should call"),
        ("https://old.garden/webhooks/validate/shoot".to_owned(), "validator calls https://old.garden, and"),
        (format!("{own}:8443/webhooks/validate/shoot"), "validator calls https://gardener-"),
    ] {
        for knows in [true, false] {
            let mut scene = Scene::new(Role::Garden);
            lead(&mut scene, |name, client| {
                if name.starts_with("validator") {
                    client.url = Some(url.clone());
                }
            });
            scene.to = scene.to.filter(|_| knows);
            assert_eq!(scene.named(State::Problem), ["registered"], "{url}");
            let report = scene.report();
            assert!(report.checks[0].saw.iter().any(|line| line.starts_with(want)), "{}", report.text(false));
        }
    }
    let mut scene = Scene::new(Role::Seed);
    lead(&mut scene, |name, client| {
        if name.starts_with("network.") {
            client.service.as_mut().unwrap().path = Some("/webhooks/mutate/kube-apiserver".to_owned());
        }
    });
    assert_eq!(scene.named(State::Problem), ["registered"]);
}

#[test]
fn the_server_is_gone() {
    let mut scene = Scene::new(Role::Seed);
    let failed = |why: &str| {
        let name = "kube-apiserver.network-guard.extensions.gardener.cloud";
        Asked::Failed(format!(
            "Internal error occurred: failed calling webhook \"{name}\": failed to call webhook: Post \"https://guard\": {why}"
        ))
    };
    scene.tries = asked(Role::Seed, failed("dial tcp 10.0.0.7:443: connect: connection refused"));
    scene.certificates.served.clear();
    scene.certificates.silent = vec!["guard.svc:443 shows no certificate: connection refused".to_owned()];
    let Lease::Lease { there, .. } = &mut scene.lease else { panic!("there is one") };
    *there = Ok(held("guard-0", 95));
    scene.metrics = Some(Err("127.0.0.1:8080: connection refused".to_owned()));
    scene.behind = Behind::Pods(0);
    assert_eq!(scene.named(State::Problem), ["registered", "reachable", "led"]);
    assert_eq!(scene.named(State::Unknown), ["trusted", "fresh"]);
    assert_eq!(scene.report().exit_code(), 1);
    insta::assert_snapshot!("gone", scene.report().text(false));
    for (why, want) in [
        ("context deadline exceeded", "calls do not arrive"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "see `trusted`"),
    ] {
        scene.tries = asked(Role::Seed, failed(why));
        assert!(scene.report().checks[1].advice[0].contains(want), "{why}");
    }
    // A call that hangs for longer than the time limit.
    scene.tries = asked(Role::Seed, Asked::Silent("no answer in 3 s".to_owned()));
    assert_eq!(scene.named(State::Unknown), ["reachable", "trusted", "fresh"]);
    assert!(scene.report().checks[1].advice[0].contains("--timeout"));
}

#[test]
fn distrusted_and_due() {
    let mut scene = Scene::new(Role::Seed);
    scene.is_self_managed = Some(false);
    let old = certificates::issue_ca(now() - SignedDuration::from_hours(48), Duration::from_secs(86_400)).unwrap().ca;
    scene.certificates.published[1].bundle = vec![old];
    scene.certificates.distrusted =
        vec!["guard.svc:443 is not trusted for mutating/0: invalid peer certificate: UnknownIssuer".to_owned()];
    scene.certificates.served[0].trusted_by = 0;
    scene.certificates.served[0].until = now() + SignedDuration::from_hours(5);
    assert_eq!(scene.named(State::Problem), ["trusted"]);
    insta::assert_snapshot!("distrusted", scene.report().text(false));
}

#[test]
fn stale_and_without_rights() {
    let mut scene = Scene::new(Role::Seed);
    scene.tries =
        asked(Role::Seed, Asked::Answered(Sign { id: "x".to_owned(), release: "0.1.0".to_owned(), stale: true }, None));
    scene.metrics = Some(Ok(Metrics {
        is_synced: true,
        ages: vec![("the landscape of the webhooks", 3.0), ("Networks with a switch", 180.0)],
    }));
    scene.rights.answers[0].1 = Ok(false);
    scene.rights.answers[2].1 = Ok(false);
    let Lease::Lease { there, .. } = &mut scene.lease else { panic!("there is one") };
    *there = Ok(held("", 300));
    assert_eq!(scene.named(State::Problem), ["led", "fresh", "allowed"]);
    insta::assert_snapshot!("stale", scene.report().text(false));
    scene.metrics = Some(Ok(Metrics::default()));
    assert_eq!(scene.named(State::Problem), ["led", "fresh", "allowed"]);
}

#[test]
fn a_user_without_rights_is_told_which_are_missing() {
    let mut scene = Scene::new(Role::Garden);
    for found in &mut scene.found {
        found.there = Err(forbidden());
    }
    scene.behind = Behind::Unknown("the cluster that network-guard runs in: give --runtime-kubeconfig");
    scene.tries = asked(Role::Garden, Asked::Forbidden);
    scene.certificates = Certificates::default();
    scene.lease = Lease::Lease { name: format!("garden/{GARDEN_LEASE}"), there: Err(forbidden()) };
    scene.metrics = None;
    scene.rights.answers.truncate(1);
    scene.rights.answers[0].1 = Err(forbidden());
    scene.is_configured = false;
    let report = scene.report();
    assert_eq!((report.state, report.exit_code()), (State::Unknown, 2));
    assert_eq!(scene.named(State::Unknown).len(), 6);
    insta::assert_snapshot!("forbidden", report.text(false));
    scene.tries = Tries {
        tries: Vec::new(),
        unseen: vec![(forbidden(), "list shoots.core.gardener.cloud in all namespaces, or give --shoot")],
    };
    assert!(scene.report().checks[1].advice[0].contains("or give --shoot"));
    scene.tries.unseen[0].0 = Trouble::Absent;
    assert!(scene.report().checks[1].advice[0].contains("that of the virtual garden"));
    scene.tries = Tries::default();
    assert!(scene.report().checks[1].saw[0].contains("there is no Shoot"));
    // It is unknown whether that Service is called.
    scene.behind = Behind::Unseen(Trouble::Absent);
    assert!(scene.report().checks[0].advice.iter().any(|advice| advice.contains("give --namespace")));
    assert_eq!(scene.report().state, State::Unknown);
}
