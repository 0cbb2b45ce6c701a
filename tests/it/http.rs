//! What arrives over HTTP: every kind of wrong input gets a clear answer in bounded time and memory, and the server
//! survives all of it.

use std::time::Duration;

use jiff::Timestamp;
use network_guard_controllers::certificates::Authority;
use network_guard_core::admission::{DOCTOR_ANNOTATION, Sign};
use network_guard_core::webhooks::VPN_SHOOT_PATH;
use network_guard_runtime::https::Limits;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{DAY, PATH, Setup, TestServer, broken, fixture, overlapping, review};

#[tokio::test]
async fn a_review_is_answered() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        let response = client.post(PATH, &overlapping().to_string()).await;
        assert_eq!(response.status, 200);
        assert!(response.head.contains("content-type: application/json"));
        let answer = response.json();
        assert_eq!(
            (&answer["apiVersion"], &answer["kind"]),
            (&json!("admission.k8s.io/v1"), &json!("AdmissionReview"))
        );
        assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("u-1"), &json!(true)));
        assert!(answer["response"]["patch"].is_string());
    }
    let metrics = server.metrics().await;
    for line in [
        r#"network_guard_requests_total{handler="kube-apiserver",operation="CREATE",result="patched"} 3"#,
        r#"network_guard_decisions_total{handler="kube-apiserver",decision="injected"} 3"#,
        r#"network_guard_findings_total{rule="vpn/injected",severity="warn"} 3"#,
        r#"network_guard_request_duration_seconds_count{handler="kube-apiserver"} 3"#,
        "network_guard_clusters 1",
        "network_guard_clusters_overlapping 1",
        "network_guard_cache_synced 1",
        "network_guard_ready 1",
        "process_resident_memory_bytes ",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

/// Dry run or not, the answer is the same but for nothing.
#[tokio::test]
async fn a_dry_run_is_answered_like_any_call() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let mut dry = overlapping();
    dry["request"]["dryRun"] = json!(true);
    let real = client.post(PATH, &overlapping().to_string()).await;
    assert_eq!(client.post(PATH, &dry.to_string()).await.body, real.body);
}

/// A caller that asks as the doctor does is told who answers, and nothing else changes.
#[tokio::test]
async fn a_doctor_gets_a_sign() {
    for (stale_after, stale) in [(DAY, false), (Duration::ZERO, true)] {
        let server = TestServer::with(Setup { stale_after, ..Setup::default() }).await;
        let mut client = server.connect().await;
        let mut asked = overlapping();
        asked["request"]["object"]["metadata"]["annotations"][DOCTOR_ANNOTATION] = json!("c0ffee");
        let real = client.post(PATH, &asked.to_string()).await.json();
        asked["request"]["dryRun"] = json!(true);
        let mut answer = client.post(PATH, &asked.to_string()).await.json();
        let sign = answer["response"]["warnings"].as_array_mut().unwrap().remove(0);
        let want = Sign { id: "c0ffee".to_owned(), release: env!("CARGO_PKG_VERSION").to_owned(), stale };
        assert_eq!(Sign::read(sign.as_str().unwrap()), Some(want));
        assert_eq!(answer, real);
    }
}

/// A name, the request, the status, and what the answer says.
#[tokio::test]
async fn wrong_requests() {
    let server = TestServer::start().await;
    let post = |headers: &str, body: &str| format!("POST {PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n{body}");
    let sized = |body: &str| post(&format!("Content-Type: application/json\r\nContent-Length: {}", body.len()), body);
    let good = overlapping().to_string();
    let changed = |change: fn(&mut Value)| {
        let mut review = overlapping();
        change(&mut review);
        review.to_string()
    };
    let rows: Vec<(&str, String, u16, &str)> = vec![
        ("method", format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n"), 405, ""),
        ("PUT", format!("PUT {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 405, ""),
        ("path", "POST /webhooks HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(), 404, PATH),
        ("deeper path", format!("POST {PATH}/x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), 404, PATH),
        ("no content type", post(&format!("Content-Length: {}", good.len()), &good), 415, "application/json"),
        ("another type", post("Content-Type: application/yaml\r\nContent-Length: 2", "{}"), 415, "application/json"),
        (
            "compressed",
            post("Content-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2", "{}"),
            415,
            "without Content-Encoding",
        ),
        (
            "announced too large",
            post("Content-Type: application/json\r\nContent-Length: 7340033", ""),
            413,
            "over the limit",
        ),
        ("empty", sized(""), 400, "not an AdmissionReview"),
        ("not JSON", sized("hello"), 400, "not an AdmissionReview"),
        ("truncated JSON", sized(&good[..good.len() / 2]), 400, "EOF while parsing"),
        ("trailing bytes", sized(&format!("{good}]")), 400, "trailing characters"),
        ("deeply nested", sized(&"[".repeat(100_000)), 400, "not an AdmissionReview"),
        (
            "deeply nested object",
            sized(&changed(|_| ()).replacen(
                "\"replicas\":2",
                &format!("\"replicas\":{}1{}", "[".repeat(50_000), "]".repeat(50_000)),
                1,
            )),
            200,
            "request.object.spec.replicas",
        ),
        (
            "old version",
            sized(&changed(|r| r["apiVersion"] = json!("admission.k8s.io/v1beta1"))),
            400,
            "admission.k8s.io/v1beta1",
        ),
        ("no request", sized(&changed(|r| drop(r.as_object_mut().unwrap().remove("request")))), 400, "no `request`"),
        ("no uid", sized(&changed(|r| r["request"]["uid"] = json!(""))), 400, "`request.uid` is empty"),
        (
            "another resource",
            sized(&changed(|r| r["request"]["resource"]["resource"] = json!("pods"))),
            200,
            "not pods.apps",
        ),
        (
            "another group",
            sized(&changed(|r| r["request"]["resource"]["group"] = json!("extensions"))),
            200,
            "not deployments.extensions",
        ),
        (
            "object of another shape",
            sized(&changed(|r| r["request"]["object"]["spec"]["template"] = json!([]))),
            200,
            "request.object.spec.template",
        ),
        ("object is a string", sized(&changed(|r| r["request"]["object"] = json!("x"))), 200, "request.object"),
        ("no object", sized(&changed(|r| r["request"]["object"] = Value::Null)), 200, "\"allowed\":true"),
        (
            "asks without end",
            format!(
                "POST /broken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
                broken("ask").len(),
                broken("ask")
            ),
            200,
            "asks without end",
        ),
    ];
    for (name, request, status, says) in rows {
        let response = server.connect().await.send(&request).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(response.status, status, "{name}: {response:?}");
        assert!(response.body.contains(says), "{name}: {response:?}");
        if status == 200 && !says.contains("allowed") {
            let answer = response.json();
            assert_eq!(
                (&answer["response"]["uid"], &answer["response"]["allowed"]),
                (&json!("u-1"), &json!(false)),
                "{name}"
            );
            assert!(answer["response"]["status"]["code"].as_u64().unwrap() >= 400, "{name}");
        }
        // And all is well afterwards.
        assert_eq!(server.connect().await.post(PATH, &good).await.status, 200, "after {name}");
    }
}

#[tokio::test]
async fn a_content_type_may_have_parameters() {
    let server = TestServer::start().await;
    let body = overlapping().to_string();
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: Application/JSON; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(server.connect().await.send(&request).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_panic_costs_one_call() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    assert_eq!(client.post("/broken", &broken("panic")).await.status, 500);
    assert_eq!(client.post("/broken", &broken("fine")).await.status, 200, "on the same connection");
    assert_eq!(server.connect().await.post(PATH, &overlapping().to_string()).await.status, 200);
    assert!(server.metrics().await.contains("network_guard_panics_total 1"));
}

#[tokio::test]
async fn a_missing_cluster_is_asked_for_and_refused() {
    let server = TestServer::start().await;
    let mut deployment = fixture("ha", "deployment");
    deployment["metadata"]["namespace"] = json!("shoot--local--unknown");
    let answer = server.connect().await.post(PATH, &review(&deployment).to_string()).await.json();
    assert_eq!(answer["response"]["allowed"], false);
    assert!(
        answer["response"]["status"]["message"]
            .as_str()
            .unwrap()
            .contains("there is no Cluster `shoot--local--unknown`")
    );
}

#[tokio::test]
async fn before_the_landscape_is_read_no_decision_is_made() {
    let server = TestServer::with(Setup { synced: false, ..Setup::default() }).await;
    let response = server.connect().await.post(PATH, &overlapping().to_string()).await;
    assert_eq!(response.status, 503);
    let ready = server.get(server.addresses.health, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("[-] landscape read"), "{ready}");
    assert!(server.get(server.addresses.health, "/healthz").await.starts_with("HTTP/1.1 200"));
}

/// A caller cannot make us write, or log, as much as it likes.
#[tokio::test]
async fn answers_stay_short_whatever_is_sent() {
    let server = TestServer::start().await;
    let long = "x".repeat(1 << 20);
    let mut many_flags = overlapping();
    let arguments = &mut many_flags["request"]["object"]["spec"]["template"]["spec"]["containers"][0]["args"];
    let flags = (0..20_000).map(|i| json!(format!("--egress-selector-config-file={i}")));
    arguments.as_array_mut().unwrap().extend(flags);
    let mut long_name = overlapping();
    long_name["request"]["object"]["spec"]["replicas"] = json!(long);
    let mut long_uid = overlapping();
    long_uid["request"]["uid"] = json!(long);
    let mut long_version = overlapping();
    long_version["apiVersion"] = json!(long);
    for (name, review) in [("flags", many_flags), ("value", long_name), ("uid", long_uid), ("version", long_version)] {
        let response = server.connect().await.post(PATH, &review.to_string()).await;
        assert!(response.body.len() < 10_000, "{name}: {} bytes", response.body.len());
    }
}

#[tokio::test]
async fn a_body_that_ends_early_and_one_in_chunks() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client
        .stream
        .write_all(
            format!(
                "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
            )
            .as_bytes(),
        )
        .await
        .unwrap();
    client.stream.shutdown().await.unwrap();
    let _ = client.read().await;
    for _ in 0..3_000 {
        if server.metrics().await.contains(r#"network_guard_bodies_refused_total{reason="broken"} 1"#) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = server.metrics().await;
    assert!(metrics.contains(r#"network_guard_bodies_refused_total{reason="broken"} 1"#), "{metrics}");

    let body = overlapping().to_string();
    let (one, two) = body.split_at(1_000);
    let chunks = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let request = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"
    );
    assert_eq!(server.connect().await.send(&request).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client.stream.write_all(format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes()).await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x1_0000));
    let mut sent = 0_usize;
    while client.stream.write_all(chunk.as_bytes()).await.is_ok() && client.stream.flush().await.is_ok() {
        sent += 0x1_0000;
        assert!(sent < 64 << 20, "nobody stops us");
        // The answer comes while we still write.
        if let Some(Ok(response)) = client.read_within(Duration::from_millis(1)).await {
            assert_eq!(response.status, 413);
            break;
        }
    }
    assert!(sent >= 7 << 20, "cut before the limit, after {sent} bytes");
    assert_eq!(server.connect().await.post(PATH, &overlapping().to_string()).await.status, 200);
}

/// Many bodies that come a byte at a time hold next to no room, so a normal call does not wait for them.
#[tokio::test]
async fn slow_bodies_hold_up_nobody_and_end() {
    let limits = Limits { bodies_in_flight_bytes: 7 << 20, body_timeout: Duration::from_secs(2), ..Limits::default() };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut client = server.connect().await;
        client.stream.write_all(format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7000000\r\n\r\n{{").as_bytes()).await.unwrap();
        client.stream.flush().await.unwrap();
        slow.push(client);
    }
    assert_eq!(server.connect().await.post(PATH, &overlapping().to_string()).await.status, 200);
    for mut client in slow {
        assert_eq!(client.read().await.unwrap().status, 408);
    }
    assert!(server.metrics().await.contains(r#"network_guard_bodies_refused_total{reason="too-slow"} 100"#));
}

/// Bodies that fill the room: a caller that finds none left is told when to retry, and memory stays bounded.
#[tokio::test]
async fn too_many_bodies_are_told_to_come_again() {
    let limits = Limits {
        bodies_in_flight_bytes: 8 << 20,
        body_wait: Duration::from_millis(200),
        // The hogs stay until the end, however slow the machine is.
        body_timeout: Duration::from_secs(300),
        ..Limits::default()
    };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let head =
        format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 7340032\r\n\r\n");
    // The first one has nearly all of the room, the second one what there is besides for one body.
    let mut hogs = Vec::new();
    for _ in 0..2 {
        let mut hog = server.connect().await;
        hog.stream.write_all(head.as_bytes()).await.unwrap();
        hog.stream.write_all(&vec![b' '; 7_340_000]).await.unwrap();
        hog.stream.flush().await.unwrap();
        hogs.push(hog);
    }

    let mut other = server.connect().await;
    other.stream.write_all(head.as_bytes()).await.unwrap();
    let refused = loop {
        let _ = other.stream.write_all(&vec![b' '; 1 << 16]).await;
        let _ = other.stream.flush().await;
        if let Some(response) = other.read_within(Duration::from_millis(10)).await {
            break response.unwrap();
        }
    };
    assert_eq!(refused.status, 429);
    assert!(refused.head.contains("retry-after: 1"), "{}", refused.head);

    // A small body fits beside the hogs, and once they are gone all is as before.
    assert_eq!(server.connect().await.post(PATH, &overlapping().to_string()).await.status, 200);
    drop(hogs);
    assert_eq!(server.connect().await.post(PATH, &overlapping().to_string()).await.status, 200);
}

#[tokio::test]
async fn silent_peers_hold_up_nobody() {
    let limits = Limits { handshake_timeout: Duration::from_secs(5), connections: 60, ..Limits::default() };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(server.addresses.webhooks).await.unwrap());
    }
    assert_eq!(server.connect().await.post(PATH, &overlapping().to_string()).await.status, 200);
    for mut stream in silent {
        let ended = tokio::time::timeout(Duration::from_secs(90), stream.read(&mut [0; 8])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "closed by the server");
    }
    assert!(
        server.metrics().await.contains(r#"network_guard_connections_refused_total{reason="handshake-timeout"} 50"#)
    );
}

/// What is over the cap is told so at once, where every connection of the caller has a call on it.
#[tokio::test]
async fn calls_over_the_cap_are_told_to_retry() {
    // Who is in has to stay in until the end, however slow the machine is.
    let limits = Limits { connections: 3, body_timeout: Duration::from_secs(300), ..Limits::default() };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let body = overlapping().to_string();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        client.stream.write_all(head.as_bytes()).await.unwrap();
        client.stream.flush().await.unwrap();
        open.push(client);
    }
    server.until(r#"network_guard_connections{port="webhooks"} 3"#).await;
    let mut over = server.connect().await;
    let refused = over.post(PATH, &body).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert!(refused.head.contains("retry-after: 1") && refused.head.contains("connection: close"), "{}", refused.head);
    assert!(server.metrics().await.contains(r#"network_guard_connections_refused_total{reason="too-many"} 1"#));
    for client in &mut open {
        assert_eq!(client.send(&body).await.unwrap().status, 200, "who is in stays in");
    }
    // Now they are idle, and the one that has been for longest makes room.
    assert_eq!(server.connect().await.post(PATH, &body).await.status, 200);
    assert!(open[0].read().await.is_err(), "closed");
    assert_eq!(open[1].post(PATH, &body).await.status, 200);
    drop(open);
    server.until(r#"network_guard_connections{port="webhooks"} 0"#).await;
    assert_eq!(server.connect().await.post(PATH, &body).await.status, 200);
}

/// An idle connection is the caller's to close: an API server keeps it for 90 s and never repeats a POST.
#[tokio::test]
async fn idle_connections_stay_open() {
    assert!(Limits::default().header_timeout > Duration::from_secs(90 + 10));
    let limits = Limits { header_timeout: Duration::from_secs(10), ..Limits::default() };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let mut client = server.connect().await;
    for _ in 0..2 {
        assert_eq!(client.post(PATH, &overlapping().to_string()).await.status, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // Headers that never end do end.
    client.stream.write_all(b"POST / HTTP/1.1\r\nHost:").await.unwrap();
    client.stream.flush().await.unwrap();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(90), client.stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "closed by the server");
}

/// The webhook of the VPN in Shoots: its path says who calls, and proves it. Any other caller is told nothing.
#[tokio::test]
async fn only_a_shoot_itself_is_told_of_its_vpn() {
    // Shoots have no certificate to show, whatever others have to.
    let other = Authority::new("other CA", Timestamp::now(), DAY).unwrap();
    let client_ca = Some(other.certificate().to_owned());
    let server = TestServer::with(Setup { client_ca, ..Setup::default() }).await;
    let mut client = server.connect_from_shoot().await;
    let cluster = fixture("ha-overlap", "cluster");
    let uid = cluster["spec"]["shoot"]["metadata"]["uid"].as_str().unwrap();
    let mut object = fixture("ha-overlap", "vpn-shoot");
    object["spec"]["template"]["spec"]["containers"][0]["env"].as_array_mut().unwrap().truncate(6);
    let mut body = review(&object);
    body["request"]["resource"]["resource"] = json!("statefulsets");
    let body = body.to_string();

    let told = client.post(&format!("{VPN_SHOOT_PATH}/shoot--local--ha/{uid}"), &body).await;
    assert_eq!(told.status, 200);
    assert!(told.json()["response"]["patch"].is_string(), "{}", told.body);
    let mut answers = Vec::new();
    for path_suffix in [
        format!("shoot--local--other/{uid}"),
        "shoot--local--ha/5a0e2ee7-1f0c-4a3e-9d2b-0d8a3f1c7b55".to_owned(),
        format!("shoot--local--ha/{uid}/"),
        format!("shoot--local--ha//{uid}"),
        format!("shoot%2d-local--ha/{uid}"),
        "shoot--local--ha".to_owned(),
        "..".to_owned(),
    ] {
        let answer = client.post(&format!("{VPN_SHOOT_PATH}/{path_suffix}"), &body).await;
        answers.push((path_suffix, answer.status, answer.body));
    }
    let want = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {"uid": "u-1", "allowed": true},
    });
    for (path_suffix, status, body) in &answers {
        assert_eq!((*status, body), (200, &answers[0].2), "{path_suffix}");
    }
    assert_eq!(serde_json::from_str::<Value>(&answers[0].2).unwrap(), want);
    assert_eq!(client.post(VPN_SHOOT_PATH, &body).await.status, 404, "nobody calls");

    // The doctor never asks here, so nobody else learns of the server what the doctor does.
    let mut asked = review(&object);
    asked["request"]["resource"]["resource"] = json!("statefulsets");
    asked["request"]["dryRun"] = json!(true);
    asked["request"]["object"]["metadata"]["annotations"] = json!({DOCTOR_ANNOTATION: "c0ffee"});
    for path_suffix in [format!("shoot--local--ha/{uid}"), format!("shoot--local--other/{uid}")] {
        let answer = client.post(&format!("{VPN_SHOOT_PATH}/{path_suffix}"), &asked.to_string()).await;
        assert_eq!((answer.status, answer.body.contains("doctor")), (200, false), "{}", answer.body);
    }

    // The owner of a Shoot can make its API server send anything to any address. That leads to nothing else.
    let answer = client.post(PATH, &overlapping().to_string()).await;
    assert_eq!((answer.status, answer.body.contains("10.250")), (404, false), "{}", answer.body);
    let answer = TestServer::start().await.connect().await.post(&format!("{VPN_SHOOT_PATH}/x/{uid}"), &body).await;
    assert_eq!(answer.status, 404, "nor is this for others");
}
