//! One admission call: from the bytes of a review to those of its answer. A handler never waits: the questions of its ask loop
//! are answered here, within the deadline of the call.

mod audit;
mod metrics;

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use http::StatusCode;

pub(super) use self::metrics::ReviewMetrics;
use network_guard_core::admission::{self, AskLoop, Handler, NoVerdict, Request, Sign, Verdict};
use network_guard_core::diagnostics;
use network_guard_runtime::https::{Call, Endpoint, Reply};
use network_guard_sources::LandscapeCache;
use network_guard_sources::live::LiveReads;

/// The result of a call that fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failure {
    /// The body is no AdmissionReview.
    BadReview,
    /// The resource belongs to another handler: the registration is wrong.
    WrongResource,
    /// The landscape has not been read yet.
    NotSynced,
    /// The object cannot be read as the type that it claims to be.
    Unreadable,
    /// A bug in network-guard.
    Error,
}

impl Failure {
    /// All variants.
    const ALL: [Self; 5] = [Self::BadReview, Self::WrongResource, Self::NotSynced, Self::Unreadable, Self::Error];

    /// The label for metrics, where a verdict has its own.
    const fn name(self) -> &'static str {
        match self {
            Self::BadReview => "bad-review",
            Self::WrongResource => "wrong-resource",
            Self::NotSynced => "not-synced",
            Self::Unreadable => "unreadable",
            Self::Error => "error",
        }
    }
}

/// The result of a call, for metrics and log.
struct Ended {
    operation: &'static str,
    result: &'static str,
}

/// What all handlers share.
#[derive(Clone)]
pub(super) struct Asking {
    pub(super) landscape: Arc<LandscapeCache>,
    pub(super) live: LiveReads,
    pub(super) metrics: Arc<ReviewMetrics>,
}

/// The endpoints of these handlers.
pub(super) fn endpoints(handlers: Vec<Arc<dyn Handler>>, asking: &Asking) -> Vec<Arc<dyn Endpoint>> {
    let endpoint = |handler| Arc::new(Webhook { handler, asking: asking.clone() }) as Arc<dyn Endpoint>;
    handlers.into_iter().map(endpoint).collect()
}

/// A handler, and the source of its answers.
struct Webhook {
    handler: Arc<dyn Handler>,
    asking: Asking,
}

impl Endpoint for Webhook {
    fn path(&self) -> &str {
        self.handler.path()
    }

    fn has_path_suffix(&self) -> bool {
        self.handler.has_path_suffix()
    }

    fn answer<'c>(&'c self, call: Call<'c>) -> BoxFuture<'c, Reply> {
        Box::pin(async move {
            let (reply, Ended { operation, result }) = self.review(&call).await;
            self.asking.metrics.reviewed(self.handler.name(), operation, result, call.started.elapsed());
            reply
        })
    }
}

impl Webhook {
    async fn review(&self, call: &Call<'_>) -> (Reply, Ended) {
        let ended = |operation, failure: Failure| Ended { operation, result: failure.name() };
        let request = match admission::decode(call.body) {
            Ok(mut request) => {
                request.path_suffix = call.path_suffix;
                request
            }
            Err(error) => {
                tracing::warn!(handler = self.handler.name(), error = ?error.to_string(), "bad review");
                return (Reply::text(StatusCode::BAD_REQUEST, format!("{error}\n")), ended("", Failure::BadReview));
            }
        };
        let operation = request.operation.name();
        let resource = self.handler.resource();
        if (&*request.group, &*request.resource) != (resource.group, resource.plural) {
            let message = format!(
                "{} reviews {}.{}, not {}.{}: the webhook configuration sends the wrong resource here",
                self.handler.path(),
                resource.plural,
                resource.group,
                request.resource,
                request.group
            );
            return (failure_answer(&request, 400, "BadRequest", &message), ended(operation, Failure::WrongResource));
        }
        if !self.asking.landscape.is_synced() {
            // A call failure: the webhook's failurePolicy decides, and network-guard does not guess.
            let message = "the landscape has not been read yet\n".to_owned();
            return (Reply::text(StatusCode::SERVICE_UNAVAILABLE, message), ended(operation, Failure::NotSynced));
        }

        match self.ask(&request, call.deadline).await {
            Ok(verdict) if !admission::fits(&request, &verdict) => {
                tracing::error!(handler = self.handler.name(), uid = &*request.uid, "the patch is too large");
                let message = "the patch would be far larger than the object: please report this";
                (failure_answer(&request, 500, "InternalError", message), ended(operation, Failure::Error))
            }
            Ok(verdict) => {
                self.audit(&request, &verdict, call.started);
                // The doctor never calls the port of the Shoots, and a caller there is told nothing about the server.
                let id = admission::doctor_asks(&request).filter(|_| !self.handler.has_path_suffix());
                let sign = id.map(|id| Sign {
                    id: id.to_string(),
                    release: env!("CARGO_PKG_VERSION").to_owned(),
                    stale: self.asking.landscape.is_stale(),
                });
                let answer = admission::encode_with(&request, &verdict, sign.as_ref());
                (Reply::json(answer), Ended { operation, result: verdict.outcome.name() })
            }
            Err(NoVerdict::Unreadable(error)) => {
                let error = diagnostics::line(&error.to_string());
                tracing::warn!(handler = self.handler.name(), uid = &*request.uid, error, "unreadable object");
                (failure_answer(&request, 400, "BadRequest", &error), ended(operation, Failure::Unreadable))
            }
            Err(NoVerdict::Asks(questions)) => {
                tracing::error!(handler = self.handler.name(), ?questions, "asked too often");
                let message = NoVerdict::Asks(questions).to_string();
                (failure_answer(&request, 500, "InternalError", &message), ended(operation, Failure::Error))
            }
        }
    }

    /// The result of a review, with answers of the live reads.
    async fn ask(&self, request: &Request<'_>, deadline: Instant) -> Result<Verdict, NoVerdict> {
        let cache = self.asking.landscape.fresh();
        let mut review = AskLoop::new(&*self.handler, request, cache.as_deref());
        while let Some(questions) = review.questions() {
            let user = request.user_info().map_err(NoVerdict::Unreadable)?;
            let given = self.asking.live.answer(user, questions, deadline.into()).await;
            self.asking.metrics.answered(&given);
            review = review.answered(given);
        }
        review.end()
    }
}

fn failure_answer(request: &Request<'_>, code: u16, reason: &str, message: &str) -> Reply {
    Reply::json(admission::encode_failure(&request.uid, code, reason, message))
}
