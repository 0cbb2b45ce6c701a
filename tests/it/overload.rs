//! More than a server can take: slow, endless and too many callers cost the others little, and memory stays bounded.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::{Process, REVIEW};
use crate::support::{Client, PATH};

const MIB: u64 = 1 << 20;

/// What one test measures must not be what another one does.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A server with these settings. It waits longer for a handshake than any machine takes: what ends callers here is that they
/// are many, not that they share a core with everything else.
async fn start(settings: &str) -> Process {
    let config = tempfile::NamedTempFile::new().unwrap();
    let text = format!(
        "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n\
         server: {{handshakeTimeoutSeconds: 600, {settings}}}\n"
    );
    std::fs::write(config.path(), text).unwrap();
    Process::start(Stdio::null(), |command| _ = command.arg("--config").arg(config.path())).await
}

/// Callers that keep their connections, as API servers do.
async fn callers(server: &Process, count: usize) -> Vec<Client> {
    let mut callers = Vec::new();
    for _ in 0..count {
        callers.push(server.connect().await);
    }
    callers
}

/// The times of calls, sorted; each has to be answered well.
async fn times(callers: &mut [Client], calls: usize) -> Vec<Duration> {
    let each = callers.iter_mut().map(async |client| {
        let mut times = Vec::new();
        for _ in 0..calls {
            let started = Instant::now();
            let answer = tokio::time::timeout(Duration::from_secs(60), client.post(PATH, REVIEW)).await;
            assert_eq!(answer.expect("it is answered").status, 200);
            times.push(started.elapsed());
        }
        times
    });
    let mut times = futures::future::join_all(each).await.concat();
    times.sort_unstable();
    times
}

/// The time under which this share of them is.
fn share(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

fn head(length: &str) -> String {
    format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{length}\r\n\r\n")
}

/// Two thousand handshakes that nobody goes on with, twice as many as there may be connections, and callers that send a
/// byte a second: those that have their connections notice little.
#[tokio::test(flavor = "multi_thread")]
async fn half_open_and_slow_connections() {
    let _alone = ALONE.lock().await;
    let server = start("").await;
    let mut normal = callers(&server, 4).await;
    times(&mut normal, 20).await;
    let before = times(&mut normal, 100).await;
    let memory = server.most_memory();

    let mut slow = callers(&server, 50).await;
    for client in &mut slow {
        client.stream.write_all(head("Content-Length: 7000000").as_bytes()).await.unwrap();
        client.stream.flush().await.unwrap();
    }
    let mut half_open = Vec::new();
    for _ in 0..2_000 {
        let mut stream = TcpStream::connect(("127.0.0.1", server.ports[0])).await.unwrap();
        // The beginning of a first record, which never ends.
        let _ = stream.write_all(&[22, 3, 1, 2, 0]).await;
        half_open.push(stream);
    }
    let sending = tokio::spawn(async move {
        loop {
            for client in &mut slow {
                let _ = client.stream.write_all(b" ").await;
                let _ = client.stream.flush().await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let during = times(&mut normal, 100).await;
    sending.abort();
    let more = server.most_memory() - memory;
    println!(
        "figure: 2000 half-open connections and 50 slow ones: p50 {:.1?}, before {:.1?}; p99 {:.1?}, before {:.1?}; \
         {} KiB more memory",
        share(&during, 50),
        share(&before, 50),
        share(&during, 99),
        share(&before, 99),
        more >> 10
    );
    assert!(more < 64 * MIB, "{more}");
    let evicted = r#"network_guard_connections_refused_total{reason="evicted-handshake"}"#;
    assert!(server.metric(evicted) > 0.0, "all of them got in");
}

/// Endless bodies, two hundred at the same time: each is ended, and memory is that of all bodies in flight, and the buffers
/// of each connection.
#[tokio::test(flavor = "multi_thread")]
async fn endless_bodies() {
    const BODIES: usize = 200;
    let _alone = ALONE.lock().await;
    let server = start("").await;
    server.calls("before", 20).await;
    let memory = server.most_memory();
    let mut sending = Vec::new();
    for mut client in callers(&server, BODIES).await {
        sending.push(tokio::spawn(async move {
            let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x1_0000));
            client.stream.write_all(head("Transfer-Encoding: chunked").as_bytes()).await.unwrap();
            let (reading, mut writing) = tokio::io::split(client.stream);
            let writing = tokio::spawn(async move {
                while writing.write_all(chunk.as_bytes()).await.is_ok() && writing.flush().await.is_ok() {}
            });
            let mut first = String::new();
            let mut lines = tokio::io::BufReader::new(reading);
            let read = tokio::time::timeout(Duration::from_secs(60), lines.read_line(&mut first)).await;
            // A connection that is closed while somebody still writes may take its answer with it.
            let _ = read.expect("it ends");
            writing.abort();
            first.split(' ').nth(1).unwrap_or_default().to_owned()
        }));
    }
    // The room is theirs, and normal calls are told so, or find some.
    let mut client = server.connect().await;
    let answer =
        tokio::time::timeout(Duration::from_secs(60), client.post(PATH, REVIEW)).await.expect("it is answered");
    // Where it shares one core with all those bodies, its own may be late.
    assert!([200, 429, 408].contains(&answer.status), "{answer:?}");
    let mut ends = std::collections::BTreeMap::<String, usize>::new();
    for sending in sending {
        *ends.entry(sending.await.unwrap()).or_default() += 1;
    }
    let more = server.most_memory() - memory;
    println!("figure: {BODIES} endless bodies: ended by {ends:?} (nothing: closed), {} MiB more memory", more / MIB);
    assert!(ends.keys().all(|status| ["413", "429", "408", ""].contains(&&**status)), "{ends:?}");
    // 64 MiB in flight and the one body more, and 700 KiB a connection for hyper's and rustls' buffers; twice, because the
    // allocator keeps what was just given back, which depends on who is faster. All these bodies together would be 1,400 MiB.
    assert!(more < 2 * (64 + 7 + 140) * MIB, "{} MiB", more / MIB);
    server.calls("after", 20).await;
}

/// Five times as many callers as there is room for: each is answered well, or told to retry later, and as much gets done.
#[tokio::test(flavor = "multi_thread")]
async fn five_times_too_many() {
    let _alone = ALONE.lock().await;
    let server = start("maxBodyBytes: 131072, maxBodiesInFlightBytes: 131072, bodyTimeoutSeconds: 600").await;
    let room = 131_072 / REVIEW.len();
    let mut good = Vec::new();
    for count in [room, room * 5] {
        let callers = callers(&server, count).await;
        let started = Instant::now();
        let each = callers.into_iter().map(|mut client| {
            tokio::spawn(async move {
                let (mut well, mut turned_away) = (0_u32, 0_u32);
                while started.elapsed() < Duration::from_secs(4) {
                    let answer = tokio::time::timeout(Duration::from_secs(60), client.post(PATH, REVIEW)).await;
                    let answer = answer.expect("nobody hangs");
                    match answer.status {
                        200 => {
                            assert!(answer.json()["response"]["patch"].is_string());
                            well += 1;
                        }
                        429 => {
                            assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
                            turned_away += 1;
                        }
                        _ => panic!("{answer:?}"),
                    }
                }
                (well, turned_away)
            })
        });
        let (mut well, mut turned_away) = (0, 0);
        for each in futures::future::join_all(each).await {
            let (one, other) = each.unwrap();
            (well, turned_away) = (well + one, turned_away + other);
        }
        let rate = f64::from(well) / started.elapsed().as_secs_f64();
        println!("figure: overload: {count} callers: {rate:.0} calls a second, {turned_away} told to retry later");
        good.push(rate);
    }
    println!("figure: overload: {:.2} of what is done without", good[1] / good[0]);
    assert!(good[1] > 0.0);
}
