//! Many findings: the order in which they are shown.

use super::rule::Finding;
use super::weight::{Rank, Severity};

/// The findings of this severity, in the order in which they are shown: by rank, and otherwise as they were found. A
/// caller that shows only some of them shows the first.
pub fn in_order(findings: &[Finding], severity: Severity) -> impl Iterator<Item = &Finding> {
    Rank::ALL.into_iter().flat_map(move |rank| {
        findings.iter().filter(move |finding| finding.severity == severity && finding.rule.rank == rank)
    })
}
