//! Fixtures for the tests of several files.

use crate::gardener::SwitchFacts;
use crate::gardener::network::{SwitchAnnotations, SwitchingNetwork};
use crate::gardener::node::{NodeFacts, RouteCondition};
use crate::net::Family;

/// A node with a Pod network and a condition of this status and reason.
pub(super) fn node(name: &str, route: Option<(&str, &str)>) -> NodeFacts {
    NodeFacts {
        name: name.into(),
        uid: format!("uid-{name}").into(),
        has_pod_cidr: true,
        route: route.map(|(status, reason)| RouteCondition {
            status: status.into(),
            reason: reason.into(),
            ..RouteCondition::default()
        }),
        ..NodeFacts::default()
    }
}

pub(super) const CREATED: Option<(&str, &str)> = Some(("False", "RouteCreated"));
pub(super) const NOT_CREATED: Option<(&str, &str)> = Some(("True", "NoRouteCreated"));
pub(super) const CALICO: Option<(&str, &str)> = Some(("False", "CalicoIsUp"));

/// A Network with a held switch of the overlay.
pub(super) fn network() -> SwitchingNetwork {
    SwitchingNetwork {
        switch: SwitchAnnotations {
            state: Some("pending".into()),
            requested: Some("x".into()),
            ..SwitchAnnotations::default()
        },
        config: Some(r#"{"overlay":{"enabled":true},"typha":1}"#.into()),
        families: [Family::V4].into(),
        has_succeeded: true,
        ..SwitchingNetwork::default()
    }
}

/// The facts of a Shoot on AWS that asks for native routing.
pub(super) fn shoot() -> SwitchFacts {
    SwitchFacts {
        network_type: "calico".into(),
        provider: "aws".into(),
        config: Some(r#"{"overlay":{"enabled":false}}"#.into()),
        families: [Family::V4].into(),
        ..SwitchFacts::default()
    }
}
