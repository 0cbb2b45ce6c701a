//! Check `reachable`: one write as a dry run, which the API server sends to network-guard and then discards.
//!
//! On a Seed that is an annotation on a Shoot's Deployment `kube-apiserver`, or, for a user who may not write those, on
//! a `Network`; in the garden an annotation on a Shoot. Nothing is stored: `dryRun=All`, and the API server itself
//! leaves out every webhook that has side effects.

use super::ask::{Reply, Server, Trouble};
use super::report::Check;
use super::targets::{Target, garden_targets, seed_targets};
use super::{Place, Role};
use network_guard_core::admission::Sign;
use network_guard_core::json::excerpt;

/// A write that was refused after network-guard was called.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) code: u16,
    /// The message of the API server.
    pub(super) message: String,
    /// network-guard refused it.
    pub(super) is_ours: bool,
}

impl Refusal {
    /// Whether this is a decision of network-guard. In the garden it refuses Shoots; on a Seed it refuses nothing, and
    /// a review that failed has another status everywhere.
    fn is_decision(&self, role: Role) -> bool {
        !self.is_ours || (role == Role::Garden && self.code == 403)
    }
}

/// The result.
#[derive(Clone, Debug)]
pub(super) enum Asked {
    /// network-guard answered; it, or another component, may have refused the write.
    Answered(Sign, Option<Refusal>),
    /// An older release answered, which sends no sign but changed the object.
    AnsweredByOlder,
    /// network-guard answered without a sign, and refused: an older release, or any release that could not review the
    /// write.
    Refused(Refusal),
    /// The API server could not call it.
    Failed(String),
    /// The write would pass, and network-guard sent no sign.
    Unanswered,
    /// The user has no right to write that.
    Forbidden,
    /// The API server did not answer in time.
    Silent(String),
    /// Something else.
    Other(String),
}

/// One attempt.
#[derive(Clone, Debug)]
pub(super) struct Try {
    pub(super) what: String,
    pub(super) right: String,
    pub(super) asked: Asked,
    pub(super) milliseconds: u128,
}

/// All attempts, and why there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct Tries {
    pub(super) tries: Vec<Try>,
    /// Objects that could not be listed.
    pub(super) unseen: Vec<(Trouble, &'static str)>,
}

/// The most attempts: all but the last were not sent to any webhook.
pub(super) const MOST_TRIED: usize = 4;

impl Tries {
    /// The last attempt counts.
    pub(super) fn asked(&self) -> Option<&Asked> {
        self.tries.last().map(|last| &last.asked)
    }

    /// Whether network-guard answered.
    pub(super) fn is_answered(&self) -> bool {
        matches!(self.asked(), Some(Asked::Answered(..) | Asked::AnsweredByOlder | Asked::Refused(_)))
    }
}

/// Searches an object that may be written, and makes the attempt.
pub(super) async fn look(role: Role, server: &Server, on: Option<&str>, providers: &[String], id: &str) -> Tries {
    let mut all = Tries::default();
    let targets = match role {
        Role::Seed => seed_targets(server, on, providers, id, &mut all.unseen).await,
        Role::Garden => garden_targets(server, on, id, &mut all.unseen).await,
    };
    let mut forbidden: Vec<String> = Vec::new();
    for target in targets {
        if forbidden.contains(&target.right) || all.tries.len() == MOST_TRIED {
            continue;
        }
        let (asked, milliseconds) = match server.dry_run(&target.path, &target.patch).await {
            // The object was deleted meanwhile.
            Ok(reply) if reply.status == 404 => continue,
            Ok(reply) => (read(role, &reply, &target, id), reply.took.as_millis()),
            Err(Trouble::Silent(why)) => (Asked::Silent(why), 0),
            Err(trouble) => (Asked::Other(trouble.to_string()), 0),
        };
        let is_forbidden = matches!(asked, Asked::Forbidden);
        all.tries.push(Try { what: target.what, right: target.right.clone(), asked, milliseconds });
        if !is_forbidden {
            break;
        }
        forbidden.push(target.right);
    }
    all
}

/// Evaluates a reply.
fn read(role: Role, reply: &Reply, target: &Target, id: &str) -> Asked {
    let message = reply.message();
    let is_about = |what: &str| {
        let (_, rest) = message.split_once(what)?;
        let (name, _) = rest.split_once('"')?;
        Some(name.ends_with(role.suffix()))
    };
    let refused_by = is_about("admission webhook \"");
    let refusal = || Refusal { code: reply.status, message: excerpt(message), is_ours: refused_by == Some(true) };
    let sign = reply.warnings.iter().find_map(|warning| Sign::read(warning)).filter(|sign| sign.id == id);
    if let Some(sign) = sign {
        let refusal = Some(reply.status).filter(|status| !(200..300).contains(status)).map(|_| refusal());
        return Asked::Answered(Sign { release: excerpt(&sign.release), ..sign }, refusal);
    }
    if is_about("failed calling webhook \"") == Some(true) {
        return Asked::Failed(excerpt(message));
    }
    match (reply.status, refused_by) {
        (_, Some(true)) => Asked::Refused(refusal()),
        // The message of an authorizer, and not of an admission plugin.
        (403, None) if message.contains("cannot patch resource") => Asked::Forbidden,
        (200..300, _) => {
            let is_marked = |mark: &str| {
                let wanted = &target.patch["metadata"]["annotations"][mark];
                reply.body["metadata"]["annotations"][mark] == *wanted
            };
            match target.mark {
                Some(mark) if !is_marked(mark) => Asked::AnsweredByOlder,
                _ => Asked::Unanswered,
            }
        }
        _ => Asked::Other(format!("{} {}", reply.status, excerpt(message))),
    }
}

/// Reports the result.
pub(super) fn judge(role: Role, tries: &Tries, place: &Place) -> Check {
    let mut check = Check::new("reachable");
    let namespace = place.namespace.as_deref().unwrap_or("NAMESPACE");
    let look = format!("`kubectl logs -n {namespace} -l app.kubernetes.io/name={}`", role.component());
    let Some(Try { what, right, asked, milliseconds }) = tries.tries.last() else {
        for (trouble, right) in &tries.unseen {
            match trouble {
                Trouble::Absent => {
                    let (what, whose) = match role {
                        Role::Seed => ("networks.extensions.gardener.cloud", "a Seed"),
                        Role::Garden => ("shoots.core.gardener.cloud", "the virtual garden"),
                    };
                    check.unknown(
                        format!("this API server does not know {what}"),
                        format!("see whether the kubeconfig is that of {whose}"),
                    );
                }
                Trouble::Forbidden(why) => check.unknown(why.clone(), format!("missing right: {right}")),
                trouble => check.unknown(trouble.to_string(), "ask again when the API server answers"),
            }
        }
        if tries.unseen.is_empty() {
            let (what, flag) = match role {
                Role::Seed => (
                    "no Shoot here has a kube-apiserver, or a Network whose switches are held",
                    "--control-plane NAMESPACE",
                ),
                Role::Garden => ("there is no Shoot", "--shoot NAMESPACE/NAME"),
            };
            check.unknown(
                format!("nothing to ask about: {what}"),
                format!("ask again when there is one, or name it with {flag}"),
            );
        }
        return check;
    };
    match asked {
        Asked::Answered(Sign { release, .. }, refusal) => {
            check.fine(format!("dry run of {what}: release {release} answered in {milliseconds} ms; nothing was stored"));
            if let Some(refusal) = refusal {
                judge_refusal(&mut check, role, refusal, what, &look);
            }
        }
        Asked::AnsweredByOlder => {
            check.fine(format!("dry run of {what}: an older release answered in {milliseconds} ms; nothing was stored"));
        }
        Asked::Refused(refusal) => {
            check.fine(format!("dry run of {what}: it answered in {milliseconds} ms"));
            judge_refusal(&mut check, role, refusal, what, &look);
        }
        Asked::Failed(message) => {
            let advice = if message.contains("x509:") || message.contains("certificate") {
                "the API server does not trust what is served: see `trusted`".to_owned()
            } else if ["deadline exceeded", "i/o timeout", "imeout"].iter().any(|word| message.contains(word)) {
                format!(
                    "calls do not arrive: look for a NetworkPolicy, a firewall or a VPN between the API server and port 10250 of \
                     the Pods; then {look}"
                )
            } else {
                format!("no server answers: `kubectl get pods -n {namespace} -l app.kubernetes.io/name={}`; then {look}", role.component())
            };
            check.problem(format!("dry run of {what}: {message}"), advice);
        }
        Asked::Unanswered => check.problem(
            format!("dry run of {what}: it would be stored, and network-guard was not asked or did not answer"),
            format!(
                "either the registration does not send it (see `registered`), or the call failed and failurePolicy is Ignore (see \
                 `trusted`; apiserver_admission_webhook_fail_open_count of the API server counts them); then {look}"
            ),
        ),
        Asked::Forbidden => {
            for Try { what, right, .. } in &tries.tries {
                check.unknown(format!("{what} may not be written"), format!("missing right: {right} (for a dry run, nothing is stored)"));
            }
        }
        Asked::Silent(why) => check.unknown(
            format!("dry run of {what}: {why}"),
            "give a longer --timeout: an API server waits for each webhook as long as its timeoutSeconds, which are 5 for network-guard",
        ),
        Asked::Other(message) => check.unknown(
            format!("dry run of {what}: {message}"),
            format!("another component refused before network-guard was called; name another object, or try `{right}` by hand"),
        ),
    }
    check
}

/// Reports why the write was refused, and whether that is right.
fn judge_refusal(check: &mut Check, role: Role, refusal: &Refusal, what: &str, look: &str) {
    let Refusal { code, message, is_ours } = refusal;
    let whom = if *is_ours { "it" } else { "somebody" };
    let saw = format!("{whom} refused with {code}: {message}");
    if refusal.is_decision(role) {
        check.fine(saw);
    } else {
        check.problem(
            saw,
            format!(
                "whatever is written to {what} is refused: where the message names a mistake in the object, or in the registration (see \
                 `registered`), put that right; else report it. {look} says the same"
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::report::State;
    use super::super::targets::{deployment_target, shoot_target};
    use super::*;
    use network_guard_core::vpn::sidecar::OVERLAPS_ANNOTATION;

    fn word(asked: &Asked) -> String {
        format!("{asked:?}").split(['(', ' ']).next().unwrap().to_owned()
    }

    fn asked(role: Role, status: u16, body: Value, warnings: &[&str]) -> Asked {
        let target = match role {
            Role::Seed => deployment_target("shoot--a--b", "c0ffee"),
            Role::Garden => shoot_target("garden-a", "b", "c0ffee"),
        };
        let warnings = warnings.iter().map(|warning| (*warning).to_owned()).collect();
        let reply = Reply { status, body, warnings, ..Reply::default() };
        read(role, &reply, &target, "c0ffee")
    }

    #[test]
    fn a_reply_shows_which_component_answered() {
        let sign = |id: &str| Sign { id: id.to_owned(), release: "0.1.0".to_owned(), stale: false }.warning();
        let message = |text: &str| json!({"kind": "Status", "message": text});
        let annotated = |value: &str| json!({"metadata": {"annotations": {OVERLAPS_ANNOTATION: value}}});
        let ours =
            r#"admission webhook "kube-apiserver.network-guard.extensions.gardener.cloud" denied the request: no"#;
        let theirs = r#"admission webhook "x.other.extensions.gardener.cloud" denied the request: no"#;
        let ours_in_garden =
            r#"admission webhook "validator.admission-network-guard.extensions.gardener.cloud" denied the request: no"#;
        let failed = |name: &str| {
            format!("Internal error occurred: failed calling webhook \"{name}\": dial tcp: connection refused")
        };
        let by_us = failed("validator.admission-network-guard.extensions.gardener.cloud");
        for (role, status, body, warnings, want) in [
            (Role::Seed, 200, annotated("doctor c0ffee"), vec![sign("c0ffee")], "Answered"),
            (Role::Seed, 200, annotated("doctor c0ffee"), vec![sign("other")], "Unanswered"),
            (Role::Seed, 200, annotated("doctor c0ffee"), vec!["x".to_owned()], "Unanswered"),
            (Role::Seed, 200, annotated("nodes"), vec![], "AnsweredByOlder"),
            (Role::Seed, 200, json!({"metadata": {}}), vec![], "AnsweredByOlder"),
            (Role::Seed, 403, message(ours), vec![], "Refused"),
            (Role::Seed, 403, message(ours), vec![sign("c0ffee")], "Answered"),
            (Role::Seed, 403, message(theirs), vec![], "Other"),
            (
                Role::Seed,
                403,
                message("is forbidden: User \"x\" cannot patch resource \"deployments\""),
                vec![],
                "Forbidden",
            ),
            (Role::Garden, 403, message("shoots \"x\" is forbidden: the Seed is full"), vec![], "Other"),
            (Role::Seed, 500, message(&failed("x.other.extensions.gardener.cloud")), vec![], "Other"),
            (Role::Seed, 500, message(&failed("network.network-guard.extensions.gardener.cloud")), vec![], "Failed"),
            (Role::Garden, 500, message(&by_us), vec![], "Failed"),
            (Role::Seed, 500, message(&by_us), vec![], "Other"),
            (Role::Garden, 200, json!({}), vec![], "Unanswered"),
        ] {
            let warnings: Vec<&str> = warnings.iter().map(String::as_str).collect();
            assert_eq!(word(&asked(role, status, body.clone(), &warnings)), want, "{status} {body} {warnings:?}");
        }

        // Only a decision is a success: a user who cannot write at all is told so.
        let gives_sign = || vec![sign("c0ffee")];
        for (role, status, body, warnings, want) in [
            (Role::Garden, 403, message(ours_in_garden), vec![], State::Ok),
            (Role::Garden, 403, message(ours_in_garden), gives_sign(), State::Ok),
            (Role::Garden, 400, message(ours_in_garden), vec![], State::Problem),
            (Role::Garden, 500, message(ours_in_garden), gives_sign(), State::Problem),
            (Role::Seed, 403, message(ours), vec![], State::Problem),
            (Role::Seed, 400, message(ours), vec![], State::Problem),
            (Role::Seed, 500, message(ours), vec![], State::Problem),
            (Role::Seed, 403, message(ours), gives_sign(), State::Problem),
            (Role::Seed, 403, message(theirs), gives_sign(), State::Ok),
            (Role::Seed, 200, json!({}), gives_sign(), State::Ok),
        ] {
            let warnings: Vec<&str> = warnings.iter().map(String::as_str).collect();
            let asked = asked(role, status, body.clone(), &warnings);
            let (what, right) = ("Shoot a/b".to_owned(), String::new());
            let tries = Tries { tries: vec![Try { what, right, asked, milliseconds: 3 }], ..Tries::default() };
            let check = judge(role, &tries, &Place::default());
            assert_eq!(check.state, want, "{status} {body} {warnings:?}: {check:?}");
            let says = |text: &str| check.saw.iter().any(|line| line.contains(text));
            assert_eq!(says(&format!("refused with {status}: ")), status != 200, "{check:?}");
        }
    }
}
