//! What the stand-ins for API servers have in common. None leaves a client waiting for what never comes: what is unknown is
//! answered with 404, and the connection ends.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// The longest head of a request that is read, in bytes.
const LONGEST_HEAD: usize = 64 << 10;

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
pub fn stay() {
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
