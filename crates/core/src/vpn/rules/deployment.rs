//! Rules about the object that is written.

use super::facts;
use super::words::first_and_more;
use crate::admission::{ListEdits, PatchBuilder};
use crate::diagnostics::{Finding, Rank, Severity, rules};
use crate::gardener::{ClusterFacts, Deployment, ExpectedVpn, FieldError};
use crate::net::NetworkKind;
use crate::vpn::sidecar::{Injection, Settings, mutate};
use crate::vpn::{Conflict, Decision, Overlap, Taken, Vpn, decide};

rules! {
    /// Networks overlap, and the Deployment has only some of the containers of a highly available VPN: with the sidecar
    /// its API server would send traffic into a tunnel that is not there.
    static VPN_INCOMPLETE = {
        name: "vpn/vpn-incomplete",
        severity: Severity::Deny,
        up_to: None,
        rank: Rank::Fault,
        fix: "Write the Deployment with all of vpn-client-0, vpn-client-1, vpn-path-controller and the init container vpn-client-init.",
        example: || match decide(&Vpn::Partial(vec!["vpn-client-1"]), &facts(NetworkKind::Nodes, &["10.250.0.0/16"], "10.0.0.0/8")) {
            (Decision::Incomplete(overlaps, missing), _) => vec![vpn_incomplete(&overlaps, &missing)],
            _ => Vec::new(),
        },
    };

    /// Networks overlap, and something that is not network-guard's is in the place of the sidecar, a volume, a mount or
    /// the egress selector.
    static NAME_TAKEN = {
        name: "vpn/name-taken",
        severity: Severity::Deny,
        up_to: None,
        rank: Rank::Fault,
        fix: "Remove or rename it.",
        example: || {
            let pod = r#"{"spec": {"template": {"spec": {"containers": [{"name": "kube-apiserver"}], "volumes":
                [{"name": "ca"}, {"name": "etcd"}, {"name": "audit"}, {"name": "network-guard-socket", "secret": {}}]}}}}"#;
            let (injection, mut patch) = (Injection::new(&Settings::default()), PatchBuilder::default());
            let deployment = Deployment::read(pod).expect("a constant");
            let taken = mutate(&injection, Some(""), &deployment, pod, &mut patch, &mut ListEdits::default()).err();
            taken.iter().flatten().map(name_taken).collect()
        },
    };

    /// The kube-apiserver's Deployment, or the StatefulSet of the VPN's end in the Shoot, cannot be read. It passes as
    /// it came, because nothing relies on network-guard there: the failure policy is `Ignore`. With `Fail` it is
    /// refused.
    static UNREADABLE = {
        name: "vpn/unreadable",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Fault,
        fix: "Correct the named field. If gardenlet writes it, please report this.",
        example: || {
            let clients = vec![r#"{"name": "vpn-client-1"}"#; 17].join(",");
            let text = format!(
                r#"{{"spec": {{"template": {{"spec": {{"containers": [{{"name": "kube-apiserver"}}, {clients}]}}}}}}}}"#
            );
            let error = Deployment::read(&text).err();
            error.map(|error| unreadable(&error.within("request.object"))).into_iter().collect()
        },
    };

    /// The Shoot asks for another VPN than its Deployment carries. It may be on its way to or from high availability;
    /// what the Deployment carries decides.
    static HA_VPN_MISMATCH = {
        name: "vpn/ha-vpn-mismatch",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Risk,
        fix: "Nothing, if the Shoot is being changed; otherwise reconcile it.",
        example: || conflicts(&Vpn::Absent, &facts(NetworkKind::Nodes, &["10.250.0.0/16"], "10.0.0.0/8")),
    };

    /// IPv6 networks of Shoot and Seed overlap. Only IPv4 can be translated.
    static IPV6_OVERLAP = {
        name: "vpn/ipv6",
        severity: Severity::Warn,
        up_to: None,
        rank: Rank::Fault,
        fix: "Give the Shoot other IPv6 networks.",
        example: || conflicts(&Vpn::Complete, &facts(NetworkKind::Pods, &["fd00:1::/64"], "fd00::/16")),
    };
}

/// Containers are missing.
pub fn vpn_incomplete(overlaps: &[Overlap], missing: &[&str]) -> Finding {
    let missing = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    VPN_INCOMPLETE.finding(
        "spec.template.spec",
        format!("{}, but the Deployment lacks {missing}", first_and_more(overlaps)),
        "write all containers of the VPN",
    )
}

/// An object of somebody else is in the way of the sidecar.
pub fn name_taken(taken: &Taken) -> Finding {
    NAME_TAKEN.finding(
        taken.path.clone(),
        taken.what.clone(),
        "remove or rename it, it is in the way of network-guard's sidecar",
    )
}

/// An object passes although it cannot be read.
pub fn unreadable(error: &FieldError) -> Finding {
    let value = if error.value.is_empty() { String::new() } else { format!("{}: ", error.value) };
    UNREADABLE.finding(error.path.clone(), format!("{value}{}; left as it is", error.problem), "")
}

/// A conflict that does not stop the write.
pub fn conflict(conflict: &Conflict) -> Finding {
    match conflict {
        Conflict::OtherVpn { expected } => {
            let (asks, carries) = match expected {
                ExpectedVpn::HighlyAvailable => ("a highly available VPN", "has no container of one yet"),
                ExpectedVpn::Single => ("a single VPN", "still carries a highly available one"),
                ExpectedVpn::Absent => ("no VPN", "still carries a highly available one"),
            };
            HA_VPN_MISMATCH.finding(
                "spec.template.spec",
                format!("the Shoot asks for {asks}, the Deployment {carries}"),
                "",
            )
        }
        Conflict::Ipv6(pair) => IPV6_OVERLAP.finding(
            "",
            format!("{pair}, and IPv6 cannot be translated"),
            "give the Shoot other IPv6 networks",
        ),
    }
}

/// What contradicts, for examples.
fn conflicts(vpn: &Vpn, facts: &ClusterFacts) -> Vec<Finding> {
    decide(vpn, facts).1.iter().map(conflict).collect()
}
