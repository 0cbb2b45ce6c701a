//! The stand-ins of benchmarks leave nobody waiting for what never comes: `make bench` ends.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

#[allow(dead_code, unreachable_pub, reason = "the benchmarks use all of it")]
#[path = "../../benches/performance/api.rs"]
mod stand_ins;

/// Only a hang takes so long.
const NEVER: Duration = Duration::from_secs(120);

/// Serves Clusters alone, as the benchmark of memory does.
fn clusters_only() -> TcpStream {
    let port = stand_ins::listen(|mut stream| {
        stand_ins::serve(&mut stream, |stream, _, listed| {
            if listed != Some("clusters") {
                return Ok(false);
            }
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")?;
            Ok(true)
        })
    });
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(NEVER)).unwrap();
    stream
}

/// All that is answered to these requests, to the end of the connection, which has to come.
fn answers(paths: &[&str]) -> String {
    let mut stream = clusters_only();
    for path in paths {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).expect("the connection ends");
    answers
}

#[test]
fn a_path_that_is_not_served_is_not_found() {
    for path in
        ["/apis/extensions.gardener.cloud/v1alpha1/networks?watch=true", "/", "/clusters", "nonsense", "/api/v1/"]
    {
        let said = answers(&[path]);
        assert!(said.starts_with("HTTP/1.1 404 ") && said.contains(r#""reason":"NotFound""#), "{path}: {said}");
        assert!(said.contains("Connection: close"), "{path}: {said}");
    }
    let served = "/apis/extensions.gardener.cloud/v1alpha1/clusters?watch=true";
    let said = answers(&[served, served, "/elsewhere"]);
    let codes: Vec<&str> = said.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(codes, ["200", "200", "404"], "{said}");
}

/// Half a request, and then nothing more.
#[test]
fn a_request_that_breaks_off_ends_the_connection() {
    let mut stream = clusters_only();
    stream.write_all(b"GET /apis/clusters HTTP/1.1\r\nHost").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("the connection ends");
    assert_eq!(said, "");
}

/// What a download says that wants so many bytes of a stream with ten, which then ends.
fn download(wanted: usize) -> std::thread::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    listener.accept().unwrap().0.write_all(&[0; 10]).unwrap();
    let (ended, end) = mpsc::channel();
    // A thread of its own: a download that hangs is told of, too.
    std::thread::spawn(move || {
        ended.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| stand_ins::discard(&mut client, wanted))))
    });
    end.recv_timeout(NEVER).expect("it ends")
}

#[test]
fn a_download_ends_with_its_stream() {
    for enough in [0, 1, 10] {
        assert!(download(enough).is_ok(), "{enough}");
    }
    let why = download(11).unwrap_err();
    assert_eq!(why.downcast_ref::<String>().unwrap(), "the stream ended, 1 bytes are missing");
}
