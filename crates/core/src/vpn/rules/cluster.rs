//! Rules about the Cluster from which the networks are.

use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::{ClusterFacts, FieldError};
use crate::json::FieldPath;

rules! {
    /// The Deployment carries the containers of a highly available VPN, but there is no Cluster named like its
    /// namespace, so it is unknown whether networks overlap.
    static CLUSTER_MISSING = {
        name: "vpn/cluster-missing",
        severity: Severity::Deny,
        up_to: None,
        rank: Rank::Fault,
        fix: "Wait for gardenlet to write the Cluster, or restore it; then repeat the write.",
        example: || vec![cluster_missing("shoot--garden--demo")],
    };

    /// The Cluster is not in the cache and the API server did not answer in time, or did not permit the read.
    static CLUSTER_UNANSWERED = {
        name: "vpn/cluster-unanswered",
        severity: Severity::Deny,
        up_to: None,
        rank: Rank::Fault,
        fix: "Repeat the write; if it fails again, check the webhook's rights on clusters.extensions.gardener.cloud and its connection to the API server.",
        example: || vec![cluster_unanswered("shoot--garden--demo", "no answer within 4500 ms")],
    };

    /// A network in the Cluster cannot be read, so it is unknown whether it overlaps.
    static CLUSTER_UNREADABLE = {
        name: "vpn/cluster-unreadable",
        severity: Severity::Deny,
        up_to: None,
        rank: Rank::Fault,
        fix: "Correct the named field in the Shoot or Seed; gardenlet copies it into the Cluster.",
        example: || {
            let spec = r#"{"seed": {"spec": {"networks": {"pods": "10.0.0.0/8"}}}, "shoot": {"status":
                {"networking": {"nodes": ["10.1.0.0/16", "10.250.0.0/33"]}}}}"#;
            let unusable = ClusterFacts::parse(spec).err();
            let errors = unusable.iter().flat_map(|unusable| unusable.iter());
            errors.map(|error| cluster_unreadable("shoot--garden--demo", error)).collect()
        },
    };
}

/// The Cluster does not exist.
pub fn cluster_missing(namespace: &str) -> Finding {
    CLUSTER_MISSING.finding(
        "metadata.namespace",
        format!("there is no Cluster `{namespace}` to read the networks from"),
        "wait for gardenlet to write it, then repeat",
    )
}

/// The read of the Cluster was not answered.
pub fn cluster_unanswered(namespace: &str, why: &str) -> Finding {
    CLUSTER_UNANSWERED.finding(
        "metadata.namespace",
        format!("the Cluster `{namespace}` could not be read: {why}"),
        "repeat the write; if it fails again, check the webhook's rights and connection",
    )
}

/// A field of the Cluster cannot be used.
pub fn cluster_unreadable(namespace: &str, error: &FieldError) -> Finding {
    let value = if error.value.is_empty() { String::new() } else { format!("{} ", error.value) };
    CLUSTER_UNREADABLE.finding(
        FieldPath::of(format!("cluster {namespace}"), error.path.clone()),
        format!("{value}{}", error.problem),
        "correct it in the Shoot or Seed",
    )
}
