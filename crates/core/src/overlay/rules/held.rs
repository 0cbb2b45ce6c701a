//! The rules about a held switch, on the Seed.

use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::gardener::FieldError;

/// A switch is held.
pub static HELD: Rule = Rule {
    name: "overlay/held",
    severity: Severity::Warn,
    up_to: None,
    rank: Rank::Notice,
    summary: "The Network of a Shoot asks Calico to give up its overlay. Calico keeps it until every node has its route; everything else in the write passes. It also asks for that by a second IP family, where the configuration has no `overlay`: then the family waits too.",
    fix: "Nothing: it is let through by itself. `network-guard switches` shows what it waits for; the annotation `network-guard.extensions.gardener.cloud/overlay-switch: force` on the Shoot lets it through at once.",
};

/// Calico's configuration cannot be read.
pub static UNREADABLE: Rule = Rule {
    name: "overlay/unreadable",
    severity: Severity::Deny,
    up_to: None,
    rank: Rank::Fault,
    summary: "A part of Calico's configuration on which the overlay depends has a wrong type, so it is unknown whether it is switched off.",
    fix: "Correct the named field in the Shoot; gardenlet copies it.",
};

/// The rules of the Seed.
pub const RULES: [&Rule; 2] = [&HELD, &UNREADABLE];

/// A switch has been held since `since`, and cannot end by routes because of `obstacle`.
pub fn held(since: &str, obstacle: Option<&str>) -> Finding {
    let since = if since.is_empty() { String::new() } else { format!(" (since {since})") };
    if let Some(obstacle) = obstacle {
        let message = format!("Calico keeps its overlay{since}: {obstacle}");
        return HELD.finding("spec.providerConfig", message, "`network-guard switches` shows it too");
    }
    let message = format!("Calico keeps its overlay until every node has its route{since}");
    HELD.finding("spec.providerConfig", message, "nothing to do; `network-guard switches` shows what is missing")
}

/// A field that cannot be read.
pub fn unreadable(error: &FieldError) -> Finding {
    UNREADABLE.finding(error.path.clone(), error.problem.clone(), "correct it in the Shoot")
}

/// An example of each rule.
pub fn examples() -> [Finding; 2] {
    let error = FieldError {
        path: "spec.providerConfig.overlay.enabled".into(),
        value: String::new(),
        problem: "invalid type: string \"no\", expected a boolean".to_owned(),
    };
    [held("2026-11-20T10:00:00Z", None), unreadable(&error)]
}
