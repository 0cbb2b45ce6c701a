//! What a worker writes while others write too. The API server is a service in this process that keeps one Network and
//! its versions as a real one does; end-to-end tests have real ones, but cannot stop between two requests.

mod after;

use std::sync::Mutex;

use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::runtime::events::{Recorder, Reporter};
use serde_json::json;
use tokio::sync::Semaphore;

use super::*;
use crate::overlay_switch::{OverlaySettings, SwitchMetrics};
use network_guard_core::gardener::network::{
    OPERATION, STATE_MEMBER, SWITCH_ANNOTATIONS, SWITCH_MESSAGE, SWITCH_REQUESTED, SWITCH_SINCE, SWITCH_STATE,
};
use network_guard_core::overlay::{desired, seconds};
use network_guard_runtime::supervise::Supervisor;
use network_guard_sources::LandscapeCache;
use network_guard_sources::objects::Watched as _;

/// A concurrent change, made when a request arrives whose method and path contain this text.
struct Meanwhile(&'static str, fn(&mut Value));

/// The write that lets a switch through.
const JSON_PATCH: &str = "JSON Patch";

struct Seed {
    network: Value,
    cluster: Value,
    meanwhile: Option<Meanwhile>,
    requests: Vec<String>,
    /// Reasons of events.
    events: Vec<String>,
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
                "provider": {"type": "aws", "workers": [{}]}, "hibernation": {"enabled": true},
            },
            "status": {"hibernated": true, "lastOperation": {"type": "Reconcile", "state": "Succeeded"}},
        },
    }})
}

fn network() -> Value {
    json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Network",
        "metadata": {"name": "o", "namespace": "n", "uid": "u", "resourceVersion": "5", "annotations": {
            SWITCH_STATE: "pending", SWITCH_SINCE: "2026-11-20T10:00:00Z", SWITCH_REQUESTED: "x", SWITCH_MESSAGE: "m",
        }},
        "spec": {"type": "calico", "providerConfig": {"overlay": {"enabled": true}}},
        "status": {"lastOperation": {"state": "Succeeded"}},
    })
}

/// gardenlet writes a Shoot that was reverted, and the webhook clears the hold.
fn revert(network: &mut Value) {
    for key in SWITCH_ANNOTATIONS {
        network["metadata"]["annotations"].as_object_mut().unwrap().remove(key);
    }
}

impl Seed {
    fn with(meanwhile: Option<Meanwhile>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            network: network(),
            cluster: cluster(),
            meanwhile,
            requests: Vec::new(),
            events: Vec::new(),
        }))
    }

    fn bump(&mut self) {
        let version: u64 = self.network["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        self.network["metadata"]["resourceVersion"] = json!((version + 1).to_string());
    }

    fn answer(&mut self, method: &http::Method, path: &str, body: &[u8]) -> (u16, Value) {
        let request = format!("{method} {path}");
        if let Some(Meanwhile(at, change)) = &self.meanwhile
            && (request.ends_with(at) || (*at == JSON_PATCH && body.starts_with(b"[")))
        {
            let change = *change;
            self.meanwhile = None;
            change(&mut self.network);
            self.bump();
        }
        self.requests.push(request);
        if path.contains("/events") {
            let event: Value = serde_json::from_slice(body).unwrap();
            self.events.push(event["reason"].as_str().unwrap().to_owned());
        }
        let status = |code: u16, reason: &str| {
            (
                code,
                json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "", "reason": reason, "code": code}),
            )
        };
        if path.contains("/clusters/") {
            return (200, self.cluster.clone());
        }
        if !path.contains("/networks/") {
            return status(404, "NotFound");
        }
        if method == http::Method::PATCH {
            let change: Value = serde_json::from_slice(body).unwrap();
            let mut new = self.network.clone();
            if change.is_array() {
                let change: json_patch::Patch = serde_json::from_value(change).unwrap();
                json_patch::patch(&mut new, &change).unwrap();
            } else {
                json_patch::merge(&mut new, &change);
            }
            if new["metadata"]["resourceVersion"] != self.network["metadata"]["resourceVersion"] {
                return status(409, "Conflict");
            }
            if new != self.network {
                self.network = new;
                self.bump();
            }
        }
        (200, self.network.clone())
    }
}

/// A worker that knows the landscape as it was before anything happened.
fn worker(seed: &Arc<Mutex<Seed>>) -> Worker {
    worker_with(seed, OverlaySettings::default())
}

fn worker_with(seed: &Arc<Mutex<Seed>>, settings: OverlaySettings) -> Worker {
    let at = Arc::clone(seed);
    let service = tower::service_fn(move |request: http::Request<Body>| {
        let at = Arc::clone(&at);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (code, value) = at.lock().unwrap().answer(&parts.method, parts.uri.path(), &body);
            let body = Body::from(value.to_string().into_bytes());
            Ok::<_, std::convert::Infallible>(http::Response::builder().status(code).body(body).unwrap())
        }
    });
    let client = kube::Client::new(service, "n");
    let recorder = Recorder::new(client.clone(), Reporter { controller: "x".into(), instance: None });
    let (landscape, switches) = (Arc::new(LandscapeCache::new(1)), Arc::new(LandscapeCache::new(1)));
    let network = seed.lock().unwrap().network.clone();
    let cluster = seed.lock().unwrap().cluster.clone();
    let network: NetworkObject = serde_json::from_value(network).unwrap();
    switches.feed(0).update(|snapshot| NetworkObject::put(snapshot, network.into_item()));
    landscape.feed(0).update(|snapshot| {
        snapshot.put_cluster("n", network_guard_core::gardener::ClusterFacts::parse(&cluster["spec"].to_string()));
    });
    let metrics = Arc::new(SwitchMetrics::new(Arc::clone(&switches)));
    let reading = Semaphore::new(1);
    let context = Arc::new(Context {
        client,
        landscape,
        switches,
        reading,
        large: Arc::new(Semaphore::new(1)),
        settings,
        metrics,
        tasks: Supervisor::default(),
        recorder,
    });
    Worker::new(context, NetworkName { namespace: "n".into(), name: "o".into() })
}

/// The watches deliver what is stored now.
fn catch_up(worker: &Worker, seed: &Arc<Mutex<Seed>>) {
    let (network, cluster) = {
        let seed = seed.lock().unwrap();
        (seed.network.clone(), seed.cluster.clone())
    };
    let network: NetworkObject = serde_json::from_value(network).unwrap();
    worker.context.switches.feed(0).update(|snapshot| NetworkObject::put(snapshot, network.into_item()));
    worker.context.landscape.feed(0).update(|snapshot| {
        snapshot.put_cluster("n", network_guard_core::gardener::ClusterFacts::parse(&cluster["spec"].to_string()));
    });
}

fn overlay(seed: &Arc<Mutex<Seed>>) -> Value {
    seed.lock().unwrap().network["spec"]["providerConfig"]["overlay"]["enabled"].clone()
}

#[tokio::test]
async fn a_release_is_written_and_remembered() {
    let seed = Seed::with(None);
    worker(&seed).look().await.unwrap();
    assert_eq!(overlay(&seed), json!(false));
    let seed = seed.lock().unwrap();
    assert_eq!(seed.network["metadata"]["annotations"][OPERATION], "reconcile");
    assert_eq!(seed.network["status"]["state"][STATE_MEMBER]["phase"], "released");
}

/// An operator's force is recorded until the switch has passed: a webhook lets it through where routes will never come.
#[tokio::test]
async fn an_operators_force_is_recorded() {
    let seed = Seed::with(Some(Meanwhile(JSON_PATCH, |network| network["metadata"]["labels"] = json!({"a": "b"}))));
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    seed.lock().unwrap().cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
    let mut worker = worker(&seed);
    let digest = worker.context.landscape.snapshot().switch_facts("n").and_then(desired).unwrap().digest();
    {
        let mut seed = seed.lock().unwrap();
        let annotations = &mut seed.network["metadata"]["annotations"];
        (annotations[SWITCH_STATE], annotations[SWITCH_REQUESTED]) = (json!("forced"), json!(digest));
    }
    catch_up(&worker, &seed);
    assert!(worker.look().await.is_err(), "somebody wrote in between");
    assert_eq!(seed.lock().unwrap().network["metadata"]["annotations"][SWITCH_STATE], "forced");
    catch_up(&worker, &seed);
    worker.look().await.unwrap();
    assert_eq!(overlay(&seed), json!(false));
}

/// A concurrent writer wins between any two requests of the leader.
#[tokio::test]
async fn a_release_never_overwrites_a_revert() {
    let gaps = [
        "/clusters/n",        // between the Network and the Cluster
        "/networks/o/status", // before it is remembered
        "PATCH /apis/extensions.gardener.cloud/v1alpha1/namespaces/n/networks/o", // before it is approved
        JSON_PATCH,           // before it is let through
    ];
    for at in gaps {
        let seed = Seed::with(Some(Meanwhile(at, revert)));
        let result = worker(&seed).look().await;
        assert!(matches!(&result, Err(kube::Error::Api(status)) if status.code == 409), "{at}: not noticed");
        assert_eq!(overlay(&seed), json!(true), "{at}");
        assert!(seed.lock().unwrap().meanwhile.is_none(), "{at}: never asked for");
        assert_ne!(seed.lock().unwrap().network["metadata"]["annotations"][SWITCH_STATE], "forced", "{at}");
    }
}

/// gardenlet's own write passes by the approval of a release, just before the leader's: that is reported, once.
#[tokio::test]
async fn a_release_that_gardenlet_carries_is_reported() {
    let seed = Seed::with(Some(Meanwhile(JSON_PATCH, |network| {
        revert(network);
        network["spec"]["providerConfig"]["overlay"]["enabled"] = json!(false);
    })));
    let mut worker = worker(&seed);
    assert!(worker.look().await.is_err(), "somebody wrote in between");
    for _ in 0..2 {
        catch_up(&worker, &seed);
        worker.look().await.unwrap();
    }
    assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchReleased"]);
}

/// The record of a release that did not happen, or was removed by others, is corrected.
#[tokio::test]
async fn the_record_is_corrected() {
    let seed = Seed::with(Some(Meanwhile(JSON_PATCH, |network| network["metadata"]["labels"] = json!({"a": "b"}))));
    let mut worker = worker(&seed);
    assert!(worker.look().await.is_err(), "somebody wrote in between");
    let phase = || seed.lock().unwrap().network["status"]["state"][STATE_MEMBER]["phase"].clone();
    assert_eq!(phase(), "released");
    // The Shoot wakes up, so the switch stays held.
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    for taken in [false, true] {
        if taken {
            seed.lock().unwrap().network["status"]["state"] = Value::Null;
        }
        catch_up(&worker, &seed);
        worker.look().await.unwrap();
        assert_eq!(phase(), "held");
    }
}

/// With its age a hold is reported, and never ended.
#[tokio::test]
async fn an_old_hold_is_reported_once() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    seed.lock().unwrap().cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
    let mut worker = worker(&seed);
    for _ in 0..3 {
        worker.look().await.unwrap();
        catch_up(&worker, &seed);
    }
    assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchHeld", "OverlaySwitchSlow"]);
    assert_eq!(overlay(&seed), json!(true));
    let message = seed.lock().unwrap().network["metadata"]["annotations"][SWITCH_MESSAGE].clone();
    assert!(message.as_str().unwrap().contains("cannot be written: the Seed answers 404"), "{message}");
}

/// A worker writes only to the object that it read.
#[tokio::test]
async fn nothing_is_written_to_another_object() {
    let seed = Seed::with(Some(Meanwhile("/networks/o/status", revert)));
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    let result = worker(&seed).look().await;
    assert!(matches!(&result, Err(kube::Error::Api(status)) if status.code == 409));
    let annotations = seed.lock().unwrap().network["metadata"]["annotations"].clone();
    assert_eq!(annotations, json!({}));
}

/// Clusters may arrive later than the hold that they explain.
#[tokio::test]
async fn a_fresh_hold_outlives_an_old_cluster() {
    let seed = Seed::with(None);
    let native = seed.lock().unwrap().cluster.clone();
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["networking"]["providerConfig"] =
        json!({"overlay": {"enabled": true}});
    let mut worker = worker(&seed);
    seed.lock().unwrap().cluster = native;
    worker.look().await.unwrap();
    assert_eq!(seed.lock().unwrap().network["metadata"]["annotations"][SWITCH_STATE], "pending");
}

/// A revert that only the Cluster shows ends the hold, and leaves nothing behind.
#[tokio::test]
async fn a_revert_leaves_nothing() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["networking"]["providerConfig"] =
        json!({"overlay": {"enabled": true}});
    seed.lock().unwrap().network["status"]["state"] =
        json!({STATE_MEMBER: {"phase": "held", "held": "{}", "requested": "x"}});
    worker(&seed).look().await.unwrap();
    let seed = seed.lock().unwrap();
    assert_eq!(
        (&seed.network["metadata"]["annotations"], &seed.network["status"]["state"]),
        (&json!({}), &Value::Null)
    );
    let deleted = seed.requests.iter().filter(|request| request.starts_with("DELETE")).count();
    assert_eq!(deleted, 3, "{:?}", seed.requests);
}

/// A recorded state is not written again, neither by this replica nor by the next.
#[tokio::test]
async fn nothing_is_written_while_nothing_happens() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    let mut first = worker(&seed);
    first.look().await.unwrap();
    let stored = seed.lock().unwrap().network.clone();
    let record = &stored["status"]["state"][STATE_MEMBER];
    assert_eq!((&record["version"], &record["status"]["waitsFor"]), (&json!(2), &json!("other")));
    assert_eq!(record["status"]["because"], stored["metadata"]["annotations"][SWITCH_MESSAGE], "one text for both");
    let writes = |seed: &Arc<Mutex<Seed>>| {
        let seed = seed.lock().unwrap();
        seed.requests.iter().filter(|request| request.starts_with("PATCH") && request.contains("/networks/")).count()
    };
    assert_eq!(writes(&seed), 2, "the record and the annotations");
    catch_up(&first, &seed);
    first.look().await.unwrap();
    worker(&seed).look().await.unwrap();
    assert_eq!((writes(&seed), &seed.lock().unwrap().network), (2, &stored));
}

/// Members of a record that a later version wrote stay, also when something else has to be written.
#[tokio::test]
async fn a_later_record_is_not_destroyed() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    seed.lock().unwrap().network["status"]["state"] = json!({STATE_MEMBER: {
        "version": 9, "phase": "held", "held": r#"{"overlay":{"enabled":true}}"#, "requested": "x",
        "since": "2026-11-20T10:00:00Z", "latched": ["00000000000000aa"], "tables": [1],
    }});
    worker(&seed).look().await.unwrap();
    let record = seed.lock().unwrap().network["status"]["state"][STATE_MEMBER].clone();
    assert_eq!((&record["tables"], &record["latched"]), (&json!([1]), &json!(["00000000000000aa"])));
    assert_eq!((&record["version"], &record["status"]["waitsFor"]), (&json!(2), &json!("other")));
}

/// A recorded state is reported at once: the next turn does not take it for news.
#[tokio::test]
async fn what_is_recorded_is_reported_though_the_annotations_conflict() {
    let patch = "PATCH /apis/extensions.gardener.cloud/v1alpha1/namespaces/n/networks/o";
    let seed = Seed::with(Some(Meanwhile(patch, |network| network["metadata"]["labels"] = json!({"a": "b"}))));
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    let mut worker = worker(&seed);
    assert!(worker.look().await.is_err(), "somebody wrote in between");
    for _ in 0..2 {
        catch_up(&worker, &seed);
        worker.look().await.unwrap();
    }
    assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchHeld", "OverlaySwitchSlow"]);
}
