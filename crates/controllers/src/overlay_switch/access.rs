//! Access to the API server of a Shoot: a token of network-guard's own with as few rights as possible, which
//! gardener-resource-manager creates and renews, or, where that is configured, Gardener's own administrator.

mod objects;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use kube::client::Body;
use kube::config::KubeConfigOptions;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};

use super::Context;
use network_guard_core::gardener::list::{List, ListError, ListLimits, Listed};
use network_guard_core::gardener::node::NodeFacts;
use network_guard_core::landscape::NetworkName;

/// How long network-guard's own token may take before the fallback is used, where it is permitted.
const PATIENCE: Duration = Duration::from_secs(30);

/// The timeout of one answer, and of connecting.
const ANSWER: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);

/// The timeout of a list with all its pages.
const LIST: Duration = Duration::from_secs(30);

/// Objects per page.
pub(super) const PAGE: usize = 250;

/// The largest answer that is read, in bytes: a page of nodes with everything that makes them large is a tenth of it.
/// The Shoot's owner controls what the Shoot's API server answers.
const LARGEST: usize = 32 << 20;

/// The largest object that is read as a whole, in bytes: more than an API server stores of one (1.5 MiB in etcd).
const OBJECT: usize = 2 << 20;

/// The limits of a list. Kubernetes is made for 5,000 nodes, each of which is some 10 KiB on the wire and 400 bytes
/// here.
const LISTS: ListLimits = ListLimits { objects: 50_000, page: PAGE, pages: 400, arriving: 256 << 20, kept: 16 << 20 };

/// A list of which more than this is kept, in bytes, is large: few of these are kept at the same time.
const LARGE: usize = 1 << 20;

/// How long Gardener's administrator is used before network-guard's own token is tried again.
const ADMIN: Duration = Duration::from_secs(10 * 60);

/// Access to one Shoot.
pub(super) struct Access {
    context: Arc<Context>,
    name: NetworkName,
    /// The client configuration, once it is known.
    way: Option<Way>,
    /// The open connection.
    open: Option<kube::Client>,
    /// The permit to keep large lists, until the next pause.
    large: Option<OwnedSemaphorePermit>,
    /// When network-guard's own token was first requested.
    asked: Option<Instant>,
    /// When network-guard's own token was refused, so that the fallback is used for a while.
    refused: Option<Instant>,
    /// Whether nothing that network-guard made is in the namespace, as far as is known.
    is_clean: bool,
}

struct Way {
    config: kube::Config,
    /// Since when Gardener's administrator has been used.
    admin: Option<Instant>,
}

/// Why the Shoot's API server could not be asked.
pub(super) enum NoAnswer {
    /// There is no such object.
    Absent,
    /// Another writer has changed the object since it was read.
    Conflict,
    /// The API server refuses the credentials.
    Refused(u16),
    /// The API server rejects the request.
    Rejected(u16),
    /// For people.
    Because(String),
}

impl NoAnswer {
    /// For people.
    pub(super) fn words(self) -> String {
        match self {
            Self::Absent => "it has nothing of that name".to_owned(),
            Self::Conflict => "somebody else wrote in between".to_owned(),
            Self::Refused(code) => format!("it answers {code} to our token; new rights take a moment to arrive"),
            Self::Rejected(code) => format!("it answers {code}"),
            Self::Because(why) => why,
        }
    }
}

/// Receives an answer, chunk by chunk.
type Sink<'s> = &'s mut (dyn FnMut(&[u8]) -> Result<(), NoAnswer> + Send);

impl Access {
    pub(super) fn new(context: &Arc<Context>, name: &NetworkName) -> Self {
        let (context, name) = (Arc::clone(context), name.clone());
        Self { context, name, way: None, open: None, large: None, asked: None, refused: None, is_clean: false }
    }

    /// Forgets the client configuration; the objects in the Seed stay.
    pub(super) fn close(&mut self) {
        self.open = None;
        self.way = None;
    }

    /// Closes the connection until the next turn, when nothing is left of what was read. A connection that once carried
    /// a page of nodes keeps half a megabyte of buffers, and is unused most of the time.
    pub(super) fn rest(&mut self) {
        self.open = None;
        self.large = None;
    }

    /// Lists all nodes. Only here does a refused token lead to the fallback, where that is configured: all other reads
    /// are optional.
    pub(super) async fn nodes(&mut self) -> Result<Vec<NodeFacts>, String> {
        match self.list("/api/v1/nodes", "").await {
            Err(NoAnswer::Refused(_)) if self.context.settings.falls_back_to_admin && self.refused.is_none() => {
                self.refused = Some(Instant::now());
                self.list("/api/v1/nodes", "").await.map_err(NoAnswer::words)
            }
            result => result.map_err(NoAnswer::words),
        }
    }

    /// All objects of a list.
    pub(super) async fn list<T: Listed>(&mut self, path: &str, query: &str) -> Result<Vec<T>, NoAnswer> {
        let mut list = List::new(LISTS);
        self.pages(path, query, &mut list, &mut |_| ()).await?;
        Ok(list.into_objects())
    }

    /// Reads all pages of a list, and passes on the objects after each, from which the caller takes what it needs.
    pub(super) async fn pages<T: Listed>(
        &mut self,
        path: &str,
        query: &str,
        list: &mut List<T>,
        each: &mut (dyn FnMut(&mut List<T>) + Send),
    ) -> Result<(), NoAnswer> {
        let (mut next, mut left) = (String::new(), LIST);
        loop {
            let (uri, begun) = (format!("{path}?limit={PAGE}{query}{next}"), Instant::now());
            let mut sink = |bytes: &[u8]| list.read(bytes).map_err(words_of);
            timeout(left, self.read(&uri, &mut sink)).await.unwrap_or_else(|_| Err(late()))?;
            left = left.saturating_sub(begun.elapsed());
            let more = list.end_page();
            each(list);
            if list.kept() > LARGE && self.large.is_none() {
                // Waiting for a permit does not count as time of the answer.
                self.large = Arc::clone(&self.context.large).acquire_owned().await.ok();
            }
            match more.map_err(words_of)? {
                Some(token) => next = format!("&continue={}", encoded(&token)),
                None => return Ok(()),
            }
        }
    }

    /// Reads one object.
    pub(super) async fn get<T: DeserializeOwned>(&mut self, uri: &str) -> Result<T, NoAnswer> {
        let mut text = Vec::new();
        let mut keep = |bytes: &[u8]| {
            if text.len() + bytes.len() > OBJECT {
                return Err(NoAnswer::Because(format!("its answer is larger than {} MiB", OBJECT >> 20)));
            }
            text.extend_from_slice(bytes);
            Ok(())
        };
        self.read(uri, &mut keep).await?;
        serde_json::from_slice(&text).map_err(|_| NoAnswer::Because("its answer cannot be read".to_owned()))
    }

    /// Reads one answer; after a 401 or 403 once more, with the current token.
    async fn read(&mut self, uri: &str, sink: Sink<'_>) -> Result<(), NoAnswer> {
        let request = || http::Request::get(uri).body(Body::empty()).expect("the paths are ours");
        let answer = match self.ask(request(), sink).await {
            Err(NoAnswer::Refused(_)) => self.ask(request(), sink).await,
            answer => answer,
        };
        if matches!(answer, Err(NoAnswer::Rejected(_))) {
            // The answer exists, so the credentials may be wrong.
            self.close();
        }
        answer
    }

    /// Changes an object's status by a strategic merge patch; after a 401 or 403 once more, as with [`Self::read`].
    pub(super) async fn patch_status(&mut self, object: &str, patch: &Value) -> Result<(), NoAnswer> {
        let request = || {
            http::Request::patch(format!("{object}/status"))
                .header(http::header::CONTENT_TYPE, "application/strategic-merge-patch+json")
                .body(Body::from(patch.to_string().into_bytes()))
                .expect("names of objects are checked")
        };
        match self.ask(request(), &mut |_| Ok(())).await {
            Err(NoAnswer::Refused(_)) => self.ask(request(), &mut |_| Ok(())).await,
            answer => answer,
        }
    }

    /// Sends a request, and reads an answer of bounded size, chunk by chunk. Any failure drops the client
    /// configuration: the next one may have another token or CA.
    async fn ask(&mut self, request: http::Request<Body>, sink: Sink<'_>) -> Result<(), NoAnswer> {
        let client = self.client().await.map_err(NoAnswer::Because)?;
        let context = Arc::clone(&self.context);
        let exchange = async {
            let answer = timeout(ANSWER, client.send(request)).await.map_err(|_| late())?;
            let answer = answer.map_err(|error| NoAnswer::Because(words(&error)))?;
            match answer.status().as_u16() {
                404 => return Err(NoAnswer::Absent),
                409 => return Err(NoAnswer::Conflict),
                code @ (401 | 403) => return Err(NoAnswer::Refused(code)),
                200..=299 => {}
                code => return Err(NoAnswer::Rejected(code)),
            }
            // API servers that answer are read a few at a time; one that does not answer takes no permit, and waiting
            // for a permit does not count as time of the answer.
            let _turn = context.reading.acquire().await;
            let mut body = std::pin::pin!(Limited::new(answer.into_body(), LARGEST));
            let read = async {
                while let Some(frame) = body.frame().await {
                    let frame = frame.map_err(|error| {
                        NoAnswer::Because(if error.is::<LengthLimitError>() {
                            format!("its answer is larger than {} MiB", LARGEST >> 20)
                        } else {
                            "its answer broke off".to_owned()
                        })
                    })?;
                    if let Some(bytes) = frame.data_ref() {
                        sink(bytes)?;
                    }
                }
                Ok(())
            };
            timeout(CONNECT, read).await.unwrap_or_else(|_| Err(late()))
        };
        let answer = exchange.await;
        if matches!(answer, Err(NoAnswer::Refused(_) | NoAnswer::Because(_))) {
            self.close();
        }
        answer
    }

    /// The open connection, or a new one.
    async fn client(&mut self) -> Result<kube::Client, String> {
        if let Some(client) = &self.open {
            return Ok(client.clone());
        }
        if self.refused.is_some_and(|since| since.elapsed() >= ADMIN) {
            self.refused = None;
        }
        if self.way.as_ref().is_some_and(|way| way.admin.is_some_and(|since| since.elapsed() >= ADMIN)) {
            self.way = None;
        }
        if self.way.is_none() {
            let found = timeout(ANSWER, self.find()).await;
            self.way = Some(found.unwrap_or_else(|_| Err("the Seed does not answer".to_owned()))?);
        }
        let config = self.way.as_ref().map(|way| way.config.clone()).ok_or("there is no way to it")?;
        let client = kube::Client::try_from(config).map_err(|error| words(&error))?;
        Ok(self.open.insert(client).clone())
    }

    async fn find(&mut self) -> Result<Way, String> {
        if self.asked.is_none() {
            self.request().await?;
        }
        let asked = *self.asked.get_or_insert_with(Instant::now);
        let falls_back = self.context.settings.falls_back_to_admin;
        let own = if self.refused.is_some() { Err("our own token was refused".to_owned()) } else { self.own().await };
        let (kubeconfig, admin) = match own {
            Ok(kubeconfig) => (kubeconfig, None),
            Err(_) if falls_back && (self.refused.is_some() || asked.elapsed() > PATIENCE) => {
                (self.admin().await?, Some(Instant::now()))
            }
            Err(why) => return Err(why),
        };
        let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
            .await
            .map_err(|_| "the way to it cannot be used".to_owned())?;
        let server = self.context.settings.shoot_server.replace("{namespace}", &self.name.namespace);
        config.cluster_url = server.parse().map_err(|_| format!("{server} is no address"))?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(ANSWER);
        Ok(Way { config, admin })
    }
}

fn words_of(error: ListError) -> NoAnswer {
    NoAnswer::Because(error.to_string())
}

fn late() -> NoAnswer {
    NoAnswer::Because("it does not answer in time".to_owned())
}

/// An error for an annotation: its kind, without addresses.
pub(super) fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("it answers {} {}", status.code, status.reason),
        kube::Error::SerdeError(_) => "its answer cannot be read".to_owned(),
        _ => "it does not answer".to_owned(),
    }
}

/// A `continue` token as part of a query. It is a form of base64 that hardly needs encoding, but nothing guarantees
/// that.
fn encoded(token: &str) -> String {
    token.bytes().fold(String::with_capacity(token.len()), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn tokens_are_encoded() {
        assert_eq!(super::encoded("ab-_9=+/"), "ab-_9%3D%2B%2F");
    }
}
