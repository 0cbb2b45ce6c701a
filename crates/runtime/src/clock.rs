//! The clock for certificate validity: the API server's, because the API server is what judges our certificates.
//!
//! If the clock of this machine jumps, the replica would otherwise reject valid certificates as expired, or issue
//! certificates that API servers do not accept yet. Every answer of an API server carries its time in the `Date`
//! header; between two answers this machine's monotonic clock counts on, which does not jump.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// The API server's clock, as known from its answers.
#[derive(Debug, Default)]
pub struct Clock {
    heard: ArcSwapOption<(Timestamp, Instant)>,
    /// A time that contradicts the earlier answers. It is believed when the next answer confirms it.
    doubted: ArcSwapOption<(Timestamp, Instant)>,
}

impl Clock {
    /// The API server's time; until the first answer, this machine's time.
    pub fn now(&self) -> Timestamp {
        self.heard.load().as_ref().and_then(|heard| now_by(heard)).unwrap_or_else(Timestamp::now)
    }

    /// How far this machine's clock is from the API server's, in seconds; positive when it is ahead.
    pub fn difference_seconds(&self) -> i64 {
        if self.heard.load().is_none() { 0 } else { Timestamp::now().as_second() - self.now().as_second() }
    }

    /// Records the time of an answer. A `Date` header has whole seconds, and was written some time ago.
    fn hear(&self, headers: &http::HeaderMap) {
        let date = headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|date| rfc2822::DateTimeParser::new().parse_timestamp(date).ok()) else {
            return;
        };
        let says_the_same = |heard: &Option<Arc<(Timestamp, Instant)>>| {
            let now = heard.as_ref().and_then(|heard| now_by(heard));
            now.is_some_and(|now| date.duration_since(now).unsigned_abs() <= TOLERANCE)
        };
        // Several API servers that answer in turn must not make the clock jump back and forth, nor must one slow or
        // wrong answer.
        if says_the_same(&self.heard.load()) {
            return self.doubted.store(None);
        }
        let said = Some(Arc::new((date, Instant::now())));
        if self.heard.load().is_none() || says_the_same(&self.doubted.load()) {
            self.heard.store(said);
            self.doubted.store(None);
        } else {
            self.doubted.store(said);
        }
    }
}

fn now_by((at, heard): &(Timestamp, Instant)) -> Option<Timestamp> {
    at.checked_add(heard.elapsed()).ok()
}

/// Differences up to this come from whole seconds and slow answers.
const TOLERANCE: Duration = Duration::from_secs(5);

/// Records the time of every answer.
#[derive(Clone)]
pub struct Listening(pub Arc<Clock>);

/// A client whose answers set the clock.
#[derive(Clone)]
pub struct ListeningService<S> {
    inner: S,
    clock: Arc<Clock>,
}

impl<S> tower::Layer<S> for Listening {
    type Service = ListeningService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ListeningService { inner, clock: Arc::clone(&self.0) }
    }
}

impl<S, A, B> tower::Service<http::Request<A>> for ListeningService<S>
where
    S: tower::Service<http::Request<A>, Response = http::Response<B>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<B>;
    type Error = S::Error;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<A>) -> Self::Future {
        let (clock, response) = (Arc::clone(&self.clock), self.inner.call(request));
        Box::pin(async move {
            let response = response.await?;
            // An error may come from a proxy in between, whose clock does not count.
            if response.status().is_success() {
                clock.hear(response.headers());
            }
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_times_of_answers() {
        let clock = Clock::default();
        let hear = |date: &'static str| {
            let mut headers = http::HeaderMap::new();
            headers.insert(http::header::DATE, http::HeaderValue::from_static(date));
            clock.hear(&headers);
            clock.now().as_second()
        };
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        assert_eq!(clock.difference_seconds(), 0, "there was no answer yet");
        let near = |seconds: i64, want: &str| assert!((seconds - at(want)).abs() <= 1, "{seconds} {want}");
        near(hear("Sat, 21 Nov 2026 12:00:00 GMT"), "2026-11-21T12:00:00Z");
        near(hear("rubbish"), "2026-11-21T12:00:00Z");
        near(hear("Sat, 21 Nov 2026 12:00:04 GMT"), "2026-11-21T12:00:00Z");
        // Two answers that agree are believed; a single one is not.
        near(hear("Sat, 21 Nov 2026 12:00:30 GMT"), "2026-11-21T12:00:00Z");
        near(hear("Sat, 21 Nov 2026 12:00:30 GMT"), "2026-11-21T12:00:30Z");
        near(hear("Sat, 21 Nov 2026 11:00:00 GMT"), "2026-11-21T12:00:30Z");
        near(hear("Sat, 21 Nov 2026 12:00:31 GMT"), "2026-11-21T12:00:30Z");
        near(hear("Sat, 21 Nov 2026 11:00:00 GMT"), "2026-11-21T12:00:30Z");
        near(hear("Sat, 21 Nov 2026 11:00:00 GMT"), "2026-11-21T11:00:00Z");
    }
}
