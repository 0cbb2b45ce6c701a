//! What tests of several files need.

use crate::gardener::node::{NodeFacts, RouteCondition};

/// A node with a Pod network by what its condition says: status and reason.
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
