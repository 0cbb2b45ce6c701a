//! The stand-in for API servers. It leaves no client waiting for what never comes: what is unknown is answered with 404, and the
//! connection ends.

use std::io::{BufWriter, Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The longest head of a request that is read, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

/// All objects of one kind, made when they are asked for.
pub struct Kind {
    pub name: &'static str,
    pub plural: &'static str,
    pub version: &'static str,
    pub count: usize,
    pub object: Box<dyn Fn(usize) -> String + Send + Sync>,
    asked: AtomicUsize,
}

impl Kind {
    pub fn new(
        [name, plural, version]: [&'static str; 3],
        count: usize,
        object: impl Fn(usize) -> String + Send + Sync + 'static,
    ) -> Self {
        Self { name, plural, version, count, object: Box::new(object), asked: AtomicUsize::new(0) }
    }

    /// How often they were asked for.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// None of this kind.
    pub fn none(words: [&'static str; 3]) -> Self {
        Self::new(words, 0, |_| String::new())
    }
}

/// What an API server has. Nothing ever happens after the first list.
#[derive(Default)]
pub struct Api {
    pub kinds: Vec<Kind>,
    /// Whether a watch may begin with all objects.
    pub streams: bool,
    /// What each read of a Secret shows.
    pub secret: String,
}

impl Api {
    /// Listens on a free port, by TLS where there is a configuration for it.
    pub fn listen(self: Arc<Self>, tls: Option<Arc<rustls::ServerConfig>>) -> u16 {
        listen(move |stream| match &tls {
            Some(tls) => self.serve(rustls::StreamOwned::new(
                rustls::ServerConnection::new(Arc::clone(tls)).map_err(Error::other)?,
                stream,
            )),
            None => self.serve(BothWays(BufWriter::with_capacity(1 << 20, stream))),
        })
    }

    fn serve<S: Read + Write>(&self, mut stream: S) -> Result<()> {
        serve(&mut stream, |stream, head, listed| self.answer(stream, head, listed))
    }

    fn answer(&self, stream: &mut (impl Read + Write), head: &str, listed: Option<&str>) -> Result<bool> {
        let parameter =
            |name: &str| head.split(['?', '&', ' ']).find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        let number = |name: &str| parameter(name)?.parse::<usize>().ok();
        let with_objects = parameter("sendInitialEvents") == Some("true");
        if !head.starts_with("GET ") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            stream.read_exact(&mut vec![0; length.unwrap_or(0)])?;
            // Whatever is written is there afterwards.
            send(stream, 200, r#"{"metadata":{"name":"x","namespace":"x","resourceVersion":"1"}}"#)?;
        } else if head.contains("/secrets/") && !self.secret.is_empty() {
            send(stream, 200, &self.secret)?;
        } else if let Some(kind) = self.kinds.iter().find(|kind| Some(kind.plural) == listed) {
            kind.asked.fetch_add(1, Ordering::Relaxed);
            let (name, version) = (kind.name, kind.version);
            if with_objects && !self.streams {
                let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":422,"reason":"Invalid","message":"no streaming lists"}"#;
                send(stream, 422, status)?;
            } else if parameter("watch") == Some("true") {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
                if with_objects {
                    for number in 0..kind.count {
                        writeln!(stream, r#"{{"type":"ADDED","object":{}}}"#, (kind.object)(number))?;
                    }
                    writeln!(
                        stream,
                        r#"{{"type":"BOOKMARK","object":{{"kind":"{name}","apiVersion":"{version}","metadata":{{"resourceVersion":"1","annotations":{{"k8s.io/initial-events-end":"true"}}}}}}}}"#
                    )?;
                }
                stream.flush()?;
                stay();
            } else {
                let from = number("continue").unwrap_or(0);
                let to = from.saturating_add(number("limit").unwrap_or(kind.count)).min(kind.count);
                let next = if to < kind.count { to.to_string() } else { String::new() };
                let items: Vec<String> = (from..to).map(|number| (kind.object)(number)).collect();
                send(
                    stream,
                    200,
                    &format!(
                        r#"{{"kind":"{name}List","apiVersion":"{version}","metadata":{{"resourceVersion":"1","continue":"{next}"}},"items":[{}]}}"#,
                        items.join(",")
                    ),
                )?;
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// Reads as they come, writes in large pieces.
struct BothWays(BufWriter<TcpStream>);

impl Read for BothWays {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.0.get_mut().read(buffer)
    }
}

impl Write for BothWays {
    fn write(&mut self, buffer: &[u8]) -> Result<usize> {
        self.0.write(buffer)
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

/// Listens on a free port, and hands each connection to a thread of its own.
pub fn listen(serve: impl Fn(TcpStream) -> Result<()> + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = Arc::clone(&serve);
            // A connection that ends early ends its thread, and that is all.
            std::thread::spawn(move || drop(serve(stream)));
        }
    });
    port
}

/// The head of the next request; an error when there is none.
fn head(stream: &mut impl Read) -> Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(Error::from(ErrorKind::FileTooLarge));
        }
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The resource that a request lists or watches, such as `clusters`; nothing where it asks for something else.
fn listed(head: &str) -> Option<&str> {
    let path = head.strip_prefix("GET ")?.split(['?', ' ']).next()?;
    path.strip_prefix("/api").and_then(|path| path.rsplit('/').next())
}

/// Serves a connection to its end. `answer` gets the head of each request and what it lists, answers it on the stream, and says
/// whether it did: what nobody answers is not found, and is the last that happens on the connection.
pub fn serve<S: Read + Write>(
    stream: &mut S,
    mut answer: impl FnMut(&mut S, &str, Option<&str>) -> Result<bool>,
) -> Result<()> {
    loop {
        let head = head(stream)?;
        if !answer(stream, &head, listed(&head))? {
            return not_found(stream);
        }
        stream.flush()?;
    }
}

fn send(stream: &mut impl Write, code: u16, body: &str) -> Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 {code} x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Says that there is no such thing. The connection has to end after that.
fn not_found(stream: &mut impl Write) -> Result<()> {
    let status = r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":404,"reason":"NotFound","message":"no such path"}"#;
    write!(
        stream,
        "HTTP/1.1 404 x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{status}",
        status.len()
    )?;
    stream.flush()
}

/// Keeps a watch open in which nothing happens, for longer than a benchmark takes.
fn stay() {
    std::thread::sleep(Duration::from_secs(3600));
}

/// Throws away what comes until `left` bytes have; fails when the stream ends before, or stops.
pub fn discard(stream: &mut TcpStream, mut left: usize) {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut buffer = vec![0; 1 << 16];
    while left > 0 {
        let read = stream.read(&mut buffer).unwrap_or_else(|error| panic!("{left} bytes are missing: {error}"));
        assert!(read > 0, "the stream ended, {left} bytes are missing");
        left = left.saturating_sub(read);
    }
}
