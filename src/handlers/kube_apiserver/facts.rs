//! What is known of the Cluster.

use std::borrow::Cow;
use std::sync::Arc;

use super::super::translation::KnownFacts;
use crate::diagnostics::Finding;
use crate::landscape::{Answer, Answers, ClusterRecord};
use crate::overlap::rules;

/// How far a decision got.
pub(super) enum Known<'s> {
    Facts(KnownFacts<'s>),
    Refused(Vec<Finding>),
    NotYet,
}

/// The facts of the Cluster: from the answer to our question, otherwise from the snapshot.
pub(super) fn known<'s>(namespace: &str, cached: Option<&'s Arc<ClusterRecord>>, answers: &'s Answers) -> Known<'s> {
    let record = match (cached, &answers.cluster) {
        (None, Some(Answer::Found(record))) => record,
        (Some(_), Some(Answer::Found(record))) if record.is_ok() => record,
        (Some(record), answer) => {
            // The usual way: nobody asked, or the answer is of no use.
            return match &**record {
                Ok(facts) => Known::Facts(KnownFacts { facts, why_old: Some(why_old(answer.as_ref())) }),
                Err(errors) => unreadable(namespace, errors),
            };
        }
        (None, None) => return Known::NotYet,
        (None, Some(Answer::Absent)) => return Known::Refused(vec![rules::cluster_missing(namespace)]),
        (None, Some(Answer::Unanswered(why))) => {
            return Known::Refused(vec![rules::cluster_unanswered(namespace, why)]);
        }
    };
    match &**record {
        Ok(facts) => Known::Facts(KnownFacts { facts, why_old: None }),
        Err(errors) => unreadable(namespace, errors),
    }
}

/// More fields of a Cluster that cannot be read tell nobody more.
const MOST_ERRORS: usize = 20;

fn unreadable<'s>(namespace: &str, errors: &[crate::gardener::FieldError]) -> Known<'s> {
    Known::Refused(errors.iter().take(MOST_ERRORS).map(|error| rules::cluster_unreadable(namespace, error)).collect())
}

fn why_old(answer: Option<&Answer<Arc<ClusterRecord>>>) -> Cow<'static, str> {
    match answer {
        Some(Answer::Unanswered(why)) => format!("the Cluster could not be read anew: {why}").into(),
        Some(Answer::Absent) => "the Cluster is gone".into(),
        Some(Answer::Found(_)) => "the Cluster has networks by now that cannot be read".into(),
        None => "the Cluster was not read anew".into(),
    }
}
