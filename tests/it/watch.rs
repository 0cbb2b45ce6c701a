//! Watching Clusters when the API server misbehaves: the landscape ends up like the truth, and half a list is never
//! published. A real API server cannot be made to answer like this on demand, so here is one that follows a script.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use network_guard_sources::objects::ClusterObject;
use network_guard_sources::{LandscapeCache, watch};
use serde_json::{Value, json};

/// One answer of the script: which kind of request it is for, and what is sent.
enum Act {
    /// To a streaming list.
    Stream(StatusCode, Vec<Value>),
    /// To a list, with the token of the next page.
    List(StatusCode, Vec<Value>, &'static str),
    /// To a watch; raw lines, after which the connection is cut.
    Watch(StatusCode, String),
}

#[derive(Clone)]
struct Script {
    acts: Arc<Mutex<std::collections::VecDeque<Act>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

fn cluster(name: &str) -> Value {
    json!({
        "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Cluster",
        "metadata": {"name": name, "resourceVersion": "5"},
        "spec": {"shoot": {"spec": {"networking": {"nodes": "10.250.0.0/16"}}}, "cloudProfile": {}},
    })
}

fn status(code: u16, reason: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": reason, "metadata": {}})
}

/// The type comes first, as in every Go server.
fn event(kind: &str, object: &Value) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#) + "\n"
}

fn bookmark(initial: bool) -> Value {
    let annotations = if initial { json!({"k8s.io/initial-events-end": "true"}) } else { json!({}) };
    json!({"apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "Cluster",
        "metadata": {"resourceVersion": "9", "annotations": annotations}})
}

async fn answer(State(script): State<Script>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let kind = match (query.contains("sendInitialEvents=true"), query.contains("watch=")) {
        (true, _) => "stream",
        (false, true) => "watch",
        _ => "list",
    };
    script.seen.lock().unwrap().push(kind.to_owned());
    let act = {
        let mut acts = script.acts.lock().unwrap();
        let fits = matches!(
            (acts.front(), kind),
            (Some(Act::Stream(..)), "stream") | (Some(Act::List(..)), "list") | (Some(Act::Watch(..)), "watch")
        );
        if fits { acts.pop_front() } else { None }
    };
    match act {
        Some(Act::Stream(StatusCode::OK, events)) => {
            let lines: String = events
                .iter()
                .map(|object| event("ADDED", object))
                .chain([event("BOOKMARK", &bookmark(true))])
                .collect();
            // Stays open, as a watch does.
            let rest = futures::stream::once(async move { Ok::<_, std::io::Error>(lines) });
            let rest = futures::StreamExt::chain(rest, futures::stream::pending());
            Body::from_stream(rest).into_response()
        }
        Some(Act::Stream(code, _)) => (code, status(code.as_u16(), "Invalid").to_string()).into_response(),
        Some(Act::List(StatusCode::OK, items, next)) => json!({
            "apiVersion": "extensions.gardener.cloud/v1alpha1", "kind": "ClusterList",
            "metadata": {"resourceVersion": "7", "continue": next}, "items": items,
        })
        .to_string()
        .into_response(),
        Some(Act::List(code, ..)) => (code, status(code.as_u16(), "Expired").to_string()).into_response(),
        Some(Act::Watch(StatusCode::OK, lines)) => lines.into_response(),
        Some(Act::Watch(code, _)) => (code, status(code.as_u16(), "TooManyRequests").to_string()).into_response(),
        // Off the script: a watch on which nothing happens, or a passing trouble.
        None if kind == "watch" => {
            Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>()).into_response()
        }
        None => (StatusCode::INTERNAL_SERVER_ERROR, status(500, "off the script").to_string()).into_response(),
    }
}

/// Plays a script until the landscape has exactly these Clusters and the script is at its end.
async fn play(name: &str, acts: Vec<Act>, want: &[&str]) -> Vec<String> {
    let script = Script { acts: Arc::new(Mutex::new(acts.into())), seen: Arc::default() };
    let routes = Router::new()
        .route("/apis/extensions.gardener.cloud/v1alpha1/clusters", get(answer))
        .with_state(script.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });

    let landscape = Arc::new(LandscapeCache::new(1));
    let watching =
        tokio::spawn(watch::follow::<ClusterObject>(kube::Config::new(url.parse().unwrap()), landscape.feed(0)));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let snapshot = landscape.snapshot();
        let mut names: Vec<String> = snapshot.clusters().map(|(name, _)| name.to_owned()).collect();
        names.sort();
        let ended = script.acts.lock().unwrap().is_empty();
        if ended && names == want && landscape.is_synced() {
            break;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{name}: {names:?} instead of {want:?}; asked {:?}",
            script.seen.lock().unwrap()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    watching.abort();
    server.abort();

    script.seen.lock().unwrap().clone()
}

#[tokio::test]
async fn a_streaming_list_is_taken_where_there_is_one() {
    let seen = play("stream", vec![Act::Stream(StatusCode::OK, vec![cluster("a"), cluster("b")])], &["a", "b"]).await;
    assert_eq!(seen, ["stream"]);
}

#[tokio::test]
async fn pages_where_there_is_none() {
    let acts = vec![
        Act::Stream(StatusCode::UNPROCESSABLE_ENTITY, vec![]),
        Act::List(StatusCode::OK, vec![cluster("a")], "next"),
        Act::List(StatusCode::OK, vec![cluster("b")], ""),
        Act::Watch(
            StatusCode::OK,
            event("ADDED", &cluster("c")) + &event("DELETED", &cluster("a")) + &event("BOOKMARK", &bookmark(false)),
        ),
    ];
    let seen = play("pages", acts, &["b", "c"]).await;
    assert_eq!(&seen[..4], ["stream", "list", "list", "watch"]);
}

/// After the first list, one trouble each; then a list that is the truth.
#[tokio::test]
async fn every_trouble_ends_in_the_truth() {
    let gone = event("ERROR", &status(410, "Expired"));
    let troubles: Vec<(&str, Vec<Act>)> = vec![
        ("410 on the watch", vec![Act::Watch(StatusCode::OK, gone.clone())]),
        ("410 at its start", vec![Act::Watch(StatusCode::GONE, String::new())]),
        ("events, then 410", vec![Act::Watch(StatusCode::OK, event("ADDED", &cluster("x")) + &gone)]),
        (
            "429 and 500, then 410",
            vec![
                Act::Watch(StatusCode::TOO_MANY_REQUESTS, String::new()),
                Act::Watch(StatusCode::INTERNAL_SERVER_ERROR, String::new()),
                Act::Watch(StatusCode::OK, gone.clone()),
            ],
        ),
        ("garbage", vec![Act::Watch(StatusCode::OK, event("ADDED", &cluster("x")) + "garbage\n")]),
        (
            "an object of another shape",
            vec![Act::Watch(StatusCode::OK, event("ADDED", &json!({"metadata": {"name": 5}})))],
        ),
        (
            "a cut line, then 410",
            vec![
                Act::Watch(StatusCode::OK, event("ADDED", &cluster("x"))[..40].to_owned()),
                Act::Watch(StatusCode::OK, gone.clone()),
            ],
        ),
        (
            "a list that fails in the middle",
            vec![
                Act::Watch(StatusCode::OK, gone.clone()),
                Act::List(StatusCode::OK, vec![cluster("half")], "next"),
                Act::List(StatusCode::GONE, vec![], ""),
            ],
        ),
    ];
    let mut playing = Vec::new();
    for (name, trouble) in troubles {
        let mut acts =
            vec![Act::Stream(StatusCode::BAD_REQUEST, vec![]), Act::List(StatusCode::OK, vec![cluster("old")], "")];
        acts.extend(trouble);
        acts.push(Act::List(StatusCode::OK, vec![cluster("new"), cluster("newer")], ""));
        playing.push(tokio::spawn(async move { play(name, acts, &["new", "newer"]).await }));
    }
    for play in playing {
        play.await.unwrap();
    }
}

/// The live read of one Cluster: found, absent, forbidden, and no answer in time.
#[tokio::test]
async fn live_reads_answer_under_a_deadline() {
    use network_guard_core::admission::UserInfo;
    use network_guard_core::landscape::{Answer, Questions};
    use network_guard_sources::live::{LiveReads, Reader};

    async fn one(axum::extract::Path(name): axum::extract::Path<String>) -> Response {
        match name.as_str() {
            "there" => cluster("there").to_string().into_response(),
            "absent" => (StatusCode::NOT_FOUND, status(404, "NotFound").to_string()).into_response(),
            "forbidden" => (StatusCode::FORBIDDEN, status(403, "Forbidden").to_string()).into_response(),
            _ => futures::future::pending().await,
        }
    }
    let routes = Router::new().route("/apis/extensions.gardener.cloud/v1alpha1/clusters/{name}", get(one));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let client = kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    let live = LiveReads::ApiServer(Reader::new(client));
    for (name, want, milliseconds) in [
        ("there", "found", 60_000),
        ("absent", "absent", 60_000),
        ("forbidden", "the API server answers 403", 60_000),
        ("silent", "no answer in time", 300),
    ] {
        let questions = Questions { cluster: Some(name.to_owned()), ..Questions::default() };
        let deadline = tokio::time::Instant::now() + Duration::from_millis(milliseconds);
        let answer = live.answer(UserInfo::default(), &questions, deadline).await.cluster.unwrap();
        let got = match answer {
            Answer::Found(_) => "found".to_owned(),
            Answer::Absent => "absent".to_owned(),
            Answer::Unanswered(why) => why,
        };
        assert_eq!(got, want, "{name}");
    }
}

/// An API server that only ever says "forbidden" sends no heartbeat, however often it is asked.
#[tokio::test]
async fn a_forbidden_watch_grows_old() {
    async fn forbidden(State(asked): State<Arc<AtomicUsize>>) -> Response {
        asked.fetch_add(1, Ordering::SeqCst);
        (StatusCode::FORBIDDEN, status(403, "Forbidden").to_string()).into_response()
    }
    let asked = Arc::<AtomicUsize>::default();
    let routes = Router::new()
        .route("/apis/extensions.gardener.cloud/v1alpha1/clusters", get(forbidden))
        .with_state(Arc::clone(&asked));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let landscape = Arc::new(LandscapeCache::new(1));
    let watching =
        tokio::spawn(watch::follow::<ClusterObject>(kube::Config::new(url.parse().unwrap()), landscape.feed(0)));
    let times = async |times: usize| {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        while asked.load(Ordering::SeqCst) < times {
            assert!(tokio::time::Instant::now() < deadline, "it is not asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    times(1).await;
    let first = tokio::time::Instant::now();
    times(5).await;
    let asked_for = first.elapsed();
    assert!(!landscape.is_synced() && landscape.age() >= asked_for, "{:?}", landscape.age());
    watching.abort();
}
