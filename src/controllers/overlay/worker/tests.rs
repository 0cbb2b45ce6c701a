//! What a worker writes while others write too. The API server is a service in this process that keeps one Network and
//! its versions as a real one does; end-to-end tests have real ones, but cannot stop between two requests.

use std::sync::Mutex;

use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::runtime::events::{Recorder, Reporter};
use tokio::sync::Semaphore;

use super::*;
use crate::controllers::overlay::{Board, OverlaySettings};
use crate::sources::Landscape;
use crate::sources::objects::Watched as _;
use crate::sources::supervise::Supervisor;

/// What happens besides, when a request comes whose method and path contain this.
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

/// gardenlet writes a Shoot that took its wish back, and the webhook clears the hold.
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
    let (landscape, switches) = (Arc::new(Landscape::new(1)), Arc::new(Landscape::new(1)));
    let network = seed.lock().unwrap().network.clone();
    let cluster = seed.lock().unwrap().cluster.clone();
    let network: NetworkObject = serde_json::from_value(network).unwrap();
    switches.feed(0).update(|snapshot| NetworkObject::put(snapshot, network.into_item()));
    landscape.feed(0).update(|snapshot| {
        snapshot.put_cluster("n", crate::gardener::ClusterFacts::parse(&cluster["spec"].to_string()));
    });
    let board = Arc::new(Board::new(Arc::clone(&switches)));
    let reading = Semaphore::new(1);
    let context = Arc::new(Context {
        client,
        landscape,
        switches,
        reading,
        large: Arc::new(Semaphore::new(1)),
        settings,
        board,
        tasks: Supervisor::default(),
        recorder,
    });
    Worker::new(context, NetworkName { namespace: "n".into(), name: "o".into() })
}

/// The watches bring what is stored by now.
fn catch_up(worker: &Worker, seed: &Arc<Mutex<Seed>>) {
    let (network, cluster) = {
        let seed = seed.lock().unwrap();
        (seed.network.clone(), seed.cluster.clone())
    };
    let network: NetworkObject = serde_json::from_value(network).unwrap();
    worker.context.switches.feed(0).update(|snapshot| NetworkObject::put(snapshot, network.into_item()));
    worker.context.landscape.feed(0).update(|snapshot| {
        snapshot.put_cluster("n", crate::gardener::ClusterFacts::parse(&cluster["spec"].to_string()));
    });
}

fn overlay(seed: &Arc<Mutex<Seed>>) -> Value {
    seed.lock().unwrap().network["spec"]["providerConfig"]["overlay"]["enabled"].clone()
}

#[tokio::test]
async fn a_release_is_written_and_remembered() {
    let seed = Seed::with(None);
    worker(&seed).turn().await.unwrap();
    assert_eq!(overlay(&seed), json!(false));
    let seed = seed.lock().unwrap();
    assert_eq!(seed.network["metadata"]["annotations"][OPERATION], "reconcile");
    assert_eq!(seed.network["status"]["state"][STATE_MEMBER]["phase"], "released");
}

/// A writer between any two requests of the leader wins.
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
        let result = worker(&seed).turn().await;
        assert!(matches!(&result, Err(kube::Error::Api(status)) if status.code == 409), "{at}: not noticed");
        assert_eq!(overlay(&seed), json!(true), "{at}");
        assert!(seed.lock().unwrap().meanwhile.is_none(), "{at}: never asked for");
        assert_ne!(seed.lock().unwrap().network["metadata"]["annotations"][SWITCH_STATE], "forced", "{at}");
    }
}

/// What was remembered of a release that did not happen, or was taken away by others, is put right.
#[tokio::test]
async fn the_record_is_put_right() {
    let seed = Seed::with(Some(Meanwhile(JSON_PATCH, |network| network["metadata"]["labels"] = json!({"a": "b"}))));
    let mut worker = worker(&seed);
    assert!(worker.turn().await.is_err(), "somebody wrote in between");
    let phase = || seed.lock().unwrap().network["status"]["state"][STATE_MEMBER]["phase"].clone();
    assert_eq!(phase(), "released");
    // It wakes up, so it is held on.
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    for taken in [false, true] {
        if taken {
            seed.lock().unwrap().network["status"]["state"] = Value::Null;
        }
        catch_up(&worker, &seed);
        worker.turn().await.unwrap();
        assert_eq!(phase(), "held");
    }
}

/// Time alone makes a hold louder, and never ends it.
#[tokio::test]
async fn an_old_hold_is_reported_once() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    seed.lock().unwrap().cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
    let mut worker = worker(&seed);
    for _ in 0..3 {
        worker.turn().await.unwrap();
        catch_up(&worker, &seed);
    }
    assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchHeld", "OverlaySwitchSlow"]);
    assert_eq!(overlay(&seed), json!(true));
    let message = seed.lock().unwrap().network["metadata"]["annotations"][SWITCH_MESSAGE].clone();
    assert!(message.as_str().unwrap().contains("cannot be written: the Seed answers 404"), "{message}");
}

/// What a worker says is about the object that it looked at.
#[tokio::test]
async fn a_word_never_lands_on_another_object() {
    let seed = Seed::with(Some(Meanwhile("/networks/o/status", revert)));
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    let result = worker(&seed).turn().await;
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
    worker.turn().await.unwrap();
    assert_eq!(seed.lock().unwrap().network["metadata"]["annotations"][SWITCH_STATE], "pending");
}

/// A revert that only the Cluster shows ends the hold, and leaves nothing.
#[tokio::test]
async fn a_revert_leaves_nothing() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["networking"]["providerConfig"] =
        json!({"overlay": {"enabled": true}});
    seed.lock().unwrap().network["status"]["state"] =
        json!({STATE_MEMBER: {"phase": "held", "held": "{}", "requested": "x"}});
    worker(&seed).turn().await.unwrap();
    let seed = seed.lock().unwrap();
    assert_eq!(
        (&seed.network["metadata"]["annotations"], &seed.network["status"]["state"]),
        (&json!({}), &Value::Null)
    );
    let deleted = seed.requests.iter().filter(|request| request.starts_with("DELETE")).count();
    assert_eq!(deleted, 3, "{:?}", seed.requests);
}

/// How long Calico's Pods are seen through a switch depends on how many nodes there are, also where these cannot be listed
/// any more; and it ends.
#[tokio::test]
async fn large_shoots_are_seen_through_for_longer() {
    for (minutes, nodes, is_forgotten) in [(59, 0, false), (61, 0, true), (61, 31, false), (63, 31, true)] {
        let seed = Seed::with(None);
        {
            let mut seed = seed.lock().unwrap();
            revert(&mut seed.network);
            seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
            seed.cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
            seed.cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
            let latched: Vec<String> = (0..nodes).map(|i| format!("{i:016x}")).collect();
            let released = seconds(Timestamp::now() - SignedDuration::from_mins(minutes));
            seed.network["status"]["state"] = json!({STATE_MEMBER: {
                "phase": "released", "held": "{}", "requested": "x", "since": "2026-11-20T10:00:00Z",
                "released": released, "latched": latched,
            }});
            seed.network["status"]["lastOperation"] = json!({"state": "Succeeded", "lastUpdateTime": released});
        }
        worker(&seed).turn().await.unwrap();
        let state = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(state.is_null(), is_forgotten, "{minutes} minutes, {nodes} nodes: {state}");
    }
}

/// An extension that fails for hours replaces Calico's Pods after that. So the time counts from when it says that it did,
/// and as long as it says nothing the switch is not forgotten.
#[tokio::test]
async fn pods_are_seen_through_when_the_extension_is_late() {
    let hours = |hours: i64| seconds(Timestamp::now() - SignedDuration::from_hours(hours));
    for (what, state, operated, is_forgotten) in [
        ("succeeded just now", "Succeeded", hours(0), false),
        ("succeeded long ago", "Succeeded", hours(2), true),
        ("at work", "Processing", hours(0), false),
        ("fails", "Error", hours(2), false),
        ("nothing since", "Succeeded", hours(4), false),
    ] {
        let seed = released(&json!({"state": state, "description": "x"}));
        {
            let mut seed = seed.lock().unwrap();
            seed.cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
            seed.cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
            seed.network["status"]["lastOperation"]["lastUpdateTime"] = json!(operated);
            seed.network["status"]["state"][STATE_MEMBER]["released"] = json!(hours(3));
        }
        worker(&seed).turn().await.unwrap();
        let state = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(state.is_null(), is_forgotten, "{what}: {state}");
    }
}

/// What is known already is not written again, neither by this replica nor by the next.
#[tokio::test]
async fn nothing_is_written_while_nothing_happens() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    let mut first = worker(&seed);
    first.turn().await.unwrap();
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
    first.turn().await.unwrap();
    worker(&seed).turn().await.unwrap();
    assert_eq!((writes(&seed), &seed.lock().unwrap().network), (2, &stored));
}

/// Members of a record that a later version wrote stay, also where something else has to be written.
#[tokio::test]
async fn a_later_record_is_not_destroyed() {
    let seed = Seed::with(None);
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    seed.lock().unwrap().network["status"]["state"] = json!({STATE_MEMBER: {
        "version": 9, "phase": "held", "held": r#"{"overlay":{"enabled":true}}"#, "requested": "x",
        "since": "2026-11-20T10:00:00Z", "latched": ["00000000000000aa"], "tables": [1],
    }});
    worker(&seed).turn().await.unwrap();
    let record = seed.lock().unwrap().network["status"]["state"][STATE_MEMBER].clone();
    assert_eq!((&record["tables"], &record["latched"]), (&json!([1]), &json!(["00000000000000aa"])));
    assert_eq!((&record["version"], &record["status"]["waitsFor"]), (&json!(2), &json!("other")));
}

/// A Network whose switch was let through in the moment in which the extension says this.
fn released(operation: &Value) -> Arc<Mutex<Seed>> {
    let seed = Seed::with(None);
    {
        let mut seed = seed.lock().unwrap();
        let written = Timestamp::now();
        revert(&mut seed.network);
        seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
        seed.network["status"] = json!({"lastOperation": operation, "state": {STATE_MEMBER: {
            "version": 2, "phase": "released", "held": "{}", "requested": "x", "since": "2026-11-20T10:00:00Z",
            "released": seconds(written), "latched": [], "status": {"routes": {"notReady": 1, "notReadyNodes": ["d"]}},
        }}});
        seed.network["status"]["lastOperation"]["lastUpdateTime"] = json!(seconds(written));
    }
    seed
}

/// An extension that fails is told of once, and remembered until it succeeds.
#[tokio::test]
async fn a_failure_after_a_release_is_reported_until_it_is_over() {
    let seed = released(&json!({"state": "Error", "description": "waiting for routes"}));
    let mut worker = worker(&seed);
    for _ in 0..3 {
        worker.turn().await.unwrap();
        catch_up(&worker, &seed);
    }
    assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchFailed"]);
    assert_eq!(seed.lock().unwrap().network["status"]["state"][STATE_MEMBER]["phase"], "released");
    seed.lock().unwrap().network["status"]["lastOperation"]["state"] = json!("Succeeded");
    catch_up(&worker, &seed);
    worker.turn().await.unwrap();
    assert_eq!(seed.lock().unwrap().network["status"]["state"], Value::Null);
}

/// Where nothing else is to be watched, the answer of the extension is waited for.
#[tokio::test]
async fn a_release_is_watched_until_the_extension_answers() {
    let seed = released(&json!({"state": "Processing"}));
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    seed.lock().unwrap().cluster["spec"]["shoot"]["status"]["hibernated"] = json!(false);
    let settings = OverlaySettings { guards_rollout: false, ..OverlaySettings::default() };
    let mut worker = worker_with(&seed, settings);
    for (state, is_watched) in [("Processing", true), ("Error", true), ("Processing", true), ("Succeeded", false)] {
        seed.lock().unwrap().network["status"]["lastOperation"]["state"] = json!(state);
        catch_up(&worker, &seed);
        worker.turn().await.unwrap();
        let record = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(!record.is_null(), is_watched, "{state}: {record}");
    }
}

/// What passed at once, before anything was remembered of it, is seen through like any other switch.
#[tokio::test]
async fn what_passed_at_once_is_remembered_by_its_trace() {
    for (word, event) in [("forced", "OverlaySwitchForced"), ("hibernated", "OverlaySwitchReleased")] {
        let seed = Seed::with(None);
        {
            let mut seed = seed.lock().unwrap();
            revert(&mut seed.network);
            seed.network["metadata"]["annotations"][SWITCH_PASSED] = json!(word);
            seed.network["spec"]["providerConfig"] = json!({"overlay": {"enabled": false}});
            seed.network["status"]["lastOperation"]["state"] = json!("Processing");
        }
        let mut worker = worker(&seed);
        worker.turn().await.unwrap();
        {
            let seed = seed.lock().unwrap();
            let record = &seed.network["status"]["state"][STATE_MEMBER];
            assert_eq!((&record["phase"], &record["status"]["because"]), (&json!("released"), &json!(word)));
            assert_eq!(seed.network["metadata"]["annotations"], json!({}), "the trace is taken away");
            assert_eq!(seed.events, [event]);
        }
        // The Shoot sleeps, so there is nothing to guard; the extension is waited for all the same.
        let now = seconds(Timestamp::now());
        for (state, is_watched) in [("Processing", true), ("Error", true), ("Succeeded", false)] {
            seed.lock().unwrap().network["status"]["lastOperation"] = json!({"state": state, "lastUpdateTime": now});
            catch_up(&worker, &seed);
            worker.turn().await.unwrap();
            let record = seed.lock().unwrap().network["status"]["state"].clone();
            assert_eq!(!record.is_null(), is_watched, "{word}, {state}: {record}");
        }
        assert_eq!(seed.lock().unwrap().events, [event, "OverlaySwitchFailed"]);
    }
}

/// A Cluster that cannot be read for a moment ends nothing.
#[tokio::test]
async fn pods_are_seen_through_without_a_cluster() {
    for (shoot, is_forgotten) in [(json!(5), false), (cluster()["spec"]["shoot"].clone(), true)] {
        let seed = released(&json!({"state": "Succeeded"}));
        seed.lock().unwrap().cluster["spec"]["shoot"] = shoot.clone();
        worker(&seed).turn().await.unwrap();
        let state = seed.lock().unwrap().network["status"]["state"].clone();
        assert_eq!(state.is_null(), is_forgotten, "{shoot}: {state}");
    }
}

/// What is remembered is reported at once: the next turn does not take it for news.
#[tokio::test]
async fn what_is_remembered_is_reported_though_the_annotations_conflict() {
    let patch = "PATCH /apis/extensions.gardener.cloud/v1alpha1/namespaces/n/networks/o";
    let seed = Seed::with(Some(Meanwhile(patch, |network| network["metadata"]["labels"] = json!({"a": "b"}))));
    seed.lock().unwrap().cluster["spec"]["shoot"]["spec"]["hibernation"] = json!({"enabled": false});
    let mut worker = worker(&seed);
    assert!(worker.turn().await.is_err(), "somebody wrote in between");
    for _ in 0..2 {
        catch_up(&worker, &seed);
        worker.turn().await.unwrap();
    }
    assert_eq!(seed.lock().unwrap().events, ["OverlaySwitchHeld", "OverlaySwitchSlow"]);
}
