//! What the API server of a Shoot can make us hold. It belongs to somebody else, so here is one, a stand-in, that answers
//! with what no honest one would; another stand-in is the Seed's, which keeps one Network with a held switch. Both run on
//! a thread of their own, so what is counted is what the controller allocates.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, stream};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use network_guard_controllers::certificates::Authority;
use network_guard_controllers::overlay_switch::{self, OverlaySettings, SwitchMetrics};
use network_guard_core::gardener::ClusterFacts;
use network_guard_core::gardener::network::{SWITCH_MESSAGE, SWITCH_REQUESTED, SWITCH_SINCE, SWITCH_STATE};
use network_guard_core::landscape::Snapshot;
use network_guard_core::overlay::{RouteTrackerSettings, SwitchSettings};
use network_guard_runtime::supervise::Supervisor;
use network_guard_sources::LandscapeCache;
use network_guard_sources::objects::{NetworkObject, Watched as _};
use serde_json::{Value, json};

const MIB: u64 = 1 << 20;

/// What the Shoot's API server answers when its nodes are listed.
#[derive(Clone, Copy)]
struct Nodes {
    /// All of them, and how many a page.
    count: usize,
    page: usize,
    /// The lengths of texts, in bytes.
    name: usize,
    reason: usize,
    message: usize,
    /// Whether all have routes; otherwise one has none.
    are_routed: bool,
    /// Whether there is always another page.
    is_endless: bool,
}

const HONEST: Nodes =
    Nodes { count: 1_000, page: 250, name: 40, reason: 0, message: 40, are_routed: true, is_endless: false };

impl Nodes {
    fn node(self, number: usize) -> String {
        let is_routed = self.are_routed || number != 7;
        let (status, reason) = if is_routed { ("False", "RouteCreated") } else { ("True", "NoRouteCreated") };
        let reason = if self.reason > 0 { "r".repeat(self.reason) } else { reason.to_owned() };
        json!({
            "metadata": {"name": format!("{number:0width$}", width = self.name), "uid": format!("u-{number}"), "resourceVersion": "1"},
            "spec": {"podCIDR": "100.64.0.0/24"},
            "status": {"conditions": [
                {"type": "Ready", "status": "True"},
                {"type": "NetworkUnavailable", "status": status, "reason": reason, "message": "m".repeat(self.message)},
            ]},
        })
        .to_string()
    }

    /// A page, one node after the other.
    fn page(self, query: &str) -> Response {
        let at = query.split('&').find_map(|pair| pair.strip_prefix("continue=")?.parse().ok()).unwrap_or(0);
        let end = (at + self.page).min(self.count);
        let next = if end < self.count || self.is_endless { end.to_string() } else { String::new() };
        let head = format!(r#"{{"kind":"NodeList","metadata":{{"continue":"{next}"}},"items":["#);
        let nodes = (at..end).map(move |number| {
            let comma = if number > at { "," } else { "" };
            format!("{comma}{}", self.node(number))
        });
        let pieces = [head].into_iter().chain(nodes).chain(["]}".to_owned()]);
        Body::from_stream(stream::iter(pieces).map(Ok::<_, std::convert::Infallible>)).into_response()
    }
}

async fn shoot(State(nodes): State<Nodes>, request: Request) -> Response {
    match request.uri().path() {
        "/api/v1/nodes" => nodes.page(request.uri().query().unwrap_or_default()),
        "/api/v1/events" => json!({"metadata": {}, "items": []}).to_string().into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The Seed's, as far as the controller needs it.
struct Seed {
    network: Mutex<Value>,
    /// What a watch would bring.
    switches: Arc<LandscapeCache>,
    ca: String,
}

impl Seed {
    fn answer(&self, method: &http::Method, path: &str, body: &[u8]) -> (StatusCode, Value) {
        let status = |code: StatusCode, reason: &str| {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "",
                "reason": reason, "code": code.as_u16(),
            });
            (code, status)
        };
        if path.contains("/networks/") {
            let mut network = self.network.lock().unwrap();
            if method == http::Method::PATCH {
                let change: Value = serde_json::from_slice(body).unwrap();
                let mut new = network.clone();
                if change.is_array() {
                    json_patch::patch(&mut new, &serde_json::from_value::<json_patch::Patch>(change).unwrap()).unwrap();
                } else {
                    json_patch::merge(&mut new, &change);
                }
                if new["metadata"]["resourceVersion"] != network["metadata"]["resourceVersion"] {
                    return status(StatusCode::CONFLICT, "Conflict");
                }
                let version: u64 = new["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
                new["metadata"]["resourceVersion"] = json!((version + 1).to_string());
                *network = new;
                self.publish(&network);
            }
            return (StatusCode::OK, network.clone());
        }
        if path.contains("/clusters/") {
            return (StatusCode::OK, cluster());
        }
        if path.ends_with("/shoot-access-network-guard") && method == http::Method::GET {
            let data = json!({"token": STANDARD.encode("token"), "bundle.crt": STANDARD.encode(&self.ca)});
            return (
                StatusCode::OK,
                json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": data}),
            );
        }
        let object = serde_json::from_slice(body).unwrap_or_else(|_| json!({"metadata": {"name": "x"}}));
        (if method == http::Method::POST { StatusCode::CREATED } else { StatusCode::OK }, object)
    }

    fn publish(&self, network: &Value) {
        let network: NetworkObject = serde_json::from_str(&network.to_string()).unwrap();
        self.switches.feed(0).update(|snapshot| NetworkObject::put(snapshot, network.into_item()));
    }
}

async fn seed(State(seed): State<Arc<Seed>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let (code, value) = seed.answer(&parts.method, parts.uri.path(), &body);
    (code, value.to_string()).into_response()
}

fn cluster() -> Value {
    json!({"metadata": {"name": "n"}, "spec": {
        "seed": {"spec": {"networks": {"pods": "10.0.0.0/9"}}},
        "shoot": {
            "spec": {
                "networking": {
                    "pods": "100.64.0.0/11", "services": "100.96.0.0/13", "nodes": "10.250.0.0/16", "type": "calico",
                    "providerConfig": {"overlay": {"enabled": false}}, "ipFamilies": ["IPv4"],
                },
                "provider": {"type": "aws", "workers": [{}]},
            },
            "status": {"lastOperation": {"type": "Reconcile", "state": "Succeeded"}},
        },
    }})
}

fn network() -> Value {
    json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {"name": "o", "namespace": "n", "uid": "u", "resourceVersion": "5", "annotations": {
            SWITCH_STATE: "pending", SWITCH_SINCE: Timestamp::now().to_string(), SWITCH_REQUESTED: "x", SWITCH_MESSAGE: "m",
        }},
        "spec": {"type": "calico", "providerConfig": {"overlay": {"enabled": true}}},
        "status": {"lastOperation": {"state": "Succeeded"}},
    })
}

/// Serves on a thread of its own, to the end of the process.
fn serve(routes: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), routes).await.unwrap();
        });
    });
    address
}

/// Runs the controller until the Network is so, and gives the most memory that this took, in bytes.
fn run(nodes: Nodes, until: impl Fn(&Value) -> bool) -> (Value, u64) {
    let (landscape, switches) = (Arc::new(LandscapeCache::new(1)), Arc::new(LandscapeCache::new(1)));
    landscape.feed(0).update(|snapshot: &mut Snapshot| {
        snapshot.put_cluster("n", ClusterFacts::parse(&cluster()["spec"].to_string()));
    });
    let ca = Authority::new("CA", Timestamp::now(), Duration::from_secs(3_600)).unwrap();
    let at_seed = Arc::new(Seed {
        network: Mutex::new(network()),
        switches: Arc::clone(&switches),
        ca: ca.certificate().to_owned(),
    });
    at_seed.publish(&network());
    landscape.feed(0).set_synced();
    switches.feed(0).set_synced();
    let seed_address = serve(Router::new().fallback(seed).with_state(Arc::clone(&at_seed)));
    let shoot_address = serve(Router::new().fallback(shoot).with_state(nodes));

    let tracker = RouteTrackerSettings { window: SignedDuration::ZERO, ..RouteTrackerSettings::default() };
    let settings = OverlaySettings {
        switches: SwitchSettings { tracker, ..SwitchSettings::default() },
        poll: Duration::from_millis(10),
        shoot_server: format!("http://{shoot_address}"),
        ..OverlaySettings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = allocation_counter::measure(|| {
        runtime.block_on(async {
            let config = kube::Config::new(format!("http://{seed_address}").parse().unwrap());
            let controller = overlay_switch::Controller::new(overlay_switch::SwitchDeps {
                client: kube::Client::try_from(config).unwrap(),
                landscape: Arc::clone(&landscape),
                switches: Arc::clone(&switches),
                metrics: Arc::new(SwitchMetrics::new(Arc::clone(&switches))),
                settings,
                tasks: Supervisor::default(),
                identity: "test".to_owned(),
            });
            let seen = async {
                while !until(&at_seed.network.lock().unwrap()) {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            tokio::select! {
                () = controller.work() => panic!("it ended"),
                seen = tokio::time::timeout(Duration::from_secs(900), seen) => {
                    assert!(seen.is_ok(), "never; the last word: {}", message(&at_seed.network.lock().unwrap()));
                }
            }
        });
        // What it left behind is not counted as held for ever.
        drop(runtime);
    });
    let network = at_seed.network.lock().unwrap().clone();
    (network, taken.bytes_max)
}

fn message(network: &Value) -> &str {
    network["metadata"]["annotations"][SWITCH_MESSAGE].as_str().unwrap_or_default()
}

/// Ten thousand nodes with conditions of 4 KiB are 45 MB on their way, of which some hundred bytes a node are kept; and
/// the switch is let through, as with any other ten thousand.
#[test]
fn ten_thousand_nodes_with_long_messages_are_little() {
    let nodes = Nodes { count: 10_000, message: 4 << 10, ..HONEST };
    let is_released = |network: &Value| network["spec"]["providerConfig"]["overlay"]["enabled"] == false;
    let (_, most) = run(nodes, is_released);
    println!("figure: 10,000 nodes with long messages: {} KiB at most", most >> 10);
    assert!(most < 20 * MIB, "{} MiB", most / MIB);
}

/// What is too much is said where people look, never approved, and never held.
#[test]
fn what_is_too_much_is_said_and_not_held() {
    for (what, nodes, want) in [
        (
            "one without a route",
            Nodes { count: 10_000, message: 4 << 10, are_routed: false, ..HONEST },
            "9999 of 10000 nodes have routes; missing: 0000000000000000000000000000000000000007 (+0)",
        ),
        (
            "more than is kept",
            Nodes { count: 40_000, name: 250, message: 1_200, reason: 1_200, ..HONEST },
            "the Shoot's nodes cannot be listed: names and conditions in its list are larger than 16 MiB together",
        ),
        (
            "all on one page",
            Nodes { count: usize::MAX, page: usize::MAX, message: 1 << 20, ..HONEST },
            "the Shoot's nodes cannot be listed: its answer is larger than 32 MiB",
        ),
        (
            "small, and all on one page",
            Nodes { count: 20_000, page: 20_000, ..HONEST },
            "the Shoot's nodes cannot be listed: a page of its list has more than the 250 that were asked for",
        ),
        (
            "pages without end",
            Nodes { count: 0, is_endless: true, ..HONEST },
            "the Shoot's nodes cannot be listed: its list has more than 400 pages",
        ),
        (
            "a name that is none",
            Nodes { name: 2_000, ..HONEST },
            "the Shoot's nodes cannot be listed: its answer cannot be read",
        ),
    ] {
        let (network, most) = run(nodes, |network| message(network).starts_with(want));
        println!("figure: {what}: {} KiB at most", most >> 10);
        assert!(most < 48 * MIB, "{what}: {} MiB", most / MIB);
        assert!(message(&network).len() < 1_000, "{what}");
        assert_eq!(network["metadata"]["annotations"][SWITCH_STATE], "pending", "{what}");
        assert_eq!(network["spec"]["providerConfig"]["overlay"]["enabled"], true, "{what}");
    }
}
