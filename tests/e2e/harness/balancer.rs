//! What a Service is to its callers: one address, behind which replicas come and go, of which it learns late.

use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::guard::http_get;

/// How often `/readyz` is asked, and how long after that connections follow the answer.
const PERIOD: Duration = Duration::from_millis(500);

/// Gives each new connection to a replica that is ready. Connections that are there stay where they are, as those that a
/// node translates do, also when their replica is not ready any more.
pub struct Balancer {
    port: u16,
    replicas: Arc<Mutex<Vec<Replica>>>,
    slowest: Arc<AtomicU64>,
}

struct Replica {
    port: u16,
    /// Whether connections go to it.
    is_known: bool,
}

impl Balancer {
    /// Starts it on a free port with nobody behind it.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, super::free_port())).unwrap();
        let port = listener.local_addr().unwrap().port();
        let replicas = Arc::default();
        let known: Weak<Mutex<Vec<Replica>>> = Arc::downgrade(&replicas);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Some(known) = known.upgrade() else { return };
                let ready: Vec<u16> = known
                    .lock()
                    .unwrap()
                    .iter()
                    .filter(|replica| replica.is_known)
                    .map(|replica| replica.port)
                    .collect();
                // Nobody there is a refused connection, more or less.
                if !ready.is_empty() {
                    let port = ready[usize::try_from(random()).unwrap_or(0) % ready.len()];
                    thread::spawn(move || join(client, port));
                }
            }
        });
        Self { port, replicas, slowest: Arc::default() }
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Puts a replica behind it, to which connections go when it is ready.
    pub fn add(&self, port: u16, health_port: u16) {
        self.replicas.lock().unwrap().push(Replica { port, is_known: false });
        let (replicas, slowest) = (Arc::downgrade(&self.replicas), Arc::clone(&self.slowest));
        thread::spawn(move || follow(&replicas, &slowest, port, health_port));
    }

    /// Forgets a replica that is gone.
    pub fn remove(&self, port: u16) {
        self.replicas.lock().unwrap().retain(|replica| replica.port != port);
    }

    /// The longest that news of a replica took to be followed. On a busy machine it may be longer than replicas wait for.
    pub fn slowest(&self) -> Duration {
        Duration::from_millis(self.slowest.load(Ordering::Relaxed))
    }

    /// Whether connections go to a replica.
    pub fn knows(&self, port: u16) -> bool {
        self.replicas.lock().unwrap().iter().any(|replica| replica.port == port && replica.is_known)
    }
}

/// Asks a replica until it is gone. One that is not ready any more is on its way out, so it does not come back.
fn follow(replicas: &Weak<Mutex<Vec<Replica>>>, slowest: &AtomicU64, port: u16, health_port: u16) {
    let (mut is_ready, mut asked) = (false, Instant::now());
    loop {
        thread::sleep(PERIOD);
        let was_ready = is_ready;
        is_ready = http_get(health_port, "/readyz").starts_with("HTTP/1.1 200");
        let Some(replicas) = replicas.upgrade() else { return };
        let mut replicas = replicas.lock().unwrap();
        let Some(index) = replicas.iter().position(|replica| replica.port == port) else { return };
        // An answer counts one period later, so the news is as old as two of them.
        let age = u64::try_from(2 * asked.elapsed().as_millis()).unwrap_or(u64::MAX);
        slowest.fetch_max(age, Ordering::Relaxed);
        asked = Instant::now();
        if replicas[index].is_known && !was_ready {
            replicas.remove(index);
            return;
        }
        replicas[index].is_known = was_ready;
    }
}

/// Carries bytes both ways until both sides have ended. A replica that does not listen ends the connection of its client.
fn join(client: TcpStream, port: u16) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (Ok(from), Ok(to)) = (client.try_clone(), server.try_clone()) else { return };
    let upwards = thread::spawn(move || carry(from, to));
    carry(server, client);
    let _ = upwards.join();
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    // An end is passed on as an end; a broken connection is broken on both sides.
    let result = io::copy(&mut from, &mut to);
    let _ = to.shutdown(if result.is_ok() { Shutdown::Write } else { Shutdown::Both });
}

fn random() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), COUNT.fetch_add(1, Ordering::Relaxed))
}
