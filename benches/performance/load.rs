//! Calls as API servers make them: HTTP/1.1 over TLS, connections that are kept, and more of them when none is idle.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::server::Folder;

/// For how long an API server waits for an answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// How many idle connections it keeps.
const KEPT: usize = 25;

/// How many calls it has under way, at most: what `--max-requests-inflight` and `--max-mutating-requests-inflight` are together.
const MOST: usize = 600;

/// From where so many API servers call.
const API_SERVERS: [[u8; 4]; 3] = [[127, 0, 0, 1], [127, 0, 0, 2], [127, 0, 0, 3]];

/// What is sent, and where.
#[derive(Clone)]
pub struct Target {
    pub port: u16,
    request: Arc<[u8]>,
}

impl Target {
    pub fn new(port: u16, path: &str, body: &str) -> Self {
        let head = format!(
            "POST {path}?timeout=10s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Self { port, request: (head + body).into_bytes().into() }
    }
}

/// What calls came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How long those took that were answered well, since they were due.
    pub times: Vec<Duration>,
    /// Those that were told to retry later.
    pub refused: usize,
    /// Those whose connection broke, or that were not answered in time.
    pub failed: usize,
    /// Those of an API server that had too many under way.
    pub unsent: usize,
    /// How long calls became due, and how many were answered well meanwhile.
    pub took: Duration,
    pub count: usize,
}

impl Outcome {
    fn add(&mut self, answer: &Result<Answer>, due: Instant) {
        match answer {
            Ok(Answer { status: 200, .. }) => self.times.push(due.elapsed()),
            Ok(_) => self.refused += 1,
            Err(_) => self.failed += 1,
        }
    }

    /// Calls that were answered well, each second.
    pub fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.count).unwrap()) / self.took.as_secs_f64()
    }

    /// The time under which this share of them is.
    pub fn share(&mut self, per_mille: usize) -> Duration {
        self.times.sort_unstable();
        self.times[(self.times.len() * per_mille / 1_000).min(self.times.len() - 1)]
    }
}

/// What makes calls, on this thread.
pub struct Load {
    runtime: tokio::runtime::Runtime,
    tls: TlsConnector,
}

impl Load {
    pub fn new(folder: &Folder) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(folder.ca.certificate().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut tls = tls.with_root_certificates(roots).with_no_client_auth();
        // Like an API server: each connection pays its handshake.
        tls.resumption = rustls::client::Resumption::disabled();
        // A look at sockets after a few steps, also while calls become due all the time.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(7).build().unwrap();
        Self { runtime, tls: TlsConnector::from(Arc::new(tls)) }
    }

    /// Connections that are kept.
    pub fn connect(&self, port: u16, count: usize) -> Vec<Connection> {
        let dials = (0..count).map(|_| Connection::dial(&self.tls, Ipv4Addr::LOCALHOST, port));
        self.runtime.block_on(join_all(dials)).into_iter().map(Result::unwrap).collect()
    }

    /// So many calls, on each connection one after the other.
    pub fn closed(&self, connections: &mut [Connection], target: &Target, calls: usize) -> Outcome {
        let (outcome, left) = (RefCell::new(Outcome::default()), Cell::new(calls));
        let started = Instant::now();
        self.runtime.block_on(join_all(connections.iter_mut().map(async |connection| {
            while left.get() > 0 {
                left.set(left.get() - 1);
                let due = Instant::now();
                let answer = connection.call(&target.request).await;
                outcome.borrow_mut().add(&answer, due);
            }
        })));
        let outcome = Outcome { took: started.elapsed(), count: calls, ..outcome.into_inner() };
        assert_eq!(outcome.times.len(), calls, "{} were refused, {} failed", outcome.refused, outcome.failed);
        outcome
    }

    /// One call, and what is answered.
    pub fn once(&self, target: &Target) -> String {
        self.runtime.block_on(async {
            let mut connection = Connection::dial(&self.tls, Ipv4Addr::LOCALHOST, target.port).await.unwrap();
            let answer = connection.call(&target.request).await.unwrap();
            assert_eq!(answer.status, 200);
            String::from_utf8(connection.buffer).unwrap()
        })
    }

    /// So many new connections at once, with a call on each: the slowest one.
    pub fn burst(&self, target: &Target, count: usize) -> Duration {
        let started = Instant::now();
        self.runtime.block_on(join_all((0..count).map(async |_| {
            let mut connection = Connection::dial(&self.tls, Ipv4Addr::LOCALHOST, target.port).await.unwrap();
            assert_eq!(connection.call(&target.request).await.unwrap().status, 200);
        })));
        started.elapsed()
    }

    /// Calls that become due at a rate, whatever happens to those before. Their times count from then.
    pub fn open(&self, target: &Target, rate: f64, span: Duration) -> Outcome {
        let outcome = Rc::new(RefCell::new(Outcome::default()));
        let pools = API_SERVERS.map(|from| {
            Rc::new(Pool {
                from: from.into(),
                target: target.clone(),
                tls: self.tls.clone(),
                idle: RefCell::default(),
                spare: Semaphore::new(0),
                under_way: Rc::default(),
                outcome: Rc::clone(&outcome),
            })
        });
        let local = tokio::task::LocalSet::new();
        let started = Instant::now();
        local.block_on(&self.runtime, async {
            let (mut calls, mut count) = (Vec::new(), 0_u32);
            while started.elapsed() < span {
                let due = started + Duration::from_secs_f64(f64::from(count) / rate);
                if due <= Instant::now() {
                    count += 1;
                    let pool = &pools[count as usize % pools.len()];
                    if Rc::strong_count(&pool.under_way) > MOST {
                        outcome.borrow_mut().unsent += 1;
                    } else {
                        calls.push(tokio::task::spawn_local(Rc::clone(pool).call(due, Rc::clone(&pool.under_way))));
                    }
                } else {
                    // Timers are too coarse for this.
                    tokio::task::yield_now().await;
                }
                if count.is_multiple_of(64) {
                    tokio::task::yield_now().await;
                }
            }
            {
                let mut outcome = outcome.borrow_mut();
                (outcome.took, outcome.count) = (started.elapsed(), outcome.times.len());
            }
            join_all(calls).await;
        });
        outcome.take()
    }
}

/// The connections of an API server.
struct Pool {
    from: Ipv4Addr,
    target: Target,
    tls: TlsConnector,
    idle: RefCell<VecDeque<Connection>>,
    /// As many permits as there are idle connections that nobody was promised.
    spare: Semaphore,
    /// Each call has one of these.
    under_way: Rc<()>,
    outcome: Rc<RefCell<Outcome>>,
}

impl Pool {
    async fn call(self: Rc<Self>, due: Instant, _under_way: Rc<()>) {
        let answered = async {
            let mut connection = self.connection().await?;
            let answer = connection.call(&self.target.request).await?;
            if answer.stays {
                self.put(connection);
            }
            Ok(answer)
        };
        let answer = tokio::time::timeout_at((due + DEADLINE).into(), answered).await;
        let answer = answer.unwrap_or_else(|_| Err(Error::from(ErrorKind::TimedOut)));
        self.outcome.borrow_mut().add(&answer, due);
    }

    /// An idle connection; without one the next that is idle, or a new one, whichever comes first.
    async fn connection(self: &Rc<Self>) -> Result<Connection> {
        if let Ok(permit) = self.spare.try_acquire() {
            permit.forget();
            return Ok(self.take());
        }
        let (sender, mut receiver) = tokio::sync::oneshot::channel();
        let pool = Rc::clone(self);
        tokio::task::spawn_local(async move {
            let dialled = Connection::dial(&pool.tls, pool.from, pool.target.port).await;
            // Who dialled may have found another one meanwhile.
            if let Err(Ok(connection)) = sender.send(dialled) {
                pool.put(connection);
            }
        });
        tokio::select! {
            dialled = &mut receiver => dialled.expect("it is sent"),
            permit = self.spare.acquire() => {
                permit.expect("never closed").forget();
                receiver.close();
                if let Ok(Ok(connection)) = receiver.try_recv() {
                    self.put(connection);
                }
                Ok(self.take())
            }
        }
    }

    fn take(&self) -> Connection {
        self.idle.borrow_mut().pop_back().expect("there is one for each permit")
    }

    fn put(&self, connection: Connection) {
        if self.spare.available_permits() < KEPT {
            self.idle.borrow_mut().push_back(connection);
            self.spare.add_permits(1);
        }
    }
}

/// What is left of an answer.
struct Answer {
    status: u16,
    /// Whether the connection stays open.
    stays: bool,
}

/// One connection, with the last answer.
pub struct Connection {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

impl Connection {
    async fn dial(tls: &TlsConnector, from: Ipv4Addr, port: u16) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((from, 0).into())?;
        let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        stream.set_nodelay(true)?;
        let stream = tls.connect(ServerName::try_from("127.0.0.1").expect("an address"), stream).await?;
        Ok(Self { stream, buffer: Vec::new() })
    }

    async fn call(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.buffer.clear();
        let head = loop {
            if let Some(end) = self.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break end + 4;
            }
            self.more().await?;
        };
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let field = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()));
        let length = field("content-length:").and_then(|length| length.parse::<usize>().ok());
        let status = text.get(9..12).and_then(|status| status.parse().ok());
        let Some(status) = status else { return Err(ErrorKind::InvalidData.into()) };
        let stays = field("connection:") != Some("close");
        // Go sends answers in chunks whose length it does not know.
        while length
            .map_or_else(|| !self.buffer.ends_with(b"\r\n0\r\n\r\n"), |length| self.buffer.len() < head + length)
        {
            self.more().await?;
        }
        self.buffer.drain(..head);
        Ok(Answer { status, stays })
    }

    async fn more(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.buffer).await?;
        if read == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }
}
