//! What `/metrics` says, as Prometheus' own parsers read it.

use std::collections::BTreeMap;
use std::process::Command;

use jiff::Timestamp;
use serde::Deserialize;

use super::any::Plain;
use crate::harness::{Scraped, eventually, run, scrape, scrape_as, tool};

#[derive(Debug, Deserialize)]
struct Sample {
    labels: BTreeMap<String, String>,
    value: String,
    r#type: String,
}

impl Sample {
    fn name(&self) -> &str {
        &self.labels["__name__"]
    }

    fn value(&self) -> f64 {
        self.value.parse().unwrap()
    }
}

fn samples(scraped: &Scraped) -> Vec<Sample> {
    let input = serde_json::to_string(scraped).unwrap();
    let output = run(Command::new(tool("promql")).arg("samples"), Some(&input));
    assert!(output.ok, "{}: {}", output.stderr, scraped.text);
    serde_json::from_str(&output.stdout).unwrap()
}

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `Accept` decides, and both formats say the same to Prometheus.
#[test]
fn accept_decides_and_both_formats_say_the_same() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Plain::start(folder.path(), "server", "", Timestamp::now()).ready();
    let port = server.metrics_port();
    for (accept, want) in [
        (None, TEXT),
        (Some("*/*"), TEXT),
        (Some("text/plain;version=0.0.4"), TEXT),
        (Some("image/png"), TEXT),
        (Some("application/openmetrics-text"), OPEN),
        (Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4"), OPEN),
        (Some("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.6"), TEXT),
    ] {
        assert_eq!(scrape_as(port, accept).unwrap().content_type, want, "{accept:?}");
    }

    let open = scrape(port).unwrap();
    assert_eq!(open.content_type, OPEN, "as Prometheus asks");
    let text = scrape_as(port, None).unwrap();
    assert!(open.text.ends_with("# EOF\n") && !text.text.contains("# EOF"));
    let kinds = |scraped: &Scraped| -> Vec<(BTreeMap<String, String>, String)> {
        let of =
            |sample: Sample| (sample.labels, if sample.r#type == "info" { "gauge".to_owned() } else { sample.r#type });
        let mut all: Vec<_> = samples(scraped).into_iter().map(of).collect();
        all.sort();
        all
    };
    // Of a task there is one series more after its first turn, which may end between the two answers.
    eventually("both formats say the same", || {
        let [open, text] = [scrape(port), scrape_as(port, None)].map(|scraped| kinds(&scraped.unwrap()));
        if open == text { Ok(()) } else { Err(format!("{open:?}\nand as text {text:?}")) }
    });
}

/// Names say what values are; what every process has goes by the names that everybody knows.
#[test]
fn names_say_what_values_are() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let server = Plain::start(folder.path(), "server", "", Timestamp::now()).ready();
    let samples = samples(&scrape(server.metrics_port()).unwrap());
    let one = |name: &str| {
        let found: Vec<&Sample> = samples.iter().filter(|sample| sample.name() == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        found[0]
    };

    #[allow(clippy::cast_precision_loss, reason = "seconds")]
    let now = Timestamp::now().as_second() as f64;
    for sample in &samples {
        let is_time = sample.name().ends_with("_seconds") && (now / 2.0..now * 2.0).contains(&sample.value());
        let is_named = sample.name().ends_with("_timestamp_seconds") || sample.name() == "process_start_time_seconds";
        assert_eq!(is_time, is_named && sample.value() > 0.0, "{sample:?}");
        assert!(!is_named || sample.r#type == "gauge", "{sample:?}");
    }
    assert!(one("network_guard_certificate_not_after_timestamp_seconds").value() > now);

    for name in [
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_threads",
        "process_open_fds",
        "process_max_fds",
    ] {
        assert!(one(name).r#type == "gauge" && one(name).value() >= 1.0, "{:?}", one(name));
    }
    assert!(one("process_open_fds").value() < one("process_max_fds").value());
    assert_eq!(one("process_cpu_seconds_total").r#type, "counter");
    let started = one("process_start_time_seconds").value();
    assert!((now - 600.0..=now + 2.0).contains(&started), "{started} at {now}");

    let buckets: Vec<&str> = samples
        .iter()
        .filter(|sample| sample.name() == "network_guard_request_duration_seconds_bucket")
        .filter(|sample| sample.labels["handler"] == "validate-shoot")
        .map(|sample| &*sample.labels["le"])
        .collect();
    assert_eq!(buckets[buckets.len() - 5..], ["1.0", "2.0", "4.5", "5.0", "+Inf"]);
}
