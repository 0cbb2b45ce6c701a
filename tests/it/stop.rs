//! A graceful stop breaks no call.

use std::time::Duration;

use network_guard_runtime::https::Limits;
use network_guard_runtime::stop::StopSettings;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::support::{PATH, Setup, TestServer, client_config, overlapping};

/// Nothing is waited for but calls in flight.
pub const WITHOUT_IDLE: StopSettings = StopSettings {
    propagation_delay: Duration::ZERO,
    idle_timeout: Duration::ZERO,
    drain_timeout: Duration::from_secs(300),
};

/// Connections that are idle are waited for, longer than any test takes.
const WITH_IDLE: StopSettings = StopSettings { idle_timeout: Duration::from_secs(300), ..WITHOUT_IDLE };

/// What is over at once may take this long on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(90);

fn begin(server: &TestServer, settings: StopSettings) -> JoinHandle<()> {
    let stop = server.stop.clone();
    tokio::spawn(async move { stop.run(&settings).await })
}

/// Waits until nothing new is accepted.
async fn closed(server: &TestServer) {
    server.stop.closing().await;
    while TcpStream::connect(server.addresses.webhooks).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn serves_on_closes_politely_and_drains() {
    // The body that waits for the doors to close has time enough.
    let limits = Limits { body_timeout: Duration::from_secs(300), ..Limits::default() };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let body = overlapping().to_string();
    let mut idle = server.connect().await;
    let mut used = server.connect().await;
    assert!(!used.post(PATH, &body).await.head.contains("connection: close"));

    let stopping = begin(&server, StopSettings { propagation_delay: Duration::from_secs(10), ..WITHOUT_IDLE });
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

/// The client of an idle connection may be about to use it when the doors close.
#[tokio::test]
async fn idle_connections_are_left_to_their_clients() {
    // The client that is slow has time enough.
    let limits = Limits { handshake_timeout: Duration::from_secs(300), ..Limits::default() };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let body = overlapping().to_string();
    let (mut unused, mut used) = (server.connect().await, server.connect().await);
    used.post(PATH, &body).await;
    // Connections are accepted in their order, so this one, whose client is slow, was accepted before the next.
    let slow = TcpStream::connect(server.addresses.webhooks).await.unwrap();
    let mut last = server.connect().await;

    let stopping = begin(&server, WITH_IDLE);
    closed(&server).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut slow = TestServer::shake_hands(slow, &client_config(&server.ca, None)).await.unwrap();
    for (name, client) in [("unused", &mut unused), ("used", &mut used), ("slow", &mut slow)] {
        let response = client.post(PATH, &body).await;
        assert!(response.status == 200 && response.head.contains("connection: close"), "{name}: {response:?}");
        assert!(client.read().await.is_err(), "{name}: the answer closes its connection");
    }

    // One is left, for which the server waits, and ends with it.
    assert!(!server.running.is_finished() && !stopping.is_finished());
    assert_eq!(last.post(PATH, &body).await.status, 200);
    tokio::time::timeout(AT_ONCE, server.running).await.expect("nobody is left").unwrap();
    tokio::time::timeout(AT_ONCE, stopping).await.expect("nobody is left").unwrap();
}

#[tokio::test]
async fn a_client_that_leaves_is_not_waited_for() {
    let server = TestServer::start().await;
    let idle = server.connect().await;
    let stopping = begin(&server, WITH_IDLE);
    closed(&server).await;
    assert!(!server.running.is_finished());
    drop(idle);
    tokio::time::timeout(AT_ONCE, server.running).await.expect("nobody is left").unwrap();
    stopping.await.unwrap();
}

#[tokio::test]
async fn idle_connections_are_closed_in_the_end() {
    let server = TestServer::start().await;
    let mut idle = server.connect().await;
    let (idle_timeout, begun) = (Duration::from_secs(1), Instant::now());
    let stopping = begin(&server, StopSettings { idle_timeout, ..WITH_IDLE });
    assert!(idle.read().await.is_err());
    assert!(begun.elapsed() >= idle_timeout, "closed after {:?}", begun.elapsed());
    // There is nothing in flight, so the drain has no end to wait for.
    tokio::time::timeout(AT_ONCE, server.running).await.expect("nobody is left").unwrap();
    stopping.await.unwrap();
}

#[tokio::test]
async fn an_abort_waits_for_no_idle_connection() {
    let server = TestServer::start().await;
    let _idle = server.connect().await;
    let stopping = begin(&server, WITH_IDLE);
    closed(&server).await;
    server.stop.abort();
    tokio::time::timeout(AT_ONCE, server.running).await.expect("ended").unwrap();
    stopping.await.unwrap();
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
    tokio::time::timeout(AT_ONCE, server.running).await.expect("ended").unwrap();
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
    let settings = StopSettings { drain_timeout: Duration::from_millis(500), ..WITHOUT_IDLE };
    server.stop.run(&settings).await;
    tokio::time::timeout(AT_ONCE, server.running).await.expect("ended").unwrap();
}
