//! The result of the last observation of the nodes, as it is reported.

use super::route_tracker::{Missing, Progress};
use crate::gardener::network::{MissingRoute, Routes};

/// The most nodes of each kind whose names are stored, so that the record has a limit, however large the Shoot is.
const KEPT: usize = 10;

/// The most nodes that a message names.
const NAMED: usize = 3;

impl From<&Progress> for Routes {
    fn from(progress: &Progress) -> Self {
        let mut missing: Vec<&Missing> = progress.missing.iter().take(KEPT).collect();
        if missing.iter().all(|node| node.why.is_empty())
            && let Some(told) = progress.missing.iter().find(|node| !node.why.is_empty())
        {
            missing.pop();
            missing.push(told);
        }
        let missing =
            missing.into_iter().map(|node| MissingRoute { node: node.name.to_string(), reason: node.why.clone() });
        Self {
            nodes: progress.total,
            with_route: progress.ready,
            missing: missing.collect(),
            not_ready: progress.given_up.len(),
            not_ready_nodes: progress.given_up.iter().take(KEPT).map(ToString::to_string).collect(),
            leaving: progress.leaving,
        }
    }
}

impl Routes {
    /// Nodes that count and have no route.
    pub fn without_route(&self) -> usize {
        self.nodes.saturating_sub(self.with_route)
    }

    pub(super) fn count(&self) -> String {
        format!("{} of {} nodes have routes", self.with_route, self.nodes)
    }

    pub(super) fn sentences(&self, sentences: &mut Vec<String>) {
        if let Some(first) = self.missing.first() {
            let named: Vec<&str> = self.missing.iter().take(NAMED).map(|missing| &*missing.node).collect();
            let more = self.without_route().saturating_sub(named.len());
            sentences.push(format!("missing: {} (+{more})", named.join(", ")));
            sentences.push(match self.missing.iter().find(|missing| !missing.reason.is_empty()) {
                Some(missing) => format!("{}: {}", missing.node, missing.reason),
                None => format!("no route has been reported for {} yet", first.node),
            });
        }
        if let Some(not_ready) = self.not_ready_words() {
            sentences.push(format!("not counted because they are not ready: {not_ready}"));
        }
    }

    fn not_ready_words(&self) -> Option<String> {
        let first = self.not_ready_nodes.first()?;
        Some(format!("{first} (+{})", self.not_ready.saturating_sub(1)))
    }

    /// Nodes that did not count, and why.
    pub(super) fn not_counted(&self) -> Vec<String> {
        let not_ready = self.not_ready_words().map(|words| format!("not ready: {words}"));
        let leaving = (self.leaving > 0).then(|| format!("leaving: {}", self.leaving));
        not_ready.into_iter().chain(leaving).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_many_nodes_is_little_and_has_a_reason() {
        let names: Vec<String> = (0..5_000).map(|i| format!("{i:0253}")).collect();
        let why = "x".repeat(300);
        let of = |told: usize| {
            let missing = names.iter().enumerate();
            Progress {
                total: 5_000,
                missing: missing
                    .map(|(i, name)| Missing {
                        name: name.as_str().into(),
                        why: if i >= told { why.clone() } else { String::new() },
                    })
                    .collect(),
                given_up: names.iter().map(|name| name.as_str().into()).collect(),
                ..Progress::default()
            }
        };
        for (told, last) in [(0, 9), (9, 9), (4_999, 4_999), (5_000, 9)] {
            let routes = Routes::from(&of(told));
            assert_eq!((routes.missing.len(), routes.not_ready_nodes.len()), (KEPT, KEPT), "{told}");
            assert_eq!(routes.missing[KEPT - 1].node, names[last], "{told}");
            assert_eq!((routes.without_route(), routes.not_ready), (5_000, 5_000), "{told}");
            let text = serde_json::to_string(&routes).unwrap();
            assert!(text.len() < 9_000, "{told}: {} bytes", text.len());
        }
    }
}
