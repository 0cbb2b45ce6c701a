//! The shape of a providerConfig.

use crate::diagnostics::{Finding, Rank, Rule, Severity};
use crate::json::excerpt;

use super::super::kind::{API_VERSION, KIND};

/// No providerConfig.
pub static NO_CONFIG: Rule = Rule {
    name: "peering/no-config",
    severity: Severity::Warn,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The extension is enabled without a providerConfig, so the Shoot has no peers.",
    fix: "Add a PeeringConfig, or remove the extension.",
};

/// A value has the wrong type.
pub static MALFORMED: Rule = Rule {
    name: "peering/malformed",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "A part of the providerConfig is not what it should be: an object, a list or a string.",
    fix: "Correct the named field.",
};

/// An unsupported apiVersion.
pub static VERSION: Rule = Rule {
    name: "peering/api-version",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The apiVersion of the providerConfig is missing or unknown.",
    fix: "Write the apiVersion that the message names.",
};

/// An unsupported kind.
pub static OTHER_KIND: Rule = Rule {
    name: "peering/kind",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "The kind of the providerConfig is missing or not PeeringConfig.",
    fix: "Write `kind: PeeringConfig`.",
};

/// A field that a `PeeringConfig` does not have.
pub static UNKNOWN_FIELD: Rule = Rule {
    name: "peering/unknown-field",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "A field is unknown: most often it is misspelt, and what it says would silently have no effect.",
    fix: "Correct or remove it. Should the peering extension learn new fields, set this rule to warn.",
};

/// A duplicate field.
pub static DUPLICATE_FIELD: Rule = Rule {
    name: "peering/duplicate-field",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "A field occurs twice, and it is unknown which one counts.",
    fix: "Remove one of them.",
};

/// More entries than permitted.
pub static TOO_MANY: Rule = Rule {
    name: "peering/too-many",
    severity: Severity::Deny,
    up_to: Some(Severity::Deny),
    rank: Rank::Fault,
    summary: "There are more entries than `peering.maxPeers` of the configuration permits. Those beyond it are not checked.",
    fix: "Remove entries, or have the limit raised.",
};

pub(in crate::peering) fn no_config(path: &str) -> Finding {
    NO_CONFIG.finding(path, "is missing, so this Shoot has no peers".to_owned(), "add a PeeringConfig")
}

pub(in crate::peering) fn malformed(path: &str, value: &str, expected: &str) -> Finding {
    MALFORMED.finding(path, format!("{} is not {expected}", excerpt(value)), format!("write {expected}"))
}

pub(in crate::peering) fn api_version(path: &str, version: &str) -> Option<Finding> {
    (version != API_VERSION)
        .then(|| VERSION.finding(&format!("{path}.apiVersion"), is_not(version), format!("write `{API_VERSION}`")))
}

pub(in crate::peering) fn kind(path: &str, kind: &str) -> Option<Finding> {
    (kind != KIND).then(|| OTHER_KIND.finding(&format!("{path}.kind"), is_not(kind), format!("write `{KIND}`")))
}

fn is_not(value: &str) -> String {
    if value.is_empty() { "is missing".to_owned() } else { format!("{:?} is not supported", excerpt(value)) }
}

pub(in crate::peering) fn unknown_field(path: &str, field: &str, known: &[&str]) -> Finding {
    let field = excerpt(field);
    // `seedName` and `shootPeering` share a prefix or suffix with the right field; otherwise similarity decides.
    let lower = field.to_lowercase();
    let distance = |name: &str| strsim::jaro_winkler(&lower, &name.to_lowercase());
    let meant = known.iter().copied().max_by(|a, b| distance(a).total_cmp(&distance(b)));
    let help = match meant.filter(|name| distance(name) > 0.75) {
        Some(name) => format!("write `{name}` if that is meant, or remove it"),
        None => format!("remove it, known fields are {}", known.join(", ")),
    };
    UNKNOWN_FIELD.finding(&format!("{path}.{field}"), "is an unknown field".to_owned(), help)
}

pub(in crate::peering) fn duplicate_field(path: &str, field: &str) -> Finding {
    DUPLICATE_FIELD.finding(&format!("{path}.{field}"), "is a duplicate field".to_owned(), "remove one of them")
}

pub(in crate::peering) fn too_many(path: &str, count: usize, most: usize) -> Option<Finding> {
    (count > most).then(|| {
        let message = format!("has {count} entries, more than the {most} that are permitted");
        TOO_MANY.finding(path, message, "remove some").about("").magnitude(count as u64)
    })
}

pub(super) fn documented() -> Vec<(&'static Rule, Finding)> {
    let path = "spec.extensions[0].providerConfig";
    let entry = &format!("{path}.shootPeerings[0]");
    let example = |finding: Option<Finding>| finding.expect("an example of what is wrong");
    vec![
        (&NO_CONFIG, no_config(path)),
        (&MALFORMED, malformed(&format!("{entry}.name"), "5", "a string")),
        (&VERSION, example(api_version(path, "v1"))),
        (&OTHER_KIND, example(kind(path, "Peering"))),
        (&UNKNOWN_FIELD, unknown_field(entry, "seedName", &["name", "namespace", "seed"])),
        (&DUPLICATE_FIELD, duplicate_field(entry, "name")),
        (&TOO_MANY, example(too_many(&format!("{path}.shootPeerings"), 250, 100))),
    ]
}
