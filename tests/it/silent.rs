//! Connections that keep others waiting for nothing: silent ones, before and after TLS, half a request, a request and
//! nothing more, a call that never ends its body. However many there are, and however fast they come back, others are served.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use network_guard_runtime::https::Limits;
use rustls::ClientConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::process::{Process, REVIEW};
use crate::support::{Client, PATH, Setup, TestServer, client_config, overlapping};

/// So few that attackers of a few addresses take them all.
fn few() -> Limits {
    Limits { connections: 16, handshakes: 32, handshakes_per_address: 8, ..Limits::default() }
}

/// What an attacker does with a connection before it holds it.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// Nothing.
    Silent,
    /// Half a TLS record, or half a request where there is no TLS.
    Half,
    /// TLS, and nothing.
    SilentAfterTls,
    /// TLS, and half a request.
    HalfRequest,
    /// TLS, and a request byte by byte, which never ends.
    Trickle,
    /// A whole request, then nothing.
    Idle,
    /// A request whose body never ends.
    HalfBody,
}

const ATTACKS: [Attack; 7] = [
    Attack::Silent,
    Attack::Half,
    Attack::SilentAfterTls,
    Attack::HalfRequest,
    Attack::Trickle,
    Attack::Idle,
    Attack::HalfBody,
];

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

async fn connect_from(source: Ipv4Addr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    socket.connect(to).await
}

impl Attack {
    async fn begin(self, source: Ipv4Addr, to: SocketAddr, tls: Option<&ClientConfig>) -> Option<Box<dyn Stream>> {
        let mut tcp = connect_from(source, to).await.ok()?;
        if matches!(self, Self::Silent) {
            return Some(Box::new(tcp));
        }
        if matches!(self, Self::Half) {
            let half: &[u8] = if tls.is_some() { &[22, 3, 1, 2, 0] } else { b"GET /" };
            tcp.write_all(half).await.ok()?;
            return Some(Box::new(tcp));
        }
        let mut stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some(config) => Box::new(TestServer::shake_hands(tcp, config).await.ok()?.stream),
        };
        let text: &[u8] = match self {
            Self::Silent | Self::Half | Self::SilentAfterTls => b"",
            Self::HalfRequest => b"POST /nowhere HTTP/1.1\r\nHost: x\r\n",
            Self::Trickle => b"POST /nowhere HTTP/1.1\r\nX",
            Self::Idle => b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
            Self::HalfBody => {
                b"POST /broken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            }
        };
        let piece = if matches!(self, Self::Trickle) { 1 } else { text.len().max(1) };
        for piece in text.chunks(piece) {
            stream.write_all(piece).await.ok()?;
            stream.flush().await.ok()?;
        }
        if matches!(self, Self::Idle) {
            // Only a request that is answered is over.
            stream.read(&mut [0; 512]).await.ok().filter(|read| *read > 0)?;
        }
        Some(stream)
    }
}

/// Attackers with an address each, who hold so many connections, and begin a new one for each that ends, until this is
/// dropped. Counts the connections that were begun.
fn attackers(to: SocketAddr, tls: Option<&ClientConfig>, most: usize) -> (JoinSet<()>, Arc<AtomicUsize>) {
    let (mut attackers, begun) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    for (attack, number) in ATTACKS.into_iter().zip(11..) {
        let (tls, begun) = (tls.cloned(), Arc::clone(&begun));
        attackers.spawn(async move {
            let mut held = VecDeque::new();
            loop {
                held.extend(attack.begin(Ipv4Addr::new(127, 0, 0, number), to, tls.as_ref()).await);
                begun.fetch_add(1, Ordering::Relaxed);
                if held.len() > most {
                    held.pop_front();
                }
                tokio::task::yield_now().await;
            }
        });
    }
    (attackers, begun)
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let said = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), said).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A server with these limits, of which attackers have taken all room.
async fn attacked(limits: Limits) -> (TestServer, JoinSet<()>) {
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let config = client_config(&server.ca, None);
    let (attackers, begun) = attackers(server.addresses.webhooks, Some(&config), 40);
    until("all room is taken", async || begun.load(Ordering::Relaxed) > 500).await;
    (server, attackers)
}

/// The API server's calls go through, each on a connection of its own, while all others reconnect without end.
#[tokio::test(flavor = "multi_thread")]
async fn calls_go_through_an_attack() {
    let (server, mut attackers) = attacked(few()).await;
    let config = client_config(&server.ca, None);
    let body = overlapping().to_string();
    for call in 0..100 {
        let tcp = connect_from(Ipv4Addr::LOCALHOST, server.addresses.webhooks).await.unwrap();
        let client = TestServer::shake_hands(tcp, &config).await;
        let mut client = client.unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert_eq!(client.post(PATH, &body).await.status, 200, "call {call}");
        assert_eq!(client.post(PATH, &body).await.status, 200, "call {call}, again");
    }
    attackers.shutdown().await;
    let metrics = server.metrics().await;
    for reason in ["evicted-handshake", "evicted-idle"] {
        let none = format!(r#"connections_refused_total{{reason="{reason}"}} 0"#);
        assert!(!metrics.contains(&none), "{metrics}");
    }

    // Every one of them is accounted for, and so the server's stop waits for nobody.
    for port in ["webhooks", "health"] {
        for metric in ["handshakes", "connections"] {
            let none = format!(r#"network_guard_{metric}{{port="{port}"}} 0"#);
            if metrics.contains(&format!(r#"network_guard_{metric}{{port="{port}"}}"#)) {
                server.until(&none).await;
            }
        }
    }
    server.stop.run(&crate::stop::WITHOUT_IDLE).await;
    server.running.await.unwrap();
}

/// The largest body that is read where few have room, in bytes.
const BODY: usize = 1 << 20;

/// A server that has room for four bodies, and one more, and never ends one for taking long to arrive. For room a body
/// waits for so long.
async fn with_room_for_four(body_wait: Duration) -> TestServer {
    let limits = Limits {
        body_wait,
        body_bytes: BODY,
        bodies_in_flight_bytes: 4 * BODY,
        body_timeout: Duration::from_secs(300),
        ..Limits::default()
    };
    TestServer::with(Setup { limits, ..Setup::default() }).await
}

/// A connection of the attacker's address, with a review of the largest size that lacks its last byte.
async fn all_but_one_byte(to: SocketAddr, tls: &ClientConfig) -> std::io::Result<Client> {
    let tcp = connect_from(Ipv4Addr::new(127, 0, 0, 2), to).await?;
    let mut client = TestServer::shake_hands(tcp, tls).await?;
    let head =
        format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {BODY}\r\n\r\n");
    client.stream.write_all(&[head.as_bytes(), &vec![b' '; BODY - 1]].concat()).await?;
    client.stream.flush().await?;
    Ok(client)
}

/// Bodies that fill all the room for bodies, and never end: they give way for who holds less.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_never_end_shut_nobody_out() {
    // Room is free when the task of the body that gives way has ended. On a busy machine that may take longer than the
    // second that a body waits by default.
    let server = with_room_for_four(Duration::from_secs(10)).await;
    let config = client_config(&server.ca, None);
    let to = server.addresses.webhooks;
    let mut attackers = JoinSet::new();
    for _ in 0..8 {
        let config = config.clone();
        attackers.spawn(async move {
            loop {
                if let Ok(mut client) = all_but_one_byte(to, &config).await {
                    // Until it is told to retry later.
                    let _ = client.stream.read(&mut [0; 512]).await;
                }
            }
        });
    }
    let none = r#"bodies_refused_total{reason="busy"} 0"#;
    let some = r#"bodies_refused_total{reason="busy"}"#;
    until("all room is taken", async || {
        let metrics = server.metrics().await;
        metrics.contains(some) && !metrics.contains(none)
    })
    .await;

    let small = overlapping().to_string();
    // As much as is sent, with room for the answer's limit.
    let large = format!("{small}{}", " ".repeat(BODY - small.len()));
    for call in 0..60 {
        let tcp = connect_from(Ipv4Addr::LOCALHOST, to).await.unwrap();
        let mut client = TestServer::shake_hands(tcp, &config).await.unwrap();
        let body = if call % 10 == 9 { &large } else { &small };
        let answer = client.post(PATH, body).await;
        assert_eq!(answer.status, 200, "call {call}: {answer:?}");
    }

    // Nothing of the room is lost.
    attackers.shutdown().await;
    until("all room is free", async || {
        let calls = (0..4).map(async |_| server.connect().await.post(PATH, &large).await.status);
        futures::future::join_all(calls).await == [200; 4]
    })
    .await;
}

/// A caller that gives way is told to retry later, on another connection.
#[tokio::test(flavor = "multi_thread")]
async fn who_gives_way_is_told_so() {
    // A caller that waits too long is told to retry later too, on the same connection: here nobody does, however slow the machine is.
    let server = with_room_for_four(Duration::from_secs(300)).await;
    let config = client_config(&server.ca, None);
    let mut answers = JoinSet::new();
    // The room, and the one body more.
    for _ in 0..5 {
        let mut client = all_but_one_byte(server.addresses.webhooks, &config).await.unwrap();
        answers.spawn(async move { client.read().await.unwrap() });
    }
    // So large that somebody has to give way for it, also while one of the five waits for room itself.
    let review = overlapping().to_string();
    let review = format!("{review}{}", " ".repeat(BODY - (4 << 10) - review.len()));
    let told = loop {
        assert_eq!(server.connect().await.post(PATH, &review).await.status, 200);
        if let Some(told) = answers.try_join_next() {
            break told.unwrap();
        }
    };
    assert_eq!(told.status, 429, "{told:?}");
    assert!(told.head.contains("retry-after: 1") && told.head.contains("connection: close"), "{}", told.head);
}

/// A stop waits for nobody who had to go, nor for those that came instead.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_in_the_middle_of_an_attack() {
    // Half a request, and half a handshake, end by these: the stop is as long as the longer of them.
    let short = Duration::from_secs(5);
    let limits = Limits { header_timeout: short, handshake_timeout: short, ..few() };
    let (server, _attackers) = attacked(limits).await;
    server.stop.run(&crate::stop::WITHOUT_IDLE).await;
    server.running.await.unwrap();
}

/// Probes and scrapes too, which have ports without TLS.
#[tokio::test(flavor = "multi_thread")]
async fn probes_go_through_an_attack() {
    let server = TestServer::with(Setup { limits: few(), ..Setup::default() }).await;
    let (health, metrics) = (server.addresses.health, server.addresses.metrics);
    let on_health = attackers(health, None, 40);
    let on_metrics = attackers(metrics, None, 40);
    for (_, begun) in [&on_health, &on_metrics] {
        until("all room is taken", async || begun.load(Ordering::Relaxed) > 500).await;
    }
    for _ in 0..50 {
        for (address, path) in [(health, "/healthz"), (health, "/readyz"), (metrics, "/metrics")] {
            let answer = server.get(address, path).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        }
    }
}

/// Behind one node many callers may have one address: who comes last is served, however many are silent.
#[tokio::test]
async fn a_share_is_renewed_by_its_own() {
    let server = TestServer::with(Setup { limits: few(), ..Setup::default() }).await;
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(TcpStream::connect(server.addresses.webhooks).await.unwrap());
    }
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..20 {
        let mut client = server.connect().await;
        assert_eq!(client.post(PATH, &overlapping().to_string()).await.status, 200);
        clients.push(client);
    }
    // The last ones are open.
    for mut client in clients.into_iter().skip(4) {
        assert_eq!(client.post(PATH, &overlapping().to_string()).await.status, 200);
    }
}

/// The case as it was found: 1,100 connections of one address, with the limits that a server has by default.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_shut_nobody_out() {
    let server = Process::start(Stdio::null(), |_| ()).await;
    let mut silent = Vec::new();
    for _ in 0..1_100 {
        silent.push(TcpStream::connect(("127.0.0.1", server.ports[0])).await.unwrap());
    }
    for port in [1, 2] {
        for _ in 0..1_100 {
            silent.push(TcpStream::connect(("127.0.0.1", server.ports[port])).await.unwrap());
        }
    }
    for _ in 0..10 {
        assert_eq!(server.connect().await.post(PATH, REVIEW).await.status, 200);
        for (port, path) in [(1, "/healthz"), (1, "/readyz"), (2, "/metrics")] {
            assert!(server.get(port, path).starts_with("HTTP/1.1 200"), "{path}");
        }
    }
}

/// Connections that are idle do not keep the last file descriptors from others, whatever port they are of.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_leave_file_descriptors_to_others() {
    let server = Process::start(Stdio::null(), |_| ()).await;
    let pid = server.child.id().to_string();
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let limit = format!("--nofile={0}:{0}", open + 40);
    assert!(Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    let mut idle = Vec::new();
    for number in 0..120 {
        let call = async {
            let mut client = server.connect().await;
            assert_eq!(client.post(PATH, REVIEW).await.status, 200, "{number}");
            client
        };
        let called = tokio::time::timeout(Duration::from_secs(60), call).await;
        idle.push(called.unwrap_or_else(|_| panic!("connection {number} is not served")));
    }
    for path in ["/healthz", "/readyz"] {
        assert!(server.get(1, path).starts_with("HTTP/1.1 200"), "{path}");
    }
    assert!(server.metric(r#"network_guard_connections_refused_total{reason="evicted-idle"}"#) > 0.0);
}
