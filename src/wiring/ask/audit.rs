//! The log line and the counters of each verdict.

use std::fmt;
use std::time::Instant;

use super::Webhook;
use network_guard_core::admission::{Request, Verdict};
use network_guard_core::diagnostics::{Severity, in_order};
use network_guard_core::json::excerpt;

/// The most rules that a line of the log names; the metrics count the others.
const MOST_LOGGED: usize = 50;

impl Webhook {
    /// One line for each call, without any content of the object but its name.
    pub(super) fn audit(&self, request: &Request<'_>, verdict: &Verdict, started: Instant) {
        for finding in &verdict.findings {
            self.asking.metrics.found(finding.rule.name, finding.severity.name());
        }
        self.asking.metrics.decided(self.handler.name(), verdict.decision);
        tracing::info!(
            handler = self.handler.name(),
            uid = ?&*request.uid,
            operation = request.operation.name(),
            // Quoted, because somebody else wrote them: their text must not look like a line of network-guard.
            namespace = ?&*request.namespace,
            name = ?&*request.name,
            // Without the rest, which only the writer may know.
            shoot = request.path_suffix.split_once('/').map(|(shoot, _)| tracing::field::debug(excerpt(shoot))),
            user = ?excerpt(&request.user),
            dry_run = request.dry_run,
            outcome = verdict.outcome.name(),
            decision = verdict.decision,
            rules = %Rules(verdict),
            micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "reviewed"
        );
    }
}

struct Rules<'v>(&'v Verdict);

impl fmt::Display for Rules<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let weights = [Severity::Deny, Severity::Warn, Severity::Note];
        let in_order = weights.into_iter().flat_map(|severity| in_order(&self.0.findings, severity));
        for (i, finding) in in_order.take(MOST_LOGGED).enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(finding.rule.name)?;
        }
        if self.0.findings.len() > MOST_LOGGED {
            f.write_str(",...")?;
        }
        Ok(())
    }
}
