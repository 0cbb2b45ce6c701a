//! TLS: versions, protocols, client certificates, and certificates that change under load.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use network_guard_controllers::certificates::{Authority, Issued};

use crate::support::{DAY, PATH, Setup, TestServer, client_config, overlapping, write_pair};

#[tokio::test]
async fn speaks_http_1_over_tls_1_2_and_1_3() {
    let server = TestServer::start().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        let ca = rustls::pki_types::CertificateDer::from_pem_slice(server.ca.certificate().as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // As an API server offers them.
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut client = server.try_connect(&config).await.unwrap();
        assert_eq!(client.stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(client.stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(client.post(PATH, &overlapping().to_string()).await.status, 200);
    }
    let mut config = client_config(&server.ca, None);
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(server.try_connect(&config).await.is_err(), "HTTP/2 is not offered");
}

use rustls::pki_types::pem::PemObject as _;

#[tokio::test]
async fn only_clients_with_a_certificate_may_call_when_a_ca_is_given() {
    let now = Timestamp::now();
    let (good, other) = (Authority::new("good", now, DAY).unwrap(), Authority::new("other", now, DAY).unwrap());
    let server = TestServer::with(Setup { client_ca: Some(good.certificate().to_owned()), ..Setup::default() }).await;
    let issue = |ca: &Authority, at: Timestamp| ca.client("kube-apiserver", "x", at, DAY).unwrap();
    let long_ago = now.checked_sub(240.hours()).unwrap();
    let later = now.checked_add(240.hours()).unwrap();
    let rows: [(&str, Option<Issued>, bool); 6] = [
        ("none", None, false),
        ("of the CA", Some(issue(&good, now)), true),
        ("of another CA", Some(issue(&other, now)), false),
        ("expired", Some(issue(&good, long_ago)), false),
        ("not yet valid", Some(issue(&good, later)), false),
        ("of a server", Some(good.server(&["x".to_owned()], now, DAY).unwrap()), false),
    ];
    for (name, certificate, accepted) in rows {
        // With TLS 1.3 a client learns of its refusal with the first answer.
        let config = client_config(&server.ca, certificate.as_ref());
        let answered = match server.try_connect(&config).await {
            Ok(mut client) => {
                let body = overlapping().to_string();
                let request = format!(
                    "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                client.send(&request).await.is_ok_and(|response| response.status == 200)
            }
            Err(_) => false,
        };
        assert_eq!(answered, accepted, "{name}");
    }
}

/// The serial number of the certificate that is served.
async fn served(server: &TestServer) -> Vec<u8> {
    let client = server.connect().await;
    client.stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

async fn until_served_differs(server: &TestServer, before: &[u8]) {
    for _ in 0..900 {
        if served(server).await != before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the certificate was not replaced");
}

/// How often it would not take what is in its folder.
async fn refused(server: &TestServer) -> u64 {
    let metrics = server.metrics().await;
    let line = metrics.lines().find(|line| line.contains(r#"reloads_total{reason="refused"}"#)).map(str::to_owned);
    line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).unwrap_or(0)
}

async fn until_refused(server: &TestServer, before: u64) {
    for _ in 0..900 {
        if refused(server).await > before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nobody noticed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_certificate_is_served_without_dropping_a_connection() {
    let server = Arc::new(TestServer::start().await);
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut callers = Vec::new();
    for _ in 0..4 {
        let (server, stop, calls) = (Arc::clone(&server), Arc::clone(&stop), Arc::clone(&calls));
        callers.push(tokio::spawn(async move {
            let body = overlapping().to_string();
            let mut kept = server.connect().await;
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(kept.post(PATH, &body).await.status, 200);
                assert_eq!(server.connect().await.post(PATH, &body).await.status, 200);
                calls.fetch_add(2, Ordering::Relaxed);
            }
        }));
    }
    for _ in 0..3 {
        let before = served(&server).await;
        write_pair(&server.folder, &server.ca.server(&["localhost".to_owned()], Timestamp::now(), DAY).unwrap());
        until_served_differs(&server, &before).await;
        // Calls go on with it, also on the connections from before.
        let begun = calls.load(Ordering::Relaxed);
        let called = async {
            while calls.load(Ordering::Relaxed) < begun + 16 {
                assert!(!callers.iter().any(tokio::task::JoinHandle::is_finished), "a caller ended");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(90), called).await.expect("calls go on");
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Half-written, mismatched, expired, not yet valid, empty, unreadable: the old pair is served on, and said so.
#[tokio::test]
async fn a_bad_pair_never_replaces_a_good_one() {
    let server = TestServer::start().await;
    let good = served(&server).await;
    let now = Timestamp::now();
    let names = ["localhost".to_owned()];
    let issue = |at: Timestamp| server.ca.server(&names, at, DAY).unwrap();
    let expired = issue(now.checked_sub(240.hours()).unwrap());
    let later = issue(now.checked_add(240.hours()).unwrap());
    let (one, two) = (issue(now), issue(now));
    let half = &one.certificate[..one.certificate.len() / 2];
    // The certificate is written first. It never fits the key of the row before: for a moment that were a good pair.
    let rows: [(&str, Option<&str>, &str); 7] = [
        ("mismatched", Some(&one.certificate), &two.key),
        ("half a key", Some(&one.certificate), &one.key[..one.key.len() / 2]),
        ("half a certificate", Some(half), &one.key),
        ("expired", Some(&expired.certificate), &expired.key),
        ("not yet valid", Some(&later.certificate), &later.key),
        ("empty", Some(""), ""),
        ("gone", None, &one.key),
    ];
    for (name, certificate, key) in rows {
        let before = refused(&server).await;
        match certificate {
            Some(text) => fs::write(server.folder.path().join("tls.crt"), text).unwrap(),
            None => fs::remove_file(server.folder.path().join("tls.crt")).unwrap(),
        }
        fs::write(server.folder.path().join("tls.key"), key).unwrap();
        until_refused(&server, before).await;
        assert_eq!(served(&server).await, good, "{name}");
        assert!(server.get(server.addresses.health, "/readyz").await.starts_with("HTTP/1.1 200"), "{name}");
    }
    // A good pair ends the trouble.
    write_pair(&server.folder, &issue(now));
    until_served_differs(&server, &good).await;
}

/// Issued by a clock that is ahead of that of the server: refused now, and taken as soon as it is valid, without any further change.
#[tokio::test]
async fn a_certificate_that_comes_early_is_served_in_time() {
    let server = TestServer::start().await;
    let before = served(&server).await;
    // Issued certificates are backdated by five minutes. The server looks each second, so it sees it before it is valid.
    let ahead = Timestamp::now().checked_add(5.minutes()).unwrap().checked_add(12.seconds()).unwrap();
    write_pair(&server.folder, &server.ca.server(&["localhost".to_owned()], ahead, DAY).unwrap());
    until_refused(&server, 0).await;
    until_served_differs(&server, &before).await;
}

/// A mounted Secret changes by a swap of links: the files themselves are never written.
#[tokio::test]
async fn a_swap_of_links_is_noticed() {
    let server = TestServer::start().await;
    let issue = || server.ca.server(&["localhost".to_owned()], Timestamp::now(), DAY).unwrap();
    let folder = server.folder.path();
    for version in ["..v1", "..v2"] {
        fs::create_dir(folder.join(version)).unwrap();
        let issued = issue();
        fs::write(folder.join(version).join("tls.crt"), issued.certificate).unwrap();
        fs::write(folder.join(version).join("tls.key"), issued.key).unwrap();
    }
    let link = |to: &str, from: &str| {
        let _ = fs::remove_file(folder.join("new"));
        std::os::unix::fs::symlink(to, folder.join("new")).unwrap();
        fs::rename(folder.join("new"), folder.join(from)).unwrap();
    };
    let before = served(&server).await;
    link("..v1", "..data");
    link("..data/tls.crt", "tls.crt");
    link("..data/tls.key", "tls.key");
    until_served_differs(&server, &before).await;
    let before = served(&server).await;
    link("..v2", "..data");
    until_served_differs(&server, &before).await;
}

/// `/readyz` tells when the certificate has run out.
#[tokio::test]
async fn an_expired_certificate_is_not_ready() {
    let server = TestServer::start().await;
    let soon = Timestamp::now().checked_sub(24.hours()).unwrap().checked_add(15.seconds()).unwrap();
    let before = served(&server).await;
    write_pair(&server.folder, &server.ca.server(&["localhost".to_owned()], soon, DAY).unwrap());
    until_served_differs(&server, &before).await;
    for _ in 0..900 {
        let ready = server.get(server.addresses.health, "/readyz").await;
        if ready.starts_with("HTTP/1.1 503") {
            assert!(ready.contains("[-] certificate valid"), "{ready}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("still ready");
}

/// The task that looks at the files panics: the certificate stays in use, and the next one is served all the same.
#[tokio::test]
async fn a_panic_while_reloading_costs_nothing() {
    let bug = Arc::new(AtomicBool::new(false));
    let server = TestServer::with(Setup { bug: Arc::clone(&bug), ..Setup::default() }).await;
    let before = served(&server).await;
    bug.store(true, Ordering::Relaxed);
    for _ in 0..900 {
        if !bug.load(Ordering::Relaxed) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(served(&server).await, before);
    assert_eq!(server.connect().await.post(PATH, &overlapping().to_string()).await.status, 200);
    assert!(server.get(server.addresses.health, "/readyz").await.starts_with("HTTP/1.1 200"));
    write_pair(&server.folder, &server.ca.server(&["localhost".to_owned()], Timestamp::now(), DAY).unwrap());
    until_served_differs(&server, &before).await;
    let metrics = server.metrics().await;
    assert!(metrics.contains(r#"task_panics_total{task="certificate"} 1"#), "{metrics}");
}
