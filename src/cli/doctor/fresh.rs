//! Check `fresh`: whether the server receives changes. Its answer to the dry run says so, and, in a Pod, its metrics.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use tokio::time::timeout;

use super::Role;
use super::reachable::{Asked, Tries};
use super::report::Check;
use network_guard_core::admission::Sign;
use network_guard_core::json::excerpt;
use network_guard_sources::STALE;

/// The most bytes of metrics that are read.
const LONGEST: u64 = 8 << 20;

/// The metrics of one replica.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Metrics {
    /// Whether everything was read once.
    pub(super) is_synced: bool,
    /// Each watch, and the seconds since its last heartbeat.
    pub(super) ages: Vec<(&'static str, f64)>,
}

/// The gauges of watches. On a Seed the second one is that of Networks.
const AGES: [(&str, &str); 2] = [
    ("network_guard_cache_age_seconds", "the landscape of the webhooks"),
    ("network_guard_overlay_cache_age_seconds", "Networks with a switch"),
];

/// Reads the metrics of a replica, all of them within the time limit of one question.
pub(super) async fn look(address: &str, patience: Duration) -> Result<Metrics, String> {
    let silent = || format!("{address}: no answer in {} s", patience.as_secs());
    let owned = address.to_owned();
    // The resolution of the name, or a peer that sends a byte now and then, may take longer; that thread is not waited
    // for.
    let text = timeout(patience, tokio::task::spawn_blocking(move || get(&owned, patience))).await;
    let text = text.map_err(|_| silent())?.map_err(|error| error.to_string())?;
    let text = text.map_err(|error| match error.kind() {
        // A timeout of the socket appears as either kind.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => silent(),
        _ => format!("{address}: {error}"),
    })?;
    parse(&text).ok_or_else(|| format!("{address}: these are not the metrics of network-guard: {}", excerpt(&text)))
}

/// Each step has the time limit.
fn get(address: &str, patience: Duration) -> std::io::Result<String> {
    let resolved = address.to_socket_addrs()?.next().ok_or_else(|| std::io::Error::other("no such address"))?;
    let mut stream = TcpStream::connect_timeout(&resolved, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
    let mut text = Vec::new();
    stream.take(LONGEST).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn parse(text: &str) -> Option<Metrics> {
    let value = |name: &str| -> Option<f64> {
        let line =
            text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    Some(Metrics {
        is_synced: value("network_guard_cache_synced")? > 0.0,
        ages: AGES.iter().filter_map(|(metric, what)| Some((*what, value(metric)?))).collect(),
    })
}

/// Reports whether the server receives changes.
pub(super) fn judge(role: Role, tries: &Tries, metrics: Option<&Result<Metrics, String>>) -> Check {
    let mut check = Check::new("fresh");
    let limit = STALE.as_secs();
    let rights = match role {
        Role::Seed => "`clusters` and `networks`",
        Role::Garden => "`shoots` and `seeds`",
    };
    let advice = format!(
        "it reads live what matters, or answers nothing: see whether the API server answers it, `allowed` for the rights to watch \
         {rights}, and its log"
    );
    let mut is_seen = false;
    if let Some(Asked::Answered(Sign { stale, .. }, _)) = tries.asked() {
        is_seen = true;
        if *stale {
            check.problem(
                format!("the replica that answered the dry run has received no heartbeat for more than {limit} s"),
                advice.clone(),
            );
        } else {
            check.fine("the replica that answered the dry run receives changes");
        }
    }
    match metrics {
        Some(Ok(Metrics { is_synced: false, .. })) => {
            check.problem("the replica here has not read the landscape yet: it answers no call", advice);
        }
        Some(Ok(Metrics { ages, .. })) => {
            for (what, age) in ages {
                #[expect(clippy::cast_precision_loss, reason = "a limit of minutes")]
                if *age > limit as f64 {
                    check.problem(format!("the replica here has received no heartbeat for {what} for {age:.0} s"), advice.clone());
                } else {
                    check.fine(format!("the replica here received a heartbeat for {what} {age:.0} s ago"));
                }
            }
        }
        Some(Err(why)) if !is_seen => check.unknown(
            why.clone(),
            "run the doctor in a Pod of network-guard, or give --metrics HOST:PORT, such as that of `kubectl port-forward`",
        ),
        Some(Err(why)) => check.fine(format!("metrics were not read ({why})")),
        None if is_seen => {}
        None => check.unknown(
            "the age of the landscape of network-guard is unknown",
            "see `reachable`; or run the doctor in a Pod of network-guard, or give --metrics HOST:PORT",
        ),
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that sends a byte now and then is not waited for until the last one.
    #[test]
    fn slow_metrics_are_not_waited_for() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sender = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut sent = 0;
            // Until the reader is gone, or for a minute and a half, which only a reader that waits for everything
            // takes.
            while sent < 900 && stream.write_all(b"#").is_ok() {
                sent += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            sent
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(look(&address, Duration::from_secs(1)));
        assert_eq!(answer, Err(format!("{address}: no answer in 1 s")));
        assert!(!sender.is_finished(), "it was still sending");
        runtime.shutdown_background();
    }

    #[test]
    fn metrics_are_read() {
        let text = "HTTP/1.0 200 OK\r\n\r\n# HELP x\nnetwork_guard_cache_synced 1\nnetwork_guard_cache_age_seconds 3.25\n\
                    network_guard_overlay_cache_age_seconds{a=\"b\"} 200\n";
        let want = Metrics {
            is_synced: true,
            ages: vec![("the landscape of the webhooks", 3.25), ("Networks with a switch", 200.0)],
        };
        assert_eq!(parse(text), Some(want));
        assert_eq!(parse(&text.replace("synced 1", "synced 0")).map(|metrics| metrics.is_synced), Some(false));
        assert_eq!(parse("HTTP/1.0 404 Not Found\r\n\r\n"), None);
    }
}
