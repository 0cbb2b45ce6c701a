//! The real Envoy and the real kube-apiserver take the configurations that we inject.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use network_guard_core::vpn::sidecar::{Injection, SOCKET_PATH, Settings};

use crate::harness::{ControlPlane, Process, eventually, free_port, tool, until};

/// The configurations as files, with the Pod's directories moved into a folder.
fn write_configurations(folder: &Path, settings: &Settings) {
    let injection = Injection::new(settings);
    let moved = |text: &str| text.replace("/var/run/network-guard", &folder.display().to_string());
    fs::write(folder.join("envoy.json"), moved(injection.envoy_config())).unwrap();
    fs::write(folder.join("egress-selector.json"), moved(injection.egress_selector_config())).unwrap();
}

fn start_envoy(folder: &Path, settings: &Settings) -> Process {
    write_configurations(folder, settings);
    // The injected command line, with the file where this test has it.
    let command = Injection::new(settings).container()["command"].clone();
    let arguments: Vec<String> = command.as_array().unwrap()[1..]
        .iter()
        .map(|argument| argument.as_str().unwrap().replace("/etc/network-guard", &folder.display().to_string()))
        .collect();
    let envoy = Process::start(folder, "envoy", &tool("envoy"), &arguments);
    until("Envoy is ready", || get(settings.status_port, "/ready").starts_with("HTTP/1.1 200"));
    envoy
}

fn get(port: u16, path: &str) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer).map(drop));
    }
    answer
}

#[test]
fn envoy_accepts_the_configuration_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("envoy.json");
    fs::write(&file, Injection::new(&Settings::default()).envoy_config()).unwrap();
    let output = Command::new(tool("envoy")).args(["--mode", "validate", "-c"]).arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("OK"), "{said}");
    assert!(!said.contains("deprecated"), "{said}");
}

#[test]
fn envoy_forwards_and_tells_its_status() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { status_port: free_port(), slow_milliseconds: 200, ..Settings::default() };
    let envoy = start_envoy(folder.path(), &settings);

    // The status listener serves two paths, and only by GET.
    assert!(get(settings.status_port, "/metrics").contains("envoy_server_live"));
    for path in ["/", "/quitquitquit", "/config_dump", "/stats", "/ready/x", "/readyx", "/metrics/../config_dump"] {
        let answer = get(settings.status_port, path);
        assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }

    // The socket is for owner and group only, as the API server runs as the owner.
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("egress.sock"), mode("envoy-admin.sock")), (0o660, 0o600));

    // CONNECT, as the API server writes it, reaches a server; bytes flow in both directions.
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut request = [0; 4];
        stream.read_exact(&mut request).unwrap();
        std::thread::sleep(Duration::from_millis(400));
        stream.write_all(&request).unwrap();
    });
    let mut stream = UnixStream::connect(folder.path().join("egress.sock")).unwrap();
    write!(stream, "CONNECT {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    stream.write_all(b"ping").unwrap();
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"ping");
    drop(stream);
    echo.join().unwrap();

    // Slow and failed connections are in the access log.
    let unreachable = free_port();
    let mut stream = UnixStream::connect(folder.path().join("egress.sock")).unwrap();
    write!(stream, "CONNECT 127.0.0.1:{unreachable} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 503");
    drop(stream);
    eventually("both are logged", || {
        let log = envoy.output();
        let logged = log.contains(&format!("CONNECT {address} HTTP/1.1 200"))
            && log.contains(&format!("CONNECT 127.0.0.1:{unreachable} HTTP/1.1 503"));
        logged.then_some(()).ok_or_else(|| envoy.last_words())
    });
}

/// By default Envoy gives a reader a second, once the server has closed.
#[test]
fn a_reader_who_pauses_loses_nothing() {
    const BYTES: usize = 512 * 1024;
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { status_port: free_port(), ..Settings::default() };
    let _envoy = start_envoy(folder.path(), &settings);
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    std::thread::spawn(move || server.accept().unwrap().0.write_all(&vec![7; BYTES]).unwrap());
    let mut stream = UnixStream::connect(folder.path().join("egress.sock")).unwrap();
    write!(stream, "CONNECT {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&vec![7; BYTES]), "{} bytes came, with the head of the answer", answer.len());
}

#[test]
fn the_api_server_goes_through_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { status_port: free_port(), ..Settings::default() };
    let _envoy = start_envoy(folder.path(), &settings);
    assert!(folder.path().join("egress.sock").exists() && SOCKET_PATH.ends_with("/egress.sock"));

    let selector = folder.path().join("egress-selector.json");
    let control_plane = ControlPlane::start_with(&[format!("--egress-selector-config-file={}", selector.display())]);
    // The API server is ready, so etcd is reached directly; a connection to a node goes through Envoy, which counts it.
    let admin = control_plane.admin();
    let port = free_port();
    let server = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let node = serde_json::json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    });
    admin.ok(&["create", "-f", "-"], Some(&node.to_string()));
    admin.ok(
        &[
            "patch",
            "node",
            "node",
            "--subresource=status",
            "--type=merge",
            "-p",
            &serde_json::json!({"status": node["status"]}).to_string(),
        ],
        None,
    );
    let connections = || -> f64 {
        get(settings.status_port, "/metrics")
            .lines()
            .filter(|line| line.starts_with("envoy_http_downstream_cx_total{") && line.contains("egress"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    assert!(connections() == 0.0, "nothing but connections into the Shoot goes through Envoy");
    std::thread::spawn(move || while server.accept().is_ok() {});
    // `kubectl logs` makes the API server dial the node; a proxy subresource refuses loopback addresses.
    let pod = serde_json::json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"},
        "spec": {"nodeName": "node", "containers": [{"name": "main", "image": "x"}]},
    });
    admin.ok(&["create", "-f", "-"], Some(&pod.to_string()));
    until("Envoy counts the connection", || {
        let _ = admin.run(&["logs", "pod", "--request-timeout=30s"], None);
        connections() > 0.0
    });
}
