//! Live reads: the answers to what a handler asks.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::Api;
use kube::api::PostParams;
use tokio::time::{Instant, timeout_at};

use super::Landscape;
use super::objects::{ClusterObject, SeedObject, ShootObject};
use crate::admission::{Answer, Answers, Questions, Sight, UserInfo};
use crate::gardener::ShootName;
use crate::landscape::{Grant, Snapshot};

/// Where answers come from.
#[derive(Clone)]
pub enum LiveReads {
    /// An API server.
    ApiServer(Reader),
    /// A folder of manifests, which is all there is.
    Folder(Arc<Landscape>),
}

/// Reads from an API server.
#[derive(Clone)]
pub struct Reader {
    client: kube::Client,
    sights: moka::sync::Cache<SightKey, Sight>,
}

#[derive(Clone, Eq, Hash, PartialEq)]
struct SightKey {
    user: Arc<UserInfo>,
    what: Seen,
}

/// What an access review is about.
#[derive(Clone, Eq, Hash, PartialEq)]
enum Seen {
    Shoot(ShootName),
    All(Grant),
}

impl Seen {
    /// Namespace and name, as a review has them: one that is left out stands for all.
    fn place(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::Shoot(name) => (Some(name.namespace()), Some(name.name())),
            Self::All(Grant::Namespace(namespace)) => (Some(namespace), None),
            Self::All(Grant::Everywhere) => (None, None),
        }
    }
}

/// How long the answer to an access review is used again: long enough for the calls of one `kubectl apply`, and short
/// enough that a right which was taken away is gone at once.
const SIGHT_LIFETIME: Duration = Duration::from_secs(5);

/// The most answers that are kept.
const SIGHTS: u64 = 10_000;

/// Questions of one request that are on their way at the same time.
const CONCURRENCY: usize = 16;

/// The most bytes of a user's name, groups and further attributes with which access reviews are made: each review carries them
/// all. Three thousand groups with UUIDs for names have 200 KiB, and API servers take no token that is longer than 1 MiB.
const LONGEST_USER: usize = 256 << 10;

/// What each of these texts costs besides its bytes: a `String` takes 24 and an allocation some more, however short it is.
const TEXT: usize = 32;

/// What is told of Shoots that somebody with a longer list asks about.
const USER_TOO_LONG: &str = "the user has too many groups to ask for";

impl UserInfo {
    /// The bytes that all of an access review takes in memory.
    fn length(&self) -> usize {
        let extra = self.extra.iter().flat_map(|(key, values)| std::iter::once(key).chain(values));
        [&self.username, &self.uid].into_iter().chain(&self.groups).chain(extra).map(|text| text.len() + TEXT).sum()
    }
}

impl Reader {
    /// Reads with this client.
    pub fn new(client: kube::Client) -> Self {
        let sights = moka::sync::Cache::builder().max_capacity(SIGHTS).time_to_live(SIGHT_LIFETIME).build();
        Self { client, sights }
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

    /// Whether the user may `get` the Shoot, or all of them; failures are not kept.
    async fn sight(&self, user: &Arc<UserInfo>, what: Seen) -> Sight {
        let key = SightKey { user: Arc::clone(user), what };
        if let Some(sight) = self.sights.get(&key) {
            return sight;
        }
        let (namespace, name) = key.what.place();
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(user.username.clone()),
                uid: Some(user.uid.clone()).filter(|uid| !uid.is_empty()),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    group: Some("core.gardener.cloud".to_owned()),
                    version: Some("v1beta1".to_owned()),
                    resource: Some("shoots".to_owned()),
                    verb: Some("get".to_owned()),
                    namespace: namespace.map(str::to_owned),
                    name: name.map(str::to_owned),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        match Api::<SubjectAccessReview>::all(self.client.clone()).create(&PostParams::default(), &review).await {
            Ok(review) => {
                let status = review.status.unwrap_or_default();
                let sight = if status.allowed { Sight::Visible } else { Sight::Hidden };
                // A "no" of authorizers that could not tell is not kept.
                if status.allowed || status.evaluation_error.is_none() {
                    self.sights.insert(key, sight.clone());
                }
                sight
            }
            Err(error) => {
                let about = format!("{}/{}", namespace.unwrap_or("*"), name.unwrap_or("*"));
                Sight::Unanswered(unanswered("SubjectAccessReview", &about, &error))
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

/// What whoever asked is told. The text of an error may carry addresses and names of ours; its kind is enough.
fn unanswered(kind: &str, name: &str, error: &kube::Error) -> String {
    tracing::warn!(kind, name, %error, "a live read failed");
    match error {
        kube::Error::Api(status) => format!("the API server answers {}", status.code),
        _ => "the API server does not answer".to_owned(),
    }
}

impl<T> Answer<T> {
    fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Found(value) => Answer::Found(f(value)),
            Self::Absent => Answer::Absent,
            Self::Unanswered(why) => Answer::Unanswered(why),
        }
    }
}

/// One answer, for the collection of all.
enum Given {
    Sight(ShootName, Sight),
    Grant(Grant, Sight),
    Shoot(ShootName, Answer<ShootObject>),
    Seed(String, Answer<SeedObject>),
    Cluster(Answer<ClusterObject>),
}

impl LiveReads {
    /// Answers all questions of one request for this user before the deadline. What is not answered by then stays
    /// unanswered, whatever became of the rest.
    pub async fn answer(&self, user: UserInfo, questions: &Questions, deadline: Instant) -> Answers {
        match self {
            Self::ApiServer(reader) => reader.answer(user, questions, deadline).await,
            Self::Folder(landscape) => from_snapshot(&landscape.snapshot(), &user, questions),
        }
    }
}

impl Reader {
    async fn answer(&self, mut user: UserInfo, questions: &Questions, deadline: Instant) -> Answers {
        // The same user must find the same answers, in whatever order the groups come.
        user.groups.sort_unstable();
        let mut answers = Answers::default();
        let (mut sights, mut grants) = (&questions.sights, &questions.grants);
        let (no_shoot, no_place) = (BTreeSet::new(), BTreeSet::new());
        if user.length() > LONGEST_USER {
            let unanswered = || Sight::Unanswered(USER_TOO_LONG.to_owned());
            answers.sights = sights.iter().map(|name| (name.clone(), unanswered())).collect();
            answers.grants = grants.iter().map(|place| (place.clone(), unanswered())).collect();
            (sights, grants) = (&no_shoot, &no_place);
        }
        let user = Arc::new(user);
        let late = || "no answer in time".to_owned();
        let mut asked: Vec<futures::future::BoxFuture<'_, Given>> = Vec::new();
        for name in sights {
            let user = Arc::clone(&user);
            asked.push(Box::pin(async move {
                let sight = timeout_at(deadline, self.sight(&user, Seen::Shoot(name.clone()))).await;
                Given::Sight(name.clone(), sight.unwrap_or_else(|_| Sight::Unanswered(late())))
            }));
        }
        for grant in grants {
            let user = Arc::clone(&user);
            asked.push(Box::pin(async move {
                let sight = timeout_at(deadline, self.sight(&user, Seen::All(grant.clone()))).await;
                Given::Grant(grant.clone(), sight.unwrap_or_else(|_| Sight::Unanswered(late())))
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
        let mut given = stream::iter(asked).buffer_unordered(CONCURRENCY);
        while let Some(given) = given.next().await {
            match given {
                Given::Sight(name, sight) => drop(answers.sights.insert(name, sight)),
                Given::Grant(grant, sight) => drop(answers.grants.insert(grant, sight)),
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
        if may_see { Sight::Visible } else { Sight::Hidden }
    };
    let sight = |name: &ShootName| all(&Grant::Namespace(name.namespace().into()));
    Answers {
        cluster: questions
            .cluster
            .as_ref()
            .map(|name| snapshot.cluster(name).cloned().map_or(Answer::Absent, Answer::Found)),
        sights: questions.sights.iter().map(|name| (name.clone(), sight(name))).collect(),
        grants: questions.grants.iter().map(|place| (place.clone(), all(place))).collect(),
        shoots: (questions.shoots.iter())
            .map(|name| (name.clone(), snapshot.shoots.get(name).cloned().map_or(Answer::Absent, Answer::Found)))
            .collect(),
        seeds: (questions.seeds.iter())
            .map(|name| (name.clone(), snapshot.seed(name).copied().map_or(Answer::Absent, Answer::Found)))
            .collect(),
    }
}
