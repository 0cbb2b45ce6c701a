//! A graceful stop breaks no call.

use std::time::Duration;

use network_guard::server::StopSettings;
use tokio::io::AsyncWriteExt;

use crate::support::{PATH, TestServer, overlapping};

#[tokio::test]
async fn serves_on_closes_politely_and_drains() {
    let server = TestServer::start().await;
    let body = overlapping().to_string();
    let mut idle = server.connect().await;
    let mut used = server.connect().await;
    assert!(!used.post(PATH, &body).await.head.contains("connection: close"));

    let settings = StopSettings { propagation_delay: Duration::from_secs(2), drain_timeout: Duration::from_secs(30) };
    let stopping = tokio::spawn({
        let stop = server.stop.clone();
        async move { stop.run(&settings).await }
    });
    while !server.stop.is_draining() {
        tokio::task::yield_now().await;
    }

    // Not ready at once; calls on old and new connections are served, and each closes its connection.
    let ready = server.get(server.addresses.health, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.contains("[-] not stopping"), "{ready}");
    let response = used.post(PATH, &body).await;
    assert!(response.status == 200 && response.head.contains("connection: close"), "{response:?}");
    let mut fresh = server.connect().await;
    assert!(fresh.post(PATH, &body).await.head.contains("connection: close"));

    // A call that is on its way when the door closes is finished.
    let mut late = server.connect().await;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    late.stream.write_all(format!("{head}{}", &body[..100]).as_bytes()).await.unwrap();
    late.stream.flush().await.unwrap();
    server.stop.closing().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(late.send(&body[100..]).await.unwrap().status, 200);

    // Then the end: idle connections are closed, nothing is accepted, the server is done before its deadline.
    assert!(idle.send("POST / HTTP/1.1\r\n\r\n").await.is_err());
    stopping.await.unwrap();
    assert!(tokio::net::TcpStream::connect(server.addresses.webhooks).await.is_err());
    server.running.await.unwrap();
}

#[tokio::test]
async fn an_abort_ends_at_once() {
    let server = TestServer::start().await;
    let mut stuck = server.connect().await;
    stuck
        .stream
        .write_all(
            format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n")
                .as_bytes(),
        )
        .await
        .unwrap();
    stuck.stream.flush().await.unwrap();
    server.stop.abort();
    tokio::time::timeout(Duration::from_secs(10), server.running).await.expect("ended").unwrap();
}

/// A scrape that never ends its request, and a call that never ends its body, hold up the end only until its deadline.
#[tokio::test]
async fn stuck_peers_hold_up_nothing() {
    let server = TestServer::start().await;
    let mut scrape = tokio::net::TcpStream::connect(server.addresses.metrics).await.unwrap();
    scrape.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    let mut call = server.connect().await;
    call.stream
        .write_all(
            format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n")
                .as_bytes(),
        )
        .await
        .unwrap();
    call.stream.flush().await.unwrap();
    let settings = StopSettings { propagation_delay: Duration::ZERO, drain_timeout: Duration::from_millis(500) };
    server.stop.run(&settings).await;
    tokio::time::timeout(Duration::from_secs(10), server.running).await.expect("ended").unwrap();
}
