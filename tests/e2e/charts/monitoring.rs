//! What Prometheus and Plutono get.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::servers;
use crate::harness::{Guard, only, run, tool};

#[test]
fn prometheus_and_plutono_find_it() {
    for ((chart, namespace, values, _), (prometheus, dashboards)) in
        servers().into_iter().zip([("seed", &["seed", "garden"][..]), ("garden", &["garden"][..])])
    {
        let objects = chart.render(namespace, &values);
        let service = only(&objects, "Service");
        let monitor = only(&objects, "ServiceMonitor");
        let name = format!("{prometheus}-{}", service["metadata"]["name"].as_str().unwrap());
        for kind in ["ServiceMonitor", "PrometheusRule"] {
            let object = only(&objects, kind);
            assert_eq!(
                (&object["metadata"]["labels"]["prometheus"], &object["metadata"]["name"]),
                (&prometheus.into(), &(&*name).into())
            );
        }
        let labels = service["metadata"]["labels"].as_object().unwrap();
        let selected = monitor["spec"]["selector"]["matchLabels"].as_object().unwrap();
        assert!(selected.iter().all(|(name, value)| labels.get(name) == Some(value)), "{selected:?}");
        let endpoint = &monitor["spec"]["endpoints"][0];
        let ports = service["spec"]["ports"].as_array().unwrap();
        assert!(ports.iter().any(|port| port["name"] == endpoint["port"] && port["port"] == 8080));
        assert_eq!(endpoint["metricRelabelings"][0]["regex"], "^(network_guard_.+|process_.+)$");

        let dashboard = dashboard(&objects);
        assert_eq!(dashboard["metadata"]["namespace"], "garden");
        for kind in dashboards {
            assert_eq!(dashboard["metadata"]["labels"][format!("dashboard.monitoring.gardener.cloud/{kind}")], "true");
        }
    }
}

fn dashboard(objects: &[Value]) -> &Value {
    let is_dashboard = |object: &&Value| object["metadata"]["name"].as_str().unwrap().ends_with("-dashboard");
    objects.iter().find(is_dashboard).unwrap()
}

/// What a chart's alerts ask for.
fn alerts(objects: &[Value]) -> Vec<String> {
    let groups = only(objects, "PrometheusRule")["spec"]["groups"].as_array().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    rules.map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect()
}

/// What a chart's panels ask for.
fn panels(objects: &[Value]) -> Vec<String> {
    let data = dashboard(objects)["data"].as_object().unwrap();
    let panels = data.values().flat_map(|json| {
        let dashboard: Value = serde_json::from_str(json.as_str().unwrap()).unwrap();
        dashboard["panels"].as_array().unwrap().clone()
    });
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap().clone());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn expressions_can_be_parsed() {
    for (chart, namespace, values, _) in servers() {
        // Plutono fills in its variables before anybody parses them.
        let objects = chart.render(namespace, &values);
        let all = alerts(&objects).into_iter().chain(panels(&objects));
        let expressions: Vec<String> = all.map(|expression| expression.replace("$namespace", ".*")).collect();
        let input = serde_json::to_string(&expressions).unwrap();
        let output = run(Command::new(tool("promql")).arg("parse"), Some(&input));
        assert!(output.ok && expressions.len() > 20, "{output:?}");
    }
}

/// Every metric that panels of this chart ask for is among those that the server shows, and so is every label that they
/// choose by. The server has to have had something to count. Alerts are walked, each with its fault ([`super::alerts`]).
pub fn shown_by(guard: &Guard, objects: &[Value]) {
    let all: Vec<String> = panels(objects);
    let metrics = guard.metrics();
    let samples: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    let shown: BTreeSet<&str> = samples.iter().filter_map(|line| line.split(['{', ' ']).next()).collect();
    let mut asked = BTreeSet::new();
    for expression in all {
        for (at, _) in expression.match_indices("network_guard_") {
            let rest = &expression[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, rest) = rest.split_at(end);
            assert!(shown.contains(name), "{name} is asked for by {expression}, and not shown:\n{shown:#?}");
            asked.insert(name.to_owned());
            // What Prometheus adds to every sample.
            let selector =
                rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
            // These are counted from the start, whatever there is: a state that is never shown would never be alerted of.
            if name == "network_guard_peering_entries" && selector.contains("state=") {
                let state = selector.split(',').find(|matcher| matcher.starts_with("state=")).unwrap();
                let is_counted = samples.iter().any(|line| line.starts_with(name) && line.contains(state));
                assert!(is_counted, "{name} has no {state}");
            }
            for label in selector.split(',').filter_map(|matcher| matcher.split(['=', '!']).next()) {
                let is_there = samples.iter().any(|line| line.starts_with(name) && line.contains(&format!("{label}=")));
                assert!(is_there || ["", "namespace", "pod"].contains(&label), "{name} has no label {label}");
            }
        }
    }
    assert!(asked.len() > 10, "{asked:?}");
}
