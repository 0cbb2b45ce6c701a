//! Which VPN the containers of a Deployment show.

use crate::gardener::deployment::PodSpec;
use crate::gardener::vpn_containers::{CLIENT_INIT, CLIENT_PREFIX, FIRST_CLIENT, PATH_CONTROLLER, SECOND_CLIENT};

/// The highly available VPN as the containers of a Deployment show it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Vpn {
    /// None of its containers: another kind of VPN, or none.
    Absent,
    /// All of them.
    Complete,
    /// Only some; these are missing.
    Partial(Vec<&'static str>),
}

/// The containers of a highly available VPN in a kube-apiserver's Deployment, without the init container.
const CONTAINERS: [&str; 3] = [FIRST_CLIENT, SECOND_CLIENT, PATH_CONTROLLER];

impl Vpn {
    /// Finds the containers by name.
    pub fn of(pod: &PodSpec<'_>) -> Self {
        let has = |name: &str| pod.containers.iter().any(|container| &*container.name == name);
        let has_init = pod.init_containers.iter().flatten().any(|container| &*container.name == CLIENT_INIT);
        let missing: Vec<&'static str> =
            CONTAINERS.into_iter().filter(|name| !has(name)).chain((!has_init).then_some(CLIENT_INIT)).collect();
        let has_other_client = pod.containers.iter().any(|container| container.name.starts_with(CLIENT_PREFIX));
        match missing.len() {
            0 => Self::Complete,
            4 if !has_other_client => Self::Absent,
            _ => Self::Partial(missing),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::json::Members;

    #[test]
    fn is_read_from_the_containers() {
        for (containers, init, want) in [
            (&["kube-apiserver"][..], &[][..], Vpn::Absent),
            (
                &["kube-apiserver", "vpn-client-0", "vpn-client-1", "vpn-path-controller"],
                &["vpn-client-init"],
                Vpn::Complete,
            ),
            (
                &["vpn-client-0", "vpn-client-1", "vpn-client-2", "vpn-path-controller"],
                &["x", "vpn-client-init"],
                Vpn::Complete,
            ),
            (&["vpn-client-0", "vpn-path-controller"], &["vpn-client-init"], Vpn::Partial(vec!["vpn-client-1"])),
            (
                &["kube-apiserver"],
                &["vpn-client-init"],
                Vpn::Partial(vec!["vpn-client-0", "vpn-client-1", "vpn-path-controller"]),
            ),
            (&["vpn-client-0", "vpn-client-1", "vpn-path-controller"], &[], Vpn::Partial(vec!["vpn-client-init"])),
        ] {
            let named = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
            let text = json!({"containers": named(containers), "initContainers": named(init)}).to_string();
            let pod = PodSpec::read(&mut Members::of(&text)).unwrap();
            assert_eq!(Vpn::of(&pod), want, "{containers:?} {init:?}");
        }
    }
}
