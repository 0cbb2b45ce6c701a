//! The accept loop, used for HTTPS and for the plain ports.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::task::TaskTracker;

use super::connections::{Ports, TOLD, Told};
use super::{HttpsMetrics, Limits};

/// How long a peer may take to read some part of an answer. hyper's own timeout runs only while a request is read.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The length of the accept queue, in which connections wait while calls go first. A kernel whose `net.core.somaxconn` is lower
/// has a shorter one.
const QUEUE: u16 = 1024;

/// How many connections are accepted before whatever else is ready gets its turn. A handshake takes a few times as long as a call,
/// and an API server keeps 25 connections: so few leave most of the time to calls where it is short.
const AT_ONCE: usize = 4;

/// Turns an accepted connection into a byte stream.
pub(crate) trait Acceptor: Send + Sync + 'static {
    /// The stream.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Creates the stream.
    fn accept(&self, stream: TcpStream) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// No TLS.
pub(crate) struct Plain;

impl Acceptor for Plain {
    type Stream = TcpStream;

    async fn accept(&self, stream: TcpStream) -> io::Result<TcpStream> {
        Ok(stream)
    }
}

/// Listens at an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A server that starts again need not wait until the kernel has forgotten the connections of the last one.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE.into())
}

/// Serves until `closing` ends; then until no connection is left or `leaving` ends; and then until every call is done.
pub(crate) async fn serve<A: Acceptor>(
    (port, listener): (&'static str, TcpListener),
    acceptor: Arc<A>,
    routes: Router,
    limits: &Limits,
    (ports, metrics): (&Ports, &Arc<HttpsMetrics>),
    (closing, leaving): (impl Future<Output = ()>, impl Future<Output = ()>),
) {
    let connections = ports.open(port, limits, metrics);
    let open = TaskTracker::new();
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        // The headers have to fit; bodies are read in chunks of at most this size.
        .max_buf_size(64 << 10);

    let take = |stream: TcpStream, peer: SocketAddr| {
        let (connection, Told { ended, turn }) = connections.arrive(peer.ip().into());
        let _ = stream.set_nodelay(true);
        let watcher = graceful.watcher();
        let (http, acceptor, metrics) = (http.clone(), Arc::clone(&acceptor), Arc::clone(metrics));
        let (routes, limit) = (routes.clone(), limits.handshake_timeout);
        let served = async move {
            let handshake = async {
                connection.turn(turn).await;
                stream.readable().await?;
                connection.speaks();
                acceptor.accept(stream).await
            };
            let stream = match tokio::time::timeout(limit, handshake).await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    metrics.connection_refused("handshake-failed");
                    tracing::debug!(%peer, %error, "TLS handshake failed");
                    return;
                }
                Err(_) => {
                    metrics.connection_refused("handshake-timeout");
                    return;
                }
            };
            let mut stream = TimeoutWriter::new(stream);
            stream.set_timeout(Some(WRITE_TIMEOUT));
            let service = connection.service(routes);
            let connection = watcher.watch(http.serve_connection(TokioIo::new(Box::pin(stream)), service));
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "connection ended early");
            }
        };
        open.spawn(async move {
            tokio::select! {
                biased;
                _ = ended => tracing::debug!(%peer, "connection closed to make room"),
                () = served => {}
            }
        });
    };

    let mut closing = std::pin::pin!(closing);
    let (mut told, mut accepted) = (None, 0_usize);
    loop {
        // Biased: a peer that calls without a pause must not keep the port open.
        let (stream, peer) = tokio::select! {
            biased;
            () = &mut closing => break,
            accepted = next(&listener, ports, &mut told) => accepted,
        };
        take(stream, peer);
        // Calls go first: what waits in the queue of the kernel costs nothing. So connections of callers that are already served
        // are not closed for, nor kept waiting by, more of them than can be served.
        accepted += 1;
        if accepted % AT_ONCE == 0 {
            tokio::task::yield_now().await;
        }
    }
    for (stream, peer) in queued(listener) {
        take(stream, peer);
    }
    // This includes connections that are still in their handshake.
    open.close();
    tokio::select! {
        () = open.wait() => {}
        () = leaving => graceful.shutdown().await,
    }
}

async fn next(listener: &TcpListener, ports: &Ports, told: &mut Option<Instant>) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Either the peer is gone already, and a retry costs nothing, or the process is out of file
                // descriptors, which a busy loop would only make worse: an idle connection has to be closed, on
                // whichever port.
                if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
                    if told.is_none_or(|told| told.elapsed() >= TOLD) {
                        *told = Some(Instant::now());
                        tracing::error!(%error, "cannot accept connections");
                    }
                    // The connection is closed by its own task, a moment later.
                    let pause = if ports.make_room() { 5 } else { 100 };
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
        }
    }
}

/// Accepts the connections that the kernel has completed already before the listener is closed: the kernel would reset
/// them, and a reset is a failed call for the client.
fn queued(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    // Polled without the runtime, which may not have been notified of the last of them.
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    let mut queued = Vec::new();
    // At most as many as the queue holds, which is one more than it was asked for, in case clients connect faster than we accept.
    while queued.len() <= usize::from(QUEUE) {
        match listener.accept() {
            Ok((stream, peer)) => {
                let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
                queued.extend(stream.map(|stream| (stream, peer)));
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => {}
            Err(_) => break,
        }
    }
    queued
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::routing::get;

    use super::*;

    /// For its client a connection that waits to be accepted is like any other.
    #[tokio::test]
    async fn queued_connections_are_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut clients: Vec<std::net::TcpStream> = (0..20)
            .map(|_| {
                let mut client = std::net::TcpStream::connect(address).unwrap();
                client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
                client
            })
            .collect();

        // The port closes before the loop accepts for the first time.
        let phases = (std::future::ready(()), std::future::pending());
        let routes = Router::new().route("/", get(|| std::future::ready("fine")));
        serve(
            ("test", listener),
            Arc::new(Plain),
            routes,
            &Limits::default(),
            (&Ports::default(), &Arc::new(HttpsMetrics::default())),
            phases,
        )
        .await;
        for client in &mut clients {
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer:?}");
        }
        assert!(std::net::TcpStream::connect(address).is_err(), "no further connection is accepted");
    }

    /// More than a listener has room for that is not asked for more; for them the kernel would be silent.
    #[tokio::test]
    async fn connections_may_wait_in_the_queue() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let limit = Duration::from_secs(20);
        let _waiting: Vec<_> =
            (0..400).map(|_| std::net::TcpStream::connect_timeout(&address, limit).expect("it may wait")).collect();
    }

    /// Counts what it is given.
    struct Counting(Arc<AtomicUsize>);

    impl Acceptor for Counting {
        type Stream = TcpStream;

        async fn accept(&self, stream: TcpStream) -> io::Result<TcpStream> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(stream)
        }
    }

    /// However many connections wait, what else is ready has its turn after a few of them.
    #[tokio::test]
    async fn calls_go_before_further_connections() {
        const WAITING: usize = 100;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let _clients = [(); WAITING].map(|()| std::net::TcpStream::connect(address).unwrap());

        let accepted = Arc::new(AtomicUsize::new(0));
        let acceptor = Arc::new(Counting(Arc::clone(&accepted)));
        let serving = tokio::spawn(async move {
            let (limits, ports, metrics) = (Limits::default(), Ports::default(), Arc::default());
            let never = (std::future::pending(), std::future::pending());
            serve(("test", listener), acceptor, Router::new(), &limits, (&ports, &metrics), never).await;
        });
        let mut before = 0;
        while before < WAITING {
            tokio::task::yield_now().await;
            let now = accepted.load(Ordering::Relaxed);
            assert!(now - before <= AT_ONCE, "{before} to {now}");
            before = now;
        }
        serving.abort();
    }
}
