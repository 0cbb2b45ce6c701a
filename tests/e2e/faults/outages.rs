//! Replicas, leaders, API servers and names that go away, and what that costs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use super::{CLUSTERS, cluster, namespace};
use crate::harness::{Api, Caller, ControlPlane, Guard, Patch, Service, review, until};
use crate::restarts::is_soak;

const CONFIGURATION: &str = "gardener-extension-network-guard";
const WEBHOOK: &str = "kube-apiserver.network-guard.extensions.gardener.cloud";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/garden/leases";

/// Calls that are made at the same time.
const WORKERS: u64 = 16;

/// kill -9, over and over, of the replica that has all the calls. Each caller has one in flight, and may find another
/// connection of the dead replica among those that it keeps before it makes a new one.
#[test]
fn a_killed_replica_costs_the_calls_in_flight_soak() {
    let control_plane = ControlPlane::start();
    let mut of_fixture = cluster(0, true);
    of_fixture["metadata"]["name"] = "shoot--local--ha".into();
    control_plane.apply_cluster(&of_fixture);
    let first = Guard::start(&control_plane);
    let second = first.replica("second");
    second.wait_until_ready();
    let service = Service::start(vec![first.port(), second.port()]);
    first.register_at(&service.url(), &control_plane);
    let kubeconfig = control_plane.kubeconfig("admin", "system:masters").display().to_string();
    let body = format!("{}/tests/fixtures/reviews/create.json", env!("CARGO_MANIFEST_DIR"));
    let arguments = [
        ("kubeconfig", &*kubeconfig),
        ("name", CONFIGURATION),
        ("webhook", WEBHOOK),
        ("review", &body),
        ("workers", "16"),
    ];
    let mut caller = Caller::start("call", &arguments);
    let succeeded = |caller: &mut Caller| {
        let report = caller.report();
        report.calls - report.failed
    };

    let kills = if is_soak() { 50 } else { 4 };
    let (mut replicas, mut worst, mut slowest) = ([first, second], 0, Duration::ZERO);
    for kill in 0..kills {
        let before = caller.report();
        until("calls succeed", || succeeded(&mut caller) > before.calls - before.failed + 100);
        let failed = caller.report().failed;
        let killed = Instant::now();
        replicas[kill % 2].kill();
        let then = succeeded(&mut caller);
        // More than those that had been answered already.
        until("calls succeed again", || succeeded(&mut caller) > then + WORKERS);
        slowest = slowest.max(killed.elapsed());
        replicas[kill % 2].restart();
        let cost = caller.report().failed - failed;
        assert!(cost <= 2 * WORKERS, "{cost} failed: {:?}", caller.report().failures);
        worst = worst.max(cost);
    }
    let report = caller.finish();
    say!(
        "figure: kill: {kills} kills, {} of {} calls failed, at most {worst} of {WORKERS} in flight each; \
         calls succeeded again after at most {slowest:.1?}",
        report.failed,
        report.calls
    );
    assert!(report.failed > 0, "nothing was hit");
}

/// Status and body of a call.
fn call(guard: &Guard, namespace: &str) -> (StatusCode, Value) {
    let output = Command::new("curl")
        .args(["-s", "-m", "90", "-H", "Content-Type: application/json", "-w", "\n%{http_code}", "--cacert"])
        .arg(guard.certificates().join("ca.crt"))
        .args(["-d", &review(namespace), &format!("{}/webhooks/mutate/kube-apiserver?timeout=30s", guard.url())])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, code) = text.rsplit_once('\n').unwrap();
    (code.parse().unwrap_or(StatusCode::IM_A_TEAPOT), serde_json::from_str(body).unwrap_or_default())
}

/// How often it has tried to watch Clusters in vain.
fn attempts(guard: &Guard) -> usize {
    guard.log().matches("a watch failed, trying again").count()
}

/// Started before its API server: not ready, every call gets a 503 and never an answer, until everything is read.
#[test]
fn starts_without_an_api_server_soak() {
    let mut control_plane = ControlPlane::start();
    let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
    let count = if is_soak() { 10_000 } else { 300 };
    for shoot in 0..count {
        api.create(CLUSTERS, &cluster(shoot, true));
    }
    control_plane.stop_api_server();
    let guard = Guard::start_unready(&control_plane);
    until("it answers its probes", || guard.health("/healthz").starts_with("HTTP/1.1 200"));
    let mut refused = 0;
    // So often that its pauses are as long as they get.
    while attempts(&guard) < 6 {
        assert_eq!(call(&guard, &namespace(7)).0, StatusCode::SERVICE_UNAVAILABLE);
        assert!(guard.health("/readyz").contains("[-] landscape read"));
        refused += 1;
    }
    let ready = thread::scope(|scope| {
        // All of its answers from the first one on.
        let calls = scope.spawn(|| {
            let (mut right, begun) = (0, Instant::now());
            while right <= 5 {
                match call(&guard, &namespace(7)) {
                    (StatusCode::SERVICE_UNAVAILABLE, _) => assert_eq!(right, 0, "it answered before"),
                    (status, answer) => {
                        assert!(answer["response"]["patch"].is_string(), "{status}: {answer}");
                        right += 1;
                    }
                }
                // The API server has its time to start, and so has ours after that.
                assert!(begun.elapsed() < Duration::from_secs(5 * 60), "it does not answer");
            }
        });
        control_plane.start_api_server();
        let up = Instant::now();
        guard.wait_until_ready();
        let ready = up.elapsed();
        calls.join().unwrap();
        ready
    });
    assert!((guard.metric("network_guard_clusters") - f64::from(u32::try_from(count).unwrap())).abs() < 0.5);
    say!("figure: start: {refused} calls got 503; ready with {count} Clusters {ready:.1?} after the API server was");
}

/// A Lease that is deleted, whose writing is denied, and that somebody takes: at most one leads all the time, the one that
/// lost it stops, one leads again in the end, and webhooks do not notice.
#[test]
fn a_leader_that_is_lost_soak() {
    let control_plane = ControlPlane::start();
    control_plane.apply_cluster(&cluster(7, true));
    let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
    let first = Guard::start_configured(&control_plane, "overlay: {leaseNamespace: garden}\n");
    let second = first.replica("second");
    let guards = [&first, &second];
    for guard in guards {
        guard.wait_until_ready();
    }
    let leaders = || guards.map(|guard| guard.metric("network_guard_leader") > 0.5);
    until("one leads", || leaders() != [false, false]);

    let calls = Arc::<AtomicBool>::default();
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let mut answered = 0;
            while !calls.load(Ordering::SeqCst) {
                for guard in guards {
                    let (status, answer) = call(guard, &namespace(7));
                    assert!(status.is_success() && answer["response"]["patch"].is_string(), "{status}: {answer}");
                    answered += 1;
                }
            }
            answered
        });
        let wait = |what: &str, condition: &dyn Fn([bool; 2]) -> bool| {
            let begun = Instant::now();
            until(what, || {
                let now = leaders();
                // They are asked one after the other: who led first may not lead any more.
                assert!(now != [true, true] || leaders() != now, "{what}: two at the same time");
                condition(now)
            });
            begun.elapsed()
        };
        let lease = format!("{LEASES}/network-guard-overlay");

        let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/garden/roles/network-guard";
        let rules = api.get(role).unwrap()["rules"].clone();
        api.patch(role, Patch::Merge, &json!({"rules": []}));
        let stopped = wait("nobody leads", &|now| now == [false, false]);
        say!("figure: leader: stopped {stopped:.1?} after it might not write its Lease any more");
        api.patch(role, Patch::Merge, &json!({"rules": rules}));
        let again = wait("one leads again", &|now| now != [false, false]);
        say!("figure: leader: one leads {again:.1?} after it may again");

        if is_soak() {
            api.delete(&lease);
            let again = wait("one leads after the deletion", &|now| now != [false, false] && api.get(&lease).is_some());
            say!("figure: leader: one leads {again:.1?} after the Lease was deleted");
        }
        let spec = json!({"spec": {"holderIdentity": "somebody", "renewTime": "2020-01-01T00:00:00.000000Z"}});
        api.patch(&lease, Patch::Merge, &spec);
        let stopped = wait("the leader stops", &|now| now == [false, false]);
        let again = wait("one leads in the end", &|now| now != [false, false]);
        say!(
            "figure: leader: stopped {stopped:.1?} after somebody took its Lease, who never renewed it; one led {again:.1?} later"
        );

        calls.store(true, Ordering::SeqCst);
        say!("figure: leader: {} calls answered meanwhile, all of them", answering.join().unwrap());
    });
}

/// The name of the API server cannot be resolved any more: the last snapshot stays in use, and all is well once it can.
#[test]
fn a_name_that_is_lost() {
    let control_plane = ControlPlane::start();
    control_plane.apply_cluster(&cluster(7, true));
    let folder = control_plane.folder();
    let hosts = folder.join("hosts");
    let known = "127.0.0.1 localhost api.example.test\n";
    std::fs::write(&hosts, known).unwrap();
    // A file of names of its own, where we may make one.
    let inside = format!("mount --bind {} /etc/hosts && exec \"$@\"", hosts.display());
    let unshare = ["--mount", "--propagation", "private", "sh", "-c", &inside, "sh"];
    if !Command::new("unshare").args(unshare).arg("true").status().is_ok_and(|status| status.success()) {
        say!("skipped: no right to give a process names of its own");
        assert!(std::env::var_os("CI").is_none(), "never in CI");
        return;
    }
    let named = folder.join("kubeconfig-named");
    let text = std::fs::read_to_string(control_plane.kubeconfig("network-guard", "webhooks")).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    let address = kubeconfig["clusters"][0]["cluster"]["server"].as_str().unwrap().to_owned();
    kubeconfig["clusters"][0]["cluster"]["server"] = address.replace("127.0.0.1", "api.example.test").into();
    kubeconfig["clusters"][0]["cluster"]["tls-server-name"] = "localhost".into();
    std::fs::write(&named, kubeconfig.to_string()).unwrap();
    let guard = Guard::start_behind(&control_plane, Path::new("unshare"), &unshare, &named);
    guard.wait_until_ready();
    let answers = |what: &str| {
        let (status, answer) = call(&guard, &namespace(7));
        assert!(status.is_success() && answer["response"]["patch"].is_string(), "{what}: {status}: {answer}");
    };
    answers("before");

    // In place: a new file would not be the one that is mounted. Connections that are open need no name.
    std::fs::write(&hosts, "127.0.0.1 localhost\n").unwrap();
    let mut control_plane = control_plane;
    control_plane.stop_api_server();
    control_plane.start_api_server();
    let before = attempts(&guard);
    until("it tries again and again", || {
        answers("without the name");
        attempts(&guard) > before + 3
    });
    assert!(guard.health("/readyz").starts_with("HTTP/1.1 200"));
    control_plane.apply_cluster(&cluster(8, true));
    let before = attempts(&guard);
    until("it tries again", || attempts(&guard) > before + 1);
    assert!(guard.metric("network_guard_clusters") < 1.5, "it knows the name from elsewhere");
    std::fs::write(&hosts, known).unwrap();
    let begun = Instant::now();
    until("news arrive", || guard.metric("network_guard_clusters") > 1.5);
    say!("figure: name: the truth again {:.1?} after it could be resolved", begun.elapsed());
}
