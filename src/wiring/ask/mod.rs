//! One admission call: from the bytes of a review to those of its answer. A handler never waits: its questions are
//! answered here, within the deadline of the call, and it is called again.

mod audit;
mod metrics;

use std::sync::Arc;
use std::time::Instant;

use futures::future::BoxFuture;
use http::StatusCode;

pub(super) use self::metrics::ReviewMetrics;
use network_guard_core::admission::{self, Handler, Request, Sign, Step};
use network_guard_core::diagnostics;
use network_guard_core::landscape::{Answers, Snapshot};
use network_guard_core::peering;
use network_guard_runtime::https::{Call, Endpoint, Reply};
use network_guard_sources::LandscapeCache;
use network_guard_sources::live::LiveReads;

/// The most errors of one unreadable object that are reported.
const MOST_ERRORS: usize = 20;

/// The most questions of one call: four for each entry of the longest list of peers that is looked up (who may see it,
/// its present state, its Seed, and the Seed's state), and a thousand more than all other questions together. Handlers
/// have lower limits of their own, which follow from the written object; this is the last resort.
const MOST_QUESTIONS: usize = 4 * peering::MOST_PEERS + 1_000;

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
    let endpoint = |handler| Arc::new(AskLoop { handler, asking: asking.clone() }) as Arc<dyn Endpoint>;
    handlers.into_iter().map(endpoint).collect()
}

/// A handler, and the source of its answers.
struct AskLoop {
    handler: Arc<dyn Handler>,
    asking: Asking,
}

impl Endpoint for AskLoop {
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

impl AskLoop {
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

        let step = match self.ask_until_done(&request, call.deadline).await {
            Ok(step) => step,
            Err(error) => {
                return (failure_answer(&request, 400, "BadRequest", &error), ended(operation, Failure::Unreadable));
            }
        };
        match step {
            Step::Done(verdict) if !admission::fits(&request, &verdict) => {
                tracing::error!(handler = self.handler.name(), uid = &*request.uid, "the patch is too large");
                let message = "the patch would be far larger than the object: please report this";
                (failure_answer(&request, 500, "InternalError", message), ended(operation, Failure::Error))
            }
            Step::Done(verdict) => {
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
            Step::Unreadable(errors) => {
                let errors = errors.iter().take(MOST_ERRORS);
                let errors: Vec<String> = errors.map(|error| diagnostics::line(&error.to_string())).collect();
                tracing::warn!(
                    handler = self.handler.name(),
                    uid = &*request.uid,
                    error = errors.join("; "),
                    "unreadable object"
                );
                (failure_answer(&request, 400, "BadRequest", &errors.join("\n")), ended(operation, Failure::Unreadable))
            }
            Step::Ask(questions) => {
                tracing::error!(handler = self.handler.name(), ?questions, "asked too often");
                let message = "the decision asks without end";
                (failure_answer(&request, 500, "InternalError", message), ended(operation, Failure::Error))
            }
        }
    }

    /// Calls the handler, and calls it again with the answers to its questions, as long as it has new ones.
    async fn ask_until_done(&self, request: &Request<'_>, deadline: Instant) -> Result<Step, String> {
        // A snapshot that may have missed a change decides nothing: with an empty one the handler asks for what it
        // needs.
        let snapshot = if self.asking.landscape.is_stale() {
            Arc::new(Snapshot::blind())
        } else {
            self.asking.landscape.snapshot()
        };
        let mut answers = Answers::default();
        let mut room = MOST_QUESTIONS;
        let mut step = self.handler.review(request, &snapshot, &answers);
        for _ in 0..admission::ROUNDS {
            let Step::Ask(questions) = step else { return Ok(step) };
            let questions = questions.without(&answers);
            if questions.is_empty() {
                return Ok(Step::Ask(questions));
            }
            let user = request.user_info().map_err(|error| error.to_string())?;
            let asked = questions.clone().at_most(room);
            room -= asked.len();
            let given = self.asking.live.answer(user, &asked, deadline.into()).await;
            self.asking.metrics.answered(&given);
            answers.add(questions, given);
            step = self.handler.review(request, &snapshot, &answers);
        }
        Ok(step)
    }
}

fn failure_answer(request: &Request<'_>, code: u16, reason: &str, message: &str) -> Reply {
    Reply::json(admission::encode_failure(&request.uid, code, reason, message))
}
