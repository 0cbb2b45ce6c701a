//! Many findings: their order, and which of them are new.

use super::rule::Finding;
use super::weight::{Rank, Severity};

/// The findings of this severity, in the order in which they are shown: by rank, and otherwise as they were found. A
/// caller that shows only some of them shows the first.
pub fn in_order(findings: &[Finding], severity: Severity) -> impl Iterator<Item = &Finding> {
    Rank::ALL.into_iter().flat_map(move |rank| {
        findings.iter().filter(move |finding| finding.severity == severity && finding.rule.rank == rank)
    })
}

/// Findings that were not stored before, or weighed less then. A finding is the same as a stored one if it has its rule, and says
/// the same of the same field, or if `is_same` says so.
pub fn without_stored(
    mut findings: Vec<Finding>,
    mut stored: Vec<Finding>,
    is_same: impl Fn(&Finding, &Finding) -> bool,
) -> Vec<Finding> {
    let says_it = |finding: &Finding, old: &Finding| {
        old.rule == finding.rule
            && finding.severity <= old.severity
            && ((&old.path, &old.message) == (&finding.path, &finding.message) || is_same(finding, old))
    };
    findings.retain(|finding| match stored.iter().position(|old| says_it(finding, old)) {
        Some(at) => {
            stored.swap_remove(at);
            false
        }
        None => true,
    });
    findings
}
