//! Who closes a connection that is idle: its client, unless it keeps it for longer than any API server does.

use std::time::Duration;

use network_guard_runtime::https::Limits;

use crate::support::{PATH, Setup, TestServer, overlapping};

/// For how long an API server keeps an idle connection: `IdleConnTimeout` of Go's default transport.
const POOL: Duration = Duration::from_secs(90);

#[test]
fn clients_are_the_first_to_close() {
    // A rest for calls that are on their way when the time is up.
    assert!(Limits::default().header_timeout >= POOL + Duration::from_secs(10));
}

/// The same in seconds: calls with pauses shorter than the limit have one connection, and a longer pause ends it, which
/// its client would learn from a broken call.
#[tokio::test]
async fn pauses_below_and_above_the_limit() {
    let header_timeout = Duration::from_secs(12);
    let limits = Limits { header_timeout, ..Limits::default() };
    let server = TestServer::with(Setup { limits, ..Setup::default() }).await;
    let body = overlapping().to_string();
    let mut client = server.connect().await;
    // Together they are longer than the limit, which starts again with each call; each is far from it, also on a machine
    // that is busy with something else.
    let mut last_call = tokio::time::Instant::now();
    for pause in [0, 5, 5, 5] {
        tokio::time::sleep(Duration::from_secs(pause)).await;
        last_call = tokio::time::Instant::now();
        let response = client.post(PATH, &body).await;
        assert!(response.status == 200 && !response.head.contains("connection: close"), "{pause} s: {response:?}");
    }
    assert!(client.read().await.is_err(), "closed by the server");
    assert!(last_call.elapsed() >= header_timeout, "closed after {:?}", last_call.elapsed());
}
