//! Live reads: the answers to a handler's questions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use http::header;
use k8s_openapi::Resource as _;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewStatus};
use kube::Api;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::LandscapeCache;
use super::objects::{ClusterObject, SeedObject, ShootObject};
use network_guard_core::admission::{ASKED_AT_ONCE, UserInfo};
use network_guard_core::gardener::ShootName;
use network_guard_core::landscape::{Answer, Answers, Grant, Questions, Snapshot, Visibility};

/// The source of answers.
#[derive(Clone)]
pub enum LiveReads {
    /// An API server.
    ApiServer(Reader),
    /// A folder of manifests, which is complete.
    Folder(Arc<LandscapeCache>),
}

/// Reads from an API server.
#[derive(Clone)]
pub struct Reader {
    client: kube::Client,
    visibilities: moka::sync::Cache<VisibilityKey, Visibility>,
}

#[derive(Clone, Eq, Hash, PartialEq)]
struct VisibilityKey {
    user: Arc<UserInfo>,
    what: Seen,
}

/// The subject of an access review.
#[derive(Clone, Eq, Hash, PartialEq)]
enum Seen {
    Shoot(ShootName),
    All(Grant),
}

impl Seen {
    /// Namespace and name, in the form of a review: `None` means all.
    fn place(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Shoot(name) => (Some(name.namespace()), Some(name.name())),
            Self::All(Grant::Namespace(namespace)) => (Some(namespace), None),
            Self::All(Grant::Everywhere) => (None, None),
        }
    }
}

/// How long the answer to an access review is reused: long enough for the calls of one `kubectl apply`, and short
/// enough that a revoked right takes effect almost at once.
const VISIBILITY_LIFETIME: Duration = Duration::from_secs(5);

/// The most answers that are kept.
const VISIBILITIES: u64 = 10_000;

/// The most bytes of a user's name, groups and further attributes for which access reviews are made: each review
/// carries all of them. Three thousand groups with UUIDs as names have 200 KiB, and API servers accept no token longer
/// than 1 MiB.
const LONGEST_USER: usize = 256 << 10;

/// The overhead of each of these texts: a `String` takes 24 bytes and an allocation some more, however short it is.
const TEXT: usize = 32;

/// The answer about Shoots for a user with a longer list.
const USER_TOO_LONG: &str = "the user has too many groups to ask for";

/// The bytes that an access review for this user takes in memory.
fn length(user: &UserInfo) -> usize {
    let extra = user.extra.iter().flat_map(|(key, values)| std::iter::once(key).chain(values));
    [&user.username, &user.uid].into_iter().chain(&user.groups).chain(extra).map(|text| text.len() + TEXT).sum()
}

/// Where access reviews are created.
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// A `SubjectAccessReview` that borrows its content: one request may need a hundred of one user, who may have thousands
/// of groups.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessQuestion<'q> {
    api_version: &'static str,
    kind: &'static str,
    spec: AccessSpec<'q>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessSpec<'q> {
    user: &'q str,
    #[serde(skip_serializing_if = "str::is_empty")]
    uid: &'q str,
    groups: &'q [String],
    extra: &'q BTreeMap<String, Vec<String>>,
    resource_attributes: ResourceAttributes,
}

/// The answer. The API server repeats the question in it, which is not decoded.
#[derive(Deserialize)]
struct AccessAnswer {
    status: Option<SubjectAccessReviewStatus>,
}

impl<'q> AccessQuestion<'q> {
    /// Whether the user may `get` this.
    fn new(user: &'q UserInfo, what: &Seen) -> Self {
        let (namespace, name) = what.place();
        let resource_attributes = ResourceAttributes {
            group: Some("core.gardener.cloud".to_owned()),
            version: Some("v1beta1".to_owned()),
            resource: Some("shoots".to_owned()),
            verb: Some("get".to_owned()),
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let UserInfo { username, uid, groups, extra } = user;
        Self {
            api_version: SubjectAccessReview::API_VERSION,
            kind: SubjectAccessReview::KIND,
            spec: AccessSpec { user: username, uid, groups, extra, resource_attributes },
        }
    }

    async fn ask(&self, client: &kube::Client) -> Result<SubjectAccessReviewStatus, kube::Error> {
        let body = serde_json::to_vec(self).map_err(kube::Error::SerdeError)?;
        let request = http::Request::post(ACCESS_REVIEWS)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(kube::Error::HttpError)?;
        Ok(client.request::<AccessAnswer>(request).await?.status.unwrap_or_default())
    }
}

impl Reader {
    /// Reads with this client.
    pub fn new(client: kube::Client) -> Self {
        let visibilities =
            moka::sync::Cache::builder().max_capacity(VISIBILITIES).time_to_live(VISIBILITY_LIFETIME).build();
        Self { client, visibilities }
    }

    async fn cluster(&self, name: &str) -> Answer<ClusterObject> {
        answer("Cluster", name, Api::<ClusterObject>::all(self.client.clone()).get_opt(name).await)
    }

    async fn shoot(&self, name: &ShootName) -> Answer<ShootObject> {
        let api = Api::<ShootObject>::namespaced(self.client.clone(), name.namespace());
        answer("Shoot", &name.to_string(), api.get_opt(name.name()).await)
    }

    async fn seed(&self, name: &str) -> Answer<SeedObject> {
        answer("Seed", name, Api::<SeedObject>::all(self.client.clone()).get_opt(name).await)
    }

    /// Whether the user may `get` the Shoot, or all of them; failures are not cached.
    async fn visibility(&self, user: &Arc<UserInfo>, what: Seen) -> Visibility {
        let key = VisibilityKey { user: Arc::clone(user), what };
        if let Some(visibility) = self.visibilities.get(&key) {
            return visibility;
        }
        match AccessQuestion::new(user, &key.what).ask(&self.client).await {
            Ok(status) => {
                let visibility = if status.allowed { Visibility::Visible } else { Visibility::Hidden };
                // A "no" of authorizers that failed is not cached.
                if status.allowed || status.evaluation_error.is_none() {
                    self.visibilities.insert(key, visibility.clone());
                }
                visibility
            }
            Err(error) => {
                let (namespace, name) = key.what.place();
                let about = format!("{}/{}", namespace.unwrap_or("*"), name.unwrap_or("*"));
                Visibility::Unanswered(unanswered("SubjectAccessReview", &about, &error))
            }
        }
    }
}

fn answer<T>(kind: &str, name: &str, result: Result<Option<T>, kube::Error>) -> Answer<T> {
    match result {
        Ok(Some(object)) => Answer::Found(object),
        Ok(None) => Answer::Absent,
        Err(error) => Answer::Unanswered(unanswered(kind, name, &error)),
    }
}

/// The error for the caller. The text of an error may contain internal addresses and names; its kind is enough.
fn unanswered(kind: &str, name: &str, error: &kube::Error) -> String {
    tracing::warn!(kind, name, %error, "a live read failed");
    match error {
        kube::Error::Api(status) => format!("the API server answers {}", status.code),
        _ => "the API server does not answer".to_owned(),
    }
}

/// One answer, for the collection of all.
enum Given {
    Visibility(ShootName, Visibility),
    Grant(Grant, Visibility),
    Shoot(ShootName, Answer<ShootObject>),
    Seed(String, Answer<SeedObject>),
    Cluster(Answer<ClusterObject>),
}

impl LiveReads {
    /// Answers all questions of one request for this user before the deadline. A question that is not answered by then
    /// stays unanswered, whatever the results of the others.
    pub async fn answer(&self, user: UserInfo, questions: &Questions, deadline: Instant) -> Answers {
        match self {
            Self::ApiServer(reader) => reader.answer(user, questions, deadline).await,
            Self::Folder(landscape) => from_snapshot(&landscape.snapshot(), &user, questions),
        }
    }
}

impl Reader {
    async fn answer(&self, mut user: UserInfo, questions: &Questions, deadline: Instant) -> Answers {
        // The same user must find the cached answers, in whatever order the groups come.
        user.groups.sort_unstable();
        let mut answers = Answers::default();
        let (mut visibilities, mut grants) = (&questions.visibilities, &questions.grants);
        let (no_shoot, no_place) = (BTreeSet::new(), BTreeSet::new());
        if length(&user) > LONGEST_USER {
            let unanswered = || Visibility::Unanswered(USER_TOO_LONG.to_owned());
            answers.visibilities = visibilities.iter().map(|name| (name.clone(), unanswered())).collect();
            answers.grants = grants.iter().map(|place| (place.clone(), unanswered())).collect();
            (visibilities, grants) = (&no_shoot, &no_place);
        }
        let user = Arc::new(user);
        let late = || "no answer in time".to_owned();
        let mut asked: Vec<futures::future::BoxFuture<'_, Given>> = Vec::new();
        for name in visibilities {
            let user = Arc::clone(&user);
            asked.push(Box::pin(async move {
                let visibility = timeout_at(deadline, self.visibility(&user, Seen::Shoot(name.clone()))).await;
                Given::Visibility(name.clone(), visibility.unwrap_or_else(|_| Visibility::Unanswered(late())))
            }));
        }
        for grant in grants {
            let user = Arc::clone(&user);
            asked.push(Box::pin(async move {
                let visibility = timeout_at(deadline, self.visibility(&user, Seen::All(grant.clone()))).await;
                Given::Grant(grant.clone(), visibility.unwrap_or_else(|_| Visibility::Unanswered(late())))
            }));
        }
        for name in &questions.shoots {
            asked.push(Box::pin(async move {
                let shoot = timeout_at(deadline, self.shoot(name)).await;
                Given::Shoot(name.clone(), shoot.unwrap_or_else(|_| Answer::Unanswered(late())))
            }));
        }
        for name in &questions.seeds {
            asked.push(Box::pin(async move {
                let seed = timeout_at(deadline, self.seed(name)).await;
                Given::Seed(name.clone(), seed.unwrap_or_else(|_| Answer::Unanswered(late())))
            }));
        }
        if let Some(name) = &questions.cluster {
            asked.push(Box::pin(async move {
                let cluster = timeout_at(deadline, self.cluster(name)).await;
                Given::Cluster(cluster.unwrap_or_else(|_| Answer::Unanswered(late())))
            }));
        }
        let mut given = stream::iter(asked).buffer_unordered(ASKED_AT_ONCE);
        while let Some(given) = given.next().await {
            match given {
                Given::Visibility(name, visibility) => drop(answers.visibilities.insert(name, visibility)),
                Given::Grant(grant, visibility) => drop(answers.grants.insert(grant, visibility)),
                Given::Shoot(name, shoot) => {
                    drop(answers.shoots.insert(name, shoot.map(|object| Arc::new(object.facts))));
                }
                Given::Seed(name, seed) => drop(answers.seeds.insert(name, seed.map(|object| object.facts))),
                Given::Cluster(cluster) => answers.cluster = Some(cluster.map(|object| Arc::new(object.record))),
            }
        }
        answers
    }
}

/// Answers from a folder of manifests, in which everything is known.
pub fn from_snapshot(snapshot: &Snapshot, user: &UserInfo, questions: &Questions) -> Answers {
    let all = |place: &Grant| {
        let groups = user.groups.iter().map(String::as_str);
        let may_see = snapshot.access.may_see(&user.username, groups, place);
        if may_see { Visibility::Visible } else { Visibility::Hidden }
    };
    let visibility = |name: &ShootName| all(&Grant::Namespace(name.namespace().into()));
    Answers {
        cluster: questions
            .cluster
            .as_ref()
            .map(|name| snapshot.cluster(name).cloned().map_or(Answer::Absent, Answer::Found)),
        visibilities: questions.visibilities.iter().map(|name| (name.clone(), visibility(name))).collect(),
        grants: questions.grants.iter().map(|place| (place.clone(), all(place))).collect(),
        shoots: (questions.shoots.iter())
            .map(|name| (name.clone(), snapshot.shoots.get(name).cloned().map_or(Answer::Absent, Answer::Found)))
            .collect(),
        seeds: (questions.seeds.iter())
            .map(|name| (name.clone(), snapshot.seed(name).copied().map_or(Answer::Absent, Answer::Found)))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The borrowed form has the content of Kubernetes' own type.
    #[test]
    fn an_access_review_has_the_form_of_kubernetes() {
        let full = UserInfo {
            username: "alice".to_owned(),
            uid: "u-1".to_owned(),
            groups: vec!["b".to_owned(), "a".to_owned()],
            extra: [("k".to_owned(), vec!["v".to_owned(), "w".to_owned()])].into(),
        };
        let bare = UserInfo { username: "bob".to_owned(), ..UserInfo::default() };
        let shoot = Seen::Shoot(ShootName::new("garden-shop", "crm"));
        let (all, everywhere) = (Seen::All(Grant::Namespace("garden-shop".into())), Seen::All(Grant::Everywhere));
        for (user, what, place) in [
            (&full, &shoot, json!({"namespace": "garden-shop", "name": "crm"})),
            (&full, &all, json!({"namespace": "garden-shop"})),
            (&bare, &everywhere, json!({})),
        ] {
            let said = serde_json::to_value(AccessQuestion::new(user, what)).unwrap();
            let review: SubjectAccessReview = serde_json::from_value(said).unwrap();
            let mut attributes =
                json!({"group": "core.gardener.cloud", "version": "v1beta1", "resource": "shoots", "verb": "get"});
            attributes.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
            let spec = review.spec;
            assert_eq!(serde_json::to_value(spec.resource_attributes).unwrap(), attributes);
            assert_eq!(spec.user.as_deref(), Some(&*user.username));
            assert_eq!(spec.uid.unwrap_or_default(), user.uid);
            assert_eq!((spec.groups, spec.extra), (Some(user.groups.clone()), Some(user.extra.clone())));
        }
        let answer = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
            "spec": {"user": "alice", "groups": Value::Null}, "status": {"allowed": true, "evaluationError": "x"},
        });
        let status = serde_json::from_value::<AccessAnswer>(answer).unwrap().status.unwrap();
        assert_eq!((status.allowed, status.evaluation_error.as_deref()), (true, Some("x")));
    }
}
