//! Servers that tell who they are and whom they saw, and a client with very many connections. They are processes of
//! their own, because each lives in a namespace: this test binary, started again.

use std::collections::BTreeSet;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::process::Process;
use crate::space::Space;
use crate::speed::Measurement;

/// What such a process does.
#[derive(Debug, Deserialize, Serialize)]
pub enum Task {
    /// Serves HTTP.
    Serve { name: String, ports: Vec<String>, certificate: PathBuf, key: PathBuf },
    /// Opens streams to an HTTPS server, all at the same time, and moves bytes in both directions on each.
    Streams { server: SocketAddr, path: String, count: usize, bytes: usize, folder: PathBuf },
    /// Measures how fast a way into the Shoot is.
    Measure(Measurement),
}

/// Where a process finds its task.
const TASK: &str = "NETWORK_GUARD_DATAPATH_TASK";

/// Starts a process with a task.
pub fn start(space: &Space, folder: &Path, name: &str, task: &Task) -> Process {
    space.start(folder, name, Path::new("sh"), &command_line(&std::env::current_exe().unwrap(), task))
}

/// The arguments of a shell that runs this binary with a task.
pub fn command_line(program: &Path, task: &Task) -> Vec<String> {
    let program = program.display().to_string();
    let task = format!("{TASK}={}", serde_json::to_string(task).unwrap());
    let script = "ulimit -n 16384 && exec \"$@\"".to_owned();
    let shell = ["-c".to_owned(), script, "peer".to_owned(), "env".to_owned(), task, program];
    let test = ["--ignored", "--exact", "peer::run", "--nocapture", "--quiet"].map(str::to_owned);
    [shell.as_slice(), test.as_slice()].concat()
}

#[test]
#[ignore = "a process that other tests start"]
fn run() {
    let Some(task) = std::env::var_os(TASK) else { return };
    match serde_json::from_str(task.to_str().unwrap()).unwrap() {
        Task::Serve { name, ports, certificate, key } => serve(&name, &ports, &certificate, &key),
        Task::Streams { server, path, count, bytes, folder } => open_streams(server, &path, count, bytes, &folder),
        Task::Measure(measurement) => measurement.run(),
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn certificate_and_key(certificate: &Path, key: &Path) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (vec![CertificateDer::from_pem_file(certificate).unwrap()], PrivateKeyDer::from_pem_file(key).unwrap())
}

/// A client that trusts a CA and has a certificate, from `<identity>.crt` and `<identity>.key`.
pub fn client_config(ca: &Path, identity: &Path) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).unwrap()).unwrap();
    let (certificate, key) = certificate_and_key(&identity.with_extension("crt"), &identity.with_extension("key"));
    let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(roots).with_client_auth_cert(certificate, key).unwrap()
}

fn serve(name: &str, ports: &[String], certificate: &Path, key: &Path) {
    let (certificate, key) = certificate_and_key(certificate, key);
    let tls = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_no_client_auth().with_single_cert(certificate, key).unwrap());
    let server = Arc::new(Server { name: name.to_owned(), present: Mutex::default(), all_present: Condvar::new() });
    let listeners: Vec<_> = ports
        .iter()
        .map(|port| {
            let (scheme, port) = port.split_once(':').unwrap();
            let listener = TcpListener::bind(format!("[::]:{port}")).unwrap();
            let tls = (scheme == "https").then(|| Arc::clone(&tls));
            let server = Arc::clone(&server);
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let (server, tls) = (Arc::clone(&server), tls.clone());
                    std::thread::spawn(move || {
                        // A peer that goes away is none of our business.
                        let _ = server.answer(stream, tls);
                    });
                }
            })
        })
        .collect();
    for listener in listeners {
        listener.join().unwrap();
    }
}

struct Server {
    name: String,
    /// The streams that wait for each other.
    present: Mutex<BTreeSet<usize>>,
    all_present: Condvar,
}

impl Server {
    fn answer(&self, stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<()> {
        let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let (client, own) = (canonical(stream.peer_addr()?), canonical(stream.local_addr()?));
        match tls {
            None => self.answer_on(stream, client, own),
            Some(tls) => {
                let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(connection, stream);
                self.answer_on(&mut stream, client, own)?;
                stream.conn.send_close_notify();
                stream.flush()
            }
        }
    }

    /// One request for each connection.
    fn answer_on(&self, stream: impl Read + Write, client: SocketAddr, own: SocketAddr) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream)?;
        let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
        if let Some(stream_of) = path.split("/streams/").nth(1) {
            let numbers: Vec<usize> = stream_of.split('/').map(|number| number.parse().unwrap()).collect();
            return self.exchange(stream, numbers[0], numbers[1], content_length(&head));
        }
        if let Some(count) = path.strip_prefix("/mebibytes/") {
            let stream = stream.get_mut();
            let (count, block) = (count.parse::<usize>().unwrap(), vec![7; 1 << 20]);
            let length = count << 20;
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
            return (0..count).try_for_each(|_| stream.write_all(&block));
        }
        let mut body = vec![0; content_length(&head)];
        stream.read_exact(&mut body)?;
        if path.contains("/slow") {
            // Longer than what Envoy logs as slow.
            std::thread::sleep(Duration::from_millis(1_200));
        }
        let seen = json!({"server": self.name, "at": own, "client": client});
        let answer = match serde_json::from_slice::<serde_json::Value>(&body) {
            Ok(review) if review["kind"] == "AdmissionReview" => json!({
                "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
                "response": {"uid": review["request"]["uid"], "allowed": true, "warnings": [format!(
                    "{} at {own} saw {client}", self.name
                )]},
            }),
            _ if path == "/apis/lab.example.com/v1" || path.starts_with("/apis/lab.example.com/v1?") => json!({
                "apiVersion": "v1", "kind": "APIResourceList", "groupVersion": "lab.example.com/v1", "resources": [],
            }),
            _ => seen,
        };
        let answer = answer.to_string();
        write!(
            stream.get_mut(),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
            answer.len()
        )?;
        stream.get_mut().flush()
    }

    /// Reads bytes and checks them, waits until all other streams are here too, and sends as many back.
    fn exchange<S: Read + Write>(
        &self,
        mut stream: BufReader<S>,
        number: usize,
        count: usize,
        bytes: usize,
    ) -> io::Result<()> {
        let expected = Bytes::new(number);
        expected.read(&mut stream, bytes)?;
        let mut present = self.present.lock().unwrap();
        present.insert(number);
        self.all_present.notify_all();
        // Only streams that never come take so long.
        let limit = Duration::from_secs(600);
        let (present, waited) = self.all_present.wait_timeout_while(present, limit, |p| p.len() < count).unwrap();
        drop(present);
        if waited.timed_out() {
            return write!(stream.get_mut(), "HTTP/1.1 500 Alone\r\nContent-Length: 0\r\n\r\n");
        }
        let stream = stream.get_mut();
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\nConnection: close\r\n\r\n")?;
        Bytes::new(number + count).write(stream, bytes)?;
        stream.flush()
    }
}

/// The lines of a head.
pub fn read_head(stream: &mut BufReader<impl Read>) -> io::Result<Vec<String>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => return Ok(head),
            line => head.push(line.to_owned()),
        }
    }
}

/// How long a body is, as its head says.
pub fn content_length(head: &[String]) -> usize {
    let value = |line: &String| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
    head.iter().find_map(value).unwrap_or(0)
}

/// Bytes that belong to one stream: whatever is swapped, lost or repeated is noticed.
struct Bytes {
    block: Vec<u8>,
    number: usize,
}

const BLOCK: usize = 16 * 1024;

impl Bytes {
    fn new(number: usize) -> Self {
        // A generator of pseudo-random numbers, as a byte each.
        let mut state = u32::try_from(number).unwrap() + 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        Self { block: (0..BLOCK + 256).map(|_| next()).collect(), number }
    }

    /// The bytes at a place in the stream, up to the next multiple of a block.
    fn at(&self, offset: usize, bytes: usize) -> &[u8] {
        let shift = (offset / BLOCK + self.number) % 256;
        &self.block[shift..shift + BLOCK.min(bytes - offset)]
    }

    fn write(&self, stream: &mut impl Write, bytes: usize) -> io::Result<()> {
        (0..bytes).step_by(BLOCK).try_for_each(|offset| stream.write_all(self.at(offset, bytes)))
    }

    fn read(&self, stream: &mut impl Read, bytes: usize) -> io::Result<()> {
        let mut buffer = vec![0; BLOCK];
        (0..bytes).step_by(BLOCK).try_for_each(|offset| {
            let expected = self.at(offset, bytes);
            let buffer = &mut buffer[..expected.len()];
            stream
                .read_exact(buffer)
                .map_err(|error| io::Error::new(error.kind(), format!("{error} after {offset}")))?;
            let same = buffer == expected;
            same.then_some(()).ok_or_else(|| io::Error::other(format!("wrong bytes after {offset}")))
        })
    }
}

/// Prints how many streams came through, and what became of the others.
fn open_streams(server: SocketAddr, path: &str, count: usize, bytes: usize, folder: &Path) {
    let config = Arc::new(client_config(&folder.join("ca.crt"), &folder.join("admin")));
    let stream = |number: usize| -> io::Result<()> {
        let tcp = TcpStream::connect(server)?;
        let connection = ClientConnection::new(Arc::clone(&config), ServerName::from(server.ip()));
        let mut stream = StreamOwned::new(connection.map_err(io::Error::other)?, tcp);
        write!(
            stream,
            "POST {path}/streams/{number}/{count} HTTP/1.1\r\nHost: server\r\nContent-Length: {bytes}\r\n\r\n"
        )?;
        Bytes::new(number).write(&mut stream, bytes)?;
        stream.flush()?;
        let mut stream = BufReader::new(stream);
        let head = read_head(&mut stream)?;
        if !head[0].starts_with("HTTP/1.1 200") || content_length(&head) != bytes {
            return Err(io::Error::other(head.join("; ")));
        }
        Bytes::new(number + count).read(&mut stream, bytes)
    };
    let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|number| scope.spawn(move || stream(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let lost: Vec<String> = results.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
    println!("through: {} of {count}", count - lost.len());
    for error in lost.iter().take(5) {
        println!("lost: {error}");
    }
    println!("done");
}
