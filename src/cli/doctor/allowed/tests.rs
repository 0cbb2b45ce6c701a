//! The needed rights, the user of the server, and what is reported of them.

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
fn the_user_of_the_server() {
    let place = Place { namespace: Some("home".to_owned()), ..Place::default() };
    let usual = "system:serviceaccount:kube-system:extension-admission-network-guard";
    let seed = "system:serviceaccount:home:gardener-extension-network-guard";
    let garden = "system:serviceaccount:home:gardener-extension-admission-network-guard";
    let (ours, theirs) = ("system:serviceaccount:kube-system:extension-admission-ours", "system:serviceaccount:a:b");
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

/// A guessed user without any right is reported as a guess.
#[test]
fn a_guess_without_rights_is_no_problem() {
    let refused = || answers(Role::Garden).into_iter().map(|(question, _)| (question, Ok(false))).collect::<Vec<_>>();
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
