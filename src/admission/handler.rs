//! What every webhook implements.

use std::sync::Arc;

use super::{Request, Verdict};
use crate::gardener::FieldError;
use crate::landscape::{ClusterRecord, Snapshot};

/// One webhook: a path, the resource that it reviews, and a decision.
pub trait Handler: Send + Sync + 'static {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;

    /// The URL path, such as `/webhooks/mutate/kube-apiserver`.
    fn path(&self) -> &'static str;

    /// The resource that may be sent to this path.
    fn resource(&self) -> Resource;

    /// Decides, or asks for what it still needs. Called again with answers at most once: a handler that asks although
    /// its answers are there gets no third call.
    fn review(&self, request: &Request<'_>, snapshot: &Snapshot, answers: &Answers) -> Step;
}

/// A resource by group and plural name; the version is the API server's business.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resource {
    /// The API group, such as `apps`.
    pub group: &'static str,
    /// The plural name, such as `deployments`.
    pub plural: &'static str,
}

/// What a handler returns.
#[derive(Debug)]
pub enum Step {
    /// The decision.
    Done(Verdict),
    /// These facts are needed first.
    Ask(Questions),
    /// The object cannot be read as what it claims to be: its sender gets this as a 400.
    Unreadable(Vec<FieldError>),
}

/// Live reads that a decision needs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Questions {
    /// Read this Cluster from the API server.
    pub cluster: Option<String>,
}

/// The answers to [`Questions`]; `None` was not asked.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The Cluster that was asked for.
    pub cluster: Option<Answer<Arc<ClusterRecord>>>,
}

/// The answer to one question.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer<T> {
    /// It is there.
    Found(T),
    /// The API server says that there is no such object.
    Absent,
    /// There was no answer in time, or no permission; the text says which.
    Unanswered(String),
}
