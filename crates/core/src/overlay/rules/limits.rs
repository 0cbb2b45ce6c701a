//! What the infrastructure and Kubernetes must provide for a Shoot without an overlay: enough routes, and a policy that
//! keeps calico-node from writing a node's condition.

use super::settings::GardenSettings;
use crate::diagnostics::ratchet::{self, compare};
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::{CALICO, Encapsulation, Pods, Shoot};
use crate::json;

rules! {
    /// A Shoot without an overlay, whatever its network's type is, may have more nodes than its provider permits
    /// routes, which is one for each node. Nodes beyond the limit are there, and their Pods are not reached. Nodes are
    /// the workers' `maximum`, and `maxSurge` while they are replaced. Other routes of the same table or VPC count
    /// against the limit too, and are not counted here. Reported for a new Shoot, when the overlay is switched off, and
    /// when workers may become more; at most a warning when routes become necessary by something else, such as a second
    /// IP family that is taken back; not where no routes are needed. The limits are in the table, and those of the
    /// configuration, `overlay.routeLimits`, count instead; providers without one are not checked.
    pub static ROUTE_LIMIT = {
        name: "overlay/route-limit",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Risk,
        fix: "Have the quota raised, lower the workers' `maximum` or `maxSurge`, or keep the overlay.",
        example: || found(None, r#"{"type": "aws", "workers": [{"maximum": 600, "maxSurge": 1}]}"#),
    };

    /// The overlay is switched off in a Shoot that runs, on a provider whose extension has a MutatingAdmissionPolicy
    /// for it (see the table), with a Kubernetes that has no MutatingAdmissionPolicy: before 1.36 it is there only with
    /// the feature gate of that name and `admissionregistration.k8s.io/v1beta1` (1.34 and 1.35) or `…/v1alpha1`
    /// (before) in `runtimeConfig`. Infrastructure extensions use it to keep calico-node from writing the nodes'
    /// condition NetworkUnavailable. Without it calico-node says that a node is fine while its route is missing, so
    /// Pods are scheduled there; and when its Pod is replaced it says that the network is down, for which nodes may be
    /// drained or replaced.
    pub static ADMISSION_POLICY = {
        name: "overlay/admission-policy",
        severity: Severity::Warn,
        up_to: Some(Severity::Deny),
        rank: Rank::Risk,
        fix: "Update to Kubernetes 1.36 first, or opt in under `spec.kubernetes.kubeAPIServer`.",
        example: || found(Some(true), r#"{"type": "aws", "workers": [{"maximum": 3}]}"#),
    };
}

/// The findings about a Shoot without an overlay that is created, or loses its overlay, or may have more nodes.
pub fn check(new: &Shoot<'_>, old: Option<&Shoot<'_>>, settings: &GardenSettings) -> Vec<Finding> {
    if !new.may_need_routes(old) {
        return Vec::new();
    }
    let limit = settings.route_limits.get(&*new.provider_type).copied();
    let route_limit = |shoot: &Shoot<'_>| {
        let nodes = limit.map(|limit| (shoot.max_nodes(), limit)).filter(|(nodes, limit)| nodes > limit);
        nodes.map(|(nodes, limit)| say_route_limit(nodes, shoot.has_surge(), limit, &new.provider_type))
    };
    let stored = old.filter(|old| old.may_need_routes(Some(old))).and_then(route_limit);
    let found = route_limit(new).map(|finding| {
        // It had no overlay before, and as many nodes: the edit that makes routes necessary is a remedy for something else,
        // such as the removal of a second family.
        let is_way_out = old.is_some_and(|old| old.is_native(Some(old)) && new.max_nodes() <= old.max_nodes());
        if is_way_out { ratchet::as_stored(finding) } else { finding }
    });
    let mut findings = compare(found, stored.as_slice()).new_only();
    findings.extend(admission_policy(new, old));
    findings
}

fn say_route_limit(nodes: u64, has_surge: bool, limit: u64, provider: &str) -> Finding {
    let surge = if has_surge { " with maxSurge" } else { "" };
    let message = format!("may become {nodes} nodes{surge}, but {provider} permits {limit} routes, one for each node");
    let finding = ROUTE_LIMIT.finding("spec.provider.workers", message, "have the quota raised, or lower the maximum");
    finding.about("").magnitude(nodes)
}

fn admission_policy(new: &Shoot<'_>, old: Option<&Shoot<'_>>) -> Option<Finding> {
    // A new Shoot has no nodes whose condition could be wrong, nor has a hibernated one.
    let pods = new.pods(old).filter(|_| &*new.network_type == CALICO && !new.is_asleep(old))?;
    let was = old.and_then(|old| old.pods(Some(old)));
    let was_overlay = was.is_some_and(|was: Pods| was.encapsulation == Some(Encapsulation::Overlay));
    let version = &*new.kubernetes_version;
    let minor = minor(version)?;
    (was_overlay && pods.provider.has_policy && !has_admission_policy(minor, new.kube_apiserver))
        .then(|| say_admission_policy(version))
}

fn say_admission_policy(version: &str) -> Finding {
    let message = format!(
        "{version} has no MutatingAdmissionPolicy: calico-node marks nodes as available whose route is missing"
    );
    ADMISSION_POLICY.finding("spec.kubernetes.version", message, "update to 1.36 first, or opt in")
}

/// The minor version of Kubernetes.
pub(super) fn minor(version: &str) -> Option<u32> {
    version.strip_prefix("1.")?.split('.').next()?.parse().ok()
}

/// Generally available since 1.36, beta since 1.34; before 1.36 it has to be enabled.
fn has_admission_policy(minor: u32, kube_apiserver: Option<&str>) -> bool {
    let stage = match minor {
        36.. => return true,
        34.. => "v1beta1",
        _ => "v1alpha1",
    };
    let is_on = |path: &[&str]| kube_apiserver.is_some_and(|config| json::find(config, path) == Some("true"));
    is_on(&["featureGates", "MutatingAdmissionPolicy"])
        && is_on(&["runtimeConfig", &format!("admissionregistration.k8s.io/{stage}")])
}

/// What is found where a Shoot with these workers is created without an overlay, or loses it, for examples.
fn found(old: Option<bool>, provider: &str) -> Vec<Finding> {
    let shoot = |overlay| {
        format!(
            r#"{{"spec": {{"kubernetes": {{"version": "1.35.4"}}, "provider": {provider},
                "networking": {{"type": "calico", "providerConfig": {{"overlay": {{"enabled": {overlay}}}}}}}}}}}"#
        )
    };
    let (old, new) = (old.map(shoot), shoot(false));
    let read = |text| Shoot::read(text).expect("a constant");
    check(&read(&new), old.as_deref().map(read).as_ref(), &GardenSettings::default())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::landscape::garden::with;

    /// A Shoot with an overlay or without one, and with workers of these sizes.
    fn shoot(provider: &str, overlay: bool, maximum: &[u64]) -> Value {
        let workers: Vec<Value> = maximum.iter().map(|maximum| json!({"maximum": maximum, "maxSurge": 0})).collect();
        json!({"spec": {
            "kubernetes": {"version": "1.36.1"},
            "networking": {"type": "calico", "providerConfig": {"overlay": {"enabled": overlay}}},
            "provider": {"type": provider, "workers": workers},
        }})
    }

    fn said(old: Option<&Value>, new: &Value) -> Vec<String> {
        let (old, new) = (old.map(Value::to_string), new.to_string());
        let old = old.as_deref().map(|old| Shoot::read(old).unwrap());
        let mut settings = GardenSettings::default();
        settings.route_limits.insert("cloud".to_owned(), 10);
        check(&Shoot::read(&new).unwrap(), old.as_ref(), &settings).iter().map(ToString::to_string).collect()
    }

    const CONFIG: &str = "/spec/networking/providerConfig";
    const TYPE: &str = "/spec/networking/type";
    const FAMILIES: &str = "/spec/networking/ipFamilies";

    fn dual(mut shoot: Value) -> Value {
        shoot["spec"]["networking"]["ipFamilies"] = json!(["IPv4", "IPv6"]);
        shoot
    }

    fn had_two(mut shoot: Value) -> Value {
        shoot["status"] = json!({"networking": {"nodes": ["10.250.0.0/16", "fd00::/64"]}});
        shoot
    }

    #[test]
    fn nodes_need_routes() {
        let (overlay, native) = (true, false);
        for (what, old, new, want) in [
            ("as many as routes", None, shoot("aws", native, &[300, 200]), None),
            ("one more", None, shoot("aws", native, &[300, 201]), Some((501, "aws", 500))),
            ("gcp", None, shoot("gcp", native, &[301]), Some((301, "gcp", 300))),
            ("openstack, where it is the operator's choice", None, shoot("openstack", native, &[5_000]), None),
            ("alicloud", None, shoot("alicloud", native, &[201]), Some((201, "alicloud", 200))),
            ("azure", None, shoot("azure", native, &[5_000]), None),
            ("gcp with two families", None, dual(shoot("gcp", native, &[301])), None),
            ("gcp that had two", None, had_two(shoot("gcp", native, &[301])), None),
            ("aws with two families", None, dual(shoot("aws", native, &[501])), Some((501, "aws", 500))),
            ("aws with IPv6 only", None, with(dual(shoot("aws", native, &[501])), FAMILIES, json!(["IPv6"])), None),
            ("not said, aws", None, with(shoot("aws", native, &[501]), CONFIG, json!({})), Some((501, "aws", 500))),
            ("not said, ironcore", None, with(shoot("ironcore", native, &[5_000]), CONFIG, json!({})), None),
            ("of Cilium", None, with(shoot("aws", native, &[501]), TYPE, json!("cilium")), Some((501, "aws", 500))),
            (
                "with surge",
                None,
                with(shoot("aws", native, &[500]), "/spec/provider/workers/0/maxSurge", json!(1)),
                Some((501, "aws", 500)),
            ),
            ("configured", None, shoot("cloud", native, &[11]), Some((11, "cloud", 10))),
            ("an unknown provider", None, shoot("onmetal", native, &[5_000]), None),
            ("with an overlay", None, shoot("aws", overlay, &[5_000]), None),
            ("it grows", Some(shoot("aws", native, &[500])), shoot("aws", native, &[500, 1]), Some((501, "aws", 500))),
            (
                "it grows further",
                Some(shoot("aws", native, &[600])),
                shoot("aws", native, &[601]),
                Some((601, "aws", 500)),
            ),
            ("it is as large as before", Some(shoot("aws", native, &[600])), shoot("aws", native, &[300, 300]), None),
            ("it shrinks", Some(shoot("aws", native, &[600])), shoot("aws", native, &[550]), None),
            (
                "the overlay goes",
                Some(shoot("aws", overlay, &[600])),
                shoot("aws", native, &[600]),
                Some((600, "aws", 500)),
            ),
            ("the overlay comes", Some(shoot("aws", native, &[500])), shoot("aws", overlay, &[600]), None),
        ] {
            let want: Vec<String> = want
                .into_iter()
                .map(|(nodes, provider, limit)| {
                    say_route_limit(nodes, what == "with surge", limit, provider).to_string()
                })
                .collect();
            assert_eq!(said(old.as_ref(), &new), want, "{what}");
        }
    }

    #[test]
    fn no_workers_need_none() {
        let new = with(shoot("aws", false, &[600]), "/spec/provider/workers", json!([]));
        assert_eq!(said(None, &new), Vec::<String>::new());
    }

    /// Where the provider has no policy, the version of Kubernetes does not matter.
    #[test]
    fn a_policy_is_missed_only_where_there_is_one() {
        let of =
            |provider: &str, overlay| with(shoot(provider, overlay, &[3]), "/spec/kubernetes/version", json!("1.34.1"));
        let asleep = |mut shoot: Value| {
            shoot["spec"]["hibernation"] = json!({"enabled": true});
            shoot["status"] = json!({"hibernated": true});
            shoot
        };
        for (provider, want) in
            [("aws", 1), ("gcp", 1), ("openstack", 1), ("alicloud", 0), ("azure", 0), ("metal", 0), ("cloud", 0)]
        {
            assert_eq!(said(Some(&of(provider, true)), &of(provider, false)).len(), want, "{provider}");
            let said = said(Some(&asleep(of(provider, true))), &asleep(of(provider, false)));
            assert_eq!(said, Vec::<String>::new(), "{provider}, asleep");
        }
    }

    #[test]
    fn calico_node_is_kept_from_the_condition_or_not() {
        let gate = |on: bool, api: &str| {
            json!({
                "featureGates": {"MutatingAdmissionPolicy": on},
                "runtimeConfig": {format!("admissionregistration.k8s.io/{api}"): true},
            })
        };
        for (version, kube_apiserver, is_there) in [
            ("1.36.0", json!(null), true),
            ("1.40.0", json!({}), true),
            ("1.35.4", json!(null), false),
            ("1.35.4", json!({"featureGates": {"MutatingAdmissionPolicy": true}}), false),
            ("1.35.4", gate(true, "v1beta1"), true),
            ("1.34.0", gate(true, "v1beta1"), true),
            ("1.34.0", gate(true, "v1alpha1"), false),
            ("1.34.0", gate(false, "v1beta1"), false),
            ("1.33.9", gate(true, "v1alpha1"), true),
            ("1.33.9", gate(true, "v1beta1"), false),
            ("weird", json!(null), true),
        ] {
            let mut new = shoot("aws", false, &[3]);
            new["spec"]["kubernetes"] = json!({"version": version, "kubeAPIServer": kube_apiserver});
            let old = shoot("aws", true, &[3]);
            let want: Vec<String> =
                (!is_there).then(|| say_admission_policy(version).to_string()).into_iter().collect();
            assert_eq!(said(Some(&old), &new), want, "{version} {kube_apiserver}");
            assert_eq!(said(None, &new), Vec::<String>::new(), "new, {version}");
            assert_eq!(said(Some(&new), &new), Vec::<String>::new(), "as before, {version}");
        }
    }
}
