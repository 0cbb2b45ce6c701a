//! What is asked of an API server while somebody waits: access reviews and live reads, against a scripted one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use network_guard_core::admission::UserInfo;
use network_guard_core::gardener::ShootName;
use network_guard_core::landscape::{Answer, Answers, Grant, Questions, Visibility};
use network_guard_sources::live::{LiveReads, Reader};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The access reviews that came in.
type Seen = Arc<Mutex<Vec<Value>>>;

async fn access(State(seen): State<Seen>, body: String) -> Response {
    let review: Value = serde_json::from_str(&body).unwrap();
    let attributes = &review["spec"]["resourceAttributes"];
    let name = attributes["name"].as_str().or(attributes["namespace"].as_str()).unwrap_or("hidden").to_owned();
    seen.lock().unwrap().push(review);
    let status = match name.as_str() {
        "seen" => json!({"allowed": true}),
        "seen-with-doubt" => json!({"allowed": true, "evaluationError": "one authorizer failed"}),
        "hidden" => json!({"allowed": false, "denied": true}),
        "doubtful" => json!({"allowed": false, "evaluationError": "one authorizer failed"}),
        "broken" => return (StatusCode::INTERNAL_SERVER_ERROR, failure(500).to_string()).into_response(),
        "forbidden" => return (StatusCode::FORBIDDEN, failure(403).to_string()).into_response(),
        "garbage" => return "garbage".into_response(),
        _ => futures::future::pending().await,
    };
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {}, "spec": {}, "status": status});
    (StatusCode::CREATED, review.to_string()).into_response()
}

async fn shoot(Path((namespace, name)): Path<(String, String)>) -> Response {
    match name.as_str() {
        "there" => {
            let metadata = json!({"name": name, "namespace": namespace, "resourceVersion": "1"});
            json!({"metadata": metadata, "spec": {"seedName": "eu1-a"}}).to_string().into_response()
        }
        "absent" => (StatusCode::NOT_FOUND, absent().to_string()).into_response(),
        "not-served" => (StatusCode::NOT_FOUND, "404 page not found").into_response(),
        "broken" => (StatusCode::SERVICE_UNAVAILABLE, failure(503).to_string()).into_response(),
        _ => futures::future::pending().await,
    }
}

async fn seed(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "there" => json!({"metadata": {"name": name}, "spec": {"networks": {"pods": "10.0.0.0/8"}}})
            .to_string()
            .into_response(),
        _ => (StatusCode::NOT_FOUND, absent().to_string()).into_response(),
    }
}

fn failure(code: u16) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "secret-host refuses"})
}

fn absent() -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404, "reason": "NotFound"})
}

async fn start() -> (LiveReads, Seen) {
    let seen = Seen::default();
    let routes = Router::new()
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(access))
        .route("/apis/core.gardener.cloud/v1beta1/namespaces/{namespace}/shoots/{name}", get(shoot))
        .route("/apis/core.gardener.cloud/v1beta1/seeds/{name}", get(seed))
        .with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let client = kube::Client::try_from(kube::Config::new(url.parse().unwrap())).unwrap();
    (LiveReads::ApiServer(Reader::new(client)), seen)
}

fn alice() -> UserInfo {
    serde_json::from_value(json!({
        "username": "alice",
        "uid": "7",
        "groups": ["b", "a"],
        "extra": {"scopes": ["x", "y"]},
    }))
    .unwrap()
}

fn named(name: &str) -> ShootName {
    ShootName::new("garden-shop", name)
}

async fn visibilities(live: &LiveReads, user: UserInfo, names: &[&str]) -> Answers {
    let questions = Questions { visibilities: names.iter().map(|name| named(name)).collect(), ..Questions::default() };
    live.answer(user, &questions, Instant::now() + Duration::from_secs(60)).await
}

#[tokio::test]
async fn an_access_review_speaks_for_the_requesting_user() {
    let (live, seen) = start().await;
    let answers = visibilities(&live, alice(), &["seen"]).await;
    assert_eq!(answers.visibilities[&named("seen")], Visibility::Visible);
    let seen = seen.lock().unwrap();
    assert_eq!(
        seen[0]["spec"],
        json!({
            "user": "alice",
            "uid": "7",
            "groups": ["a", "b"],
            "extra": {"scopes": ["x", "y"]},
            "resourceAttributes": {
                "group": "core.gardener.cloud",
                "version": "v1beta1",
                "resource": "shoots",
                "verb": "get",
                "namespace": "garden-shop",
                "name": "seen",
            },
        })
    );
}

/// Of all Shoots of a namespace, or all of them, a review leaves out what stands for all, as the API server reads it.
#[tokio::test]
async fn an_access_review_of_all_names_none() {
    let (live, seen) = start().await;
    let places = [Grant::Namespace("seen".into()), Grant::Namespace("broken".into()), Grant::Everywhere];
    let questions = Questions { grants: places.clone().into(), ..Questions::default() };
    let ask = || live.answer(alice(), &questions, Instant::now() + Duration::from_secs(60));
    let broken = Visibility::Unanswered("the API server answers 500".to_owned());
    let want: HashMap<_, _> = places.into_iter().zip([Visibility::Visible, broken, Visibility::Hidden]).collect();
    assert_eq!(ask().await.grants, want);
    let mut asked: Vec<Value> = seen.lock().unwrap().iter().map(|review| review["spec"].clone()).collect();
    asked.sort_by_key(|spec| spec["resourceAttributes"]["namespace"].as_str().map(str::to_owned));
    let all = json!({"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots", "verb": "get"});
    assert_eq!((asked[0]["user"].as_str(), &asked[0]["resourceAttributes"]), (Some("alice"), &all));
    assert_eq!(asked[2]["resourceAttributes"]["namespace"], "seen");
    assert!(asked[2]["resourceAttributes"].get("name").is_none());
    // What was answered is used again.
    assert_eq!(ask().await.grants, want);
    assert_eq!(seen.lock().unwrap().len(), 4, "only what failed is asked again");
}

#[tokio::test]
async fn only_a_clear_yes_makes_a_shoot_visible() {
    let (live, _) = start().await;
    let names = ["seen", "seen-with-doubt", "hidden", "doubtful", "broken", "forbidden", "garbage"];
    let answers = visibilities(&live, alice(), &names).await;
    let unanswered = |why: &str| Visibility::Unanswered(why.to_owned());
    for (name, want) in [
        ("seen", Visibility::Visible),
        ("seen-with-doubt", Visibility::Visible),
        ("hidden", Visibility::Hidden),
        ("doubtful", Visibility::Hidden),
        ("broken", unanswered("the API server answers 500")),
        ("forbidden", unanswered("the API server answers 403")),
        ("garbage", unanswered("the API server does not answer")),
    ] {
        assert_eq!(answers.visibilities[&named(name)], want, "{name}");
    }
    assert!(!format!("{answers:?}").contains("secret-host"), "what an API server says of itself is for the log");
}

#[tokio::test]
async fn answers_are_used_again_for_the_same_user_only_and_failures_never() {
    let (live, seen) = start().await;
    let asked = || seen.lock().unwrap().len();
    visibilities(&live, alice(), &["seen", "hidden"]).await;
    assert_eq!(asked(), 2);
    let same = UserInfo { groups: vec!["a".to_owned(), "b".to_owned()], ..alice() };
    let answers = visibilities(&live, same, &["seen", "hidden"]).await;
    assert_eq!((asked(), &answers.visibilities[&named("hidden")]), (2, &Visibility::Hidden));
    for other in [
        UserInfo { username: "bob".to_owned(), ..alice() },
        UserInfo { uid: "8".to_owned(), ..alice() },
        UserInfo { groups: vec![], ..alice() },
        UserInfo { extra: [("scopes".to_owned(), vec!["x".to_owned()])].into(), ..alice() },
    ] {
        let before = asked();
        visibilities(&live, other.clone(), &["seen"]).await;
        assert_eq!(asked(), before + 1, "{other:?}");
    }
    let before = asked();
    visibilities(&live, alice(), &["broken"]).await;
    visibilities(&live, alice(), &["broken"]).await;
    assert_eq!(asked(), before + 2);
}

/// Each access review carries all groups, so that thousands of them would be sent a hundred times.
#[tokio::test]
async fn nobody_is_asked_about_for_a_user_who_is_too_long() {
    let (live, seen) = start().await;
    let groups = |count: usize| (0..count).map(|i| format!("{i:0>36}")).collect();
    for (groups, want) in [
        (groups(1_000), Visibility::Visible),
        (groups(4_000), Visibility::Unanswered("the user has too many groups to ask for".to_owned())),
        // Each takes more memory than it has bytes.
        (vec!["a".to_owned(); 60_000], Visibility::Unanswered("the user has too many groups to ask for".to_owned())),
    ] {
        let project = Grant::Namespace("seen".into());
        let questions = Questions {
            visibilities: [named("seen")].into(),
            grants: [project.clone()].into(),
            ..Questions::default()
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        let answers = live.answer(UserInfo { groups, ..alice() }, &questions, deadline).await;
        assert_eq!((&answers.visibilities[&named("seen")], &answers.grants[&project]), (&want, &want));
    }
    assert_eq!(seen.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_does_not_answer_holds_up_nothing_else() {
    let (live, _) = start().await;
    let silent: Vec<String> = (0..10).map(|i| format!("silent-{i}")).collect();
    let names = ["there", "absent", "broken", "not-served"];
    let questions = Questions {
        visibilities: silent.iter().map(|name| named(name)).chain([named("seen")]).collect(),
        shoots: names.iter().map(|name| named(name)).chain([named("silent")]).collect(),
        seeds: ["there".to_owned(), "absent".to_owned()].into(),
        ..Questions::default()
    };
    // Long enough for what does answer, on any machine. A deadline for each of the silent ones would last as long as the
    // others have patience.
    let deadline = Instant::now() + Duration::from_secs(10);
    let patience = Duration::from_secs(60);
    let answers = tokio::time::timeout(patience, live.answer(alice(), &questions, deadline)).await;
    let answers = answers.expect("one deadline for all of them");
    let late = "no answer in time";
    assert!(matches!(&answers.shoots[&named("silent")], Answer::Unanswered(why) if why == late));
    assert!(silent.iter().all(|name| answers.visibilities[&named(name)] == Visibility::Unanswered(late.to_owned())));
    assert_eq!(answers.visibilities[&named("seen")], Visibility::Visible);
    let Answer::Found(facts) = &answers.shoots[&named("there")] else { panic!("{answers:?}") };
    assert_eq!(facts.seed.as_deref(), Some("eu1-a"));
    assert_eq!(answers.shoots[&named("absent")], Answer::Absent);
    // Where Shoots are not served at all, nothing is known of any.
    assert_eq!(answers.shoots[&named("not-served")], Answer::Unanswered("the API server answers 404".to_owned()));
    // The client may try this one again until there is no time left.
    assert!(matches!(answers.shoots[&named("broken")], Answer::Unanswered(_)));
    assert!(matches!(answers.seeds["there"], Answer::Found(facts) if facts.pods.is_some()));
    assert_eq!(answers.seeds["absent"], Answer::Absent);
}
