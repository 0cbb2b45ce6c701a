//! Networks that have no room in the tunnel.

use super::*;
use crate::diagnostics::Severity;

/// With vpn2 the write passes, and its sender is told; our own containers would not start.
#[test]
fn networks_that_do_not_fit() {
    let grown = |spec: &mut Value| {
        spec["shoot"]["status"]["networking"]["nodes"] = json!(["10.250.0.0/16", "11.0.0.0/8"]);
    };
    for (call, decision, severity) in
        [(Call::overlapping(), "unchanged", Severity::Warn), (Call::own(), "refused", Severity::Deny)]
    {
        let done = call.cluster(grown).run();
        let said: Vec<_> = done.verdict.findings.iter().map(|finding| (finding.rule.name, finding.severity)).collect();
        assert_eq!((done.verdict.decision, said), (decision, vec![("vpn/cannot-translate", severity)]));
        let text = "nodes 10.250.0.0/16 overlaps Seed pods 10.250.128.0/17, and cannot be translated";
        assert!(done.answer.contains(text), "{}", done.answer);
    }
}
