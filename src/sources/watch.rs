//! Clusters from an API server: listed once, then watched; objects are cut to our view as they are decoded.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::StreamExt;
use http_body_util::BodyExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::client::{Body, ClientBuilder};
use kube::runtime::{WatchStreamExt, watcher};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::Landscape;
use crate::gardener::ClusterFacts;
use crate::landscape::ClusterRecord;

/// A `Cluster` as we keep it: its name and what can be decided from it. The rest of the object is skipped while it is
/// decoded and never held.
#[derive(Clone, Debug)]
pub struct ClusterObject {
    metadata: ObjectMeta,
    /// Its facts, or why they cannot be used.
    pub record: ClusterRecord,
}

impl<'de> Deserialize<'de> for ClusterObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Wire {
            metadata: WireMetadata,
            spec: Option<Box<RawValue>>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct WireMetadata {
            name: Option<String>,
            resource_version: Option<String>,
        }

        let wire = Wire::deserialize(deserializer)?;
        // A Cluster that cannot be used is kept with its reason: one bad object must not stop the whole list.
        let record = ClusterFacts::parse(wire.spec.as_deref().map_or("{}", RawValue::get));
        let metadata = ObjectMeta {
            name: wire.metadata.name,
            resource_version: wire.metadata.resource_version,
            ..ObjectMeta::default()
        };
        Ok(Self { metadata, record })
    }
}

impl kube::Resource for ClusterObject {
    type DynamicType = ();
    type Scope = k8s_openapi::ClusterResourceScope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        "Cluster".into()
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        "extensions.gardener.cloud".into()
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        "v1alpha1".into()
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        "clusters".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Seconds after which a watch is renewed. Shorter than kube's default of 290 s: a connection that died silently is
/// noticed, and the age of the cache stays meaningful.
const WATCH_SECONDS: u32 = 60;

/// Objects a page where the server has no streaming lists. A page is held as text and decoded whole, so this bounds
/// the memory of the first list: 100 Clusters are about 2 MB.
const PAGE_SIZE: u32 = 100;

/// How long the API server may take until it begins to answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The pause before a new list, when the old watch cannot be continued.
const RELIST_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the landscape's Clusters like the API server's, until the task is dropped. Never gives up: every error is
/// logged and retried with a growing pause, and the last good state stays in use.
pub async fn clusters(config: kube::Config, landscape: Arc<Landscape>) -> Result<(), kube::Error> {
    let client = watched_client(config, &landscape)?;
    let mut strategy = watcher::InitialListStrategy::StreamingList;
    loop {
        let mut settings = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE_SIZE);
        settings.initial_list_strategy = strategy.clone();
        let mut events = pin!(watcher(Api::<ClusterObject>::all(client.clone()), settings).default_backoff());
        let mut listing: Vec<(Arc<str>, ClusterRecord)> = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => apply(event, &landscape, &mut listing),
                Err(error) if is_refused(&error) && strategy == watcher::InitialListStrategy::StreamingList => {
                    tracing::info!("the API server has no streaming lists, listing in pages");
                    strategy = watcher::InitialListStrategy::ListWatch;
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "watching Clusters failed, trying again");
                    if loses_events(&error) {
                        // A new watcher has no growing pause yet, so this is the one that keeps it from a busy loop.
                        tokio::time::sleep(RELIST_PAUSE).await;
                        break;
                    }
                }
            }
        }
    }
}

fn apply(event: watcher::Event<ClusterObject>, landscape: &Landscape, listing: &mut Vec<(Arc<str>, ClusterRecord)>) {
    let name = |object: &ClusterObject| object.metadata.name.clone().unwrap_or_default();
    match event {
        watcher::Event::Init => listing.clear(),
        watcher::Event::InitApply(object) => listing.push((name(&object).into(), object.record)),
        watcher::Event::InitDone => {
            let clusters = std::mem::take(listing);
            tracing::info!(clusters = clusters.len(), "Clusters listed");
            landscape.update(|snapshot| snapshot.replace_clusters(clusters));
            landscape.set_synced();
        }
        watcher::Event::Apply(object) => {
            landscape.update(|snapshot| snapshot.put_cluster(&name(&object), object.record));
        }
        watcher::Event::Delete(object) => landscape.update(|snapshot| snapshot.remove_cluster(&name(&object))),
    }
}

/// Whether the API server does not take the request as it is, which is how one without streaming lists answers.
fn is_refused(error: &watcher::Error) -> bool {
    let (watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return false;
    };
    matches!(status.code, 400 | 422)
}

/// Whether what was watched cannot be continued without a new list. kube's watcher starts anew by itself when a watch
/// breaks off with "410 Gone", but not in two cases: a 410 in answer to the start of a watch, which it would repeat
/// with the same resource version for ever, and an event that it cannot decode, which it would skip.
fn loses_events(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        watcher::Error::WatchFailed(kube::Error::SerdeError(_)) => true,
        _ => false,
    }
}

/// A client that notes every answer and every piece of it, bookmarks included, as a sign of life: the watcher keeps those to
/// itself.
fn watched_client(config: kube::Config, landscape: &Arc<Landscape>) -> Result<kube::Client, kube::Error> {
    Ok(ClientBuilder::try_from(config)?.with_layer(&SignsOfLife(Arc::clone(landscape))).build())
}

struct SignsOfLife(Arc<Landscape>);

struct SignsOfLifeService<S> {
    inner: S,
    landscape: Arc<Landscape>,
}

impl<S> tower::Layer<S> for SignsOfLife {
    type Service = SignsOfLifeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SignsOfLifeService { inner, landscape: Arc::clone(&self.0) }
    }
}

impl<S, B> tower::Service<http::Request<Body>> for SignsOfLifeService<S>
where
    S: tower::Service<http::Request<Body>, Response = http::Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<tower::BoxError>,
    B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    B::Error: Into<tower::BoxError>,
{
    type Response = http::Response<http_body_util::combinators::UnsyncBoxBody<bytes::Bytes, tower::BoxError>>;
    type Error = tower::BoxError;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, tower::BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), tower::BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let landscape = Arc::clone(&self.landscape);
        let response = self.inner.call(request);
        Box::pin(async move {
            // kube bounds the silence of a stream, not that before it: without this a request that is never answered
            // would be the last one.
            let response = tokio::time::timeout(ANSWER_DEADLINE, response)
                .await
                .map_err(|_| tower::BoxError::from("the API server did not answer in time"))?
                .map_err(Into::into)?;
            let is_success = response.status().is_success();
            if is_success {
                landscape.sign();
            }
            Ok(response.map(|body| {
                body.map_frame(move |frame| {
                    // "Forbidden" once a minute is no sign of life of the watch.
                    if is_success {
                        landscape.sign();
                    }
                    frame
                })
                .map_err(Into::into)
                .boxed_unsync()
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use kube::api::WatchEvent;
    use kube::core::ObjectList;
    use serde_json::{Value, json};

    use super::*;

    fn cluster(name: &str, nodes: &Value) -> Value {
        json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1",
            "kind": "Cluster",
            "metadata": {"name": name, "resourceVersion": "7", "managedFields": [{"manager": "gardenlet"}]},
            "spec": {
                "cloudProfile": {},
                "seed": {"spec": {"networks": {"pods": "10.0.0.0/8"}}},
                "shoot": {"spec": {"networking": {"nodes": nodes}}},
            },
        })
    }

    /// kube reads lists and events through its own types; ours has raw JSON inside, which not every wrapper supports.
    #[test]
    fn is_read_from_lists_and_events() {
        let list = json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1",
            "kind": "ClusterList",
            "metadata": {"resourceVersion": "9"},
            "items": [cluster("a", &json!("10.250.0.0/16")), cluster("b", &json!(5)), {"metadata": {"name": "c"}}],
        });
        let list: ObjectList<ClusterObject> = serde_json::from_str(&list.to_string()).unwrap();
        let good: Vec<bool> = list.items.iter().map(|object| object.record.is_ok()).collect();
        assert_eq!(good, [true, false, false], "a bad object keeps its place and its reason");

        let event = format!(r#"{{"type":"ADDED","object":{}}}"#, cluster("a", &json!("10.250.0.0/16")));
        let WatchEvent::Added(object) = serde_json::from_str::<WatchEvent<ClusterObject>>(&event).unwrap() else {
            panic!("not an addition");
        };
        assert_eq!(object.metadata.resource_version.as_deref(), Some("7"));
        assert!(object.metadata.managed_fields.is_none());
    }

    #[test]
    fn a_list_replaces_all_at_once() {
        let landscape = Landscape::default();
        let object = |name: &str| -> ClusterObject {
            serde_json::from_str(&cluster(name, &json!("10.250.0.0/16")).to_string()).unwrap()
        };
        let mut listing = Vec::new();
        let mut send = |event| apply(event, &landscape, &mut listing);
        send(watcher::Event::Init);
        send(watcher::Event::InitApply(object("a")));
        assert!(!landscape.is_synced() && landscape.snapshot().cluster_count() == 0, "half a list is not published");
        send(watcher::Event::InitDone);
        assert!(landscape.is_synced() && landscape.snapshot().cluster("a").is_some());
        send(watcher::Event::Apply(object("b")));
        send(watcher::Event::Delete(object("a")));
        assert!(landscape.snapshot().cluster("a").is_none() && landscape.snapshot().cluster("b").is_some());
        send(watcher::Event::Init);
        send(watcher::Event::InitApply(object("c")));
        send(watcher::Event::Init);
        assert_eq!(landscape.snapshot().cluster_count(), 1, "a list that breaks off changes nothing");
        send(watcher::Event::InitApply(object("d")));
        send(watcher::Event::InitDone);
        assert!(landscape.snapshot().cluster("d").is_some() && landscape.snapshot().cluster_count() == 1);
    }
}
