//! One admission call: body in, answer out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::body::{self, Refusal};
use super::connections::Caller;
use super::{Limits, Metrics};
use crate::admission::{Handler, Request, Sign, Step, Verdict};
use crate::diagnostics::{Severity, in_order};
use crate::json::excerpt;
use crate::landscape::{Answers, Snapshot};
use crate::sources::LandscapeCache;
use crate::sources::live::LiveReads;
use crate::{admission, diagnostics, peering};

/// What a route needs.
#[derive(Clone)]
pub(super) struct Edge {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) landscape: Arc<LandscapeCache>,
    pub(super) live: LiveReads,
    pub(super) limits: Arc<Limits>,
    pub(super) room: Arc<body::Room>,
    pub(super) metrics: Arc<Metrics>,
}

/// What is left of the API server's own deadline for the way back.
const MARGIN: Duration = Duration::from_millis(500);

/// The API server's default `timeoutSeconds`, for callers that do not say theirs.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most errors of one unreadable object that are told.
const MOST_ERRORS: usize = 20;

/// The most rules that a line of the log names; what is more is counted by the metrics.
const MOST_LOGGED: usize = 50;

/// The most questions of one call that are asked: four for each entry of the longest list of peers that is looked up (who sees it,
/// what it is now, its Seed, and that one again), and a thousand more than all other questions together. Handlers have lower
/// limits of their own, which follow from what the writer wrote; this is the last look.
const MOST_QUESTIONS: usize = 4 * peering::MOST_PEERS + 1_000;

/// How a call ends that is not answered as it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Failure {
    /// The body is no AdmissionReview.
    BadReview,
    /// The resource is another handler's: the registration is wrong.
    WrongResource,
    /// The landscape was not read yet.
    NotSynced,
    /// The object cannot be read as what it claims to be.
    Unreadable,
    /// A mistake of network-guard.
    Error,
}

impl Failure {
    /// All of them.
    pub(super) const ALL: [Self; 5] =
        [Self::BadReview, Self::WrongResource, Self::NotSynced, Self::Unreadable, Self::Error];

    /// The word for metrics, where a verdict has its own.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::BadReview => "bad-review",
            Self::WrongResource => "wrong-resource",
            Self::NotSynced => "not-synced",
            Self::Unreadable => "unreadable",
            Self::Error => "error",
        }
    }
}

/// How a call ended, for metrics and log.
struct Ended {
    operation: &'static str,
    result: &'static str,
}

/// Answers one call.
pub(super) async fn review(State(edge): State<Edge>, request: HttpRequest) -> Response {
    let started = Instant::now();
    let deadline = deadline(request.uri().query());
    let (mut parts, http_body) = request.into_parts();
    let caller = parts.extensions.remove::<Caller>().expect("each request has its caller");
    let held = match body::read(&parts.headers, http_body, &caller, &edge.limits, &edge.room).await {
        Ok(held) => held,
        Err(refusal) => {
            edge.metrics.body_refused(refusal.answer().1);
            return refused(refusal);
        }
    };
    let tail = parts.uri.path().strip_prefix(edge.handler.path()).unwrap_or_default();
    let (response, ended) = edge.answer(&held.bytes, tail, deadline, started).await;
    edge.metrics.reviewed(edge.handler.name(), ended.operation, ended.result, started.elapsed());
    response
}

impl Edge {
    async fn answer(&self, body: &[u8], tail: &str, deadline: Duration, started: Instant) -> (Response, Ended) {
        let ended = |operation, failure: Failure| Ended { operation, result: failure.name() };
        let request = match admission::decode(body) {
            Ok(mut request) => {
                request.tail = tail.strip_prefix('/').unwrap_or_default();
                request
            }
            Err(error) => {
                tracing::warn!(handler = self.handler.name(), error = ?error.to_string(), "bad review");
                return (text(StatusCode::BAD_REQUEST, format!("{error}\n")), ended("", Failure::BadReview));
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
        if !self.landscape.is_synced() {
            // A call failure: the webhook's failurePolicy decides, and never a guess of ours.
            let message = "the landscape has not been read yet\n".to_owned();
            return (text(StatusCode::SERVICE_UNAVAILABLE, message), ended(operation, Failure::NotSynced));
        }

        let step = match self.decide(&request, started + deadline).await {
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
                self.log(&request, &verdict, started);
                // Where Shoots call, the doctor never asks, and an account that has one is told nothing of the server.
                let id = admission::doctor_asks(&request).filter(|_| !self.handler.has_tail());
                let sign = id.map(|id| Sign {
                    id: id.to_string(),
                    release: env!("CARGO_PKG_VERSION").to_owned(),
                    stale: self.landscape.is_stale(),
                });
                let answer = admission::encode_with(&request, &verdict, sign.as_ref());
                (json(answer), Ended { operation, result: verdict.outcome.name() })
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

    /// Calls the handler, and again with the answers to what it asks, as long as it asks something new.
    async fn decide(&self, request: &Request<'_>, deadline: Instant) -> Result<Step, String> {
        // A snapshot that may have missed a change decides nothing: with a blind one a handler asks for what it needs.
        let snapshot = if self.landscape.is_stale() { Arc::new(Snapshot::blind()) } else { self.landscape.snapshot() };
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
            let given = self.live.answer(user, &asked, deadline.into()).await;
            self.metrics.answered(&given);
            answers.add(questions, given);
            step = self.handler.review(request, &snapshot, &answers);
        }
        Ok(step)
    }

    /// One line a call, without anything of the object but its name.
    fn log(&self, request: &Request<'_>, verdict: &Verdict, started: Instant) {
        for finding in &verdict.findings {
            self.metrics.found(finding.rule, finding.severity.name());
        }
        self.metrics.decided(self.handler.name(), verdict.decision);
        tracing::info!(
            handler = self.handler.name(),
            uid = ?&*request.uid,
            operation = request.operation.name(),
            // Quoted, because they are what somebody else wrote: no line of theirs shall look like one of ours.
            namespace = ?&*request.namespace,
            name = ?&*request.name,
            // Without what follows, which nobody else may know.
            shoot = request.tail.split_once('/').map(|(shoot, _)| tracing::field::debug(excerpt(shoot))),
            user = ?excerpt(&request.user),
            dry_run = request.dry_run,
            outcome = verdict.outcome.name(),
            decision = verdict.decision,
            rules = %Rules(verdict),
            micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
            "reviewed"
        );
    }
}

struct Rules<'v>(&'v Verdict);

impl std::fmt::Display for Rules<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let weights = [Severity::Deny, Severity::Warn, Severity::Note];
        let in_order = weights.into_iter().flat_map(|severity| in_order(&self.0.findings, severity));
        for (i, finding) in in_order.take(MOST_LOGGED).enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(finding.rule)?;
        }
        if self.0.findings.len() > MOST_LOGGED {
            f.write_str(",...")?;
        }
        Ok(())
    }
}

/// The time that live reads may take: the API server's own `?timeout=`, in whole seconds, less the way back.
fn deadline(query: Option<&str>) -> Duration {
    let seconds = query
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|pair| pair.strip_prefix("timeout="))
        .and_then(|value| value.strip_suffix('s')?.parse::<u64>().ok())
        .filter(|seconds| (1..=30).contains(seconds));
    seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs).saturating_sub(MARGIN)
}

fn json(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(Bytes::from(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn failure_answer(request: &Request<'_>, code: u16, reason: &str, message: &str) -> Response {
    json(admission::encode_failure(&request.uid, code, reason, message))
}

fn text(status: StatusCode, message: String) -> Response {
    (status, message).into_response()
}

fn refused(refusal: Refusal) -> Response {
    let (status, _, message) = refusal.answer();
    let mut response = (status, message).into_response();
    if matches!(refusal, Refusal::Busy | Refusal::GivesWay) {
        // The API server waits this long and repeats the call within its deadline.
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    if refusal == Refusal::GivesWay {
        // What is still to come is not waited for.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deadline_is_the_callers() {
        for (query, want) in [
            (None, 9_500),
            (Some("timeout=5s"), 4_500),
            (Some("a=b&timeout=1s"), 500),
            (Some("timeout=30s"), 29_500),
            (Some("timeout=31s"), 9_500),
            (Some("timeout=0s"), 9_500),
            (Some("timeout=99999999999999999999s"), 9_500),
            (Some("timeout="), 9_500),
        ] {
            assert_eq!(deadline(query), Duration::from_millis(want), "{query:?}");
        }
    }
}
