//! Check `led`: the Lease of the leader.

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use super::ask::{Server, Trouble};
use super::report::Check;
use super::{Place, Role};
use crate::wiring::{GARDEN_LEASE, SEED_LEASE, SELF_MANAGED_LEASE};
use network_guard_core::json::excerpt;

/// The content of a Lease.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Held {
    /// Empty: it was released.
    pub(super) holder: String,
    pub(super) renewed: Option<Timestamp>,
    /// In seconds.
    pub(super) duration: i32,
}

/// The facts about leaders.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Facts {
    /// There is no Lease in this setup.
    Nothing,
    Lease {
        name: String,
        there: Result<Held, Trouble>,
    },
    /// The place of the Lease is unknown.
    Unknown(&'static str),
}

/// On a Seed with self-managed certificates, and with others.
const LEASES: [&str; 2] = [SELF_MANAGED_LEASE, SEED_LEASE];

/// In the garden with self-managed certificates.
const GARDEN_LEASES: [&str; 1] = [GARDEN_LEASE];

/// client-go's default, which network-guard has too, in seconds: for a Lease without a duration.
const DURATION: i32 = 15;

/// The possible names of the Lease; none where there is nothing to lead.
fn leases(role: Role, is_self_managed: Option<bool>) -> &'static [&'static str] {
    match (role, is_self_managed) {
        (Role::Seed, Some(true)) => &LEASES[..1],
        (Role::Seed, Some(false)) => &LEASES[1..],
        (Role::Seed, None) => &LEASES,
        (Role::Garden, Some(true) | None) => &GARDEN_LEASES,
        (Role::Garden, Some(false)) => &[],
    }
}

/// Reads the Lease.
pub(super) async fn look(role: Role, home: Option<&Server>, place: &Place, is_self_managed: Option<bool>) -> Facts {
    let names = leases(role, is_self_managed);
    if names.is_empty() {
        return Facts::Nothing;
    }
    let Some(home) = home else {
        return Facts::Unknown("the cluster that network-guard runs in: give --runtime-kubeconfig");
    };
    let mut first = Facts::Unknown("the namespace of network-guard: give --namespace");
    for (namespace, name) in place.lease_namespaces.iter().flat_map(|place| names.iter().map(move |name| (place, name)))
    {
        let api = Api::<Lease>::namespaced(home.client.clone(), namespace);
        let there = home.ask(api.get(name)).await.map(|lease| {
            let spec = lease.spec.unwrap_or_default();
            Held {
                holder: excerpt(&spec.holder_identity.unwrap_or_default()),
                renewed: spec.renew_time.map(|time| time.0),
                duration: spec.lease_duration_seconds.unwrap_or(DURATION),
            }
        });
        let is_there = there.is_ok();
        let facts = Facts::Lease { name: format!("{namespace}/{name}"), there };
        if is_there {
            return facts;
        }
        if matches!(first, Facts::Unknown(_)) {
            first = facts;
        }
    }
    first
}

/// Reports the leader.
pub(super) fn judge(role: Role, facts: &Facts, place: &Place, now: Timestamp) -> Check {
    let mut check = Check::new("led");
    let namespace = place.namespace.as_deref().unwrap_or("NAMESPACE");
    let look = format!(
        "a replica leads when it may write the Lease: see `allowed`, and `kubectl logs -n {namespace} -l \
         app.kubernetes.io/name={}`",
        role.component()
    );
    match facts {
        Facts::Nothing => check.fine("without self-managed certificates there is no leader in the garden"),
        Facts::Unknown(what) => check.unknown("the Lease was not read", format!("unknown: {what}")),
        Facts::Lease { name, there: Ok(Held { holder, .. }) } if holder.is_empty() => {
            check.problem(format!("nobody holds the Lease {name}: the last holder released it"), look);
        }
        Facts::Lease { name, there: Ok(Held { holder, renewed, duration }) } => {
            let age = renewed.map(|renewed| now.duration_since(renewed).as_secs());
            match age {
                Some(age) if age <= i64::from(*duration) => {
                    check.fine(format!("{holder} holds the Lease {name}, and renewed it {} s ago", age.max(0)));
                }
                Some(age) => {
                    check.problem(format!("{holder} holds the Lease {name}, and has not renewed it for {age} s"), look);
                }
                None => check.problem(format!("{holder} holds the Lease {name}, and never renewed it"), look),
            }
        }
        Facts::Lease { name, there: Err(Trouble::Absent) } => {
            check.problem(format!("there is no Lease {name}: no replica has led there yet"), look);
        }
        Facts::Lease { name, there: Err(Trouble::Forbidden(why)) } => {
            let (namespace, name) = name.split_once('/').unwrap_or_default();
            check.unknown(why.clone(), format!("missing right: get leases.coordination.k8s.io/{name} in {namespace}"));
        }
        Facts::Lease { name, there: Err(trouble) } => {
            check.unknown(format!("{name}: {trouble}"), "ask again when the API server answers");
        }
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both charts may be in one namespace, so the Lease of the other one says nothing.
    #[test]
    fn each_role_has_its_own_lease() {
        let seed = |is_self_managed| leases(Role::Seed, is_self_managed).to_vec();
        let garden = |is_self_managed| leases(Role::Garden, is_self_managed).to_vec();
        assert_eq!(seed(Some(true)), ["network-guard-certificates"]);
        assert_eq!(seed(Some(false)), ["network-guard-overlay"]);
        assert_eq!(garden(Some(true)), ["network-guard-garden-certificates"]);
        assert!(garden(Some(false)).is_empty());
        assert!(garden(None).iter().all(|name| !seed(None).contains(name)));
    }
}
