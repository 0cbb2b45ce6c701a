//! The shape of a providerConfig.

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::json::{FieldPath, excerpt};

use super::super::kind::{API_VERSION, KIND};
use super::{example_config, example_entry};

rules! {
    /// The extension is enabled without a providerConfig, so the Shoot has no peers.
    pub static NO_CONFIG = {
        name: "peering/no-config",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Add a PeeringConfig, or remove the extension.",
        example: || vec![no_config(example_config())],
    };

    /// A part of the providerConfig is not what it should be: an object, a list or a string.
    pub static MALFORMED = {
        name: "peering/malformed",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Correct the named field.",
        example: || vec![malformed(example_entry(0).field("name"), "5", "a string")],
    };

    /// The apiVersion of the providerConfig is missing or unknown.
    pub static VERSION = {
        name: "peering/api-version",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write the apiVersion that the message names.",
        example: || api_version(example_config(), "v1").into_iter().collect(),
    };

    /// The kind of the providerConfig is missing or not PeeringConfig.
    pub static OTHER_KIND = {
        name: "peering/kind",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Write `kind: PeeringConfig`.",
        example: || kind(example_config(), "Peering").into_iter().collect(),
    };

    /// A field is unknown: most often it is misspelt, and what it says would silently have no effect.
    pub static UNKNOWN_FIELD = {
        name: "peering/unknown-field",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Correct or remove it. Should the peering extension learn new fields, set this rule to warn.",
        example: || vec![unknown_field(example_entry(0), "seedName", &["name", "namespace", "seed"])],
    };

    /// A field occurs twice, and it is unknown which one counts.
    pub static DUPLICATE_FIELD = {
        name: "peering/duplicate-field",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove one of them.",
        example: || vec![duplicate_field(example_entry(0), "name")],
    };

    /// There are more entries than `peering.maxPeers` of the configuration permits. Those beyond it are not checked.
    pub static TOO_MANY = {
        name: "peering/too-many",
        severity: Severity::Deny,
        up_to: Some(Severity::Deny),
        rank: Rank::Fault,
        fix: "Remove entries, or have the limit raised.",
        example: || too_many(example_config().field("shootPeerings"), 250, 100).into_iter().collect(),
    };
}

pub(in crate::peering) fn no_config(path: FieldPath) -> Finding {
    NO_CONFIG.finding(path, "is missing, so this Shoot has no peers".to_owned(), "add a PeeringConfig")
}

pub(in crate::peering) fn malformed(path: FieldPath, value: &str, expected: &str) -> Finding {
    MALFORMED.finding(path, format!("{} is not {expected}", excerpt(value)), format!("write {expected}"))
}

pub(in crate::peering) fn api_version(path: FieldPath, version: &str) -> Option<Finding> {
    (version != API_VERSION)
        .then(|| VERSION.finding(path.field("apiVersion"), is_not(version), format!("write `{API_VERSION}`")))
}

pub(in crate::peering) fn kind(path: FieldPath, kind: &str) -> Option<Finding> {
    (kind != KIND).then(|| OTHER_KIND.finding(path.field("kind"), is_not(kind), format!("write `{KIND}`")))
}

fn is_not(value: &str) -> String {
    if value.is_empty() { "is missing".to_owned() } else { format!("{:?} is not supported", excerpt(value)) }
}

pub(in crate::peering) fn unknown_field(path: FieldPath, field: &str, known: &[&str]) -> Finding {
    let field = excerpt(field);
    // `seedName` and `shootPeering` share a prefix or suffix with the right field; otherwise similarity decides.
    let lower = field.to_lowercase();
    let distance = |name: &str| strsim::jaro_winkler(&lower, &name.to_lowercase());
    let meant = known.iter().copied().max_by(|a, b| distance(a).total_cmp(&distance(b)));
    let help = match meant.filter(|name| distance(name) > 0.75) {
        Some(name) => format!("write `{name}` if that is meant, or remove it"),
        None => format!("remove it, known fields are {}", known.join(", ")),
    };
    UNKNOWN_FIELD.finding(path.field(field), "is an unknown field".to_owned(), help)
}

pub(in crate::peering) fn duplicate_field(path: FieldPath, field: &str) -> Finding {
    DUPLICATE_FIELD.finding(path.field(field.to_owned()), "is a duplicate field".to_owned(), "remove one of them")
}

pub(in crate::peering) fn too_many(path: FieldPath, count: usize, most: usize) -> Option<Finding> {
    (count > most).then(|| {
        let message = format!("has {count} entries, more than the {most} that are permitted");
        TOO_MANY.finding(path, message, "remove some").about("").magnitude(count as u64)
    })
}
