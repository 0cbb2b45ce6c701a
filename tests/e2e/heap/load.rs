//! Everything at once: steps that are repeated until the end, each in a thread and at a pace of its own.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use network_guard_core::gardener::shoot::CONFIRMATION;
use network_guard_core::webhooks::{
    ADVISE_SHOOT_PATH, KUBE_APISERVER_PATH, MUTATE_SHOOT_PATH, NETWORK_PATH, VALIDATE_SHOOT_PATH, VPN_SHOOT_PATH,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::faults::{CLUSTERS, cluster, runtime};
use crate::garden::{peer, shoot};
use crate::harness::{Api, ControlPlane, Garden, Guard, Patch, fixture, until};

/// With the webhook of the VPN, which API servers of Shoots call.
pub const SEED_CONFIGURATION: &str = "vpn: {nat: {shootWebhook: {url: GUARD_URL, caFile: GUARD_CA}}}\n";

/// So many objects of a kind are there at a time, of which the oldest one is deleted when there is one more.
const KEPT: u8 = 10;

/// So many are there at most between two steps, with what was there before.
pub const MOST: u8 = KEPT + 2;

/// Each step is done this often at least, so that objects would be too many if none was deleted.
const LEAST: u8 = MOST + 1;

/// Something that is done over and over.
pub struct Step {
    what: &'static str,
    /// From the end of one to the beginning of the next.
    pause: Duration,
    /// It gets the number of the step, and fails the test by a panic.
    run: Box<dyn FnMut(u64) + Send>,
}

fn step(what: &'static str, pause: u64, run: impl FnMut(u64) + Send + 'static) -> Step {
    Step { what, pause: Duration::from_millis(pause), run: Box::new(run) }
}

/// Steps that are under way.
pub struct Load {
    is_over: Arc<AtomicBool>,
    steps: Vec<Repeated>,
}

/// One of them, and how often it was done.
struct Repeated {
    what: &'static str,
    count: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Load {
    /// Starts all of them.
    pub fn start(steps: Vec<Step>) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let start = |mut step: Step| {
            let (what, is_over, count) = (step.what, Arc::clone(&is_over), Arc::<AtomicU64>::default());
            let counter = Arc::clone(&count);
            let repeat = move || {
                while !is_over.load(Ordering::SeqCst) {
                    (step.run)(counter.load(Ordering::SeqCst));
                    counter.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(step.pause);
                }
            };
            let thread = std::thread::Builder::new().name(what.to_owned()).spawn(repeat).unwrap();
            Repeated { what, count, thread }
        };
        let steps = steps.into_iter().map(start).collect();
        Self { is_over, steps }
    }

    /// The one that has failed, if any.
    pub fn failed(&self) -> Option<&'static str> {
        self.steps.iter().find(|step| step.thread.is_finished()).map(|step| step.what)
    }

    /// One that was not done often enough yet, if any.
    pub fn missing(&self) -> Option<String> {
        let missing = self.steps.iter().find(|step| step.count.load(Ordering::SeqCst) < LEAST.into());
        missing.map(|step| format!("{}: only {} times", step.what, step.count.load(Ordering::SeqCst)))
    }

    /// Ends all of them, and tells how often each was done.
    pub fn finish(self) -> String {
        self.is_over.store(true, Ordering::SeqCst);
        let told = self.steps.into_iter().map(|Repeated { what, count, thread }| {
            thread.join().unwrap_or_else(|_| panic!("{what}: see above"));
            format!("{} {what}", count.load(Ordering::SeqCst))
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// One who calls a server.
#[derive(Clone)]
struct Client {
    runtime: Arc<Runtime>,
    config: kube::Config,
    client: kube::Client,
}

impl Client {
    fn new(runtime: &Arc<Runtime>, guard: &Guard, url: &str) -> Self {
        let ca = std::fs::read(guard.certificates().join("ca.crt")).unwrap();
        let mut config = kube::Config::new(url.parse().unwrap());
        config.root_cert = Some(vec![CertificateDer::from_pem_slice(&ca).unwrap().to_vec()]);
        Self::with(runtime, config)
    }

    fn with(runtime: &Arc<Runtime>, config: kube::Config) -> Self {
        let _there = runtime.enter();
        let client = kube::Client::try_from(config.clone()).unwrap();
        Self { runtime: Arc::clone(runtime), config, client }
    }

    /// One with connections of its own.
    fn another(&self) -> Self {
        Self::with(&self.runtime, self.config.clone())
    }

    /// Status and body of a call.
    fn post(&self, path: &str, body: &str) -> (u16, String) {
        let request = Request::post(format!("{path}?timeout=10s")).header("Content-Type", "application/json");
        let request = request.body(body.as_bytes().to_vec().into()).unwrap();
        self.runtime.block_on(async {
            let answer = self.client.send(request).await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await.unwrap_or_else(|error| panic!("{path}: {error:?}"));
            (status, String::from_utf8(body.to_bytes().to_vec()).unwrap())
        })
    }

    /// A review, which has to be answered.
    fn review(&self, path: &str, body: &str) {
        let (status, answer) = self.post(path, body);
        let review: Value = serde_json::from_str(&answer).unwrap_or_default();
        assert!(status == 200 && review["response"]["allowed"].is_boolean(), "{path}: {status} {answer}");
    }
}

/// What happens on a Seed.
pub fn on_seed(control_plane: &ControlPlane, guard: &Guard) -> Vec<Step> {
    let mut overlapping = fixture("ha", "cluster");
    overlapping["spec"]["seed"]["spec"]["networks"]["pods"] = "10.0.0.0/8".into();
    control_plane.apply_cluster(&overlapping);
    until("the Cluster is known", || guard.metric("network_guard_clusters") >= 1.0);

    let runtime = runtime();
    let client = Client::new(&runtime, guard, &guard.url());
    let for_shoots = Client::new(&runtime, guard, &guard.url_for_shoots());
    let uid = overlapping["spec"]["shoot"]["metadata"]["uid"].as_str().unwrap();
    let of_shoot = format!("{VPN_SHOOT_PATH}/shoot--local--ha/{uid}");
    let vpn_shoot = review("apps", "v1", "statefulsets", &fixture("ha-overlap", "vpn-shoot"), &Value::Null);
    let networks = [network(true), network(false)]
        .map(|(new, old)| review("extensions.gardener.cloud", "v1alpha1", "networks", &new, &old));
    let deployments = ["create", "update"].map(recorded);
    let api = Api::new(&control_plane.kubeconfig("admin", "system:masters"));
    let mut steps = vec![
        step("reviews of a kube-apiserver", 50, {
            let client = client.clone();
            move |number| client.review(KUBE_APISERVER_PATH, &deployments[of(2, number)])
        }),
        step("of a Network", 50, {
            let client = client.clone();
            move |number| client.review(NETWORK_PATH, &networks[of(2, number)])
        }),
        step("of a VPN", 50, move |_| for_shoots.review(&of_shoot, &vpn_shoot)),
        step("Clusters", 200, move |number| {
            let path = |number: u64| format!("{CLUSTERS}/{}", name_of(number));
            api.create(CLUSTERS, &numbered(number));
            if number > 0 {
                let pods = json!({"networks": {"pods": "10.0.0.0/8"}});
                api.patch(&path(number - 1), Patch::Merge, &json!({"spec": {"seed": {"spec": pods}}}));
            }
            if let Some(oldest) = number.checked_sub(KEPT.into()) {
                api.delete(&path(oldest));
            }
        }),
    ];
    steps.extend(visitors(guard, &client, KUBE_APISERVER_PATH));
    steps
}

/// What happens in a garden.
pub fn in_garden(garden: &Garden) -> Vec<Step> {
    let client = Client::new(&runtime(), &garden.guard, &garden.guard.url());
    let (shown, deleted) =
        (["shoot-create", "shoot-update"].map(recorded), ["shoot-delete", "shoot-binding"].map(recorded));
    let api = |user, group| Api::new(&garden.control_plane().kubeconfig(user, group));
    let (alice, scheduler) = (api("alice", "people"), api("scheduler", "schedulers"));
    let mut steps: Vec<Step> =
        [("reviews that fill in a Shoot", MUTATE_SHOOT_PATH), ("that validate one", VALIDATE_SHOOT_PATH)]
            .into_iter()
            .map(|(what, path)| {
                let (client, shown) = (client.clone(), shown.clone());
                step(what, 50, move |number| client.review(path, &shown[of(2, number)]))
            })
            .collect();
    steps.push(step("that advise", 50, {
        let client = client.clone();
        move |number| client.review(ADVISE_SHOOT_PATH, &deleted[of(2, number)])
    }));
    steps.push(step("Shoots", 200, move |number| {
        const SHOOTS: &str = "/apis/core.gardener.cloud/v1beta1/namespaces/garden-shop/shoots";
        let path = |number: u64| format!("{SHOOTS}/s{number}");
        let nodes = |number: u64, length: u8| format!("10.5.{}.0/{length}", number % 250);
        let peers: Vec<Value> =
            number.checked_sub(1).map(|last| peer(&format!("garden-shop/s{last}"), "eu1-a")).into_iter().collect();
        alice.create(SHOOTS, &shoot(&format!("garden-shop/s{number}"), &nodes(number, 24), &peers));
        scheduler.patch(&format!("{}/binding", path(number)), Patch::Merge, &json!({"spec": {"seedName": "eu1-a"}}));
        if let Some(last) = number.checked_sub(1) {
            let changes = json!({"spec": {"purpose": "testing", "networking": {"nodes": nodes(last, 25)}}});
            alice.patch(&path(last), Patch::Merge, &changes);
        }
        if let Some(oldest) = number.checked_sub(KEPT.into()) {
            alice.patch(&path(oldest), Patch::Merge, &json!({"metadata": {"annotations": {CONFIRMATION: "true"}}}));
            alice.delete(&path(oldest));
        }
    }));
    steps.extend(visitors(&garden.guard, &client, VALIDATE_SHOOT_PATH));
    steps
}

/// Who sends what is no review, and who connects and leaves.
fn visitors(guard: &Guard, client: &Client, path: &'static str) -> [Step; 2] {
    let bodies = [
        String::new(),
        "{".to_owned(),
        "null".to_owned(),
        "[".repeat(10_000),
        "\u{1}\u{fffd}".to_owned(),
        r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{}}"#.to_owned(),
        " ".repeat(1 << 20),
    ];
    let (sender, newcomer) = (client.clone(), client.clone());
    let ports = [guard.port(), guard.health_port(), guard.metrics_port()];
    let review = recorded(if path == KUBE_APISERVER_PATH { "create" } else { "shoot-create" });
    let mut held = VecDeque::new();
    [
        step("bodies that are none", 200, move |number| {
            let body = &bodies[of(bodies.len(), number)];
            let (status, answer) = sender.post(path, body);
            assert!((400..500).contains(&status), "{body:.40}: {status} {answer}");
        }),
        step("connections", 100, move |number| {
            // Silent ones, half a record of TLS, half a request, and at last one with a call of its own.
            let texts: [&[u8]; 4] = [b"", &[22, 3, 1, 2, 0], b"GET /readyz HTTP/1.1\r\nHost", b"\r\n\r\n"];
            if number % 4 == 0 {
                newcomer.another().review(path, &review);
            } else {
                let mut connection = TcpStream::connect(("127.0.0.1", ports[of(3, number)])).unwrap();
                // It may be closed by then.
                let _ = connection.write_all(texts[of(4, number / 4)]);
                held.push_back(connection);
            }
            if held.len() > 20 {
                held.pop_front();
            }
        }),
    ]
}

/// Which of so many is next: one after the other.
fn of(count: usize, number: u64) -> usize {
    usize::try_from(number).unwrap() % count
}

/// A review as an API server sent it.
fn recorded(name: &str) -> String {
    let path = format!("{}/tests/fixtures/reviews/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).expect(&path)
}

/// A review of an object, or of its change.
fn review(group: &str, version: &str, plural: &str, object: &Value, old: &Value) -> String {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "operation": if old.is_null() { "CREATE" } else { "UPDATE" },
            "namespace": object["metadata"]["namespace"], "name": object["metadata"]["name"],
            "resource": {"group": group, "version": version, "resource": plural},
            "object": object, "oldObject": old,
        },
    })
    .to_string()
}

/// A Network with an overlay or without, and as it was before: the other way round.
fn network(has_overlay: bool) -> (Value, Value) {
    let with = |overlay: bool| {
        json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
            "metadata": {"name": "ha", "namespace": "shoot--local--ha"},
            "spec": {
                "type": "calico", "podCIDR": "100.96.0.0/11", "serviceCIDR": "100.64.0.0/13",
                "providerConfig": {
                    "apiVersion": "calico.networking.extensions.gardener.cloud/v1alpha1", "kind": "NetworkConfig",
                    "overlay": {"enabled": overlay},
                },
            },
        })
    };
    (with(has_overlay), with(!has_overlay))
}

/// A Cluster of a name that no other one has or had.
fn numbered(number: u64) -> Value {
    cluster(1_000 + usize::try_from(number).unwrap(), number.is_multiple_of(2))
}

fn name_of(number: u64) -> String {
    numbered(number)["metadata"]["name"].as_str().unwrap().to_owned()
}
