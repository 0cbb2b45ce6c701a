//! What a proxy costs: connections and bytes through our socket, through gardenlet's own design (TLS on a TCP port), and
//! without any proxy. The double NAT and the tunnel are the same in all three, and so is Envoy.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::{Deserialize, Serialize};

use crate::basics::{eventually, fixture, until};
use crate::cluster::admitted_deployment;
use crate::lab::{Backend, DAY, Lab, POD};
use crate::nat;
use crate::overlap::OVERLAP;
use crate::peer::{self, Task};
use crate::pod::Pod;
use crate::process::Process;
use crate::watch;

/// A way into the Shoot.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub enum Way {
    /// Envoy, by a Unix socket.
    Socket,
    /// Envoy, by TLS on a TCP port.
    Tls,
    /// No proxy.
    Direct,
}

/// What one process measured on one way.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Figures {
    /// Microseconds until a request on a new connection is answered, one after the other.
    dial: f64,
    /// The same from several threads at a time: new connections in a second.
    dials_per_second: f64,
    /// MiB in a second that one connection brings from the Shoot.
    one: f64,
    /// The same with several connections.
    several: f64,
}

/// What is asked for.
#[derive(Debug, Deserialize, Serialize)]
pub struct Measurement {
    way: Way,
    server: SocketAddr,
    folder: PathBuf,
    dials: u32,
    mebibytes: u32,
}

const AT_A_TIME: u32 = 8;

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

impl Measurement {
    /// Measures, and writes the figures to a file.
    pub fn run(&self) {
        // Envoy remembers the address from the first time.
        self.request(&self.tls(), "/");
        let figures = Figures {
            dial: self.dials(1, self.dials).as_secs_f64() * 1e6 / f64::from(self.dials),
            dials_per_second: f64::from(self.dials * AT_A_TIME) / self.dials(AT_A_TIME, self.dials).as_secs_f64(),
            one: f64::from(self.mebibytes) / self.load(1).as_secs_f64(),
            several: f64::from(self.mebibytes * AT_A_TIME) / self.load(AT_A_TIME).as_secs_f64(),
        };
        fs::write(self.folder.join("figures"), serde_json::to_string(&figures).unwrap()).unwrap();
    }

    /// As the API server has it: no session is ever resumed.
    fn tls(&self) -> Arc<ClientConfig> {
        let mut config = peer::client_config(&self.folder.join("ca.crt"), &self.folder.join("proxy-client"));
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    }

    /// A connection that can be written to.
    fn dial(&self, tls: &Arc<ClientConfig>) -> io::Result<Box<dyn Stream>> {
        match self.way {
            Way::Direct => Ok(Box::new(TcpStream::connect(self.server)?)),
            Way::Socket => self.connect(UnixStream::connect(network_guard_core::vpn::sidecar::SOCKET_PATH)?),
            Way::Tls => {
                let tcp = TcpStream::connect("127.0.0.1:9443")?;
                // As in Go.
                tcp.set_nodelay(true)?;
                let name = ServerName::try_from("kube-apiserver-http-proxy").unwrap();
                let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
                self.connect(StreamOwned::new(connection, tcp))
            }
        }
    }

    fn connect(&self, mut stream: impl Stream + 'static) -> io::Result<Box<dyn Stream>> {
        write!(stream, "CONNECT {} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", self.server)?;
        stream.flush()?;
        let mut answer = Vec::new();
        let mut bytes = [0; 512];
        while !answer.ends_with(b"\r\n\r\n") {
            let count = stream.read(&mut bytes)?;
            answer.extend_from_slice(&bytes[..count]);
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
        Ok(Box::new(stream))
    }

    /// A request on a connection of its own, and all of its answer.
    fn request(&self, tls: &Arc<ClientConfig>, path: &str) {
        let mut stream = self.dial(tls).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: server\r\n\r\n").unwrap();
        stream.flush().unwrap();
        let mut answer = BufReader::with_capacity(64 * 1024, stream);
        // Not up to its end: gardenlet's Envoy passes on that the server has closed only after a second.
        let head = peer::read_head(&mut answer).unwrap();
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        let length = u64::try_from(peer::content_length(&head)).unwrap();
        let read = io::copy(&mut answer.take(length), &mut io::sink()).unwrap();
        assert!(read == length && length > 0, "{path}: {read} of {length} bytes came");
    }

    /// How long threads need for so many connections each.
    fn dials(&self, threads: u32, count: u32) -> Duration {
        let tls = self.tls();
        in_parallel(threads, || (0..count).for_each(|_| self.request(&tls, "/")))
    }

    /// How long threads need to read what each has asked for.
    fn load(&self, threads: u32) -> Duration {
        let tls = self.tls();
        in_parallel(threads, || self.request(&tls, &format!("/mebibytes/{}", self.mebibytes)))
    }
}

fn in_parallel(threads: u32, work: impl Fn() + Sync) -> Duration {
    let begun = Instant::now();
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(&work))));
    begun.elapsed()
}

/// Envoy as gardenlet runs it, with gardenlet's own configuration beside ours.
fn start_gardenlets_envoy(lab: &Lab, pod: &Pod) -> Process {
    let name = "kube-apiserver-http-proxy".to_owned();
    let server = lab.ca.server(std::slice::from_ref(&name), Timestamp::now(), DAY).unwrap();
    let client = lab.ca.client(&format!("{name}-client"), "", Timestamp::now(), DAY).unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gardener/ha-overlap/envoy.yaml");
    // The port of its metrics is that of our own sidecar.
    let config = fs::read_to_string(config).unwrap().replace("port_value: 15000", "port_value: 15001");
    for (file, text) in [
        ("ca.crt", lab.ca.certificate()),
        ("tls.crt", &server.certificate),
        ("tls.key", &server.key),
        ("proxy-client.crt", &client.certificate),
        ("proxy-client.key", &client.key),
        ("envoy.yaml", &config),
    ] {
        fs::write(lab.path(file), text).unwrap();
    }
    pod.as_root(
        "mount -t tmpfs tmpfs /srv && mkdir -p /srv/secrets/envoy-proxy && mount -t tmpfs tmpfs /home && \
         install -d -o 65532 /home/nonroot && mkdir /etc/envoy && cp /mnt/lab/envoy.yaml /etc/envoy && \
         cp /mnt/lab/ca.crt /mnt/lab/tls.crt /mnt/lab/tls.key /srv/secrets/envoy-proxy",
        "",
    );
    let theirs = fixture("ha-overlap", "deployment");
    let containers = theirs["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    let container = containers.iter().find(|container| container["name"] == "envoy-proxy").unwrap();
    let command: Vec<&str> =
        container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let group = container["securityContext"]["runAsGroup"].as_u64().unwrap();
    let envoy = pod.start_command("gardenlets-envoy", group, &command);
    until("gardenlet's Envoy listens", || lab.seed.run("ss -Hltn").contains(":9443 "));
    envoy
}

#[test]
#[ignore = "a benchmark"]
fn proxies_side_by_side() {
    const ROUNDS: usize = 5;
    let Some(lab) = Lab::build(OVERLAP, Backend::Nft) else { return };
    let pod = Pod::new(&lab, admitted_deployment(&lab), &[]);
    watch::count_reserved(&lab);
    nat::apply(&lab);
    let _ours = pod.start_envoy();
    let _theirs = start_gardenlets_envoy(&lab, &pod);
    lab.vpn.place(&[POD]);
    lab.serve(&lab.vpn, "vpn", &["http:8080"]);

    let measure = |way: Way| -> Figures {
        let task = Task::Measure(Measurement {
            way,
            server: SocketAddr::new(POD.parse().unwrap(), 8080),
            folder: "/mnt/lab".into(),
            dials: 200,
            mebibytes: 64,
        });
        let file = lab.path("figures");
        let _ = fs::remove_file(&file);
        let process = pod.start_peer("measure", 31_415, &task);
        eventually("the figures are there", || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            serde_json::from_str(&text).map_err(|error| format!("{error}: {}", process.last_words()))
        })
    };
    let rounds: Vec<[Figures; 3]> = (0..ROUNDS).map(|_| [Way::Socket, Way::Tls, Way::Direct].map(measure)).collect();
    say!("\nmedians of {ROUNDS} rounds; ratios are taken within each round");
    say!("{:<44}{:>10}{:>10}{:>10}{:>16}{:>18}", "", "socket", "TLS", "no proxy", "socket / TLS", "socket / no proxy");
    let rows: [(&str, fn(&Figures) -> f64); 4] = [
        ("a request on a new connection, µs", |figures| figures.dial),
        ("such requests each second, 8 at a time", |figures| figures.dials_per_second),
        ("one connection, MiB/s", |figures| figures.one),
        ("8 connections, MiB/s", |figures| figures.several),
    ];
    for (what, figure) in rows {
        let of = |value: &dyn Fn(&[Figures; 3]) -> f64| median(rounds.iter().map(value).collect());
        say!(
            "{what:<44}{:>10.0}{:>10.0}{:>10.0}{:>16.2}{:>18.2}",
            of(&|round| figure(&round[0])),
            of(&|round| figure(&round[1])),
            of(&|round| figure(&round[2])),
            of(&|round| figure(&round[0]) / figure(&round[1])),
            of(&|round| figure(&round[0]) / figure(&round[2])),
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
