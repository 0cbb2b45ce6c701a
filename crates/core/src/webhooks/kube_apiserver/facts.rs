//! What is known of the Cluster.

use super::super::vpn_ends::in_words;
use crate::diagnostics::Finding;
use crate::landscape::Cluster;
use crate::vpn::nat::KnownFacts;
use crate::vpn::rules;

/// How far a decision got.
pub(super) enum Known<'s> {
    Facts(KnownFacts<'s>),
    Refused(Vec<Finding>),
    Unknown,
}

/// The facts of the Cluster, or what is wrong with it.
pub(super) fn known<'s>(namespace: &str, cluster: Cluster<'s>) -> Known<'s> {
    match cluster {
        Cluster::Record(Ok(facts), why_old) => {
            Known::Facts(KnownFacts { facts, why_old: why_old.as_ref().map(in_words) })
        }
        Cluster::Record(Err(errors), _) => unreadable(namespace, errors),
        Cluster::Unknown => Known::Unknown,
        Cluster::Absent => Known::Refused(vec![rules::cluster_missing(namespace)]),
        Cluster::Unanswered(why) => Known::Refused(vec![rules::cluster_unanswered(namespace, why)]),
    }
}

/// More fields of a Cluster that cannot be read tell nobody more.
const MOST_ERRORS: usize = 20;

fn unreadable<'s>(namespace: &str, errors: &[crate::gardener::FieldError]) -> Known<'s> {
    Known::Refused(errors.iter().take(MOST_ERRORS).map(|error| rules::cluster_unreadable(namespace, error)).collect())
}
