//! Questions to an API server, each with a time limit.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt as _, Limited};
use kube::client::{Body, ClientBuilder};
use serde_json::Value;
use tokio::time::timeout;

use network_guard_core::json::excerpt;
use network_guard_runtime::clock::{Clock, Listening};

/// The most bytes of an answer that are read.
const LONGEST: usize = 16 << 20;

/// One API server.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: kube::Client,
    pub(super) clock: Arc<Clock>,
    pub(super) url: String,
    patience: Duration,
}

/// Why there is no usable answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Trouble {
    /// The object does not exist.
    Absent,
    /// The user lacks a right; the text is the API server's.
    Forbidden(String),
    /// No answer.
    Silent(String),
    /// Any other answer.
    Other(String),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("it is not there"),
            Self::Forbidden(text) | Self::Silent(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

/// The answer of an API server to a write.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) warnings: Vec<String>,
    pub(super) took: Duration,
}

impl Reply {
    /// The message of a refusal.
    pub(super) fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

impl Server {
    pub(super) fn new(config: kube::Config, patience: Duration) -> anyhow::Result<Self> {
        let (clock, url) = (Arc::new(Clock::default()), config.cluster_url.to_string());
        let client = ClientBuilder::try_from(config)?.with_layer(&Listening(Arc::clone(&clock))).build();
        Ok(Self { client, clock, url: url.trim_end_matches('/').to_owned(), patience })
    }

    /// Waits for an answer until the time limit.
    pub(super) async fn ask<T>(&self, question: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Trouble> {
        match timeout(self.patience, question).await {
            Err(_) => Err(Trouble::Silent(format!("{} did not answer in {} s", self.url, self.patience.as_secs()))),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(kube::Error::Api(status))) => Err(match status.code {
                404 => Trouble::Absent,
                401 | 403 => Trouble::Forbidden(excerpt(&status.message)),
                _ => Trouble::Other(excerpt(&status.message)),
            }),
            Ok(Err(error)) => Err(Trouble::Silent(excerpt(&with_causes(&error)))),
        }
    }

    /// A dry run of a merge patch: nothing is stored.
    pub(super) async fn dry_run(&self, path: &str, change: &Value) -> Result<Reply, Trouble> {
        let request = http::Request::patch(format!("{path}?dryRun=All&fieldManager=network-guard-doctor"))
            .header(http::header::CONTENT_TYPE, "application/merge-patch+json")
            .header(http::header::ACCEPT, "application/json")
            .body(Body::from(change.to_string().into_bytes()))
            .map_err(|error| Trouble::Other(error.to_string()))?;
        let begun = Instant::now();
        self.ask(async {
            let response = self.client.send(request).await?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, LONGEST).collect().await.map(http_body_util::Collected::to_bytes);
            let body = body.map_err(kube::Error::Service)?;
            Ok(Reply {
                status: parts.status.as_u16(),
                body: serde_json::from_slice(&body).unwrap_or_default(),
                warnings: parts.headers.get_all(http::header::WARNING).iter().filter_map(warning).collect(),
                took: begun.elapsed(),
            })
        })
        .await
    }
}

/// The text of a warning, which API servers send as `299 - "text"`, with `"` and `\` escaped.
fn warning(header: &http::HeaderValue) -> Option<String> {
    let text = std::str::from_utf8(header.as_bytes()).ok()?;
    let (_, quoted) = text.split_once('"')?;
    let mut unquoted = String::new();
    let mut rest = quoted.chars();
    loop {
        match rest.next()? {
            '"' => return Some(unquoted),
            '\\' => unquoted.push(rest.next()?),
            other => unquoted.push(other),
        }
    }
}

/// An error with its causes.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.contains(&further) {
            text = text + ": " + &further;
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_are_unquoted() {
        for (header, want) in [
            (r#"299 - "plain""#, Some("plain")),
            (r#"299 - "with \"quotes\" and \\" "Mon""#, Some(r#"with "quotes" and \"#)),
            (r#"299 - "cut"#, None),
            ("299 -", None),
        ] {
            let header = http::HeaderValue::from_str(header).unwrap();
            assert_eq!(warning(&header).as_deref(), want);
        }
    }
}
