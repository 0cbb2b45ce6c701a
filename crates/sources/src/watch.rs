//! Objects of an API server: listed once, then watched; each is reduced while it is decoded.

use std::io::BufRead as _;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::StreamExt;
use http_body::Frame;
use http_body_util::BodyExt;
use kube::Api;
use kube::client::{Body, ClientBuilder};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::Instant;

use super::Feed;
use super::objects::Watched;
use network_guard_core::landscape::Snapshot;
use network_guard_runtime::backoff::Backoff;
use network_guard_runtime::clock::Listening;

/// Seconds after which a watch is renewed. Shorter than kube's default of 290 s: a connection that died silently is
/// noticed, and the age of the cache stays meaningful.
const WATCH_SECONDS: u32 = 60;

/// A watch that lasted this long ended regularly. An API server ends each watch at its time, and need not send a
/// bookmark before that.
const FULL_WATCH: Duration = Duration::from_secs(WATCH_SECONDS as u64 - 5);

/// Objects per page where the server has no streaming lists. A page is held as text and decoded whole, so this bounds
/// the memory of the first list: 100 Clusters are about 2 MB.
const PAGE_SIZE: u32 = 100;

/// How long the API server may take to begin its answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The pause after the first failure. The longest pause is how long a replica stays not ready after its API server came
/// back.
const PAUSE: Duration = Duration::from_millis(500);

/// The pause before a new list, when the old watch cannot be continued.
const RELIST_PAUSE: Duration = Duration::from_secs(1);

/// The least time between the starts of two watches: a watch that ends regularly, but at once, is no error, so kube's
/// watcher would start the next one without any pause.
const WATCH_PAUSE: Duration = Duration::from_millis(500);

/// Keeps the landscape's objects of one kind equal to the API server's, until the task is dropped. Never gives up:
/// every error is logged and retried with a growing pause, and the last valid state stays in use.
pub async fn follow<T: Watched>(config: kube::Config, feed: Feed) -> Result<(), kube::Error> {
    let kind = T::kind(&());
    let client = watched_client(config, &feed)?;
    let mut strategy = watcher::InitialListStrategy::StreamingList;
    loop {
        // For the first time, or after something was lost.
        feed.mark_stale();
        let mut settings = watcher::Config::default().timeout(WATCH_SECONDS).page_size(PAGE_SIZE);
        settings.initial_list_strategy = strategy.clone();
        let pauses = Backoff::new(PAUSE, T::LONGEST_PAUSE);
        let mut events = pin!(watcher(Api::<T>::all(client.clone()), T::choose(settings)).backoff(pauses));
        let mut listing = Listing::default();
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => apply::<T>(event, &feed, &mut listing),
                Err(error) if is_refused(&error) && strategy == watcher::InitialListStrategy::StreamingList => {
                    tracing::info!(%kind, "the API server has no streaming lists, listing in pages");
                    strategy = watcher::InitialListStrategy::ListWatch;
                    break;
                }
                Err(error) => {
                    tracing::warn!(%kind, %error, "a watch failed, trying again");
                    if loses_events(&error) {
                        // A new watcher has no growing pause yet, so this one keeps it from a busy loop.
                        tokio::time::sleep(RELIST_PAUSE).await;
                        break;
                    }
                }
            }
        }
    }
}

/// A list that is not complete yet. What is kept of its objects goes to where it stays, so nothing is held twice, and the
/// complete list is published at once.
#[derive(Default)]
struct Listing {
    listed: Snapshot,
    objects: usize,
}

fn apply<T: Watched>(event: watcher::Event<T>, feed: &Feed, listing: &mut Listing) {
    match event {
        watcher::Event::Init => {
            feed.mark_stale();
            *listing = Listing { listed: feed.landscape.snapshot().emptied(), objects: 0 };
        }
        watcher::Event::InitApply(object) => {
            T::put(&mut listing.listed, object.into_item());
            listing.objects += 1;
        }
        watcher::Event::InitDone => {
            let Listing { listed, objects } = std::mem::take(listing);
            tracing::info!(kind = %T::kind(&()), objects, "listed");
            feed.update(|snapshot| T::take(snapshot, listed));
            feed.set_synced();
        }
        watcher::Event::Apply(object) => feed.update(|snapshot| T::put(snapshot, object.into_item())),
        watcher::Event::Delete(object) => feed.update(|snapshot| T::remove(snapshot, object.into_item())),
    }
}

/// Whether the API server rejects the request as it is, which is the answer of one without streaming lists.
fn is_refused(error: &watcher::Error) -> bool {
    let (watcher::Error::WatchStartFailed(kube::Error::Api(status))
    | watcher::Error::WatchFailed(kube::Error::Api(status))
    | watcher::Error::WatchError(status)) = error
    else {
        return false;
    };
    matches!(status.code, 400 | 422)
}

/// Whether the watch cannot be continued without a new list. kube's watcher lists again by itself when a watch ends
/// with "410 Gone", but not in two cases: a 410 in answer to the start of a watch, which it would repeat with the same
/// resource version forever, and an event that it cannot decode, which it would skip. That one looks like an answer of
/// the API server where it is JSON: every field of a `Status` may be missing.
fn loses_events(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 410,
        watcher::Error::WatchFailed(kube::Error::SerdeError(_) | kube::Error::Api(_)) => true,
        _ => false,
    }
}

/// A client that counts every event, bookmarks included, and every watch that lasted its full time, as a heartbeat:
/// kube's watcher does not pass these on.
fn watched_client(config: kube::Config, feed: &Feed) -> Result<kube::Client, kube::Error> {
    let listening = Listening(Arc::clone(feed.landscape.clock()));
    Ok(ClientBuilder::try_from(config)?.with_layer(&SignsOfLife(feed.clone())).with_layer(&listening).build())
}

struct SignsOfLife(Feed);

struct SignsOfLifeService<S> {
    inner: S,
    feed: Feed,
    /// When the next watch may start.
    next: Instant,
}

impl<S> tower::Layer<S> for SignsOfLife {
    type Service = SignsOfLifeService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SignsOfLifeService { inner, feed: self.0.clone(), next: Instant::now() }
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
        let feed = self.feed.clone();
        let mut begin = Instant::now();
        if request.uri().query().is_some_and(|query| query.contains("watch=true")) {
            begin = begin.max(self.next);
            self.next = begin + WATCH_PAUSE;
        }
        let response = self.inner.call(request);
        Box::pin(async move {
            // Nothing is sent before the response is polled.
            tokio::time::sleep_until(begin).await;
            // kube limits the silence of a stream, not that before it: without this, a request that is never answered
            // would be the last one.
            let response = tokio::time::timeout(ANSWER_DEADLINE, response)
                .await
                .map_err(|_| tower::BoxError::from("the API server did not answer in time"))?
                .map_err(Into::into)?;
            let started = Instant::now();
            Ok(response.map(|body| {
                Listened { body: Box::pin(body), feed, events: Events::default(), started }
                    .map_err(Into::into)
                    .boxed_unsync()
            }))
        })
    }
}

/// A body that records heartbeats while it is read.
struct Listened<B> {
    body: Pin<Box<B>>,
    feed: Feed,
    events: Events,
    started: Instant,
}

impl<B: http_body::Body<Data = bytes::Bytes>> http_body::Body for Listened<B> {
    type Data = bytes::Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<bytes::Bytes>, B::Error>>> {
        let this = self.get_mut();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        let is_alive = match &frame {
            Some(Ok(frame)) => frame.data_ref().is_some_and(|data| this.events.ends_in(data)),
            Some(Err(_)) => false,
            // The server ended the watch when its time was up, without any event until then.
            None => this.started.elapsed() > FULL_WATCH,
        };
        if is_alive {
            this.feed.heartbeat();
        }
        Poll::Ready(frame)
    }
}

/// Finds the ends of events in the bytes of an API server. Nothing less shows that a watch is alive: a server in
/// trouble may begin each answer and never reach its first event.
#[derive(Default)]
struct Events {
    /// The beginning of the current line.
    head: Vec<u8>,
}

/// How an event begins; servers write the type first.
const EVENT: &[u8] = br#"{"type":""#;

/// How an error event begins.
const ERROR: &[u8] = br#"{"type":"ERROR""#;

impl Events {
    /// Whether an event ends in these bytes, which continue the previous ones.
    fn ends_in(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while !bytes.is_empty() {
            let mut rest = bytes;
            // All bytes of all lists come by here. The library looks at many of them at a time, and a slice never fails.
            let length = rest.skip_until(b'\n').unwrap_or(bytes.len());
            let (line, is_over) = match bytes[..length].strip_suffix(b"\n") {
                Some(line) => (line, true),
                None => (bytes, false),
            };
            self.head.extend_from_slice(&line[..line.len().min(ERROR.len() - self.head.len())]);
            if is_over {
                found |= self.head.starts_with(EVENT) && self.head != ERROR;
                self.head.clear();
            }
            bytes = &bytes[length..];
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::LandscapeCache;
    use super::super::objects::ClusterObject;
    use super::*;

    #[test]
    fn a_list_replaces_all_at_once() {
        let landscape = Arc::new(LandscapeCache::new(1));
        let feed = landscape.feed(0);
        let object = |name: &str| -> ClusterObject {
            let spec = json!({"shoot": {"spec": {"networking": {"nodes": "10.250.0.0/16"}}}});
            serde_json::from_str(&json!({"metadata": {"name": name}, "spec": spec}).to_string()).unwrap()
        };
        let mut listing = Listing::default();
        let mut send = |event| apply(event, &feed, &mut listing);
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
    #[test]
    fn an_event_is_found_wherever_it_is_cut() {
        let added = r#"{"type":"ADDED","object":{"a":"b"}}"#.to_owned() + "\n";
        let bookmark = added.replace("ADDED", "BOOKMARK");
        let error = added.replace("ADDED", "ERROR");
        for (name, text, want) in [
            ("an event", added.clone(), true),
            ("a bookmark", bookmark.clone(), true),
            ("an error", error.clone(), false),
            ("an error, then a bookmark", error.clone() + &bookmark, true),
            ("an event, then an error", added.clone() + &error, true),
            ("half an event", added[..added.len() - 1].to_owned(), false),
            ("no event", "garbage\n\n{}\n".to_owned(), false),
            ("a list", r#"{"kind":"List","items":[]}"#.to_owned() + "\n", false),
            ("nothing", String::new(), false),
        ] {
            for cut in 0..=text.len() {
                let mut events = Events::default();
                let (one, other) = text.as_bytes().split_at(cut);
                assert_eq!(events.ends_in(one) | events.ends_in(other), want, "{name}, cut at {cut}");
            }
        }
    }
}
