//! Is it allowed: the rights that the server needs, by access reviews.

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

/// Reviews that are on their way at the same time.
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

/// One verb on one thing.
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
    /// As people write it, such as `patch networks/status.extensions.gardener.cloud`.
    fn text(&self) -> String {
        let Self { group, resource, name, verb, .. } = self;
        let group = if group.is_empty() { String::new() } else { format!(".{group}") };
        let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{verb} {resource}{group}{name}")
    }
}

/// What is known of rights.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Who was asked about, where.
    pub(super) users: Vec<String>,
    pub(super) answers: Vec<(Question, Result<bool, Trouble>)>,
    /// Accounts that nobody named, and that may do nothing of what is needed: the server may be another one.
    pub(super) doubtful: Vec<String>,
    /// What could not be asked at all, and what to do about it.
    pub(super) unasked: Vec<(String, String)>,
}

/// What decides which rights are needed.
pub(super) struct Needs<'a> {
    pub(super) role: Role,
    pub(super) configuration: Option<&'a Configuration>,
    pub(super) is_self_managed: Option<bool>,
    /// The user of the server at the API server where webhooks are registered, if somebody said.
    pub(super) user: Option<&'a str>,
    /// This runs in a Pod of network-guard with the server's own credentials.
    pub(super) is_server: bool,
}

impl Needs<'_> {
    /// What is to be asked.
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

    /// What the charts call the Secret of the CA.
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

/// Who asks, as the API server knows them.
pub(super) async fn whoami(server: &Server) -> Result<String, Trouble> {
    let api = Api::<SelfSubjectReview>::all(server.client.clone());
    let review = server.ask(api.create(&PostParams::default(), &SelfSubjectReview::default())).await?;
    Ok(review.status.and_then(|status| status.user_info).and_then(|user| user.username).unwrap_or_default())
}

/// Asks for all of them, about the server's own user: by its own access reviews where it is who asks, else by those that
/// somebody else may make about it.
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
            // An account that may not ask one, or hears nothing, gets no answer to all others.
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

/// The most bindings that are looked through: there is one for each installation.
const MOST_BINDINGS: u32 = 50;

/// The accounts that the chart gave the rights where webhooks are registered, if bindings may be read.
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

/// The name of a ServiceAccount as a user.
fn account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// The user that the server is, and whether that is more than a guess: somebody named it, it is who asks, or it is the one that
/// the chart gave the rights. Else it is the one that the charts name.
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
        // gardener-operator names it so for an Extension of that name, and the chart `application` too.
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
    // The groups that every ServiceAccount is in; of other users nobody but their API server knows.
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

/// What is refused, all verbs on one thing together.
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

/// Says which rights are missing.
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
             tables under Rights in docs/operations.md have it",
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
pub(super) mod tests {
    use super::super::report::State;
    use super::*;

    /// All that is needed, and there.
    pub(in crate::cli::doctor) fn answers(role: Role) -> Vec<(Question, Result<bool, Trouble>)> {
        needs(role, None, Some(true)).questions().into_iter().map(|question| (question, Ok(true))).collect()
    }

    fn needs(role: Role, configuration: Option<&Configuration>, is_self_managed: Option<bool>) -> Needs<'_> {
        Needs { role, configuration, is_self_managed, user: None, is_server: false }
    }

    #[test]
    fn who_the_server_is() {
        let place = Place { namespace: Some("home".to_owned()), ..Place::default() };
        let usual = "system:serviceaccount:kube-system:extension-admission-network-guard";
        let seed = "system:serviceaccount:home:gardener-extension-network-guard";
        let garden = "system:serviceaccount:home:gardener-extension-admission-network-guard";
        let (ours, theirs) =
            ("system:serviceaccount:kube-system:extension-admission-ours", "system:serviceaccount:a:b");
        for (role, is_home, named, is_server, bound, want) in [
            (Role::Garden, false, None, false, &[][..], (usual, false)),
            (Role::Garden, false, None, false, &[usual, ours], (usual, true)),
            (Role::Garden, false, None, false, &[ours], (ours, true)),
            (Role::Garden, false, None, false, &[ours, theirs], (usual, false)),
            (Role::Garden, false, Some("me"), false, &[], ("me", true)),
            (Role::Garden, true, Some("me"), false, &[], (garden, false)),
            (Role::Garden, false, None, true, &[], ("asker", true)),
            (Role::Garden, true, Some("me"), true, &[], ("asker", true)),
            (Role::Seed, false, None, false, &[seed], (seed, true)),
            (Role::Seed, true, None, false, &[], (seed, false)),
            (Role::Seed, true, Some("me"), false, &[], ("me", true)),
        ] {
            let needs = Needs { user: named, is_server, ..needs(role, None, None) };
            let bound: Vec<String> = bound.iter().map(|user| (*user).to_owned()).collect();
            let (user, is_known) = user(&needs, &place, is_home, Some("asker"), &bound).unwrap();
            assert_eq!((&*user, is_known), want, "{is_home} {named:?} {is_server} {bound:?}");
        }
    }

    /// A guess that has no right at all is no more than that.
    #[test]
    fn a_guess_without_rights_is_no_problem() {
        let refused =
            || answers(Role::Garden).into_iter().map(|(question, _)| (question, Ok(false))).collect::<Vec<_>>();
        for (is_known, want) in [(true, State::Problem), (false, State::Unknown)] {
            let mut facts = Facts::default();
            facts.add("guess".to_owned(), is_known, refused());
            let check = judge(&facts, &Place::default());
            assert_eq!(check.state, want, "{check:?}");
            assert_eq!(check.advice.iter().any(|advice| advice.contains("--user")), !is_known, "{check:?}");
        }
        let mut facts = Facts::default();
        let mut one = refused();
        one[0].1 = Ok(true);
        facts.add("guess".to_owned(), false, one);
        assert_eq!(judge(&facts, &Place::default()).state, State::Problem);
    }

    #[test]
    fn what_is_needed_follows_from_the_configuration() {
        let header =
            "apiVersion: config.network-guard.extensions.gardener.cloud/v1alpha1\nkind: NetworkGuardConfiguration\n";
        let full = format!(
            "{header}overlay: {{fallback: gardener-internal}}\nvpn: {{nat: {{shootWebhook: {{url: 'https://x'}}}}}}\n\
             certificates: {{namespace: home, secret: mine, registration: {{url: 'https://x', owner: theirs}}}}\n"
        );
        let full = Configuration::parse(&full).unwrap();
        let texts = |needs: &Needs<'_>| needs.questions().iter().map(Question::text).collect::<Vec<_>>();
        let all = texts(&needs(Role::Seed, Some(&full), Some(true)));
        for want in [
            "list deployments.apps kube-apiserver",
            "patch networks/status.extensions.gardener.cloud",
            "get secrets mine",
            "get clusterroles.rbac.authorization.k8s.io theirs",
            "get secrets gardener-internal",
            "patch managedresources.resources.gardener.cloud shoot-core-vpn-shoot",
            "update leases.coordination.k8s.io network-guard-certificates",
        ] {
            assert!(all.iter().any(|text| text == want), "{want}: {all:#?}");
        }
        let few = texts(&needs(Role::Seed, None, Some(false)));
        assert!(few.iter().any(|text| text == "update leases.coordination.k8s.io network-guard-overlay"), "{few:#?}");
        assert!(
            !few.iter().any(|text| text.contains("webhookconfigurations") || text.contains("clusterroles")),
            "{few:#?}"
        );
        assert_eq!(texts(&needs(Role::Garden, None, Some(false))).len(), 7);
        for (role, secret) in
            [(Role::Seed, "network-guard-certificates"), (Role::Garden, "network-guard-garden-certificates")]
        {
            let all = texts(&needs(role, None, Some(true)));
            for want in [format!("get secrets {secret}"), format!("update leases.coordination.k8s.io {secret}")] {
                assert!(all.contains(&want), "{want}: {all:#?}");
            }
        }
    }
}
