//! What every webhook implements.

use super::request::Request;
use super::verdict::Verdict;
use crate::gardener::FieldError;
use crate::landscape::{Asked, View};

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

    /// Decides by what the view knows. As long as that leaves a question open, whatever is returned does not count, and the handler
    /// is called again with the answers.
    ///
    /// # Errors
    ///
    /// When there can be no verdict, or not yet.
    fn review(&self, request: &Request<'_>, view: &mut View<'_>) -> Result<Verdict, Stop>;
}

/// A resource by group and plural name; the version is the API server's business.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resource {
    /// The API group, such as `apps`.
    pub group: &'static str,
    /// The plural name, such as `deployments`.
    pub plural: &'static str,
}

/// Why a handler stops without a verdict.
#[derive(Debug)]
pub enum Stop {
    /// Something has to be asked first.
    Asked(Asked),
    /// The object cannot be read as what it claims to be: its sender gets this as a 400.
    Unreadable(FieldError),
}

impl From<Asked> for Stop {
    fn from(asked: Asked) -> Self {
        Self::Asked(asked)
    }
}

impl From<FieldError> for Stop {
    fn from(error: FieldError) -> Self {
        Self::Unreadable(error)
    }
}
