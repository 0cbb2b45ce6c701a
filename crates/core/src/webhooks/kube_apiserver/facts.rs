//! What is known of the Cluster.

use std::sync::Arc;

use super::super::vpn_ends::{Seen, seen};
use crate::diagnostics::Finding;
use crate::landscape::{Answers, ClusterRecord};
use crate::vpn::nat::KnownFacts;
use crate::vpn::rules;

/// How far a decision got.
pub(super) enum Known<'s> {
    Facts(KnownFacts<'s>),
    Refused(Vec<Finding>),
    NotYet,
}

/// The facts of the Cluster, or what is wrong with it.
pub(super) fn known<'s>(namespace: &str, cached: Option<&'s Arc<ClusterRecord>>, answers: &'s Answers) -> Known<'s> {
    match seen(cached, answers) {
        Seen::Record(Ok(facts), why_old) => {
            Known::Facts(KnownFacts { facts, why_old: why_old.map(|why| why.in_words()) })
        }
        Seen::Record(Err(errors), _) => unreadable(namespace, errors),
        Seen::NotAsked => Known::NotYet,
        Seen::Absent => Known::Refused(vec![rules::cluster_missing(namespace)]),
        Seen::Unanswered(why) => Known::Refused(vec![rules::cluster_unanswered(namespace, why)]),
    }
}

/// More fields of a Cluster that cannot be read tell nobody more.
const MOST_ERRORS: usize = 20;

fn unreadable<'s>(namespace: &str, errors: &[crate::gardener::FieldError]) -> Known<'s> {
    Known::Refused(errors.iter().take(MOST_ERRORS).map(|error| rules::cluster_unreadable(namespace, error)).collect())
}
