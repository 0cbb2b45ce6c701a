//! Check `allowed`: the rights of the server, by access reviews.

use futures::{StreamExt as _, stream};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde::Deserialize;

use super::ask::{Server, Trouble};
use super::report::Check;
use super::{Place, Role};
use crate::config::Configuration;
use network_guard_core::diagnostics::counted;
use network_guard_sources::yaml;

/// All rights, with the reason for each.
const RIGHTS: &str = include_str!("rights.yaml");

/// The number of reviews at the same time.
const CONCURRENCY: usize = 8;

#[derive(Deserialize)]
struct Rights {
    seed: Vec<Right>,
    garden: Vec<Right>,
}

/// Some verbs on a resource.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Right {
    #[serde(rename = "in")]
    place: In,
    #[serde(default)]
    when: When,
    group: String,
    resource: String,
    #[serde(default)]
    names: Vec<String>,
    verbs: Vec<String>,
    why: String,
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
enum In {
    Registered,
    Home,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "camelCase")]
enum When {
    #[default]
    Always,
    SelfManaged,
    Mounted,
    ShootWebhook,
    GardenerInternal,
}

/// One verb on one resource.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Question {
    is_home: bool,
    group: String,
    resource: String,
    name: Option<String>,
    verb: String,
    why: String,
}

impl Question {
    /// The text for people, such as `patch networks/status.extensions.gardener.cloud`.
    fn text(&self) -> String {
        let Self { group, resource, name, verb, .. } = self;
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{verb} {resource}{group}{name}")
    }
}

/// The facts about rights.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The users, and where their rights were asked about.
    pub(super) users: Vec<String>,
    pub(super) answers: Vec<(Question, Result<bool, Trouble>)>,
    /// Users that are a guess, and have no right at all: the server may be another one.
    pub(super) doubtful: Vec<String>,
    /// Questions that could not be asked at all, and the advice.
    pub(super) unasked: Vec<(String, String)>,
}

/// The inputs that decide which rights are needed.
pub(super) struct Needs<'a> {
    pub(super) role: Role,
    pub(super) configuration: Option<&'a Configuration>,
    pub(super) is_self_managed: Option<bool>,
    /// The user of the server at the API server where webhooks are registered, if it was given.
    pub(super) user: Option<&'a str>,
    /// This runs in a Pod of network-guard with the server's own credentials.
    pub(super) is_server: bool,
}

impl Needs<'_> {
    /// The needed rights.
    fn questions(&self) -> Vec<Question> {
        let Rights { seed, garden } = yaml::only(RIGHTS).expect("a test reads it");
        let mut questions = Vec::new();
        for right in if self.role == Role::Seed { seed } else { garden } {
            let Right { place, group, resource, names, verbs, why, .. } = &right;
            if !self.is_needed(right.when) {
                continue;
            }
            let certificates = self.configuration.and_then(|configuration| configuration.certificates.as_ref());
            let named = |name: &String| match &**name {
                "SECRET" => Some(certificates.map_or_else(|| self.secret().to_owned(), |known| known.secret.clone())),
                "OWNER" => certificates.and_then(|known| known.owner.clone()),
                name => Some(name.to_owned()),
            };
            let chosen: Vec<Option<String>> =
                if names.is_empty() { vec![None] } else { names.iter().filter_map(named).map(Some).collect() };
            for name in chosen {
                questions.extend(verbs.iter().map(|verb| Question {
                    is_home: *place == In::Home,
                    group: group.clone(),
                    resource: resource.clone(),
                    name: name.clone(),
                    verb: verb.clone(),
                    why: why.clone(),
                }));
            }
        }
        questions
    }

    /// The name of the Secret of the CA in the charts.
    fn secret(&self) -> &'static str {
        match self.role {
            Role::Seed => "network-guard-certificates",
            Role::Garden => "network-guard-garden-certificates",
        }
    }

    fn is_needed(&self, when: When) -> bool {
        let configured = |is: fn(&Configuration) -> bool| self.configuration.is_some_and(is);
        match when {
            When::Always => true,
            When::SelfManaged => self.is_self_managed == Some(true),
            When::Mounted => self.is_self_managed == Some(false),
            When::ShootWebhook => configured(|configuration| configuration.nat.shoot_webhook.is_some()),
            When::GardenerInternal => configured(|configuration| configuration.overlay.falls_back_to_admin),
        }
    }
}

/// The asking user, as the API server knows it.
pub(super) async fn whoami(server: &Server) -> Result<String, Trouble> {
    let api = Api::<SelfSubjectReview>::all(server.client.clone());
    let review = server.ask(api.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    Ok(review.status.and_then(|status| status.user_info).and_then(|user| user.username).unwrap_or_default())
}

/// Asks for all rights of the server's user: by self access reviews where that user asks, otherwise by access reviews
/// about it.
pub(super) async fn look(needs: &Needs<'_>, server: &Server, home: Option<&Server>, place: &Place) -> Facts {
    let mut facts = Facts::default();
    let questions = needs.questions();
    for is_home in [false, true] {
        let questions: Vec<Question> =
            questions.iter().filter(|question| question.is_home == is_home).cloned().collect();
        if questions.is_empty() {
            continue;
        }
        let Some(asked) = (if is_home { home } else { Some(server) }) else {
            let (what, advice) = ("rights in the cluster that network-guard runs in", "give --runtime-kubeconfig");
            facts.unasked.push((what.to_owned(), advice.to_owned()));
            continue;
        };
        let who_asks = whoami(asked).await.ok();
        let bound = if is_home || needs.user.is_some() { Vec::new() } else { bound(needs.role, asked).await };
        let Some((user, is_known)) = user(needs, place, is_home, who_asks.as_deref(), &bound) else {
            let what = if is_home { "rights in its namespace" } else { "rights of network-guard" };
            facts.unasked.push((what.to_owned(), "give --namespace".to_owned()));
            continue;
        };
        let namespace = if is_home { place.namespace.as_deref() } else { None };
        let is_own = who_asks.as_ref() == Some(&user);
        let answers = stream::iter(questions).map(|question| {
            let user = &user;
            async move {
                let answer = if is_own {
                    own(asked, &question, namespace).await
                } else {
                    of(asked, &question, namespace, user).await
                };
                (question, answer)
            }
        });
        let mut answers = answers.buffered(CONCURRENCY);
        let mut all = Vec::new();
        while let Some((question, answer)) = answers.next().await {
            // A user that may not make one review, or gets no answer to it, gets no answer to the others either.
            let is_over = matches!(answer, Err(Trouble::Forbidden(_) | Trouble::Silent(_)));
            all.push((question, answer));
            if is_over {
                break;
            }
        }
        drop(answers);
        facts.add(user, is_known || is_own, all);
    }
    facts
}

impl Facts {
    fn add(&mut self, user: String, is_known: bool, answers: Vec<(Question, Result<bool, Trouble>)>) {
        let users = if !is_known && answers.iter().all(|(_, answer)| *answer == Ok(false)) {
            &mut self.doubtful
        } else {
            self.answers.extend(answers);
            &mut self.users
        };
        if !users.contains(&user) {
            users.push(user);
        }
    }
}

/// The most bindings that are read: there is one for each installation.
const MOST_BINDINGS: u32 = 50;

/// The accounts to which the chart granted the rights where webhooks are registered, if bindings can be read.
async fn bound(role: Role, server: &Server) -> Vec<String> {
    let api = Api::<ClusterRoleBinding>::all(server.client.clone());
    let params = ListParams::default().labels(&format!("app.kubernetes.io/name={}", role.component()));
    let Ok(list) = server.ask(api.list(&params.limit(MOST_BINDINGS))).await else { return Vec::new() };
    let mut users: Vec<String> = list
        .into_iter()
        .flat_map(|binding| binding.subjects.unwrap_or_default())
        .filter(|subject| subject.kind == "ServiceAccount")
        .filter_map(|subject| Some(account(&subject.namespace?, &subject.name)))
        .collect();
    users.sort();
    users.dedup();
    users
}

/// The user name of a ServiceAccount.
fn account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// The user of the server, and whether that is more than a guess: it was given, it is the asking user, or it is the one
/// to which the chart granted the rights. Otherwise it is the one that the charts name.
fn user(
    needs: &Needs<'_>,
    place: &Place,
    is_home: bool,
    asker: Option<&str>,
    bound: &[String],
) -> Option<(String, bool)> {
    if let (Some(user), false) = (needs.user, is_home && needs.role == Role::Garden) {
        return Some((user.to_owned(), true));
    }
    if let Some(asker) = asker.filter(|_| needs.is_server) {
        return Some((asker.to_owned(), true));
    }
    let usual = match (needs.role, is_home) {
        // gardener-operator uses this name for an Extension of that name, and the chart `application` too.
        (Role::Garden, false) => account("kube-system", "extension-admission-network-guard"),
        _ => account(place.namespace.as_deref()?, needs.role.component()),
    };
    Some(match bound {
        bound if bound.contains(&usual) => (usual, true),
        [only] => (only.clone(), true),
        _ => (usual, false),
    })
}

fn attributes(question: &Question, namespace: Option<&str>) -> ResourceAttributes {
    let (resource, subresource) = match question.resource.split_once('/') {
        Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
        None => (question.resource.clone(), None),
    };
    ResourceAttributes {
        group: Some(question.group.clone()),
        resource: Some(resource),
        subresource,
        name: question.name.clone(),
        verb: Some(question.verb.clone()),
        namespace: namespace.map(str::to_owned),
        ..ResourceAttributes::default()
    }
}

async fn own(server: &Server, question: &Question, namespace: Option<&str>) -> Result<bool, Trouble> {
    let spec = SelfSubjectAccessReviewSpec {
        resource_attributes: Some(attributes(question, namespace)),
        ..SelfSubjectAccessReviewSpec::default()
    };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let api = Api::<SelfSubjectAccessReview>::all(server.client.clone());
    server.ask(api.create(&PostParams::default(), &review)).await.map(|review| is_allowed(review.status))
}

async fn of(server: &Server, question: &Question, namespace: Option<&str>, user: &str) -> Result<bool, Trouble> {
    // The groups of every ServiceAccount; those of other users are known to their API server only.
    let mut groups = vec!["system:authenticated".to_owned()];
    if let Some((namespace, _)) = user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')) {
        groups.extend(["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]);
    }
    let spec = SubjectAccessReviewSpec {
        resource_attributes: Some(attributes(question, namespace)),
        user: Some(user.to_owned()),
        groups: Some(groups),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let api = Api::<SubjectAccessReview>::all(server.client.clone());
    server.ask(api.create(&PostParams::default(), &review)).await.map(|review| is_allowed(review.status))
}

fn is_allowed(status: Option<SubjectAccessReviewStatus>) -> bool {
    status.is_some_and(|status| status.allowed)
}

/// The missing rights, with all verbs on one resource together.
fn missing(answers: &[(Question, Result<bool, Trouble>)]) -> Vec<(&Question, Vec<&str>)> {
    let mut missing: Vec<(&Question, Vec<&str>)> = Vec::new();
    for (question, _) in answers.iter().filter(|(_, answer)| *answer == Ok(false)) {
        let is_same = |last: &Question| Question { verb: question.verb.clone(), ..last.clone() } == *question;
        match missing.last_mut().filter(|(last, _)| is_same(last)) {
            Some((_, verbs)) => verbs.push(&question.verb),
            None => missing.push((question, vec![&question.verb])),
        }
    }
    missing
}

/// Reports which rights are missing.
pub(super) fn judge(facts: &Facts, place: &Place) -> Check {
    let mut check = Check::new("allowed");
    let has = facts.answers.iter().filter(|(_, answer)| *answer == Ok(true)).count();
    if has > 0 {
        check.fine(format!(
            "{} has {has} of {} that it needs",
            facts.users.join(", "),
            counted(facts.answers.len(), "right")
        ));
    }
    let namespace = place.namespace.as_deref().unwrap_or_default();
    for (question, verbs) in missing(&facts.answers) {
        let place = if question.is_home { format!(" in {namespace}") } else { String::new() };
        let what = Question { verb: verbs.join(", "), ..question.clone() };
        check.problem(
            format!("{} may not {}{place}: {}", facts.users.join(", "), what.text(), question.why),
            "install the roles of the chart again (`helm upgrade`; in the garden the chart `application`), or give the right as the \
             tables in docs/operations/rights.md have it",
        );
    }
    for (question, answer) in &facts.answers {
        match answer {
            Ok(_) => {}
            Err(Trouble::Forbidden(why)) => check.unknown(
                why.clone(),
                "missing right: create subjectaccessreviews.authorization.k8s.io; or ask as network-guard itself, in one of its Pods; \
                 where it is another user, say which with --user",
            ),
            Err(trouble) => check.unknown(format!("{}: {trouble}", question.text()), "ask again when the API server answers"),
        }
    }
    for user in &facts.doubtful {
        check.unknown(
            format!("{user} may do nothing of what network-guard needs"),
            "either its roles are gone: install the chart again; or the server talks to the API server as somebody else: say as whom \
             with --user, or ask in one of its Pods with --config",
        );
    }
    for (what, advice) in &facts.unasked {
        check.unknown(format!("{what} were not asked for"), advice.clone());
    }
    check
}

#[cfg(test)]
pub(super) mod tests;
