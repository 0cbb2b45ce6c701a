//! Whose proxy a Deployment has.

use memchr::memmem;

use super::Injection;
use super::names::{
    API_SERVER_CONTAINER, CONFIG_VOLUME, EGRESS_SELECTOR_FLAG, ENVOY_CONTAINER, GARDENLET_ENVOY_VOLUME, egress_argument,
};
use crate::gardener::Deployment;
use crate::gardener::deployment::{Container, RawPieces};

/// Whose `envoy-proxy` a Deployment has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proxy {
    /// None.
    Absent,
    /// network-guard's: it mounts the sidecar's configuration.
    Ours(usize),
    /// gardenlet's: it mounts gardenlet's configuration, and the API server has an egress selector other than
    /// network-guard's.
    Gardenlet,
    /// Somebody else's.
    Foreign(usize),
}

impl Proxy {
    /// Whether a JSON text may be that of a Deployment with such a container. It takes far less than to read it. API servers write
    /// the name as it is; others may escape any letter.
    pub fn may_be_in(raw: &str) -> bool {
        let has = |word: &str| memmem::find(raw.as_bytes(), word.as_bytes()).is_some();
        has(ENVOY_CONTAINER) || has("\\u")
    }

    /// Finds the container by name, and decides whose it is by its mounts.
    pub fn of(containers: &[Container<'_>]) -> Self {
        let Some(index) = containers.iter().position(|container| &*container.name == ENVOY_CONTAINER) else {
            return Self::Absent;
        };
        let mounts =
            |volume: &str| containers[index].volume_mounts.iter().flatten().any(|mount| &*mount.name == volume);
        if mounts(CONFIG_VOLUME) {
            Self::Ours(index)
        } else if mounts(GARDENLET_ENVOY_VOLUME) && has_foreign_egress_selector(containers) {
            Self::Gardenlet
        } else {
            Self::Foreign(index)
        }
    }
}

fn has_foreign_egress_selector(containers: &[Container<'_>]) -> bool {
    let ours = egress_argument();
    let is_foreign = |argument: &&str| argument.starts_with(EGRESS_SELECTOR_FLAG) && **argument != *ours;
    containers.iter().filter(|container| &*container.name == API_SERVER_CONTAINER).any(|container| {
        container.args.iter().flatten().map(|argument| &**argument).any(|argument| is_foreign(&argument))
    })
}

/// Whether a stored Deployment carries the sidecar as this configuration makes it; `None` if it carries none. `raw` is
/// the text from which `stored` was read.
pub fn is_made_by(injection: &Injection, stored: &Deployment<'_>, raw: &str) -> Option<bool> {
    let Proxy::Ours(index) = Proxy::of(&stored.spec.template.spec.containers) else { return None };
    let annotations = stored.spec.template.metadata.as_ref().and_then(|metadata| metadata.annotations.as_ref());
    let is_told = annotations.is_some_and(|annotations| {
        annotations.envoy_config.as_deref() == Some(injection.envoy_config())
            && annotations.egress_selector_config.as_deref() == Some(injection.egress_selector_config())
    });
    let is_run = || {
        let pieces = RawPieces::read(raw).ok();
        let container = pieces.as_ref().and_then(|pieces| pieces.containers.get(index));
        container.is_some_and(|actual| injection.container.is_in(actual))
    };
    Some(is_told && is_run())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_be_escaped() {
        for (name, want) in
            [("envoy-proxy", true), (r"envoy\u002dproxy", true), (r"\u0065nvoy-proxy", true), ("envoy", false)]
        {
            let raw = format!(r#"{{"spec":{{"template":{{"spec":{{"containers":[{{"name":"{name}"}}]}}}}}}}}"#);
            let deployment = Deployment::read(&raw).unwrap();
            let is_there = Proxy::of(&deployment.spec.template.spec.containers) != Proxy::Absent;
            assert_eq!((Proxy::may_be_in(&raw), is_there), (want, want), "{name}");
        }
    }
}
