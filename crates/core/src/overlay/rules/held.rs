//! The rules about a held switch, on the Seed.

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::{FieldError, encapsulation};

rules! {
    /// The Network of a Shoot asks Calico to give up its overlay. Calico keeps it until every node has its route;
    /// everything else in the write passes. It also asks for that by a second IP family, where the configuration has no
    /// `overlay`: then the family waits too.
    pub static HELD = {
        name: "overlay/held",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Notice,
        fix: "Nothing: it is let through by itself. `network-guard switches` shows what it waits for; the annotation `network-guard.extensions.gardener.cloud/overlay-switch: force` on the Shoot lets it through at once.",
        example: || vec![held("2026-11-20T10:00:00Z", None)],
    };

    /// A part of Calico's configuration on which the overlay depends has a wrong type, so it is unknown whether it is
    /// switched off.
    pub static UNREADABLE = {
        name: "overlay/unreadable",
        severity: Severity::Deny,
        up_to: None,
        rank: Rank::Fault,
        fix: "Correct the named field in the Shoot; gardenlet copies it.",
        example: || {
            let error = encapsulation(Some(r#"{"overlay": {"enabled": "no"}}"#), &[]).err();
            error.map(|error| unreadable(&error.within("spec.providerConfig"))).into_iter().collect()
        },
    };
}

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
