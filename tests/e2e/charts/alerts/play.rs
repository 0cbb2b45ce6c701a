//! Recordings, and what becomes of alerts on them.

#![allow(clippy::print_stdout, reason = "people may want to see when each alert fires")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::servers;
use super::{Place, made_in};
use crate::harness::{Scraped, only, run, tool};

/// How long what was recorded before the fault is shown, in seconds: longer than any range of an alert.
const BEFORE: f64 = 3_600.0;

/// Between two recordings of a fault that goes on, in seconds: shorter than any range of an alert.
const STEP: f64 = 300.0;

/// How often Prometheus scrapes and evaluates here, in seconds, as in `tests/tools/promql`.
const INTERVAL: f64 = 60.0;

/// What Prometheus scrapes of one Pod. Gone where nobody answered.
#[derive(Clone, Debug)]
pub struct Pod {
    name: &'static str,
    /// The API server's own, of which Gardener keeps what it says.
    is_ours: bool,
    scraped: Option<Scraped>,
}

/// What one round of scrapes got.
pub type Take = Vec<Pod>;

/// One of our Pods.
pub fn pod(name: &'static str, scraped: Option<Scraped>) -> Pod {
    Pod { name, is_ours: true, scraped }
}

/// A Pod of gardener-apiserver.
pub fn gardener(scraped: Scraped) -> Pod {
    Pod { name: "gardener-apiserver", is_ours: false, scraped: Some(scraped) }
}

/// What a chart asks Prometheus for.
pub struct Monitored {
    /// Seed or garden.
    pub name: &'static str,
    namespace: &'static str,
    job: String,
    keep: String,
    rules: Vec<Value>,
}

impl Monitored {
    fn of(name: &'static str, namespace: &'static str, objects: &[Value]) -> Self {
        let groups = only(objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap();
        let monitor = only(objects, "ServiceMonitor");
        Self {
            name,
            namespace,
            job: only(objects, "Service")["metadata"]["name"].as_str().unwrap().to_owned(),
            keep: monitor["spec"]["endpoints"][0]["metricRelabelings"][0]["regex"].as_str().unwrap().to_owned(),
            rules: groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect(),
        }
    }

    /// The names of its alerts.
    pub fn alerts(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule["alert"].as_str().unwrap())
    }

    /// The rule of an alert.
    #[track_caller]
    fn rules_of(&self, alert: &str) -> Vec<&Value> {
        let rules: Vec<&Value> = self.rules.iter().filter(|rule| rule["alert"] == alert).collect();
        assert_eq!(rules.len(), 1, "{alert} of {}", self.name);
        rules
    }

    /// The labels that Prometheus adds, and the names that it keeps.
    fn target(&self, pod: &Pod) -> Value {
        let of_gardener = (!pod.is_ours).then(kept_of_gardener);
        let (job, keep) = of_gardener.as_ref().map_or((&*self.job, &*self.keep), |(job, keep)| (&**job, &**keep));
        json!({
            "labels": {
                "namespace": self.namespace, "pod": pod.name, "job": job, "service": job, "endpoint": "metrics",
                "instance": format!("{}:8080", pod.name),
            },
            "keep": keep,
            "answer": pod.scraped,
        })
    }
}

/// Under which job gardener-operator has gardener-apiserver scraped in the garden, and what is kept of it, by its own code.
fn kept_of_gardener() -> (String, String) {
    let output = run(&mut Command::new(tool("garden-monitor")), None);
    assert!(output.ok, "{}", output.stderr);
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    let (service, monitor) = (&found["service"], &found["monitor"]);
    assert_eq!(monitor["metadata"]["labels"]["prometheus"], "garden");
    let labels = service["metadata"]["labels"].as_object().unwrap();
    let selected = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
    assert!(selected.iter().all(|(name, value)| labels.get(name) == Some(value)), "{found:#}");
    let relabelings = monitor["spec"]["endpoints"][0]["metricRelabelings"].as_array().unwrap();
    let keep = relabelings.iter().find(|relabeling| relabeling["action"] == "keep").unwrap();
    // Without a jobLabel it is the name of the Service.
    assert!(monitor["spec"]["jobLabel"].is_null());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&service["metadata"]["name"]), text(&keep["regex"]))
}

/// What both charts with a server ask for: that of a Seed, and that of the garden.
pub fn monitored() -> [Monitored; 2] {
    monitored_with(&json!({}))
}

/// The same with these values.
pub fn monitored_with(values: &Value) -> [Monitored; 2] {
    let mut names = ["seed", "garden"].into_iter();
    servers().map(|(chart, namespace, least, _)| {
        let values = super::super::merged(least, values);
        Monitored::of(names.next().unwrap(), namespace, &chart.render(namespace, &values))
    })
}

/// What became of an alert, in seconds from the start.
#[derive(Debug, Deserialize)]
struct Alert {
    alert: String,
    labels: BTreeMap<String, String>,
    annotations: Option<BTreeMap<String, String>>,
    active: f64,
    fired: Option<f64>,
}

/// Plays takes that begin at these seconds.
fn play(chart: &Monitored, rules: &[&Value], takes: &[(f64, &Take)], seconds: f64) -> Vec<Alert> {
    // The fault is made now, so everything that says when it was says the truth.
    let start = Timestamp::now().as_duration().as_secs_f64() - BEFORE;
    let takes: Vec<Value> = takes
        .iter()
        .map(|(at, take)| json!({"at": at, "targets": take.iter().map(|pod| chart.target(pod)).collect::<Vec<_>>()}))
        .collect();
    let rule = |rule: &&Value| {
        let text = |name: &str| rule[name].as_str().unwrap_or_default().to_owned();
        json!({
            "alert": rule["alert"], "expr": rule["expr"], "for": text("for"),
            "labels": rule["labels"], "annotations": rule["annotations"],
        })
    };
    let recording = json!({
        "start": start, "seconds": seconds, "takes": takes, "rules": rules.iter().map(rule).collect::<Vec<_>>(),
    });
    let output = run(Command::new(tool("promql")).arg("play"), Some(&recording.to_string()));
    assert!(output.ok, "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

/// The alerts of one place, each of which is walked once.
pub struct Walk {
    place: Place,
    charts: Vec<Monitored>,
    walked: BTreeSet<&'static str>,
}

impl Walk {
    /// Those of a place, for these charts.
    pub fn new(place: Place, charts: impl IntoIterator<Item = Monitored>) -> Self {
        Self { place, charts: charts.into_iter().collect(), walked: BTreeSet::new() }
    }

    /// Whether it is for this chart.
    pub fn has(&self, name: &str) -> bool {
        self.charts.iter().any(|chart| chart.name == name)
    }

    /// A part of the walk with charts that have other values.
    pub fn with(&mut self, charts: Vec<Monitored>, walk: impl FnOnce(&mut Self)) {
        let usual = std::mem::replace(&mut self.charts, charts);
        walk(self);
        self.charts = usual;
    }

    /// Nothing is wrong, so nothing fires, and nothing is about to.
    #[track_caller]
    pub fn is_silent(&self, healthy: &Take) {
        for chart in &self.charts {
            let rules: Vec<&Value> = chart.rules.iter().collect();
            let alerts = play(chart, &rules, &[(0.0, healthy)], BEFORE);
            assert!(alerts.is_empty(), "{}: {alerts:#?}", chart.name);
        }
    }

    /// The alert is silent before the fault, is active from the first scrape after it, and fires when its time is over,
    /// with these labels and everything that people are told.
    #[track_caller]
    pub fn fires(&mut self, alert: &'static str, labels: &[(&str, &str)], before: &Take, after: &[Take]) {
        assert!(made_in(self.place).contains(alert), "{alert} is walked elsewhere");
        for chart in &self.charts {
            let rules = chart.rules_of(alert);
            let mut takes = vec![(0.0, before)];
            let mut at = BEFORE;
            for take in after {
                takes.push((at, take));
                at += STEP;
            }
            let wait = seconds(rules[0]["for"].as_str().unwrap_or("0s"));
            let alerts = play(chart, &rules, &takes, BEFORE + wait + STEP);
            let is_meant = |found: &&Alert| {
                found.alert == alert
                    && labels.iter().all(|(name, value)| found.labels.get(*name).is_some_and(|is| is == value))
            };
            let early = alerts.iter().find(|found| found.active < BEFORE);
            assert!(early.is_none(), "{alert} of {} before there is a fault: {early:#?}", chart.name);
            let Some(found) = alerts.iter().find(is_meant) else {
                panic!("{alert} of {} is not active with {labels:?}, but: {alerts:#?}", chart.name)
            };
            assert!(found.active <= BEFORE + INTERVAL, "{alert} of {} misses the first event: {found:#?}", chart.name);
            let fired = found.fired.unwrap_or_else(|| panic!("{alert} of {} does not fire: {found:#?}", chart.name));
            assert!(fired <= BEFORE + wait + 2.0 * INTERVAL, "{alert} of {}: {found:#?}", chart.name);
            let told = found.annotations.as_ref().unwrap();
            for word in ["summary", "description", "runbook_url"] {
                assert!(told.get(word).is_some_and(|text| !text.is_empty()), "{alert}: no {word}: {told:?}");
            }
            println!("{} {alert}: fires {} s after the fault", chart.name, fired - BEFORE);
        }
        assert!(self.walked.insert(alert) || self.place == Place::Any, "{alert} is walked twice");
    }

    /// What is shown here for an hour and longer keeps the alert going.
    #[track_caller]
    pub fn goes_on(&self, alert: &str, take: &Take) {
        for chart in &self.charts {
            let alerts = play(chart, &chart.rules_of(alert), &[(0.0, take)], BEFORE);
            assert!(alerts.iter().any(|found| found.fired.is_some()), "{alert} of {} ends: {alerts:#?}", chart.name);
        }
    }

    /// What is no reason to wake anybody does not fire, however long one looks.
    #[track_caller]
    pub fn fires_not(&self, alert: &str, before: &Take, after: &[Take]) {
        for chart in &self.charts {
            let mut takes = vec![(0.0, before)];
            let mut at = BEFORE;
            for take in after {
                takes.push((at, take));
                at += STEP;
            }
            let alerts = play(chart, &chart.rules_of(alert), &takes, 2.0 * BEFORE);
            let fired = alerts.iter().find(|found| found.fired.is_some());
            assert!(fired.is_none(), "{alert} of {}: {fired:#?}", chart.name);
        }
    }

    /// All of them are walked.
    #[track_caller]
    pub fn end(self) {
        assert_eq!(self.walked, made_in(self.place));
    }
}

/// A duration as Prometheus has it, in seconds.
fn seconds(text: &str) -> f64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let unit = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => panic!("{text}"),
    };
    number.parse::<f64>().unwrap() * unit
}

/// A fault that goes on: made three times, with a recording after each. Enough for every alert that waits for less than
/// twenty minutes.
pub fn again(mut fault: impl FnMut() -> Take) -> Vec<Take> {
    (0..3).map(|_| fault()).collect()
}

/// Waits until a condition holds that takes minutes to come about by itself.
#[track_caller]
pub fn patiently(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(600);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: not in ten minutes");
        std::thread::sleep(Duration::from_millis(500));
    }
}
