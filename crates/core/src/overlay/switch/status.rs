//! The status of a held switch, as data. Annotation, events, tables and JSON are made from it, so that no program has
//! to parse a sentence.

use std::fmt::Write as _;

use crate::gardener::network::{Reason, Routes, SwitchStatus, WaitsFor};

/// The errors of the feature gate `SeamlessOverlaySwitch` of networking-calico when it does not let a switch pass
/// (`ensureNodesRoutesBeforeOverlaySwitch` in its `pkg/controller/actuator_reconcile.go`, v1.60.0-dev).
const GATE: [&str; 3] = [
    "waiting for routes to be created",
    "cannot verify node routes before overlay switch",
    "failed to check node route status",
];

/// Whether this is an error of the gate.
pub fn is_the_gates(description: &str) -> bool {
    GATE.iter().any(|words| description.contains(words))
}

impl WaitsFor {
    const fn words(self) -> &'static str {
        match self {
            Self::Stability => "waiting to see whether they stay",
            Self::MaintenanceWindow => "it passes in the next maintenance window",
            Self::Gardenlet => "it passes with gardenlet's next write",
            Self::Routes | Self::Other => "",
        }
    }
}

impl SwitchStatus {
    /// The whole status as a message: `17 of 20 nodes have routes; missing: a, b, c (+0)`.
    pub fn message(&self) -> String {
        let mut text = self.routes.as_ref().map(Routes::count).unwrap_or_default();
        let details = self.details();
        if !details.is_empty() {
            let _ = write!(text, "{}{details}", if text.is_empty() { "" } else { "; " });
        }
        text
    }

    /// The same without the counts, for a table that has them in their own column.
    pub fn details(&self) -> String {
        let mut sentences = vec![self.because.to_string()];
        if let Some(routes) = &self.routes {
            routes.sentences(&mut sentences);
        }
        if let Some(complaint) = &self.complaint {
            sentences.push(format!("the route controller says: {complaint}"));
        }
        sentences.extend(self.hints.iter().cloned());
        if let Some(replacement) = &self.replacement {
            sentences.push(replacement.message());
        }
        sentences.push(self.waits_for.words().to_owned());
        sentences.retain(|sentence| !sentence.is_empty());
        sentences.join("; ")
    }

    /// The message when the network extension fails after the switch was released. Its feature gate
    /// `SeamlessOverlaySwitch` counts nodes that do not count here.
    pub fn failure(&self, description: &str) -> String {
        let mut text = format!("the Network was updated, but its extension fails: {description}");
        if !is_the_gates(description) {
            return text;
        }
        text.push_str(
            "; its feature gate SeamlessOverlaySwitch demands that every node has RouteCreated at that moment",
        );
        let is = |reason: Reason| self.because.value() == Some(reason);
        // The nodes before a hibernation say nothing about those after it.
        let routes = self.routes.as_ref().filter(|_| !is(Reason::Hibernated));
        let not_counted = routes.map(Routes::not_counted).unwrap_or_default();
        if !not_counted.is_empty() {
            let _ = write!(text, ", also those that did not count here ({})", not_counted.join(", "));
        }
        if is(Reason::Forced) {
            text.push_str("; the switch was forced, so nodes may be without a route");
        }
        if is(Reason::Hibernated) {
            text.push_str("; it was let through because the Shoot was hibernated, when no node can be checked");
        }
        text.push_str("; turn the gate off");
        if !not_counted.is_empty() {
            text.push_str(", or remove those nodes");
        }
        for hint in &self.hints {
            let _ = write!(text, "; {hint}");
        }
        text
    }
}

/// The complaint to show, from the one that was shown and the newest. Complaints that differ only in numbers, such as
/// the duration of a call or the id of a request, are the same: otherwise it would be written again at each
/// observation.
pub fn newest_complaint(shown: Option<String>, newest: Option<String>) -> Option<String> {
    match (shown, newest) {
        (Some(shown), Some(newest)) if words(&shown).eq(words(&newest)) => Some(shown),
        (_, newest) => newest,
    }
}

/// The words of a text, except those with digits.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || ",;:()[]\"".contains(c))
        .filter(|word| !word.is_empty() && !word.contains(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::super::route_tracker::{Missing, Progress};
    use super::*;
    use crate::gardener::network::Replacement;

    fn progress(missing: &[(&str, &str)]) -> Progress {
        Progress {
            total: 20,
            ready: 20 - missing.len(),
            missing: missing.iter().map(|(name, why)| Missing { name: (*name).into(), why: (*why).into() }).collect(),
            given_up: vec![],
            leaving: 0,
        }
    }

    #[test]
    fn sentences_are_made_from_data() {
        let routes = |missing: &[(&str, &str)]| Some(Routes::from(&progress(missing)));
        let quota = Some("RouteLimitExceeded".to_owned());
        let replacement = Some(Replacement {
            node: "c".into(),
            deadline: "2026-11-20T10:10:00Z".parse().unwrap(),
            nodes: 2,
            has_ipv6: false,
            routes_stay: false,
        });
        let table = [
            (SwitchStatus::waits("the Shoot is being deleted"), "the Shoot is being deleted"),
            (
                SwitchStatus { because: "forced".into(), waits_for: WaitsFor::Gardenlet, ..SwitchStatus::default() },
                "forced; it passes with gardenlet's next write",
            ),
            (
                SwitchStatus { waits_for: WaitsFor::Stability, routes: routes(&[]), ..SwitchStatus::default() },
                "20 of 20 nodes have routes; waiting to see whether they stay",
            ),
            (
                SwitchStatus {
                    waits_for: WaitsFor::Routes,
                    routes: routes(&[("a", ""), ("b", ""), ("c", "NoRouteCreated"), ("d", "")]),
                    complaint: quota,
                    replacement,
                    ..SwitchStatus::default()
                },
                "16 of 20 nodes have routes; missing: a, b, c (+1); c: NoRouteCreated; the route controller says: RouteLimitExceeded; without a route, machine-controller-manager replaces 2 nodes and their successors, c first, from 2026-11-20T10:10:00Z on: raise the quota of routes, or set the overlay back",
            ),
        ];
        for (status, want) in table {
            assert_eq!(status.message(), want);
            let details = want.split_once("have routes; ").map_or(want, |(_, details)| details);
            assert_eq!(status.details(), details, "without the counts");
            let text = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<SwitchStatus>(&text).unwrap(), status, "{text}");
        }
    }

    /// A status of a later version is read as far as it is known.
    #[test]
    fn later_words_are_read_as_far_as_possible() {
        let text = r#"{"waitsFor":"moon","routes":{"nodes":3,"withRoute":1,"new":5},"more":[]}"#;
        let status: SwitchStatus = serde_json::from_str(text).unwrap();
        assert_eq!((status.waits_for, status.message()), (WaitsFor::Other, "1 of 3 nodes have routes".to_owned()));
    }

    #[test]
    fn the_same_complaint_is_not_written_again() {
        let aws = |id: &str| Some(format!("EC2: CreateRoute, StatusCode: 400, RequestID: {id}, RouteLimitExceeded"));
        assert_eq!(newest_complaint(aws("5a0e"), aws("77b1")), aws("5a0e"));
        let after = |time: &str| Some(format!("Could not create route x for node a after {time}: quota"));
        assert_eq!(newest_complaint(after("1.2s"), after("900ms")), after("1.2s"));
        let other = || Some("throttled".to_owned());
        assert_eq!(newest_complaint(aws("5a0e"), other()), other());
        assert_eq!(newest_complaint(None, other()), other());
        assert_eq!(newest_complaint(other(), None), None, "it is over");
    }

    #[test]
    fn a_failure_names_who_is_to_blame() {
        let gate = "waiting for routes to be created on all nodes before disabling overlay";
        let demands =
            "; its feature gate SeamlessOverlaySwitch demands that every node has RouteCreated at that moment";
        let nodes = |not_ready: usize, leaving: usize| {
            let not_ready_nodes = ["d", "e"].into_iter().take(not_ready).map(str::to_owned).collect();
            let routes = Some(Routes { not_ready, not_ready_nodes, leaving, ..Routes::default() });
            SwitchStatus { routes, ..SwitchStatus::default() }
        };
        for (what, status, error, want) in [
            ("another error", nodes(2, 1), "x", String::new()),
            ("all of them count", nodes(0, 0), gate, demands.to_owned()),
            (
                "not ready",
                nodes(2, 0),
                gate,
                format!("{demands}, also those that did not count here (not ready: d (+1))"),
            ),
            ("leaving", nodes(0, 3), gate, format!("{demands}, also those that did not count here (leaving: 3)")),
            (
                "both",
                nodes(1, 1),
                gate,
                format!("{demands}, also those that did not count here (not ready: d (+0), leaving: 1)"),
            ),
            (
                "forced",
                SwitchStatus::waits("forced"),
                gate,
                format!("{demands}; the switch was forced, so nodes may be without a route"),
            ),
            (
                "asleep",
                SwitchStatus::waits("hibernated"),
                "cannot verify node routes before overlay switch: x",
                format!("{demands}; it was let through because the Shoot was hibernated, when no node can be checked"),
            ),
            (
                "asleep, and what was seen before",
                SwitchStatus { because: "hibernated".into(), ..nodes(1, 1) },
                gate,
                format!("{demands}; it was let through because the Shoot was hibernated, when no node can be checked"),
            ),
        ] {
            let end = match &*want {
                "" => "",
                want if want.contains("count here") => "; turn the gate off, or remove those nodes",
                _ => "; turn the gate off",
            };
            let want = format!("the Network was updated, but its extension fails: {error}{want}{end}");
            assert_eq!(status.failure(error), want, "{what}");
        }
        let hints = vec!["Calico's condition cannot be removed from nodes: x".to_owned()];
        let told = SwitchStatus { hints: hints.clone(), ..SwitchStatus::default() }.failure(gate);
        assert!(told.ends_with(&format!("; turn the gate off; {}", hints[0])), "{told}");
    }
}
