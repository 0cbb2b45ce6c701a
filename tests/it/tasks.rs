//! Panics in the background: what was published stays in use and grows old, and the task is restarted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use network_guard_core::landscape::Snapshot;
use network_guard_runtime::metrics::{Collector as _, Metrics};
use network_guard_runtime::supervise::Supervisor;
use network_guard_sources::objects::{ClusterObject, Watched};
use network_guard_sources::{LandscapeCache, watch};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

/// How often Clusters of this name have panicked when they were put into a snapshot, and whether they go on.
static PANICS: AtomicUsize = AtomicUsize::new(0);
static IS_PLANTED: AtomicBool = AtomicBool::new(true);

/// A Cluster with a bug.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
struct Buggy(ClusterObject);

impl kube::Resource for Buggy {
    type DynamicType = ();
    type Scope = k8s_openapi::ClusterResourceScope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        ClusterObject::kind(&())
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        ClusterObject::group(&())
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        ClusterObject::version(&())
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        ClusterObject::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.meta()
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.meta_mut()
    }
}

impl Watched for Buggy {
    type Item = <ClusterObject as Watched>::Item;

    fn into_item(self) -> Self::Item {
        self.0.into_item()
    }

    fn put(snapshot: &mut Snapshot, item: Self::Item) {
        plant(&item.0);
        ClusterObject::put(snapshot, item);
    }

    fn remove(snapshot: &mut Snapshot, item: Self::Item) {
        ClusterObject::remove(snapshot, item);
    }

    fn take(snapshot: &mut Snapshot, listed: Snapshot) {
        ClusterObject::take(snapshot, listed);
    }
}

fn plant(name: &str) {
    if name == "bad" && IS_PLANTED.load(Ordering::SeqCst) {
        PANICS.fetch_add(1, Ordering::SeqCst);
        panic!("a planted bug");
    }
}

fn cluster(name: &str) -> Value {
    json!({"metadata": {"name": name, "resourceVersion": "5"}, "spec": {"shoot": {"spec": {}}}})
}

/// A streaming list of one Cluster, then the event of a bad one, then one that is good, and heartbeats for ever; the same
/// again for callers that retry.
async fn events() -> Body {
    let event = |kind: &str, object: &Value| format!(r#"{{"type":"{kind}","object":{object}}}"#) + "\n";
    let end = json!({"apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Cluster", "metadata": {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}});
    let lines = event("ADDED", &cluster("old")) + &event("BOOKMARK", &end);
    let later = event("ADDED", &cluster("bad")) + &event("ADDED", &cluster("new"));
    let alive = json!({"apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Cluster", "metadata": {"resourceVersion": "10"}});
    let alive = futures::stream::unfold(event("BOOKMARK", &alive), async |alive| {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Some((Ok::<_, std::io::Error>(alive.clone()), alive))
    });
    let lines = futures::stream::iter([Ok(lines), Ok(later)]);
    Body::from_stream(futures::StreamExt::chain(lines, alive))
}

#[tokio::test]
async fn a_watch_that_panics_is_begun_anew() {
    let routes = Router::new().route("/apis/extensions.gardener.cloud/v1alpha1/clusters", get(events));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let tasks = Supervisor::default();
    let metrics = Metrics::new(&tasks);
    let landscape = Arc::new(LandscapeCache::new(1).stale_after(Duration::from_millis(500)));
    tokio::spawn({
        let (config, feed) = (kube::Config::new(url.parse().unwrap()), landscape.feed(0));
        async move {
            let watch = || watch::follow::<Buggy>(config.clone(), feed.clone());
            metrics.tasks().run("watch-clusters", watch).await
        }
    });
    let until = async |what: &str, condition: &dyn Fn(&LandscapeCache) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(90);
        while !condition(&landscape) {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    until("it is read", &|landscape| landscape.is_synced()).await;
    // It panics, again and again. All the time there is what was known before, and it grows old as long as nothing is known
    // again.
    until("it panics", &|_| PANICS.load(Ordering::SeqCst) > 1).await;
    until("it grows old", &|landscape| landscape.is_stale()).await;
    assert!(landscape.snapshot().cluster("old").is_some(), "what was published stays in use");
    IS_PLANTED.store(false, Ordering::SeqCst);
    let started = Instant::now();
    let is_back = |landscape: &LandscapeCache| landscape.snapshot().cluster("new").is_some() && !landscape.is_stale();
    until("the watch is back, and young", &is_back).await;
    assert!(landscape.snapshot().cluster("bad").is_some());
    let panics = PANICS.load(Ordering::SeqCst);
    println!("figure: watch task, back {:?} after its bug was gone ({panics} panics)", started.elapsed());
    let mut registry = prometheus_client::registry::Registry::default();
    tasks.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains(&format!(r#"task_panics_total{{task="watch-clusters"}} {panics}"#)), "{text}");
}
