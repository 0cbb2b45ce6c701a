//! What every webhook implements.

use super::request::Request;
use super::verdict::Verdict;
use crate::gardener::FieldError;
use crate::landscape::{Answers, Questions, Snapshot};

/// The maximum number of rounds of questions: visibility, confirmation of denials, and what those answers raise.
pub const ROUNDS: usize = 6;

/// One webhook: a path, the resource that it reviews, and a decision.
pub trait Handler: Send + Sync + 'static {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;

    /// The URL path, such as `/webhooks/mutate/kube-apiserver`.
    fn path(&self) -> &'static str;

    /// Whether more follows on the path, which then is the request's `path_suffix`.
    fn has_path_suffix(&self) -> bool {
        false
    }

    /// The resource that may be sent to this path.
    fn resource(&self) -> Resource;

    /// Decides, or asks for what it still needs, and is called again with all answers so far. A handler that asks for
    /// nothing new is not called any more.
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
